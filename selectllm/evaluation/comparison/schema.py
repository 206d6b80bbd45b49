"""What files say of a comparison, typed: verdicts and noise; nothing here computes.

Every figure of captured is 0 for random picks and 1 for the best possible.
"""

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
    """What a verdict is read from."""

    later: ClassVar[frozenset[str]] = UtilitySummary.later | {"length"}

    length: Interval | None = Field(
        None, description="Captured of it by the control `longest`; null where that did not run."
    )


class OtherUtility(UtilityOrigin):
    """Another utility of the run; it decides nothing."""

    later: ClassVar[frozenset[str]] = UtilityOrigin.later | {"rater"}

    utility: str
    rater: str | None = None
    difference: Interval | None

    @property
    def name(self) -> str:
        """What the suite calls it."""
        return self.utility


class Assistance(UtilitySummary):
    """The judge that stood in where people, whose ratings decide, did not rate.

    `correlation`: null where people or the judge say the same of all sampled clusters. `saved`: as
    many human ratings less give the same standard error without the judge; below 0 where it is of
    no use.
    """

    rated: Tally = Field(description="Clusters that people rated: a random sample.")
    judged: Tally = Field(description="Clusters that the judge rated: all.")
    correlation: Coefficient | None = Field(
        description="Of what people and the judge say of the sampled clusters, Pearson's."
    )
    tuning: Share = Field(description="How far the judge is followed, 0: not at all.")
    saved: Number | None = Field(description="The share of human ratings that it saves, up to 1.")


class Control(Part):
    """What a strategy captures of the deciding utility; it decides nothing."""

    strategy: str
    captured: Interval | None


class BettingBounds(Part):
    """Two ends that hold at any number of clusters; of version 0.1.0."""

    low: Number
    high: Number


class OneMore(Part):
    """What the ends of the interval would be, had one more cluster gone otherwise than all seen.

    `low`: had it gone as badly for `b` as a cluster can, `high`: as well; with groups, one more
    group, as large as that of an average cluster. A word has to hold with these ends, too.
    """

    low: Number
    high: Number


class Intervals(Part):
    """Of the two arms; null where an interval is not known."""

    a: Interval | None = None
    b: Interval | None = None


class Shares(Part):
    """Of the two arms, from 0 to 1; null where not known."""

    a: Share | None
    b: Share | None


class Amounts(Part):
    """Of the two arms, per 1,000 selected items; null where not known or not priced."""

    a: Amount | None
    b: Amount | None


class Look(Part):
    """What a sequential comparison saw after `clusters` counted clusters."""

    clusters: Tally
    low: Number | None
    high: Number | None


class Design(Part):
    """How a verdict was come by, and the calls that stopping early has saved."""

    kind: Literal["fixed", "sequential"]
    why: str | None = Field(description="Why it is fixed though sequential was asked for.")
    cap: Tally | None = Field(description="Clusters that would be asked at most.")
    looks: tuple[Look, ...]
    calls: Tally | None
    calls_saved: Tally | None


