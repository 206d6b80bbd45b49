"""What `plan --json` prints, typed: of a comparison, and of a suite's sets. Nothing computes here.

USD is null where a model is not priced.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Amount, Coefficient, Number
from selectllm.core.verdict_words import EqualWord, VerdictKind
from selectllm.evaluation.planning.budget_left import BudgetLeft
from selectllm.evaluation.sets.schema import Budget, SelectorLeftOut
from selectllm.utility.schema import UtilitySummary

Positive = Annotated[int, Field(ge=1)]
PlannedKind = Literal["eval", VerdictKind]
DifferingSource = Literal["pilot", "independent picks"]
CorrelationSource = Literal["pilot", "random picks", "assumption"]
SpreadSource = Literal["pilot", "random picks", "assumption"]
PriceSource = Literal["suite", "litellm", "free"]
PaceSource = Literal["replies", "pilot", "assumption"]


class CallPace(Part):
    """What the calls of a pair take on average.

    `asks`: 1, or the ballots of a vote, if none is asked again.
    """

    asks: Amount = Field(description="Calls per decision.")
    seconds: Amount = Field(description="Mean per call.")
    tokens_out: Amount = Field(description="Mean per reply.")
    source: PaceSource


class TokenPrice(Part):
    """USD per million tokens."""

    input: Amount
    output: Amount
    source: PriceSource


class LitellmPrices(Part):
    """The table that prices were taken from.

    `newest_model`: the table is no older; null if it cannot be read.
    """

    version: str
    newest_model: str | None = Field(
        description="Latest date in the name of a model; the table has no date of its own."
    )


class Outlay(Part):
    """What is going to be sent, beyond what is known.

    The expectation, and under names with `most` the ceiling: every reply as long as it may be,
    and asked again as often as it may be.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"further"})

    calls: Tally = Field(description="Expected, with asking again as often as in the pace.")
    calls_most: Tally = Field(description="If every decision takes all the calls it may.")
    tokens_in: Tally
    tokens_out: Tally
    hours: Amount
    usd: Amount | None = Field(description="USD; null if not priced.")
    usd_most: Amount | None = Field(
        description="If every reply has max_tokens and is asked again as often as it may be; null "
        "if not priced."
    )
    further: Tally | None = Field(
        None,
        exclude_if=lambda count: count is None,
        description="Ballots of adaptive votes that are asked beyond the first ones, at most; "
        "absent without such votes.",
    )


class Outlays(Outlay):
    """The same with what is not sent."""

    too_long: Tally = Field(
        description="Prompts that do not fit the context: never sent, counted as invalid."
    )


class AskingPlan(Outlays):
    """Of one pair, or of a strategy that asks a model."""

    tokens_by: str = Field(description="The vocabulary that counted the prompts, or `estimate`.")
    pace: CallPace
    price: TokenPrice | None = Field(description="null if not priced or nothing is to be sent.")


class PairAsking(AskingPlan):
    """Of one pair."""

    prompt: str
    model: str
    decisions: Tally = Field(description="clusters x orders x repeats.")
    known: Tally = Field(description="Whose replies are all recorded or cached.")


class StrategyAsking(PairAsking):
    """Of a strategy that asks a model about every item; its prompt may be its measure."""

    strategy: str


class PlanTotal(Outlays):
    """Of all pairs and strategies."""

    decisions: Tally
    known: Tally


class PlannedClusters(Part):
    """What there is to decide by."""

    later: ClassVar[frozenset[str]] = frozenset({"effective_groups"})

    asked: Tally
    pool: Tally = Field(description="That the pool gives without a limit.")
    counted: Tally = Field(
        description="That can tell good picks from bad ones, or may once they are rated."
    )
    flat: Tally | None = Field(description="One utility for all items; null without a utility.")
    whole: Tally = Field(description="No more items than picks: not asked.")
    unrated: Tally = Field(description="Asked, with items that have no value.")
    groups: Positive | None
    effective_groups: Number | None = Field(
        None,
        ge=1,
        description="How many groups of one size say as much: (sum of sizes)^2 / sum of squares.",
    )
    items: Tally = Field(description="Of the counted.")
    to_rate: Tally = Field(description="Of the items, without a value.")


class RatingsBill(Part):
    """Ratings that are needed."""

    items: Tally
    ratings: Tally = Field(description="items x raters.")
    usd: Amount | None = Field(description="null without --rating-cost.")


class DifferingBill(RatingsBill):
    """If only the items that exactly one of two arms picked are rated."""

    source: DifferingSource


class AssistedBill(RatingsBill):
    """What people are left to rate where a judge rates every item, to find the margin.

    `items`: left to buy. `wanted`: null: all are not enough, and all are counted.
    """

    judge: str
    correlation: Coefficient = Field(description="Of its d with people's.")
    source: CorrelationSource
    rated: Tally = Field(description="Clusters that people have rated.")
    wanted: Positive | None = Field(description="Clusters that they have to rate in all.")
    alone: Positive = Field(description="Clusters that they would have to rate without it.")
    judged: Positive = Field(description="Clusters that it rates.")


class PlannedRatings(RatingsBill):
    """To know every item of the clusters."""

    absent: ClassVar[frozenset[str]] = frozenset({"assisted"})

    raters: Positive
    differing: DifferingBill | None
    assisted: AssistedBill | None = Field(
        None,
        description="With a judge (gate.assisted_by).",
        exclude_if=lambda bill: bill is None,
    )


class PlannedSpread(Part):
    """How far arms are expected to differ, cluster by cluster.

    `clusters`: that it was seen in; 0 if it is assumed.
    """

    sd: Amount = Field(description="Of d between clusters, captured units.")
    scale: Number = Field(description="1 captured in units of d.")
    source: SpreadSource
    clusters: Tally = 0


