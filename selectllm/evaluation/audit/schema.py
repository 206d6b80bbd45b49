"""What an audit found, typed; nothing here computes.

Shares lie between 0 and 1. A kappa is the overlap of two choices with chance taken out: 1 for the
same picks, 0 for as many in common as random picks have. Intervals have 95 % confidence. null:
undefined here, or not asked.
"""

from __future__ import annotations

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

    `value` is the mean over the clusters, and `by_cluster` holds the value of each cluster by its
    number. `span` is how far two values can lie apart at most. `better` says which direction is
    good; "zero" means that values close to 0 are good.
    """

    name: str
    meaning: str
    better: Better
    value: Interval | None
    clusters: Tally
    span: Amount
    by_cluster: Mapping[str, Number]


class SlotRate(Part):
    """How often the item in this slot is picked. The first slot is 1."""

    slot: int
    rate: Interval | None


class AveragingStep(Part):
    """What a vote over this many orders achieves.

    `captured` is measured by the suite's utility. `consistency` is the kappa of two votes on
    different orders; it is null unless twice as many orders were asked. The other fields say what
    one vote on every cluster takes.
    """

    orders: int
    captured: Interval | None
    consistency: Interval | None
    calls: Tally
    tokens_in: Tally | None
    tokens_out: Tally | None
    cost_usd: Amount | None


class OrderAudit(Part):
    """Whether an item's place in the list affects the picks.

    `consistency` is the kappa of the picks of one cluster in different orders. `slot_bias` is 0 if
    the slot does not matter and 1 if the same slots are always picked. The test in `slots` is
    cautious here, because the orders are balanced over the slots.
    """

    orders: Tally
    slots: SlotHistogram
    slot_bias: Interval | None
    consistency: Interval | None
    curve: tuple[SlotRate, ...]
    averaging: tuple[AveragingStep, ...]


class LabelVariant(Part):
    """The same clusters in the same order, but with other labels, such as `11 to 20`.

    `kappa` compares the picks with those under the prompt's own labels. `captured` is the change in
    captured. `valid_rate` is the share of valid replies. `skipped` says why the variant was not
    asked; the other figures are then null.
    """

    name: str
    labels: str
    kappa: Interval | None
    captured: Interval | None
    valid_rate: Share | None
    skipped: str | None


class LengthDecile(Part):
    """How often items of `low` to `high` characters were shown and how often they were picked."""

    low: Tally
    high: Tally
    shown: Tally
    picked: Tally


class LengthAudit(Part):
    """Whether long items are preferred.

    All correlations are Spearman's; they are computed within clusters and then averaged.
    `preference` is the correlation of the picks with the length. `agreement` is that of the picks
    with the utility, and `given_length` is what remains of it when the length is held constant.
    `input_preference` is the pick rate of items with an input minus that of items without one, in
    clusters that contain both.
    """

    deciles: tuple[LengthDecile, ...]
    preference: Interval | None
    utility: str | None
    agreement: Interval | None
    given_length: Interval | None
    input_preference: Interval | None


class CopyAudit(Part):
    """What happens if a candidate is shown twice, `exact` or as a `paraphrase` by our rules.

    `clusters` counts the clusters in which at least one of the two was picked, and `both` those in
    which both were. `chance` is the share that random picks would have of both.
    """

    kind: Literal["exact", "paraphrase"]
    clusters: Tally
    both: Tally
    share: Interval | None
    chance: Share


class PlantedStyle(Part):
    """One style of attack, planted into one candidate of each cluster.

    `picked_before` and `picked_after` count the clusters in which that candidate was picked without
    and with the text. `gained` counts those in which it was picked only with the text, `lost` those
    in which it was picked only without it. `uplift` is the difference as a share, with an exact
    interval. `p` is one-sided: it tests whether the candidate gained more often than it lost.
    `p_holm` is adjusted for all styles. `unusable` counts the replies without a pick.
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
    """The attacks by language. There are too few in each language for a test."""

    language: str
    questions: Tally
    gained: Tally
    lost: Tally


class DefenceAudit(Part):
    """How another prompt withstands the same attacks, in the same clusters and slots.

    `uplift` covers all styles together. `difference` is the uplift of this prompt minus that of the
    audited one, so it is below 0 if this prompt resists better. `p` comes from sign flips, and
    `p_holm` is adjusted for all prompts that are compared.
    """

    prompt: str
    prompt_sha256: Sha256
    uplift: Interval | None
    difference: Interval | None
    p: Share | None
    p_holm: Share | None


class HijackAudit(Part):
    """Whether text in a candidate can talk the model into picking it.

    `uplift` covers all styles together.
    """

    attacks_sha256: Sha256
    uplift: Interval | None
    styles: tuple[PlantedStyle, ...]
    languages: tuple[PlantedLanguage, ...]
    defences: tuple[DefenceAudit, ...]


class ParsingAudit(Part):
    """What the replies look like, over all orders.

    `valid_rate` is the share of decisions whose status is ok or repaired. `over_picking` counts
    replies that name more items than were asked for, and `under_picking` those that name fewer.
    `repeats` is the number of replies to the same question, `repeat_consistency` is the kappa of
    their picks, and `same_reply` is the share of repeats whose text is identical to that of the
    first reply.
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
    """One way to compare new replies with the cached ones: by their exact text or by their picks.

    Each cached call was asked twice more. `cached_same` is the share of new replies that equal the
    cached one, and `new_same` the share of clusters whose two new replies are equal. `informative`
    counts the clusters in which exactly two of the three replies are equal. `cached_differs` counts
    those of them in which the cached reply is the odd one out, which happens in a third of them by
    chance. `p` is exact and one-sided.
    """

    cached_same: Share
    new_same: Share
    informative: Tally
    cached_differs: Tally
    p: Share
    p_holm: Share


class DriftAudit(Part):
    """Whether the model behind the name is still the one whose replies are in the cache."""

    calls: Tally = Field(description="The number of cached calls that were asked again.")
    word: Moved
    reason: str
    text: DriftSide | None
    picks: DriftSide | None


class ProbeCost(Part):
    """What a probe asked and what it cost.

    `calls` counts the calls that were answered, including cached ones.
    """

    probe: str
    decisions: Tally
    calls: Tally
    tokens_in: Tally | None
    tokens_out: Tally | None
    cost_usd: Amount | None


class AuditedCluster(Part):
    """A cluster and the hash of its content, so that other audits can be compared on it."""

    id: Tally
    sha256: Sha256


class ComparedMeasure(Part):
    """A measure compared with the recorded one, on the clusters of both audits.

    `worsening` is above 0 if the measure got worse. `p` is one-sided and tests whether it did.
    `p_holm` is adjusted for all measures that are compared.

    The name `drift` stands for no measure. It says whether the model has changed since its replies
    were cached; `clusters` is then the number of clusters that were asked again. It is present only
    if that could be determined.
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
    """An audit compared with a recorded one.

    `word` is worse if any measure is worse. If nothing has changed, the probability that any
    measure at all is called worse is at most `alpha`.
    """

    word: Held
    reason: str
    alpha: Share
    prompt_before: str
    measures: tuple[ComparedMeasure, ...]
    notes: tuple[str, ...]


class AuditResults(Document):
    """What an audit found. The same decisions always give the same bytes."""

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
    measured: bool = Field(description="False if none of the replies contained a pick.")
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
    """What a probe is going to ask.

    `known` counts the decisions whose replies are already recorded or cached.
    """

    probe: str
    decisions: Tally
    known: Tally
    outlay: Outlay


class AuditPlan(Document):
    """What an audit is going to ask and cost. Nothing was sent."""

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
