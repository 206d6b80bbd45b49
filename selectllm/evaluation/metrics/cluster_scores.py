"""What every metric of agreement is made of: arrays with a number per cluster. Pure.

The symbols are those of agreement.py. The candidates of a cluster are columns here, ascending by
utility; clusters with equally many are worked out together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from selectllm.core.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Columns:
    """One cluster and the choices in it, its candidates being columns 0, 1, ...

    `utilities` ascend, one per column. `picks` and `rankings` have an entry per choice: the
    columns picked, and all columns, best first, or None from a selector that does not rank.
    """

    cluster: int
    utilities: Sequence[float]
    picks: Sequence[Sequence[int]]
    rankings: Sequence[Sequence[int] | None]

    def is_whole(self, k: int) -> bool:
        """Whether k picks take every candidate."""
        return len(self.utilities) <= k

    def decides(self, k: int) -> bool:
        """Whether one set of k picks can be better than another."""
        return not self.is_whole(k) and self.utilities[0] < self.utilities[-1]


@dataclass(frozen=True, slots=True)
class ClusterScores:
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


def scores_of(clusters: list[Columns], k: int) -> ClusterScores:
    """ClusterScores of `clusters` that decide something, of any sizes: each size in one go."""
    sizes = np.array([len(cluster.utilities) for cluster in clusters], dtype=np.intp)
    table = {field.name: np.full(len(clusters), np.nan) for field in fields(ClusterScores)}
    for m in sorted({*sizes.tolist()}):
        rows = np.flatnonzero(sizes == m)
        scores = _scores_of_size([clusters[row] for row in rows], m, k)
        for name, column in table.items():
            column[rows] = getattr(scores, name)
    if all(len(picks) == k for cluster in clusters for picks in cluster.picks):
        table["worst"][:] = np.nan
    return ClusterScores(**table)


def _scores_of_size(clusters: list[Columns], m: int, k: int) -> ClusterScores:
    """ClusterScores of clusters that all have m candidates, k < m, and are not flat."""
    n = len(clusters)
    owner = np.repeat(np.arange(n), [len(cluster.picks) for cluster in clusters])
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
    return ClusterScores(
        chance=_capture(random, u, k),
        span=_row_sums(u[:, m - k :]) - _row_sums(u[:, :k]),
        chance_hit=_row_sums(random * top) / k,
        best_hit=_row_sums(top[:, m - k :]) / k,
        chance_ndcg=u.mean(axis=1) * discounts.sum() / ideal,
        **{name: _means(values, owner, n) for name, values in by_choice.items()},
    )


def _picked(clusters: list[Columns], m: int) -> Floats:
    """1 where a choice picked a column, else 0; a row per choice, cluster by cluster."""
    rows = [picks for cluster in clusters for picks in cluster.picks]
    picked = np.zeros((len(rows), m))
    picked.ravel()[[row * m + column for row, picks in enumerate(rows) for column in picks]] = 1
    return picked


def _ranked(clusters: list[Columns], m: int) -> Floats:
    """Utilities above the cluster's lowest, best rank first; NaN for a choice without ranking."""
    rows = [
        [cluster.utilities[column] for column in ranking] if ranking else [math.nan] * m
        for cluster in clusters
        for ranking in cluster.rankings
    ]
    lowest = [cluster.utilities[0] for cluster in clusters for _ in cluster.rankings]
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


def _pick_weights(picked: Floats, k: int) -> Floats:
    """How surely each item is picked once the missing picks are drawn uniformly from the rest.

    `picked`: 1 where picked, else 0, shape (n, m) with at most k < m ones a row. The weights are
    in [0, 1] and sum to k a row.
    """
    count = picked.sum(axis=1, keepdims=True)
    weights: Floats = picked + (1 - picked) * ((k - count) / (picked.shape[1] - count))
    return weights


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
