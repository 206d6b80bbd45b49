"""How well picks agree with a utility, cluster by cluster, with chance taken out. Pure.

Within a cluster of m candidates of which k are picked, u are the utilities, U(S) the sum of the
picks' utilities, U* and U_ the sums of the k best and of the k worst:

captured     sum(G - r) / sum(1 - r) over clusters, with G = (U(S) - U_) / (U* - U_) in [0, 1]
             and r the G that random picks expect. 0 is random, 1 the best possible
nuc          sum(U(S) - k mean(u)) / sum(U* - k mean(u)): the same in raw units, so that a cluster
             weighs as much as there is to gain in it
kappa        sum(h - c) / sum(max h - c), with h the number of picks in the top k and c = k^2 / m
             what chance expects. Cohen's kappa, its two parts summed over clusters
hit          mean of h / k
auc          mean chance that a picked item has more utility than an unpicked one, ties half
ndcg, tau    nDCG@k with gain u - min(u), and Kendall's tau-b; of complete rankings only
worst_case   captured if every missing pick had been the worst item left

Where utilities tie at the edge of the top k, the tied items share its last places evenly (so
hit may stay below 1 for the best possible picks). A missing pick counts as the mean of the
unpicked items, what a uniformly drawn one would expect: a selector that picks nothing is random.

Orders and repeats of a cluster are averaged first: the cluster is the unit. Clusters whose
utilities are all equal, and those with k >= m, decide nothing: they are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from selectllm.stats import Interval, ratio_interval
from selectllm.types import Decision
from selectllm.utility import check_covered

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one selector did with one cluster in one order and repeat.

    `members`: the ids of the cluster's candidates. `picks`: distinct ids of them, at most k.
    `ranking`: all of them, best first, if the selector ordered all, else None.
    """

    cluster: int
    members: tuple[str, ...]
    picks: tuple[str, ...]
    ranking: tuple[str, ...] | None = None

    @classmethod
    def of(cls, decision: Decision) -> Choice:
        """The choice in a decision. Raises ValueError for status `error`, which is no choice."""
        if decision.status == "error":
            raise ValueError(f"cluster {decision.cluster}: status error is never scored")
        return cls(decision.cluster, decision.shown, decision.picks, decision.ranking)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the metrics are made of: a number per counted cluster, averaged over its choices.

    All of shape (n_clusters,), ascending by cluster id; NaN where undefined. `gain`: G.
    `chance`: r. `span`: U* - U_, in the unit of the utility. `worst`: G with missing picks at
    their worst; NaN if no pick of any cluster is missing. `hit`, `chance_hit`, `best_hit`: share
    of the picks in the top k, that of random picks, and the most possible. `ndcg`,
    `chance_ndcg`: nDCG@k, and what a random ranking expects.
    """

    gain: Floats
    chance: Floats
    span: Floats
    worst: Floats
    hit: Floats
    chance_hit: Floats
    best_hit: Floats
    auc: Floats
    ndcg: Floats
    chance_ndcg: Floats
    tau: Floats


# Every metric is a ratio of two sums over clusters: what was reached, and what counts as 1.
METRICS: dict[str, Callable[[Scores], tuple[Floats, Floats]]] = {
    "captured": lambda s: (s.gain - s.chance, 1 - s.chance),
    "nuc": lambda s: ((s.gain - s.chance) * s.span, (1 - s.chance) * s.span),
    "kappa": lambda s: (s.hit - s.chance_hit, s.best_hit - s.chance_hit),
    "hit": lambda s: (s.hit, np.ones_like(s.hit)),
    "auc": lambda s: (s.auc, np.ones_like(s.auc)),
    "ndcg": lambda s: (s.ndcg, np.ones_like(s.ndcg)),
    "tau": lambda s: (s.tau, np.ones_like(s.tau)),
    "worst_case": lambda s: (s.worst - s.chance, 1 - s.chance),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of one selector with one utility; the module's head says what each means.

    An interval is None where its metric is undefined: below two clusters (or groups), without
    rankings, or, for `worst_case`, when no pick is missing. `clusters` were counted;
    `flat_clusters` have utilities that are all equal, `whole_clusters` at most k candidates.
    `gain` (G) and `chance` (r) are by cluster id, for paired comparisons.
    """

    captured: Interval | None
    nuc: Interval | None
    kappa: Interval | None
    hit: Interval | None
    auc: Interval | None
    ndcg: Interval | None
    tau: Interval | None
    worst_case: Interval | None
    clusters: int
    flat_clusters: int
    whole_clusters: int
    gain: Mapping[int, float]
    chance: Mapping[int, float]

    def to_json(self) -> dict[str, dict[str, float] | None]:
        """The metrics as results.json has them: `{metric: {estimate, low, high} or None}`."""
        intervals = {name: getattr(self, name) for name in METRICS}
        return {name: each and each.to_json() for name, each in intervals.items()}


