"""What `plan --for sets --json` prints, typed; nothing here computes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AliasChoices, ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.evaluation.planning.schema import (
    AskingPlan,
    Destination,
    LitellmPrices,
    Outlays,
    Positive,
)
from selectllm.evaluation.sets.schema import Budget, SelectorLeftOut


class SetRound(Part):
    """A round of one set.

    `calls` assumes that every reply is valid. It is 0 if the clusters are selected as a whole.
    """

    clusters: Positive
    size: Positive = Field(description="The approximate number of items in a cluster.")
    picks: Positive = Field(
        description="The number of picks from each cluster. Some clusters get one more."
    )
    calls: Tally


class SelectorAsking(AskingPlan):
    """What a selector is going to ask a model, for all seeds together."""

    selector: str
    prompt: str | None = Field(description="The prompt. Null for a strategy.")
    model: str | None
    strategy: str | None
    budget: Budget | None = Field(
        description="Null for a strategy, which is measured once for all its sets."
    )
    rounds: tuple[SetRound, ...] = Field(description="The rounds of one set.")


class SetsPlanResults(Document):
    """What the sets of a suite are going to ask and cost. Nothing was sent."""

    model_config = ConfigDict(title="selectllm plan --for sets --json")

    later: ClassVar[frozenset[str]] = frozenset({"destinations"})

    format: Literal[1] = 1
    suite: str
    for_: Literal["sets"] = Field(
        default="sets",
        validation_alias=AliasChoices("for", "for_"),
        serialization_alias="for",
    )
    items: Positive
    budgets: tuple[Budget, ...] = Field(min_length=1, description="The budgets in ascending order.")
    seeds: tuple[int, ...] = Field(min_length=1)
    concurrency: Positive
    asking: tuple[SelectorAsking, ...]
    unasked: tuple[str, ...] = Field(description="The selectors that need no calls.")
    left_out: tuple[SelectorLeftOut, ...] = Field(
        description="The strategies that cannot select from this pool."
    )
    total: Outlays
    price_table: LitellmPrices | None
    assumptions: tuple[str, ...]
    destinations: tuple[Destination, ...] = Field(
        (), description="Every host that is going to see texts of the pool."
    )
