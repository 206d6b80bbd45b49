"""What would settle an open question: clusters, and what they take in calls, ratings and USD. Pure.

By what was seen: the standard deviation of the differences, their mean where that is to be shown,
and the rates at which clusters count, calls are made and items are rated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.schema import Needed
from selectllm.stats import power
from selectllm.stats.betting import least_clusters
from selectllm.stats.paired import FEW_CLUSTERS, FEW_NONZERO, Paired

RATED = ("human", "model")  # kinds of utility whose values somebody is paid for


def clusters_to_decide(comparison: PairedComparison, alpha: float) -> int | None:
    """Counted clusters that show, with 80 % power, what was seen or that it is small."""
    if comparison.paired is None or comparison.estimate is None:
        return None
    sd = comparison.estimate.std_error * math.sqrt(len(comparison.paired))
    return power.clusters_to_decide(comparison.estimate.mean, comparison.margin, sd, alpha)


def clusters_for(
    comparison: PairedComparison, effect: float, alpha: float, sides: int
) -> int | None:
    """Counted clusters that show `effect` (unit of report) with 80 % power; None if never."""
    if comparison.paired is None or comparison.estimate is None or effect <= 0:
        return None
    sd = comparison.estimate.std_error * math.sqrt(len(comparison.paired))
    return power.clusters_needed(effect, sd, alpha, sides=sides)


def needed(comparison: PairedComparison, targets: Iterable[int | None]) -> Needed | None:
    """What the least of `targets` (counted clusters) takes beyond what is there.

    None if no number of clusters would do.
    """
    counts = [target for target in targets if target is not None]
    paired = comparison.paired
    if not counts or paired is None:
        return None
    enough = max(min(counts), FEW_CLUSTERS, _until_enough_differ(comparison, paired))
    asked = len(comparison.inputs.clusters)
    more = math.ceil(max(1, enough - len(paired)) * asked / len(paired))
    calls = (comparison.a.calls + comparison.b.calls) / asked
    costs = (comparison.a.cost_usd, comparison.b.cost_usd)
    per_cluster = None if None in costs else sum(cost or 0.0 for cost in costs) / asked
    ratings = _ratings_per_cluster(comparison)
    return Needed(
        clusters=more,
        calls=math.ceil(more * calls),
        ratings=None if ratings is None else math.ceil(more * ratings),
        usd=None if per_cluster is None else more * per_cluster,
    )


def _until_enough_differ(comparison: PairedComparison, paired: Paired) -> int:
    """Clusters by which FEW_NONZERO of them differ; or that the betting bound needs."""
    if paired.nonzero:
        return math.ceil(FEW_NONZERO * len(paired) / paired.nonzero)
    margin = comparison.margin
    least = margin and min(1.0, margin * paired.scale)
    return least_clusters(least, comparison.inputs.gate.alpha) if least else 0


def _ratings_per_cluster(comparison: PairedComparison) -> float | None:
    utility, clusters = comparison.inputs.headline, comparison.inputs.clusters
    if utility is None or utility.kind not in RATED:
        return None
    if not comparison.differing_only:
        return sum(len(cluster.members) for cluster in clusters) / len(clusters)
    a, b = comparison.a.decisions, comparison.b.decisions
    different = differing(a, b, comparison.inputs.picks)
    return sum(len(items) for items in different.values()) / len(clusters)