def agreement(
    choices: Iterable[Choice],
    utility: Mapping[str, float],
    k: int,
    groups: Mapping[int, Hashable] | None = None,
) -> Agreement:
    """Agreement of `choices` with `utility`, higher is better in every metric.

    The choices of one selector, in any order: the result is the same to the last bit. `k`: the
    picks asked for in every cluster. `groups`: a label for every cluster; clusters that share
    one may depend on each other, and the intervals allow for it.

    Raises UtilityError if an item of any cluster has no value in `utility`; ValueError if k is
    below 1, or a choice contradicts itself or another choice of its cluster.
    """
    clusters = _clusters(choices, utility, k)
    return _agreement(clusters, _scores(_counted(clusters, k), k), k, groups)


def random_agreement(
    members: Mapping[int, Sequence[str]],
    utility: Mapping[str, float],
    k: int,
    groups: Mapping[int, Hashable] | None = None,
) -> Agreement:
    """What uniformly drawn picks and rankings expect, exactly: the zero of every scale.

    `members`: the ids of each cluster's candidates. captured, nuc, kappa and tau are 0, auc is
    0.5; hit and ndcg depend on the clusters. Raises as `agreement` does.
    """
    nothing = (Choice(cluster, tuple(ids), picks=()) for cluster, ids in members.items())
    clusters = _clusters(nothing, utility, k)
    scores = _scores(_counted(clusters, k), k)
    zeros = np.zeros_like(scores.gain)
    random = replace(scores, worst=zeros * np.nan, ndcg=scores.chance_ndcg, tau=zeros)
    return _agreement(clusters, random, k, groups)


def _pick_weights(picked: Floats, k: int) -> Floats:
    """How surely each item is picked once the missing picks are drawn uniformly from the rest.

    `picked`: 1 where picked, else 0, shape (n, m) with at most k < m ones a row. The weights are
    in [0, 1] and sum to k a row.
    """
    count = picked.sum(axis=1, keepdims=True)
    weights: Floats = picked + (1 - picked) * ((k - count) / (picked.shape[1] - count))
    return weights


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A cluster with its candidates in columns, ascending by utility (ties by id)."""

    id: int
    column: Mapping[str, int]
    utilities: list[float]
    choices: list[Choice]

    @property
    def flat(self) -> bool:
        return self.utilities[0] == self.utilities[-1]


def _clusters(choices: Iterable[Choice], utility: Mapping[str, float], k: int) -> list[_Cluster]:
    """The choices by cluster, ascending by id, in an order that the input's does not change."""
    if k < 1:
        raise ValueError(f"need k of 1 or more, got {k}")
    by_id: dict[int, list[Choice]] = {}
    for choice in choices:
        by_id.setdefault(choice.cluster, []).append(choice)
    members = (item_id for each in by_id.values() for item_id in each[0].members)
    check_covered(members, utility, "agreement")
    clusters = []
    for cluster_id in sorted(by_id):
        of_cluster = sorted(by_id[cluster_id], key=lambda c: (c.picks, c.ranking or ()))
        ascending = sorted((utility[item_id], item_id) for item_id in of_cluster[0].members)
        column = {item_id: index for index, (_, item_id) in enumerate(ascending)}
        for choice in of_cluster:
            _check(choice, column, k)
        clusters.append(_Cluster(cluster_id, column, [u for u, _ in ascending], of_cluster))
    return clusters


