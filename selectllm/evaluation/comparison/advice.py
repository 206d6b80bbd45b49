"""What would settle an open question: clusters, and what they take in calls, ratings and USD. Pure.

By what was seen: the standard deviation of the differences, their mean where that is to be shown,
and the rates at which clusters count, calls are made and items are rated. Units are what errs
independently: the counted clusters, or with groups these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.schema import Needed
from selectllm.stats import power
from selectllm.stats.assisted import AssistedPaired, rated_needed
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import Paired

RATED = ("human", "model")  # kinds of utility whose values somebody is paid for


def units_to_decide(comparison: PairedComparison, alpha: float) -> int | None:
    """Units that show, with 80 % power, what was seen or that it is small; None if never."""
    paired, estimate = comparison.paired, comparison.estimate
    if paired is None or estimate is None:
        return None
    return power.clusters_to_decide(
        estimate.mean, comparison.margin, _sd(estimate), alpha, extreme=paired.most / paired.scale
    )


def units_for(paired: Paired, effect: float, alpha: float, extreme: float) -> int | None:
    """Units that show `effect` (unit of report), one-sided, with 80 % power; None if never.

    `extreme`: how far from what is to be ruled out a cluster's value can lie, in d.
    """
    estimate = paired.estimate()
    if estimate is None or effect <= 0:
        return None
    far = max(0.0, extreme / paired.scale)
    return power.clusters_needed(effect, _sd(estimate), alpha, sides=1, extreme=far)


def _sd(estimate: Estimate) -> float:
    """Between units."""
    return estimate.std_error * math.sqrt(estimate.df + 1)


def needed(comparison: PairedComparison, targets: Iterable[int | None]) -> Needed | None:
    """What the least of `targets` (units) takes beyond what is there.

    None if no number of clusters would do.
    """
    counts = [target for target in targets if target is not None]
    paired, estimate = comparison.paired, comparison.estimate
    if not counts or paired is None or estimate is None:
        return None
    units = int(estimate.df) + 1
    missing = max(1, min(counts) - units)
    asked = len(comparison.inputs.clusters)
    more = math.ceil(missing * asked / units)
    calls = (comparison.a.calls + comparison.b.calls) / asked
    costs = (comparison.a.cost_usd, comparison.b.cost_usd)
    per_cluster = None if None in costs else sum(cost or 0.0 for cost in costs) / asked
    ratings = _ratings_per_cluster(comparison)
    return Needed(
        clusters=more,
        groups=None if paired.groups is None else missing,
        calls=math.ceil(more * calls),
        ratings=None if ratings is None else math.ceil(more * ratings),
        usd=None if per_cluster is None else more * per_cluster,
    )


def rated_to_decide(comparison: PairedComparison, alpha: float) -> Needed | None:
    """What people have to rate beyond what they have, where a judge rated all clusters.

    In the clusters that were asked; only if all of these would not do in further ones, of which
    people then rate the same share. None without an estimate, and with groups, whose further
    ratings are not foretold.
    """
    paired, estimate = comparison.paired, comparison.estimate
    if not isinstance(paired, AssistedPaired) or estimate is None or paired.groups is not None:
        return None

    def wanted(sd: float) -> int | None:
        extreme = paired.most / paired.scale
        return power.clusters_to_decide(
            estimate.mean, comparison.margin, sd, alpha, extreme=extreme
        )

    rated, judged = len(paired), len(paired.judge)
    target = rated_needed(wanted, paired.sd, paired.mean.correlation or 0.0, judged)
    further = 0
    if target is None:
        target = wanted(estimate.std_error * math.sqrt(rated))
        if target is None:
            return None
        further = max(1, math.ceil(judged * target / rated) - judged)
    return _beyond(comparison, further, max(1, target - rated))


def _beyond(comparison: PairedComparison, further: int, rated: int) -> Needed:
    """What `further` clusters take, and people rating `rated` more of all."""
    asked = len(comparison.inputs.clusters)
    calls = (comparison.a.calls + comparison.b.calls) / asked
    costs = (comparison.a.cost_usd, comparison.b.cost_usd)
    per_cluster = None if None in costs else sum(cost or 0.0 for cost in costs) / asked
    ratings = _ratings_per_cluster(comparison)
    return Needed(
        clusters=further,
        rated=rated,
        calls=math.ceil(further * calls),
        ratings=None if ratings is None else math.ceil(rated * ratings),
        usd=None if per_cluster is None else further * per_cluster,
    )


def _ratings_per_cluster(comparison: PairedComparison) -> float | None:
    utility, clusters = comparison.inputs.headline, comparison.inputs.clusters
    if utility is None or utility.kind not in RATED:
        return None
    if not comparison.differing_only:
        return sum(len(cluster.members) for cluster in clusters) / len(clusters)
    a, b = comparison.a.decisions, comparison.b.decisions
    different = differing(a, b, comparison.inputs.picks)
    return sum(len(items) for items in different.values()) / len(clusters)
