"""What a suite's clusters can show, before anything is spent. Pure.

Differences d are in captured units (paired.py), and so is their standard deviation between
clusters. It comes from a pilot; else from the utilities, as that of two random pickers, which
share nothing (arms that share picks mostly stray less; good ones on a utility with few high
values stray more); else it is assumed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.choices import RETAIN
from selectllm.core.types import Cluster
from selectllm.evaluation.comparison.kinds import ComparisonKind
from selectllm.evaluation.planning.schema import (
    PlannedClusters,
    PlannedPower,
    PlannedReach,
    PlannedSpread,
    Retention,
)
from selectllm.evaluation.suite_entries import Gate
from selectllm.stats.intervals import mean_estimate
from selectllm.stats.power import clusters_needed, detectable
from selectllm.stats.special import binom

POWER = 0.8
INCUMBENT = 0.3  # captured, assumed of a model that is to be replaced


# 0.21 on the scale of d, by simulation of two scorers that share half of their noise (m = 14,
# k = 3), in clusters where random picks get half of what there is.
ASSUMED = PlannedSpread(sd=0.42, scale=0.5, source="assumption")


def random_spread(utilities: Iterable[Sequence[float]], k: int) -> PlannedSpread | None:
    """The spread of two pickers that draw k at random; None if no cluster decides anything.

    `utilities`: of the items of each cluster. A sum of k drawn without replacement of m has the
    variance k var (m - k) / (m - 1) (Cochran 1977, Sampling Techniques, chapter 2), and d is the
    difference of two, over the range U* - U_ of agreement.py. Its mean is 0.
    """
    variances, headroom = [], []
    for values in utilities:
        u = np.sort(np.asarray(values, dtype=np.float64))
        m = len(u)
        if m <= k or u[0] == u[-1]:
            continue
        best = u[m - k :].sum()
        span = best - u[:k].sum()
        variances.append(2 * k * u.var() * (m - k) / (m - 1) / span**2)
        headroom.append((best - k * u.mean()) / span)
    if not variances:
        return None
    scale = float(np.mean(headroom))
    return PlannedSpread(
        sd=math.sqrt(np.mean(variances)) / scale,
        scale=scale,
        source="random picks",
        clusters=len(variances),
    )


def clusters_of(
    clusters: Sequence[Cluster], pool: int, k: int, values: Mapping[str, float] | None
) -> PlannedClusters:
    """Count `clusters`. `values`: the deciding utility's, items may lack one; None without it."""
    known = values or {}
    choices = [cluster for cluster in clusters if len(cluster.members) > k]
    rated = [c for c in choices if all(member in known for member in c.members)]
    flat = {c.id for c in rated if len({known[member] for member in c.members}) == 1}
    counted = [cluster for cluster in choices if cluster.id not in flat]
    sizes = Counter(cluster.group for cluster in counted if cluster.group is not None).values()
    members = [member for cluster in counted for member in cluster.members]
    return PlannedClusters(
        asked=len(choices),
        pool=pool,
        counted=len(counted),
        flat=None if values is None else len(flat),
        whole=len(clusters) - len(choices),
        unrated=len(choices) - len(rated),
        groups=len(sizes) or None,
        effective_groups=sum(sizes) ** 2 / sum(size**2 for size in sizes) if sizes else None,
        items=len(members),
        to_rate=sum(member not in known for member in members),
    )


def independent_differing(m: int, k: int, draws: int = 1) -> float:
    """Items of a cluster of m that two independent pickers of k treat differently, expected.

    For one draw 2 k (1 - k / m). `draws`: orders x repeats, over which an item must be picked
    equally often by both not to differ. Pickers that agree more than by chance differ in fewer.
    """
    share, times = k / m, np.arange(draws + 1)
    chances = binom(draws, times) * share**times * (1 - share) ** (draws - times)
    return float(m * (1 - np.square(chances).sum()))


