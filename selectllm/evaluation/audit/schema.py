"""What an audit found, typed; nothing here computes.

Shares lie between 0 and 1. A kappa is the overlap of two choices with chance taken out: 1 for the
same picks, 0 for as many in common as random picks have. Intervals have 95 % confidence. null:
undefined here, or not asked.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Amount, Number, Sha256, Share
from selectllm.evaluation.metrics.schema import SlotHistogram
from selectllm.evaluation.planning.schema import Outlay
from selectllm.stats.interval import Interval

Better = Literal["higher", "lower", "zero"]
Held = Literal["worse", "held", "cannot tell"]
Moved = Literal["moved", "not shown", "cannot tell"]


class Measure(Part):
    """One line of the score card.

    `better`: which way is good; "zero": the nearer to 0. `by_cluster`: its value in each cluster,
    by the cluster's number; `span`: how far two such values can lie apart. `value`: their mean.
    """

    name: str
    meaning: str
    better: Better
    value: Interval | None
    clusters: Tally
    span: Amount
    by_cluster: Mapping[str, Number]


class SlotRate(Part):
    """How often an item is picked that stands in this slot, from 1 on."""

    slot: int
    rate: Interval | None


class AveragingStep(Part):
    """What the vote of several orders comes to.

    `captured`: by the suite's utility. `consistency`: kappa of two votes on different orders; null
    unless twice as many orders were asked. The rest: what one vote on every cluster takes.
    """

    orders: int
    captured: Interval | None
    consistency: Interval | None
    calls: Tally
    tokens_in: Tally | None
    tokens_out: Tally | None
    cost_usd: Amount | None


class OrderAudit(Part):
    """Whether the place in the list decides. `consistency`: kappa of a cluster's orders.

    `slot_bias`: 0 where slots do not matter, 1 where the same slots are always picked. `slots`:
    its test is cautious here, since the orders are balanced over slots.
    """

    orders: Tally
    slots: SlotHistogram
    slot_bias: Interval | None
    consistency: Interval | None
    curve: tuple[SlotRate, ...]
    averaging: tuple[AveragingStep, ...]


class LabelVariant(Part):
    """The same clusters in the same order under other labels, such as `11 to 20`.

    `kappa`: with the picks under the prompt's own labels. `captured`: the change in captured.
    `valid_rate`: of the replies. `skipped`: why it was not asked; the rest is null then.
    """

    name: str
    labels: str
    kappa: Interval | None
    captured: Interval | None
    valid_rate: Share | None
    skipped: str | None


class LengthDecile(Part):
    """Items of `low` to `high` characters: how often they were shown, and how often picked."""

    low: Tally
    high: Tally
    shown: Tally
    picked: Tally


class LengthAudit(Part):
    """Whether long items are picked. Correlations are Spearman's, within clusters, then averaged.

    `preference`: of picks and length. `agreement`: of picks and the utility; `given_length`: what
    is left of it with length partialled out. `input_preference`: pick rate of items with an input
    less that of those without, in clusters that have both.
    """

    deciles: tuple[LengthDecile, ...]
    preference: Interval | None
    utility: str | None
    agreement: Interval | None
    given_length: Interval | None
    input_preference: Interval | None


class CopyAudit(Part):
    """A candidate planted a second time, `exact` or as a `paraphrase` by our rules.

    `clusters`: in which at least one of the two was picked; `both`: of these, with both. `chance`:
    the share of both by random picks.
    """

    kind: Literal["exact", "paraphrase"]
    clusters: Tally
    both: Tally
    share: Interval | None
    chance: Share


class PlantedStyle(Part):
    """One style of attack, planted into a candidate of each cluster.

    `picked_before`, `picked_after`: clusters in which that candidate was picked without and with
    the text. `gained`, `lost`: clusters in which it came to be picked, or ceased to be. `uplift`:
    the difference as a share, with an exact interval. `p`: one-sided, that it gained no more often
    than it lost; `p_holm`: adjusted for all styles. `unusable`: replies without a pick.
    """

    style: str
    texts: Tally
    clusters: Tally
    picked_before: Tally
    picked_after: Tally
    gained: Tally
    lost: Tally
    uplift: Interval | None
    p: Share
    p_holm: Share
    unusable: Tally


class PlantedLanguage(Part):
    """The same by language; there are too few of each for a test."""

    language: str
    questions: Tally
    gained: Tally
    lost: Tally


class DefenceAudit(Part):
    """How another prompt stands the same attacks, in the same clusters and slots.

    `uplift`: of all styles together. `difference`: from the audited prompt's, below 0 where it
    resists better; `p` by sign flips, `p_holm` adjusted for all prompts that are compared.
    """

    prompt: str
    prompt_sha256: Sha256
    uplift: Interval | None
    difference: Interval | None
    p: Share | None
    p_holm: Share | None


class HijackAudit(Part):
    """Whether a candidate can talk the model into picking it. `uplift`: of all styles together."""

    attacks_sha256: Sha256
    uplift: Interval | None
    styles: tuple[PlantedStyle, ...]
    languages: tuple[PlantedLanguage, ...]
    defences: tuple[DefenceAudit, ...]


class ParsingAudit(Part):
    """What replies are like, over all orders. `valid_rate`: status ok or repaired.

    `over_picking`: replies that name more than was asked for; `under_picking`: fewer. `repeats`:
    replies to one question; `repeat_consistency`: kappa of their picks, `same_reply`: the share of
    repeats whose text is the first reply's, to the letter.
    """

    decisions: Tally
    valid_rate: Share | None
    status_counts: Mapping[str, Tally]
    problem_counts: Mapping[str, Tally]
    refused: Tally
    over_picking: Tally
    under_picking: Tally
    temperature: Number | None
    repeats: Tally
    repeat_consistency: Interval | None
    same_reply: Share | None


class DriftSide(Part):
    """One way to compare replies: to the letter, or by their picks.

    Each cached call was asked twice more. `cached_same`: share of new replies that equal the
    cached one. `new_same`: share of clusters whose two new replies are equal. `informative`:
    clusters in which exactly two of the three are equal; `cached_differs`: those of them in which
    the cached one stands alone, a third by chance. `p`: exact, one-sided.
    """

    cached_same: Share
    new_same: Share
    informative: Tally
    cached_differs: Tally
    p: Share
    p_holm: Share


class DriftAudit(Part):
    """Whether the model behind the name is still the one whose replies are cached."""

    calls: Tally = Field(description="Cached calls that were asked again.")
    word: Moved
    reason: str
    text: DriftSide | None
    picks: DriftSide | None


class ProbeCost(Part):
    """What a probe asked. `calls`: those that were answered, cached ones included."""

    probe: str
    decisions: Tally
    calls: Tally
    tokens_in: Tally | None
    tokens_out: Tally | None
    cost_usd: Amount | None


class AuditedCluster(Part):
    """A cluster and what is in it, so that another audit can be compared in it."""

    id: Tally
    sha256: Sha256


class ComparedMeasure(Part):
    """A measure beside the recorded one, in the clusters of both. `worsening`: above 0 is worse.

    `drift` stands for no measure: whether the model has moved since its replies were cached, of
    which `clusters` were asked again; it is there where that could be told.

    `p`: one-sided, that it is no worse; `p_holm`: adjusted for all measures that are compared.
    """

    name: str
    before: Number | None
    now: Number | None
    clusters: Tally
    worsening: Interval | None
    p: Share | None
    p_holm: Share | None
    word: Held
    reason: str


class AuditComparison(Part):
    """An audit beside a recorded one. `word`: worse if any measure is; see `alpha`.

    `alpha`: how often at most any measure at all is called worse where nothing has changed.
    """

    word: Held
    reason: str
    alpha: Share
    prompt_before: str
    measures: tuple[ComparedMeasure, ...]
    notes: tuple[str, ...]


class AuditResults(Document):
    """What an audit found; the same decisions give the same bytes."""

    model_config = ConfigDict(title="audit.json of an audit's folder")

    format: Literal[1] = 1
    kind: Literal["audit"] = "audit"
    suite: str
    prompt: str
    prompt_sha256: Sha256
    model: str
    pool_sha256: Sha256
    picks: Tally
    seed: int
    clusters: tuple[AuditedCluster, ...]
    measured: bool = Field(description="False where no reply gave a single pick.")
    measures: tuple[Measure, ...]
    order: OrderAudit | None
    labels: tuple[LabelVariant, ...]
    length: LengthAudit | None
    copies: tuple[CopyAudit, ...]
    hijack: HijackAudit | None
    parsing: ParsingAudit | None
    drift: DriftAudit | None
    costs: tuple[ProbeCost, ...]
    comparison: AuditComparison | None
    notes: tuple[str, ...]


class ProbePlan(Part):
    """What a probe is going to ask. `known`: decisions whose replies are recorded or cached."""

    probe: str
    decisions: Tally
    known: Tally
    outlay: Outlay


class AuditPlan(Document):
    """What an audit will take; nothing was sent."""

    model_config = ConfigDict(title="what an audit will take")

    format: Literal[1] = 1
    kind: Literal["audit plan"] = "audit plan"
    suite: str
    prompt: str
    model: str
    clusters: Tally
    probes: tuple[ProbePlan, ...]
    total: Outlay
    notes: tuple[str, ...]
