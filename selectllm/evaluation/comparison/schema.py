"""What files say of a comparison, typed: verdicts and noise; nothing here computes.

Every figure of captured is 0 for random picks and 1 for the best possible.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Part, Tally
from selectllm.core.figures import Amount, Coefficient, Number, Sha256, Share
from selectllm.core.verdict_words import KIND_WORDS, OPEN, VerdictKind, Word
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilityOrigin, UtilitySummary

Unit = Literal["captured", "range"]
By = Literal["orders", "repeats"]
Alpha = Annotated[float, Field(gt=0, lt=0.5)]


class DecidingUtility(UtilitySummary):
    """The utility that a verdict is based on."""

    later: ClassVar[frozenset[str]] = UtilitySummary.later | {"length"}

    length: Interval | None = Field(
        None,
        description="What the control `longest` captures of it. Null if that control did not run.",
    )


class OtherUtility(UtilityOrigin):
    """Another utility of the run. It does not affect the verdict."""

    later: ClassVar[frozenset[str]] = UtilityOrigin.later | {"rater"}

    utility: str
    rater: str | None = None
    difference: Interval | None

    @property
    def name(self) -> str:
        """What the suite calls it."""
        return self.utility


class Assistance(UtilitySummary):
    """The judge whose ratings are used where people did not rate. People's ratings decide.

    `correlation` is null if people, or the judge, say the same about all sampled clusters. `saved`
    is the share of human ratings that could be left out with the judge and still give the same
    standard error. It is below 0 if the judge does not help.
    """

    rated: Tally = Field(
        description="The number of clusters that people rated. They are a random sample."
    )
    judged: Tally = Field(
        description="The number of clusters that the judge rated, which is all of them."
    )
    correlation: Coefficient | None = Field(
        description="Pearson's correlation of what people and the judge say about the sampled "
        "clusters."
    )
    tuning: Share = Field(description="How much weight the judge gets, from 0 (none) to 1 (full).")
    saved: Number | None = Field(
        description="The share of human ratings that the judge saves, at most 1."
    )


class Control(Part):
    """What a strategy captures of the deciding utility. It does not affect the verdict."""

    strategy: str
    captured: Interval | None


class BettingBounds(Part):
    """Two bounds that hold for any number of clusters. Only version 0.1.0 wrote them."""

    low: Number
    high: Number


class OneMore(Part):
    """The ends of the interval if one more cluster had gone worse or better than all others.

    `low` is the lower end if that cluster had gone as badly for `b` as possible, and `high` the
    upper end if it had gone as well as possible. With groups, it is one more group of average size.
    A verdict must hold with these ends, too.
    """

    low: Number
    high: Number


class Intervals(Part):
    """One interval for each of the two arms. It is null if it is not known."""

    a: Interval | None = None
    b: Interval | None = None


class Shares(Part):
    """One share from 0 to 1 for each of the two arms. It is null if it is not known."""

    a: Share | None
    b: Share | None


class Amounts(Part):
    """One amount per 1,000 selected items for each of the two arms.

    It is null if it is not known, or if the price is not known.
    """

    a: Amount | None
    b: Amount | None


class Look(Part):
    """What a sequential comparison saw after this many counted clusters."""

    clusters: Tally
    low: Number | None
    high: Number | None


class Design(Part):
    """How the verdict was reached, and how many calls an early stop has saved."""

    kind: Literal["fixed", "sequential"]
    why: str | None = Field(
        description="Why the design is fixed although a sequential one was asked for."
    )
    cap: Tally | None = Field(description="The largest number of clusters that would be asked.")
    looks: tuple[Look, ...]
    calls: Tally | None
    calls_saved: Tally | None


class Needed(Part):
    """What else it takes to decide an inconclusive verdict with a power of 80 %.

    This assumes that further clusters behave like those seen so far. `usd` and `ratings` are null
    if they are not known or not needed. `groups` is the number of groups of average size that the
    clusters have to come from; it is null without groups. `rated` is given with a judge: it is the
    number of clusters, old or new, that people have to rate.
    """

    later: ClassVar[frozenset[str]] = frozenset({"groups"})
    absent: ClassVar[frozenset[str]] = frozenset({"rated"})

    clusters: Tally
    groups: Tally | None = None
    rated: Tally | None = Field(default=None, exclude_if=lambda count: count is None)
    calls: Tally | None
    ratings: Tally | None = None
    usd: Amount | None = None


class PromptChange(Part):
    """For regress: what differs from the recorded pair."""

    prompt_before: str
    prompt_after: str
    sha256_before: Sha256
    sha256_after: Sha256
    model_changed: tuple[str, ...] = Field(description="The settings of the model that differ.")
    identical: bool = Field(description="Whether all picks equal the recorded ones.")
    changed: Tally = Field(description="The number of clusters whose picks differ.")
    path: str | None = Field(
        description="The file of the prompt, relative to the workspace. Null for a bundled prompt."
    )


class Swap(Part):
    """For swap: whether enough of the gain is kept, and what both models cost."""

    retain: Annotated[float, Field(gt=0, le=1)]
    retention: Interval | None = Field(
        description="s_to - retain * s_from, where s = G - r is what the picks gain over random "
        "picks."
    )
    assay: Interval | None = Field(description="What the model that is to be replaced captures.")
    valid_rate_drop: Number | None
    order_consistency: Intervals
    usd_per_1000: Amounts
    seconds_per_1000: Amounts


def _kinds(schema: dict[str, Any]) -> None:
    """What else holds of each kind of verdict, for its JSON Schema."""
    absent = {"type": "null"}
    schema["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {
                "properties": {
                    "word": {"enum": [*words.bad, OPEN, *words.good]},
                    **{
                        part: {"not": absent} if part == kind else absent
                        for part in ("regress", "swap")
                    },
                }
            },
        }
        for kind, words in KIND_WORDS.items()
    ]


class ClusterLoss(Part):
    """A cluster and its difference b - a, in the unit of the verdict."""

    cluster: int
    difference: Number


class SevereLosses(Part):
    """The clusters that lose or gain at least `loss`, in the unit of the verdict.

    `most` is the share of clusters that may lose that much. If `strict` is true, a larger share has
    to be ruled out before anything passes. `share` is the share of clusters that do lose that much,
    with an exact interval; each of its sides is wrong with probability `alpha`. `p` is one-sided
    and tests whether severe losses are more likely than severe gains.
    """

    loss: Amount
    most: Share
    strict: bool
    alpha: Alpha
    losses: Tally
    gains: Tally
    share: Interval
    p: Share
    worst: tuple[ClusterLoss, ...] = Field(
        description="The clusters that lost most, starting with the worst."
    )


class Verdict(Part):
    """A verdict with everything that it is based on."""

    model_config = ConfigDict(json_schema_extra=_kinds)
    later: ClassVar[frozenset[str]] = frozenset({"groups", "one_more"})
    absent: ClassVar[frozenset[str]] = frozenset({"assisted", "severe"})

    kind: VerdictKind
    word: Word
    reason: str = Field(min_length=1)
    a: str = Field(description="The reference: the arm of --a or --from, or the recorded pair.")
    b: str = Field(description="The arm that is judged.")
    alpha: Alpha
    margin: Amount | None
    utility: DecidingUtility | None = Field(
        None, description="The utility that decides. Null if there is none."
    )
    assisted: Assistance | None = Field(
        None,
        description="The judge that supplements people's ratings, if there is one.",
        exclude_if=lambda found: found is None,
    )
    unit: Unit = Field(
        "captured",
        description="The unit of all intervals. `range` means the share of the rating range per "
        "pick (--differing).",
    )
    margin_share: Amount | None = Field(
        None,
        description="margin / captured of a. Null if a does not beat random picks, or if that is "
        "not known.",
    )
    clusters: Tally = Field(0, description="The number of clusters that count.")
    flat_clusters: Tally | None = Field(
        0,
        description="The number of clusters that were left out because their items have equal "
        "values.",
    )
    nonzero: Tally = Field(
        0, description="The number of counted clusters in which the arms differ."
    )
    groups: Tally | None = Field(
        None, description="How many groups the counted clusters come from. Null without groups."
    )
    captured: Intervals = Intervals()
    difference: Interval | None = Field(
        None,
        description="b - a with a two-sided interval of 1 - alpha (for regress and swap, 1 - 2 "
        "alpha). In a sequential design, it is the repeated interval.",
    )
    inner: Interval | None = Field(
        None,
        description="The interval of 1 - 2 alpha that decides whether the arms are equivalent.",
    )
    betting: BettingBounds | None = Field(
        None,
        description="Only in files of version 0.1.0: what its rule for few clusters required.",
    )
    one_more: OneMore | None = Field(
        None,
        description="The interval of the difference (for swap, of x) with one more cluster. Null "
        "if no interval decides.",
    )
    p: Share | None = Field(
        None,
        description="From a two-sided sign-flip test. Null in a sequential design, and with a "
        "judge.",
    )
    p_holm: Share | None = Field(
        None, description="The p of the t test, adjusted for several arms."
    )
    design: Design
    others: tuple[OtherUtility, ...] = Field(
        (), description="Other utilities. They do not affect the verdict."
    )
    controls: tuple[Control, ...] = Field(
        (), description="Strategies for comparison. They do not affect the verdict."
    )
    valid_rate: Shares
    overlap: Interval | None = Field(None, description="The kappa of the picks of the two arms.")
    needed: Needed | None = None
    notes: tuple[str, ...] = ()
    swap: Swap | None = None
    regress: PromptChange | None = None
    severe: SevereLosses | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="Absent if the gate has no guard against severe losses.",
    )


class FalseAlarms(Part):
    """How often a verdict was wrong in resamples in which nothing had changed.

    All figures are shares of the resamples, and null if d is not known. `ab` is the share called
    better or worse. It is near alpha if the noise is large compared with the margin. It is lower if
    small differences are called equivalent, which takes precedence over both words, or if one more
    cluster could change the word. `regress` is the share called fail. `naive` is the share in which
    the rule 'the score must not drop' raises an alarm because the mean of d is below 0.
    """

    ab: Share | None = None
    regress: Share | None = None
    naive: Share | None = None


class Noise(Part):
    """How much a pair differs from itself, as measured by `aa`.

    `clusters` is the number of clusters that count and `flat_clusters` the number of those left
    out. `nonzero` is the number of counted clusters in which the two halves score differently, and
    `groups` the number of groups that the counted clusters come from. `consistency` is the kappa of
    the pair's own picks over all its orders or repeats.

    `difference` is the mean of d with its two-sided 1 - `alpha` interval, and `sd` is the standard
    deviation of d over clusters. `detectable` is the smallest difference that as many clusters find
    with a power of 80 % (two-sided `alpha`) if nothing else varied. It is a lower limit, because
    two prompts also pick differently, and null if so few clusters can show none. These three and
    `margin` are in captured units. A figure is null if it is not defined, without a utility, or
    with fewer than two clusters (or groups).
    """

    later: ClassVar[frozenset[str]] = frozenset({"groups"})

    pair: str
    by: By
    utility: UtilitySummary | None
    clusters: Tally
    flat_clusters: Tally | None
    nonzero: Tally
    groups: Tally | None = None
    sd: Amount | None = None
    difference: Interval | None = None
    consistency: Interval | None
    false_alarms: FalseAlarms = FalseAlarms()
    resamples: Tally
    detectable: Amount | None = None
    alpha: Alpha
    margin: Amount | None