def _check(choice: Choice, column: Mapping[str, int], k: int) -> None:
    """Raise ValueError if a choice is not one of this cluster."""
    members, picks = set(choice.members), set(choice.picks)
    where = f"cluster {choice.cluster}"
    if len(choice.members) != len(members) or members != column.keys():
        raise ValueError(f"{where}: members repeat, or differ between its choices")
    if len(choice.picks) != len(picks) or len(picks) > k or not picks <= members:
        raise ValueError(f"{where}: picks {choice.picks} are not at most {k} different members")
    if choice.ranking is not None and sorted(choice.ranking) != sorted(members):
        raise ValueError(f"{where}: ranking {choice.ranking} does not order all members")


def _counted(clusters: list[_Cluster], k: int) -> list[_Cluster]:
    return [each for each in clusters if len(each.column) > k and not each.flat]


def _scores(clusters: list[_Cluster], k: int) -> Scores:
    """Scores of clusters of any sizes: each size is worked out in one go."""
    sizes = np.array([len(cluster.column) for cluster in clusters], dtype=np.intp)
    table = {field.name: np.full(len(clusters), np.nan) for field in fields(Scores)}
    for m in np.unique(sizes):
        rows = np.flatnonzero(sizes == m)
        scores = _scores_of_size([clusters[row] for row in rows], int(m), k)
        for name, column in table.items():
            column[rows] = getattr(scores, name)
    if all(len(choice.picks) == k for cluster in clusters for choice in cluster.choices):
        table["worst"][:] = np.nan
    return Scores(**table)


def _scores_of_size(clusters: list[_Cluster], m: int, k: int) -> Scores:
    """Scores of clusters that all have m candidates, k < m, and are not flat."""
    n = len(clusters)
    owner = np.repeat(np.arange(n), [len(cluster.choices) for cluster in clusters])
    u = np.array([cluster.utilities for cluster in clusters])
    u -= u[:, :1]
    picked, ranked = _picked(clusters, m), _ranked(clusters, m)
    weights, random = _pick_weights(picked, k), np.full((n, m), k / m)
    top, beaten = _top_weights(u, k), _beaten(u)
    discounts = 1 / np.log2(np.arange(k) + 2)
    ideal = _row_sums(u[:, : m - k - 1 : -1] * discounts)
    by_choice = {
        "gain": _capture(weights, u[owner], k),
        "worst": _capture(_worst_weights(picked, k), u[owner], k),
        "hit": _row_sums(weights * top[owner]) / k,
        "auc": (_row_sums(weights * beaten[owner]) - k * k / 2) / (k * (m - k)),
        "ndcg": _row_sums(ranked[:, :k] * discounts) / ideal[owner],
        "tau": _tau_b(ranked),
    }
    return Scores(
        chance=_capture(random, u, k),
        span=_row_sums(u[:, m - k :]) - _row_sums(u[:, :k]),
        chance_hit=_row_sums(random * top) / k,
        best_hit=_row_sums(top[:, m - k :]) / k,
        chance_ndcg=u.mean(axis=1) * discounts.sum() / ideal,
        **{name: _means(values, owner, n) for name, values in by_choice.items()},
    )


def _picked(clusters: list[_Cluster], m: int) -> Floats:
    """1 where a choice picked a column, else 0; a row per choice, cluster by cluster."""
    columns = [
        [cluster.column[item_id] for item_id in choice.picks]
        for cluster in clusters
        for choice in cluster.choices
    ]
    picked = np.zeros((len(columns), m))
    picked.ravel()[[row * m + column for row, each in enumerate(columns) for column in each]] = 1
    return picked


def _ranked(clusters: list[_Cluster], m: int) -> Floats:
    """Utilities above the cluster's lowest, best rank first; NaN for a choice without ranking."""
    rows = [
        [cluster.utilities[cluster.column[item_id]] for item_id in choice.ranking]
        if choice.ranking
        else [math.nan] * m
        for cluster in clusters
        for choice in cluster.choices
    ]
    lowest = [cluster.utilities[0] for cluster in clusters for _ in cluster.choices]
    ranked: Floats = np.array(rows) - np.array(lowest)[:, None]
    return ranked


def _row_sums(values: Floats) -> Floats:
    """Sums along rows, one term after the other.

    Columns ascend by utility, so equal picks give equal sums to the last bit, whichever of the
    tied items were picked, and the best possible picks capture exactly 1. (`sum` pairs terms by
    position, zeros included.)
    """
    return np.cumsum(values, axis=1)[:, -1]


