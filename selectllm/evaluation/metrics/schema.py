"""What our files say of agreement and consistency, typed; nothing here computes."""

from selectllm.core.document import Part, Tally
from selectllm.core.figures import Number, Share
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilityKind


class UtilityAgreement(Part):
    """How picks agree with one utility. captured: 0 random picks, 1 the best possible.

    null: undefined here. `flat_clusters`: left out, since all their items have one value.
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
    """Picks by the slot in which they were shown, first slot first.

    `counts`: picks seen. `expected`: picks if the slot did not matter. `chi2`, `df`, `p`: the
    test of that, null where nothing was picked; p is good from about 30 clusters on.
    """

    counts: tuple[Tally, ...]
    expected: tuple[Number, ...]
    chi2: Number | None
    df: Tally
    p: Share | None
