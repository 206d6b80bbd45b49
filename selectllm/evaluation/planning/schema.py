"""What `plan --json` prints of a comparison, typed; nothing here computes.

USD is null where a model is not priced. What it prints of sets is in sets_schema.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Amount, Coefficient, Number
from selectllm.core.verdict_words import EqualWord, VerdictKind
from selectllm.evaluation.planning.budget_left import BudgetLeft
from selectllm.utility.schema import UtilitySummary

Positive = Annotated[int, Field(ge=1)]
PlannedKind = Literal["eval", VerdictKind]
DifferingSource = Literal["pilot", "independent picks"]
CorrelationSource = Literal["pilot", "random picks", "assumption"]
SpreadSource = Literal["pilot", "random picks", "assumption"]
PriceSource = Literal["suite", "litellm", "free"]
PaceSource = Literal["replies", "pilot", "assumption"]


class CallPace(Part):
    """What one call of a pair takes on average.

    `asks` is 1, or the number of ballots of a vote, if no question has to be asked again.
    """

    asks: Amount = Field(description="The mean number of calls for a decision.")
    seconds: Amount = Field(description="The mean time that a call takes.")
    tokens_out: Amount = Field(description="The mean number of tokens in a reply.")
    source: PaceSource


class TokenPrice(Part):
    """Prices in USD per million tokens."""

    input: Amount
    output: Amount
    source: PriceSource


class LitellmPrices(Part):
    """The price table that was used.

    The table is at least as new as `newest_model`, which is null if it cannot be read.
    """

    version: str
    newest_model: str | None = Field(
        description="The latest date in the name of a model. The table itself has no date."
    )


class Outlay(Part):
    """What is going to be sent, apart from requests whose replies are already known.

    Most fields hold the expected amount. Fields with `most` in their name hold the largest possible
    amount: every reply is as long and every question is asked again as often as allowed.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"further"})

    calls: Tally = Field(
        description="The expected number of calls, if questions are asked again as often as "
        "`pace` says."
    )
    calls_most: Tally = Field(
        description="The number of calls if every decision takes as many as it may."
    )
    tokens_in: Tally
    tokens_out: Tally
    hours: Amount
    usd: Amount | None = Field(
        description="The expected cost in USD. Null if a price is not known."
    )
    usd_most: Amount | None = Field(
        description="The cost in USD if every reply has max_tokens and every question is asked "
        "again as often as it may be. Null if a price is not known."
    )
    further: Tally | None = Field(
        None,
        exclude_if=lambda count: count is None,
        description="How many ballots adaptive votes may ask beyond the first ones. Absent "
        "without such votes.",
    )


class Outlays(Outlay):
    """What is going to be sent, and what is too long to be sent."""

    too_long: Tally = Field(
        description="The number of prompts that do not fit into the context. They are never sent "
        "and count as invalid."
    )


class AskingPlan(Outlays):
    """What one pair, or one strategy that asks a model, is going to ask."""

    tokens_by: str = Field(
        description="The vocabulary that was used to count the tokens, or `estimate`."
    )
    pace: CallPace
    price: TokenPrice | None = Field(
        description="Null if the price is not known, or if nothing is going to be sent."
    )


class PairAsking(AskingPlan):
    """What one pair is going to ask."""

    prompt: str
    model: str
    decisions: Tally = Field(description="The number of clusters x orders x repeats.")
    known: Tally = Field(
        description="How many of the decisions have only replies that are recorded or cached."
    )


class StrategyAsking(PairAsking):
    """What a strategy is going to ask that asks a model about every item."""

    strategy: str


class PlanTotal(Outlays):
    """The total of all pairs and strategies."""

    decisions: Tally
    known: Tally


class PlannedClusters(Part):
    """The clusters that the decision can be based on."""

    later: ClassVar[frozenset[str]] = frozenset({"effective_groups"})

    asked: Tally
    pool: Tally = Field(description="The number of clusters that the pool gives without a limit.")
    counted: Tally = Field(
        description="The number of clusters that can tell good picks from bad ones, or may once "
        "they are rated."
    )
    flat: Tally | None = Field(
        description="The number of clusters in which all items have the same utility. Null "
        "without a utility."
    )
    whole: Tally = Field(
        description="The number of clusters with no more items than picks. They are not asked."
    )
    unrated: Tally = Field(
        description="The number of clusters that are asked although some of their items have no "
        "value."
    )
    groups: Positive | None
    effective_groups: Number | None = Field(
        None,
        ge=1,
        description="How many groups of equal size would say as much: (sum of sizes)^2 / sum of "
        "squares.",
    )
    items: Tally = Field(description="The number of items in the counted clusters.")
    to_rate: Tally = Field(description="How many of these items have no value yet.")


class RatingsBill(Part):
    """The ratings that are needed and what they cost."""

    items: Tally
    ratings: Tally = Field(description="The number of items x raters.")
    usd: Amount | None = Field(description="The cost in USD. Null without --rating-cost.")


class DifferingBill(RatingsBill):
    """The ratings that are needed if only items that exactly one arm picked are rated."""

    source: DifferingSource


