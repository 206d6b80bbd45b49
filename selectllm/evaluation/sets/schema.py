"""sets.json, typed: the sets of a suite, compared; nothing here computes."""

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
    """A figure over `count` seeds, or pairs of them: its mean, its lowest and its highest value."""

    mean: Number
    low: Number
    high: Number
    count: Annotated[int, Field(ge=1)]


class ByBudget(Part):
    """What sets of one budget captured."""

    budget: Budget
    captured: Summary | None


class SetsUtility(UtilitySummary):
    """A utility of the suite."""

    later: ClassVar[frozenset[str]] = UtilitySummary.later | {"length"}

    sha256: Sha256 = Field(description="Of its values, by item id.")
    length: tuple[ByBudget, ...] | None = Field(
        None, description="What sets of the strategy longest capture of it; null: there are none."
    )


class PoolDivision(Part):
    """How the pool is divided for prompts."""

    by: str
    size: Annotated[int, Field(ge=2)]


class WholePool(Part):
    """All of the pool as if it were the set; null where it is not known."""

    items: Annotated[int, Field(ge=1)]
    sha256: Sha256
    groups: int | None = Field(description="k-means groups that sets are to cover.")
    mean_value: Mapping[str, Number] = Field(description="By utility.")
    mean_pairwise_cosine: Number | None = Field(description="-1 to 1; lower is more varied.")
    vendi: Number | None = Field(description="1 or more; higher is more varied.")
    category_entropy: Amount | None = Field(description="In bits.")
    tokens_read: Tally
    tokens_written: Tally | None


class RandomSets(Part):
    """What random sets of a budget expect."""

    budget: Budget
    coverage: Share | None
    captured_sd: Mapping[str, Amount | None] = Field(
        description="By utility: standard deviation of captured, whose mean is 0."
    )


Figure = Annotated[
    Summary | None, Field(description="Over seeds; null where it is not defined or not known.")
]


class SelectorSets(Part):
    """The sets of one selector at one budget, over its seeds."""

    later: ClassVar[frozenset[str]] = frozenset({"set_value"})

    selector: str = Field(description="What the rest of the file calls it.")
    prompt: str | None = Field(description="null for a strategy.")
    model: str | None
    strategy: str | None
    budget: Budget
    captured: Mapping[str, Summary | None] = Field(description="By utility.")
    mean_value: Mapping[str, Summary | None] = Field(description="By utility.")
    set_value: Mapping[str, Summary | None] = Field(
        {},
        description="What the set is worth as a whole, of utilities that know it (knn: how well "
        "the set answers the test items).",
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
    """How alike the sets of two selectors are."""

    budget: Budget
    a: str
    b: str
    overlap: Number | None = Field(
        description="Chance-corrected, mean over seeds: 1 the same items, 0 as many in common as "
        "random sets; null where sets are the whole pool."
    )


class SelectorLeftOut(Part):
    """A strategy that cannot select from this pool, and why."""

    selector: str
    reason: str


class SetsResults(Document):
    """Every set of a suite, compared; the same sets give the same bytes.

    What depends on clocks is not here; it stays in sets.jsonl.
    """

    model_config = ConfigDict(title="sets.json: the sets of a suite, compared")

    format: Literal[1] = 1
    suite: str
    budgets: tuple[Budget, ...] = Field(min_length=1, description="Ascending.")
    seeds: tuple[int, ...] = Field(min_length=1)
    clusters: PoolDivision
    category: str | None = Field(
        description="The column of category_entropy; null without, or if items lack it."
    )
    encoder: str
    utility: str | None = Field(description="The one that tables show.")
    utilities: tuple[SetsUtility, ...]
    pool: WholePool
    random: tuple[RandomSets, ...]
    sets: tuple[SelectorSets, ...]
    overlaps: tuple[SetOverlap, ...]
    left_out: tuple[SelectorLeftOut, ...]
    notes: tuple[str, ...] = Field(description="What could not be measured.")

    def at(self, budget: int) -> tuple[SelectorSets, ...]:
        """The selectors' sets of that many items."""
        return tuple(row for row in self.sets if row.budget == budget)