def _capture(weights: Floats, u: Floats, k: int) -> Floats:
    """G of each row: where the sum of the weighted utilities lies between worst and best."""
    lowest, highest = _row_sums(u[:, :k]), _row_sums(u[:, -k:])
    gain: Floats = (_row_sums(weights * u) - lowest) / (highest - lowest)
    return gain.clip(0.0, 1.0)  # fractional weights may leave [0, 1] by a last bit


def _worst_weights(picked: Floats, k: int) -> Floats:
    """The picks, completed to k by the leftmost unpicked columns, which are the worst."""
    unpicked = 1 - picked
    missing = k - picked.sum(axis=1, keepdims=True)
    weights: Floats = picked + unpicked * (np.cumsum(unpicked, axis=1) <= missing)
    return weights


def _top_weights(u: Floats, k: int) -> Floats:
    """How much of each item is in the top k: 1, 0, or an even share of the last places."""
    edge = u[:, -k, None]
    above, tied = u > edge, u == edge
    places = k - above.sum(axis=1, keepdims=True)
    weights: Floats = above + tied * (places / tied.sum(axis=1, keepdims=True))
    return weights


def _beaten(u: Floats) -> Floats:
    """The number of items in a row with less utility, plus half of those with as much.

    An item counts itself as a half. Summed over picks with weights w this counts wins over
    everything; wins among the picks themselves are always (sum of w)^2 / 2, so the rest,
    (sum w * beaten - k^2 / 2) / (k (m - k)), is the chance to win against an unpicked item.
    """
    index = np.arange(u.shape[1])
    starts = np.diff(u, axis=1, prepend=-1.0) > 0
    ends = np.diff(u, axis=1, append=np.inf) > 0
    first = np.maximum.accumulate(np.where(starts, index, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, index, len(index))[:, ::-1], axis=1)[:, ::-1]
    beaten: Floats = (first + last + 1) / 2
    return beaten


def _tau_b(ranked: Floats) -> Floats:
    """Kendall's tau-b of each row with a ranking from left (best) to right, without ties.

    (concordant - discordant) / sqrt(pairs * pairs that do not tie in utility).
    """
    balance, untied = np.zeros(len(ranked)), np.zeros(len(ranked))
    for position in range(ranked.shape[1] - 1):
        signs = np.sign(ranked[:, position, None] - ranked[:, position + 1 :])
        balance += signs.sum(axis=1)
        untied += np.abs(signs).sum(axis=1)
    pairs = ranked.shape[1] * (ranked.shape[1] - 1) / 2
    tau: Floats = balance / np.sqrt(pairs * untied)
    return tau


def _means(values: Floats, owner: Ints, n: int) -> Floats:
    """The mean of the defined values of each of n owners; NaN for one that has none."""
    defined = np.isfinite(values)
    count = np.bincount(owner[defined], minlength=n)
    means = np.full(n, np.nan)
    total = np.bincount(owner[defined], values[defined], n)
    np.divide(total, count, out=means, where=count > 0)
    return means


def _agreement(
    clusters: list[_Cluster], scores: Scores, k: int, groups: Mapping[int, Hashable] | None
) -> Agreement:
    """The metrics of the counted clusters, and what was left out."""
    counted = [cluster.id for cluster in _counted(clusters, k)]
    labels = None if groups is None else [groups[cluster_id] for cluster_id in counted]
    intervals: dict[str, Any] = {
        name: _interval(*parts(scores), labels) for name, parts in METRICS.items()
    }
    whole = sum(len(cluster.column) <= k for cluster in clusters)
    return Agreement(
        **intervals,
        clusters=len(counted),
        flat_clusters=len(clusters) - len(counted) - whole,
        whole_clusters=whole,
        gain=dict(zip(counted, scores.gain.tolist(), strict=True)),
        chance=dict(zip(counted, scores.chance.tolist(), strict=True)),
    )


def _interval(reached: Floats, most: Floats, labels: list[Hashable] | None) -> Interval | None:
    """Their ratio over the clusters where it is defined."""
    defined = np.isfinite(reached)
    if labels is not None:
        labels = [label for label, kept in zip(labels, defined, strict=True) if kept]
    return ratio_interval(reached[defined], most[defined], groups=labels)