class PlannedPower(Part):
    """What the counted clusters can show with 80 % power, in captured units.

    `for_margin`, of regress: those that pass at equal quality. All by the rule that one more
    cluster, or group, must not change the word.
    """

    alpha: Number
    sides: Literal[1, 2]
    margin: Number
    detectable: Amount | None = Field(
        description="Least difference found, captured units; null if none can be."
    )
    for_margin: Positive = Field(description="Counted clusters that find the margin.")
    for_equal: int | None = Field(
        description="Counted clusters that show equal arms equivalent; null where that is no "
        "verdict."
    )
    groups_for_margin: Positive | None = Field(
        None, description="Of which those for the margin have to be; null without groups."
    )


class PlannedReach(Part):
    """Whether the suite can reach a good end, `word`, at all where nothing was lost.

    `least`: if d is 0 in every one (swap: if both models are equally good), since one more that
    goes as badly as it can must not change the word. `asked`: as flat ones are rare here; null if
    none is counted.
    """

    word: EqualWord
    least: Positive = Field(description="Counted clusters from which on the word can be said.")
    groups: Positive | None = Field(
        None, description="Of which those have to be; null without groups."
    )
    possible: bool
    asked: int | None = Field(description="Clusters to ask for as many counted ones.")


class Retention(Part):
    """What it takes to show a model of equal quality to keep the share `retain`.

    `clusters`: null also where nothing is left over (`retain` 1), or the model in use is no better
    than random picks.
    """

    retain: Number
    sd: Amount = Field(description="Of s_to - retain * s_from between clusters.")
    clusters: int | None = Field(description="Counted, at equal quality; null: no number does.")


class PlannedSwap(Part):
    """swap: by the share to be retained."""

    captured: Number = Field(description="By the model in use.")
    source: Literal["pilot", "assumption"]
    retain: tuple[Retention, ...]


class Destination(Part):
    """A host that is going to see texts of the pool."""

    host: str = Field(description="With its port; in words where it is not known.")
    models: tuple[str, ...]
    columns: tuple[str, ...] = Field(description="Of instruction, input and response.")
    keys: tuple[str, ...] = Field(
        default=(), description="The variables whose keys it is sent; none without one."
    )

    later: ClassVar[frozenset[str]] = frozenset({"keys"})

    @property
    def sentence(self) -> str:
        """What it is sent, for people."""
        *most, last = self.columns or ("nothing",)
        columns = f"{', '.join(most)} and {last}" if most else last
        key = f" and the key in {' and '.join(self.keys)}" if self.keys else ""
        return f"Sent to {self.host}: the {columns} of items{key}, for {', '.join(self.models)}."


def destinations_told(destinations: Sequence[Destination]) -> str:
    """Who is going to see what, in sentences."""
    if not destinations:
        return "No text of the pool leaves this machine."
    return " ".join(each.sentence for each in destinations)


class PlanResults(Document):
    """The figures of a plan, and what they take for granted; nothing was sent."""

    later: ClassVar[frozenset[str]] = frozenset({"destinations", "shared_budgets"})

    model_config = ConfigDict(title="what `selectllm plan --json` prints")

    format: Literal[1] = 1
    suite: str
    for_: PlannedKind = Field(
        validation_alias=AliasChoices("for", "for_"), serialization_alias="for"
    )
    arms: tuple[str, ...] = Field(
        description="The first is the reference; without named arms every pair."
    )
    picks: Positive
    orders: Positive
    repeats: Positive
    concurrency: Positive
    utility: UtilitySummary | None
    clusters: PlannedClusters
    pairs: tuple[PairAsking, ...]
    strategies: tuple[StrategyAsking, ...] = Field(
        description="Strategies that ask a model about every item."
    )
    total: PlanTotal
    price_table: LitellmPrices | None = Field(
        description="litellm's, if a price was taken from it."
    )
    ratings: PlannedRatings
    spread: PlannedSpread
    power: PlannedPower
    reach: PlannedReach | None = Field(description="null if nothing is left over at equal quality.")
    swap: PlannedSwap | None
    sequential: str | None
    assumptions: tuple[str, ...]
    destinations: tuple[Destination, ...] = Field(
        (), description="Every host that is going to see texts of the pool."
    )
    shared_budgets: tuple[BudgetLeft, ...] = Field(
        (), description="What is left of each budget that this would be paid from."
    )


class SetRound(Part):
    """A round of one set.

    `calls`: if every reply is valid; 0 where the clusters are taken whole.
    """

    clusters: Positive
    size: Positive = Field(description="About.")
    picks: Positive = Field(description="Of each cluster, some one more.")
    calls: Tally


class SelectorAsking(AskingPlan):
    """A selector that asks a model, with all seeds."""

    selector: str
    prompt: str | None = Field(description="null for a strategy.")
    model: str | None
    strategy: str | None
    budget: Budget | None = Field(
        description="null for a strategy: it is measured once for all its sets."
    )
    rounds: tuple[SetRound, ...] = Field(description="Of one set.")


class SetsPlanResults(Document):
    """What the sets of a suite will take; nothing was sent."""

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
    budgets: tuple[Budget, ...] = Field(min_length=1, description="Ascending.")
    seeds: tuple[int, ...] = Field(min_length=1)
    concurrency: Positive
    asking: tuple[SelectorAsking, ...]
    unasked: tuple[str, ...] = Field(description="Selectors that take no calls.")
    left_out: tuple[SelectorLeftOut, ...] = Field(
        description="Strategies that cannot select from this pool."
    )
    total: Outlays
    price_table: LitellmPrices | None
    assumptions: tuple[str, ...]
    destinations: tuple[Destination, ...] = Field(
        (), description="Every host that is going to see texts of the pool."
    )