def power_of(
    kind: ComparisonKind,
    spread: PlannedSpread,
    clusters: PlannedClusters,
    gate: Gate,
    contrasts: int = 1,
) -> PlannedPower:
    """What the counted clusters can show. Of several contrasts each gets an even share of alpha.

    Groups of clusters are the units that err, as many as say as much if they were of one size
    (Kish 1965, Survey Sampling, section 11.7); their clusters are taken to be independent. Arms
    are shown to be equivalent by two one-sided tests, each of which may fail: of equal arms both
    succeed with probability 2 p - 1 if one does with p.
    """
    alpha, sides = gate.alpha / contrasts, kind.words.sides
    units, extreme = _units(clusters), 1 / spread.scale
    sd = spread.sd * math.sqrt(units / max(1, clusters.counted))
    least = detectable(sd, units, alpha, power=POWER, sides=sides, extreme=extreme)
    beyond = max(0.0, extreme - gate.margin)

    def within(power: float) -> int:
        """Units that rule out a loss of the margin, of equal arms."""
        return clusters_needed(gate.margin, sd, alpha, power=power, sides=1, extreme=beyond)

    if sides == 1:
        margin = within(POWER)
    else:
        margin = clusters_needed(gate.margin, sd, alpha, power=POWER, sides=sides, extreme=extreme)
    equal = within((1 + POWER) / 2) if kind.words.equal == "equivalent" else None
    return PlannedPower(
        alpha=alpha,
        sides=sides,
        margin=gate.margin,
        detectable=least if math.isfinite(least) else None,
        for_margin=_in_clusters(margin, clusters),
        for_equal=None if equal is None else _in_clusters(equal, clusters),
        groups_for_margin=margin if clusters.groups else None,
    )


def _units(clusters: PlannedClusters) -> int:
    """What errs independently: the effective groups, or without groups the counted clusters."""
    return int(clusters.effective_groups or clusters.counted)


def _in_clusters(units: int, clusters: PlannedClusters) -> int:
    """So many units in counted clusters, at as many an effective group as there are."""
    effective = clusters.effective_groups
    return math.ceil(units * clusters.counted / effective) if effective else units


def reach(
    kind: ComparisonKind,
    margin: float,
    spread: PlannedSpread,
    clusters: PlannedClusters,
    alpha: float,
    retain: float = RETAIN[0],
) -> PlannedReach | None:
    """Whether the suite can reach a good end; None for a `margin` of 0 or less.

    `margin`: in captured units; for swap what equal quality leaves over, (1 - retain) * captured,
    which x then is in every cluster.
    """
    if margin <= 0:
        return None
    inside = min(1.0, margin * spread.scale)
    extreme = 1 - inside if kind.judges == "difference" else _most_lost(retain, spread.scale)
    units = clusters_needed(inside, 0.0, alpha, sides=1, extreme=extreme)  # d strays by nothing
    least = _in_clusters(units, clusters)
    asked = math.ceil(least * clusters.asked / clusters.counted) if clusters.counted else None
    return PlannedReach(
        word=kind.words.equal,
        least=least,
        groups=units if clusters.groups else None,
        possible=_units(clusters) >= units,
        asked=asked,
    )


def _most_lost(retain: float, scale: float) -> float:
    """How far below 0 x can lie in a cluster of average r; swap.py has why."""
    return 1 - scale + retain * scale


@dataclass(frozen=True)
class Lifts:
    """s = G - r of the incumbent and of the newcomer, by cluster, in captured units.

    `groups`: one label per cluster, None without groups.
    """

    incumbent: Floats
    newcomer: Floats
    groups: tuple[Hashable, ...] | None = None


def retention(
    retain: float,
    captured: float,
    spread: PlannedSpread,
    lifts: Lifts | None,
    clusters: PlannedClusters,
    alpha: float,
) -> Retention:
    """At equal quality the mean of x is (1 - retain) * `captured`; one-sided `alpha`.

    Its sd is that of the pilot's `lifts`, else that of independent arms that stray alike: then
    d = s_to - s_from has twice the variance of s, and x has 1 + retain^2 times that.
    """
    if lifts is None:
        sd = spread.sd * math.sqrt((1 + retain**2) / 2)
    else:
        estimate = mean_estimate(lifts.newcomer - retain * lifts.incumbent, lifts.groups)
        assert estimate is not None
        sd = estimate.std_error * math.sqrt(len(lifts.newcomer))
    effect = (1 - retain) * captured
    if effect <= 0:
        return Retention(retain=retain, sd=sd, clusters=None)
    between = sd * math.sqrt(_units(clusters) / max(1, clusters.counted))
    extreme = _most_lost(retain, spread.scale) / spread.scale
    units = clusters_needed(effect, between, alpha, power=POWER, sides=1, extreme=extreme)
    return Retention(retain=retain, sd=sd, clusters=_in_clusters(units, clusters))