class Needed(Part):
    """How many more would decide an inconclusive verdict with 80 % power, if what was seen holds.

    `usd`, `ratings`: null where not known or none are needed. `groups`: of which the clusters
    have to be, one of average size each; null without groups. `rated`: with a judge, clusters of
    those asked, or of the further ones, that people have to rate.
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
    """regress: what is different from the recorded pair."""

    prompt_before: str
    prompt_after: str
    sha256_before: Sha256
    sha256_after: Sha256
    model_changed: tuple[str, ...] = Field(description="Settings of the model that differ.")
    identical: bool = Field(description="Whether all picks are the recorded ones.")
    changed: Tally = Field(description="Clusters whose picks differ.")
    path: str | None = Field(
        description="The prompt's file, relative to the workspace; null: a bundled prompt."
    )


class Swap(Part):
    """swap: whether enough is kept, of something worth keeping, and what both models cost."""

    retain: Annotated[float, Field(gt=0, le=1)]
    retention: Interval | None = Field(
        description="Of s_to - retain * s_from, s = G - r: what picks gain over random ones."
    )
    assay: Interval | None = Field(description="What the model to be replaced captures.")
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
    """A cluster and its difference, b - a, in the unit of the verdict."""

    cluster: int
    difference: Number


class SevereLosses(Part):
    """Clusters that lose or gain at least `loss`, in the unit of the verdict.

    `most`: the share of clusters that may lose so much. `strict`: more than that has to be ruled
    out. `share`: of the clusters that do, with an exact interval, each side of which errs by
    `alpha`. `p`: one-sided, of 'a severe loss is as likely as a severe gain'.
    """

    loss: Amount
    most: Share
    strict: bool
    alpha: Alpha
    losses: Tally
    gains: Tally
    share: Interval
    p: Share
    worst: tuple[ClusterLoss, ...] = Field(description="The clusters that lost most, worst first.")


class Verdict(Part):
    """A verdict with everything that it rests on."""

    model_config = ConfigDict(json_schema_extra=_kinds)
    later: ClassVar[frozenset[str]] = frozenset({"groups", "one_more"})
    absent: ClassVar[frozenset[str]] = frozenset({"assisted", "severe"})

    kind: VerdictKind
    word: Word
    reason: str = Field(min_length=1)
    a: str = Field(description="The reference: --a, --from, or the recorded pair.")
    b: str = Field(description="What is judged.")
    alpha: Alpha
    margin: Amount | None
    utility: DecidingUtility | None = Field(None, description="What decides; null: there is none.")
    assisted: Assistance | None = Field(
        None,
        description="The judge that helps people's ratings, where one does.",
        exclude_if=lambda found: found is None,
    )
    unit: Unit = Field(
        "captured",
        description="Of every interval; range: the share of the rating range per pick "
        "(--differing).",
    )
    margin_share: Amount | None = Field(
        None,
        description="margin / captured of a; null if a does not beat random picks, or unknown.",
    )
    clusters: Tally = Field(0, description="Counted.")
    flat_clusters: Tally | None = Field(0, description="Left out.")
    nonzero: Tally = Field(0, description="Of the counted: where the arms differ.")
    groups: Tally | None = Field(None, description="Of the counted; null without groups.")
    captured: Intervals = Intervals()
    difference: Interval | None = Field(
        None,
        description="b - a; two-sided 1 - alpha (regress, swap: 1 - 2 alpha); the repeated "
        "interval in a sequential design.",
    )
    inner: Interval | None = Field(None, description="1 - 2 alpha: what equivalence is read from.")
    betting: BettingBounds | None = Field(
        None,
        description="In files of version 0.1.0: what its rule for few clusters asked for.",
    )
    one_more: OneMore | None = Field(
        None, description="Of the difference (swap: of x); null where no interval decides."
    )
    p: Share | None = Field(
        None, description="Sign-flip, two-sided; null in a sequential design, and with a judge."
    )
    p_holm: Share | None = Field(None, description="Of t, adjusted for several arms.")
    design: Design
    others: tuple[OtherUtility, ...] = Field(
        (), description="Other utilities; they decide nothing."
    )
    controls: tuple[Control, ...] = Field((), description="Strategies; they decide nothing.")
    valid_rate: Shares
    overlap: Interval | None = Field(None, description="kappa of the picks of the two arms.")
    needed: Needed | None = None
    notes: tuple[str, ...] = ()
    swap: Swap | None = None
    regress: PromptChange | None = None
    severe: SevereLosses | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="Absent where the gate has no guard.",
    )


class FalseAlarms(Part):
    """Shares of the resamples, in each of which nothing changed; null where d is not known.

    `ab`: called better or worse. Near alpha where the noise is large beside the margin; below it
    where small differences are called equivalent, which wins over both words, and where one more
    cluster could change the word. `regress`: called fail. `naive`: the rule 'the score must not
    drop' raises an alarm, since the mean of d lies below 0.
    """

    ab: Share | None = None
    regress: Share | None = None
    naive: Share | None = None


class Noise(Part):
    """What a pair differs from itself by: what `aa` found.

    `clusters`, `flat_clusters` and `nonzero`: counted; left out; of the counted, those in which
    the halves score differently. `sd`: standard deviation of d over clusters, `difference`: the
    mean of d with its two-sided 1 - `alpha` interval, `detectable`: the least difference that as
    many clusters find with 80 % power (two-sided `alpha`) if this noise were all that varies: a
    lower limit, since two prompts also pick differently; null if there is none that so few can
    show; all three and `margin` in captured units. `groups`: of the counted clusters.
    `consistency`: kappa of the pair's own picks, over all its orders or repeats.

    null: undefined, without a utility or below two clusters (or groups).
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
