"""sets.json, typed: the sets of a suite, compared; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Amount, Number, Sha256, Share
from selectllm.utility.schema import UtilitySummary

DAMAGED = "is damaged; run `sets` again"
"""What is said of a sets.json that is none."""
Budget = Annotated[int, Field(ge=1)]
"""Items of a set."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The mean, lowest and highest value of a figure over `count` seeds or pairs of seeds."""

    mean: Number
    low: Number
    high: Number
    count: Annotated[int, Field(ge=1)]


class ByBudget(Part):
    """What the sets of one budget captured."""

    budget: Budget
    captured: Summary | None


class SetsUtility(UtilitySummary):
    """A utility of the suite."""

    later: ClassVar[frozenset[str]] = UtilitySummary.later | {"length"}

    sha256: Sha256 = Field(description="The hash of its values, by item id.")
    length: tuple[ByBudget, ...] | None = Field(
        None,
        description="What the sets of the strategy `longest` capture of it. Null if there are "
        "none.",
    )


class PoolDivision(Part):
    """How the pool is divided into clusters for prompts."""

    by: str
    size: Annotated[int, Field(ge=2)]


class WholePool(Part):
    """The figures of the whole pool, as if it were the set. Unknown figures are null."""

    items: Annotated[int, Field(ge=1)]
    sha256: Sha256
    groups: int | None = Field(
        description="The number of k-means groups whose coverage is measured."
    )
    mean_value: Mapping[str, Number] = Field(description="The mean value of the items, by utility.")
    mean_pairwise_cosine: Number | None = Field(
        description="From -1 to 1. A lower value means more variety."
    )
    vendi: Number | None = Field(description="At least 1. A higher value means more variety.")
    category_entropy: Amount | None = Field(description="The entropy of the categories in bits.")
    tokens_read: Tally
    tokens_written: Tally | None


class RandomSets(Part):
    """What can be expected of random sets of one budget."""

    budget: Budget
    coverage: Share | None
    captured_sd: Mapping[str, Amount | None] = Field(
        description="The standard deviation of captured, by utility. The mean of captured is 0."
    )


Figure = Annotated[
    Summary | None,
    Field(description="A summary over the seeds. Null if it is not defined or not known."),
]


class SelectorSets(Part):
    """The sets of one selector at one budget, for all its seeds."""

    later: ClassVar[frozenset[str]] = frozenset({"set_value"})

    selector: str = Field(description="The name of the selector in the rest of the file.")
    prompt: str | None = Field(description="The prompt. Null for a strategy.")
    model: str | None
    strategy: str | None
    budget: Budget
    captured: Mapping[str, Summary | None] = Field(
        description="What the sets captured, by utility."
    )
    mean_value: Mapping[str, Summary | None] = Field(
        description="The mean value of the selected items, by utility."
    )
    set_value: Mapping[str, Summary | None] = Field(
        {},
        description="What a set is worth as a whole, by utility, for utilities that can tell (for "
        "knn: how well the set answers the test items).",
    )
    mean_pairwise_cosine: Figure
    vendi: Figure
    coverage: Figure
    category_entropy: Figure
    tokens_read: Figure
    tokens_written: Figure
    filled: Figure
    calls: Figure
    tokens_in: Figure
    tokens_out: Figure
    cost_usd: Figure
    self_overlap: Figure


class SetOverlap(Part):
    """How similar the sets of two selectors are."""

    budget: Budget
    a: str
    b: str
    overlap: Number | None = Field(
        description="The overlap, corrected for chance and averaged over seeds: 1 means the same "
        "items, 0 as many in common as random sets have. Null if the sets are the "
        "whole pool."
    )


class SelectorLeftOut(Part):
    """A strategy that cannot select from this pool, and why."""

    selector: str
    reason: str


class SetsResults(Document):
    """All sets of a suite, compared. The same sets always give the same bytes.

    Times are not included. They are in sets.jsonl.
    """

    model_config = ConfigDict(title="sets.json: the sets of a suite, compared")

    format: Literal[1] = 1
    suite: str
    budgets: tuple[Budget, ...] = Field(min_length=1, description="The budgets in ascending order.")
    seeds: tuple[int, ...] = Field(min_length=1)
    clusters: PoolDivision
    category: str | None = Field(
        description="The column that category_entropy is computed from. Null if none was named, "
        "or if items have no value in it."
    )
    encoder: str
    utility: str | None = Field(description="The utility that tables show.")
    utilities: tuple[SetsUtility, ...]
    pool: WholePool
    random: tuple[RandomSets, ...]
    sets: tuple[SelectorSets, ...]
    overlaps: tuple[SetOverlap, ...]
    left_out: tuple[SelectorLeftOut, ...]
    notes: tuple[str, ...] = Field(description="What could not be measured, and why.")

    def at(self, budget: int) -> tuple[SelectorSets, ...]:
        """The selectors' sets of that many items."""
        return tuple(row for row in self.sets if row.budget == budget)
