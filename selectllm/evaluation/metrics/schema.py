"""What our files say of agreement and consistency, typed; nothing here computes."""

from __future__ import annotations

from selectllm.core.document import Part, Tally
from selectllm.core.figures import Number, Share
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilityKind


class UtilityAgreement(Part):
    """How well the picks agree with one utility.

    In captured, 0 means random picks and 1 the best possible ones. A figure is null if it is not
    defined here. `flat_clusters` counts the clusters that were left out because all their items
    have the same value.
    """

    kind: UtilityKind
    rater: str | None
    clusters: Tally
    flat_clusters: Tally
    nuc: Interval | None
    captured: Interval | None
    hit: Interval | None
    ndcg: Interval | None
    tau: Interval | None
    auc: Interval | None
    kappa: Interval | None
    worst_case: Interval | None


class SlotHistogram(Part):
    """How many picks fell on each slot of the list, starting with the first slot.

    `counts` holds the picks that were seen, and `expected` the picks that would be expected if the
    slot did not matter. `chi2`, `df` and `p` are the test of this; they are null if nothing was
    picked. `p` is reliable from about 30 clusters on.
    """

    counts: tuple[Tally, ...]
    expected: tuple[Number, ...]
    chi2: Number | None
    df: Tally
    p: Share | None