class AssistedBill(RatingsBill):
    """What people still have to rate to find the margin if a judge rates every item.

    `items` is the number of items that are left to rate. If `wanted` is null, not even ratings of
    all clusters are enough, and all items are counted.
    """

    judge: str
    correlation: Coefficient = Field(
        description="The correlation of the judge's d with that of people."
    )
    source: CorrelationSource
    rated: Tally = Field(description="The number of clusters that people have already rated.")
    wanted: Positive | None = Field(
        description="The number of clusters that people have to rate in all."
    )
    alone: Positive = Field(
        description="The number of clusters that people would have to rate without the judge."
    )
    judged: Positive = Field(description="The number of clusters that the judge rates.")


class PlannedRatings(RatingsBill):
    """The ratings that are needed to know the value of every item in the clusters."""

    absent: ClassVar[frozenset[str]] = frozenset({"assisted"})

    raters: Positive
    differing: DifferingBill | None
    assisted: AssistedBill | None = Field(
        None,
        description="What is needed with the help of a judge (gate.assisted_by).",
        exclude_if=lambda bill: bill is None,
    )


class PlannedSpread(Part):
    """How far the arms are expected to differ from cluster to cluster.

    `clusters` is the number of clusters in which this was observed. It is 0 if it was assumed.
    """

    sd: Amount = Field(
        description="The standard deviation of d between clusters, in captured units."
    )
    scale: Number = Field(description="The value of d that corresponds to 1 captured.")
    source: SpreadSource
    clusters: Tally = 0


class PlannedPower(Part):
    """What the counted clusters can show with a power of 80 %, in captured units.

    All figures respect the rule that one more cluster, or group, must not change the word. For
    regress, `for_margin` is the number of clusters that pass if both are equally good.
    """

    alpha: Number
    sides: Literal[1, 2]
    margin: Number
    detectable: Amount | None = Field(
        description="The smallest difference that is found, in captured units. Null if none can "
        "be found."
    )
    for_margin: Positive = Field(
        description="The number of counted clusters that it takes to find the margin."
    )
    for_equal: int | None = Field(
        description="The number of counted clusters that it takes to show that equal arms are "
        "equivalent. Null if that is not a possible verdict."
    )
    groups_for_margin: Positive | None = Field(
        None,
        description="The number of groups that these clusters have to come from. Null without "
        "groups.",
    )


class PlannedReach(Part):
    """Whether the suite can reach the good verdict `word` at all if nothing got worse.

    `least` applies if d is 0 in every cluster (for swap: if both models are equally good). It is
    above 1 because the word must hold even if one more cluster goes as badly as possible. `asked`
    assumes that flat clusters are as rare as here; it is null if no cluster is counted.
    """

    word: EqualWord
    least: Positive = Field(
        description="The smallest number of counted clusters with which the word can be given."
    )
    groups: Positive | None = Field(
        None,
        description="The number of groups that these clusters have to come from. Null without "
        "groups.",
    )
    possible: bool
    asked: int | None = Field(
        description="The number of clusters to ask in order to get as many counted ones."
    )


class Retention(Part):
    """How many clusters it takes to show that an equally good model keeps the share `retain`.

    `clusters` is also null if nothing may be lost (`retain` is 1), or if the model in use is no
    better than random picks.
    """

    retain: Number
    sd: Amount = Field(
        description="The standard deviation of s_to - retain * s_from between clusters."
    )
    clusters: int | None = Field(
        description="The number of counted clusters if both are equally good. Null if no number "
        "is enough."
    )


class PlannedSwap(Part):
    """For swap: what it takes to show that a share of the gain is kept."""

    captured: Number = Field(description="What the model in use captures.")
    source: Literal["pilot", "assumption"]
    retain: tuple[Retention, ...]


class Destination(Part):
    """A host that is going to see texts of the pool."""

    host: str = Field(description="The host with its port, or a description if it is not known.")
    models: tuple[str, ...]
    columns: tuple[str, ...] = Field(
        description="Which of instruction, input and response are sent."
    )
    keys: tuple[str, ...] = Field(
        default=(), description="The environment variables whose keys are sent to this host."
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
    """The figures of a plan and its assumptions. Nothing was sent."""

    later: ClassVar[frozenset[str]] = frozenset({"destinations", "shared_budgets"})

    model_config = ConfigDict(title="what `selectllm plan --json` prints")

    format: Literal[1] = 1
    suite: str
    for_: PlannedKind = Field(
        validation_alias=AliasChoices("for", "for_"), serialization_alias="for"
    )
    arms: tuple[str, ...] = Field(
        description="The arms, starting with the reference. If no arms were named, every pair."
    )
    picks: Positive
    orders: Positive
    repeats: Positive
    concurrency: Positive
    utility: UtilitySummary | None
    clusters: PlannedClusters
    pairs: tuple[PairAsking, ...]
    strategies: tuple[StrategyAsking, ...] = Field(
        description="The strategies that ask a model about every item."
    )
    total: PlanTotal
    price_table: LitellmPrices | None = Field(
        description="litellm's price table, if a price was taken from it."
    )
    ratings: PlannedRatings
    spread: PlannedSpread
    power: PlannedPower
    reach: PlannedReach | None = Field(
        description="Null if no margin is left in which equal quality could be shown."
    )
    swap: PlannedSwap | None
    sequential: str | None
    assumptions: tuple[str, ...]
    destinations: tuple[Destination, ...] = Field(
        (), description="Every host that is going to see texts of the pool."
    )
    shared_budgets: tuple[BudgetLeft, ...] = Field(
        (), description="What is left of each budget that this would be paid from."
    )
