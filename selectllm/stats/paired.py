"""Paired differences: b minus a, cluster by cluster. Pure.

d = G_b - G_a, with G the range capture of agreement.py, lies in [-1, 1]. Divided by the mean of
1 - r over the same clusters it is a difference in captured units: sum(d) / sum(1 - r) is exactly
the difference of the two arms' captured.

A t interval trusts that the sample shows how far values stray. Where losses are rare and large a
sample may hold none, and the interval fails. So nothing is taken for shown that one more cluster
would undo, had it gone as badly as a cluster can: with groups, one more group, as large as the
group of an average cluster (the sum of squared sizes by their sum; where groups are of one size,
that size). One large group among small ones is so believed only if a second could not undo it.
How often that errs is simulated, not proven: eval/benchmarks/verdicts.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.stats.intervals import (
    Estimate,
    group_sums,
    mean_estimate,
    ratio_estimate,
    sign_flip_p,
)

SAME = 1e-12  # a difference below this is rounding


@dataclass(frozen=True)
class Paired:
    """`values`: d per counted cluster, in the order of asking, shape (n,), in [-1, 1].

    `headroom`: what a cluster's difference can be at most by doing better than random, 1 - r, for
    captured units; 1 for shares of the rating range. `groups`: one label per cluster, None
    without groups. `least`, `most`: what the value of a cluster can be, in the unit of `values`.
    `clusters`: their numbers.
    """

    values: Floats
    headroom: Floats
    groups: tuple[Hashable, ...] | None = None
    least: float = -1.0
    most: float = 1.0
    clusters: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nonzero(self) -> int:
        """The clusters in which the arms differ."""
        return int((np.abs(self.values) > SAME).sum())

    @property
    def group_count(self) -> int | None:
        """How many groups the clusters are of; None without groups."""
        return None if self.groups is None else len(set(self.groups))

    @property
    def sd(self) -> float:
        """Standard deviation of d over clusters, in the unit of report; nan below two."""
        return float(np.std(self.values, ddof=1)) / self.scale if len(self) > 1 else float("nan")

    @property
    def scale(self) -> float:
        """What 1 in the unit of report is worth in d."""
        return float(self.headroom.mean())

    def first(self, clusters: int) -> Paired:
        """The same with its first clusters only."""
        groups = None if self.groups is None else self.groups[:clusters]
        values, headroom = self.values[:clusters], self.headroom[:clusters]
        first = self.clusters[:clusters]
        return Paired(values, headroom, groups, self.least, self.most, first)

    def estimate(self) -> Estimate | None:
        """The mean of d in the unit of report; None below two clusters (or groups)."""
        return mean_estimate(self.values / self.scale, self.groups)

    def p_sign_flip(self) -> float | None:
        """Two-sided sign-flip p of 'the arms are exchangeable'."""
        return sign_flip_p(self.values, self.groups)

    def with_one_more(self, value: float) -> Estimate:
        """The mean in the unit of report, had there been one more cluster of `value`.

        With groups, one more group, as large as the group of an average cluster, all of whose
        clusters have that value.
        Raises ValueError without clusters.
        """
        if len(self) == 0:
            raise ValueError("there is no cluster to which one more could be added")
        sums = group_sums(self.values / self.scale, self.groups)
        sizes = group_sums(np.ones(len(self)), self.groups)
        more = np.square(sizes).sum() / sizes.sum()
        found = ratio_estimate(np.append(sums, value / self.scale * more), np.append(sizes, more))
        assert found is not None  # of two units at least
        return found

    def low_with_one_more(self, alpha: float) -> float:
        """One-sided lower t bound of the mean, had one more cluster gone as badly as it can.

        In the unit of report, never below what is possible. `alpha`: in [0, 1).
        """
        return max(self.with_one_more(self.least).low(alpha), self.least / self.scale)

    def high_with_one_more(self, alpha: float) -> float:
        """As `low_with_one_more`, from above: had it gone as well as it can."""
        return min(self.with_one_more(self.most).high(alpha), self.most / self.scale)

    def p_above(self, value: float = 0.0) -> float:
        """One-sided p of 'the mean is at most `value`': by t, and with one more cluster as well.

        `value`: in the unit of report. 1 where there is no estimate.
        """
        estimate = self.estimate()
        if estimate is None:
            return 1.0
        return max(estimate.p_above(value), self.with_one_more(self.least).p_above(value))

    def p_below(self, value: float = 0.0) -> float:
        """As `p_above`, of 'the mean is at least `value`'."""
        estimate = self.estimate()
        if estimate is None:
            return 1.0
        return max(estimate.p_below(value), self.with_one_more(self.most).p_below(value))


def paired(
    gain_a: Mapping[int, float],
    gain_b: Mapping[int, float],
    chance: Mapping[int, float],
    order: Iterable[int],
    groups: Mapping[int, Hashable] | None = None,
) -> Paired | None:
    """The differences of the clusters of `chance` (r by cluster), in captured units.

    None without clusters. All three are of the same: KeyError for one that an arm lacks. `order`:
    all clusters in the seeded order in which they were asked, which looks follow.
    """
    clusters = [cluster for cluster in order if cluster in chance]
    if not clusters:
        return None
    return Paired(
        values=np.array([gain_b[cluster] - gain_a[cluster] for cluster in clusters]),
        headroom=np.array([1 - chance[cluster] for cluster in clusters]),
        groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
        clusters=tuple(clusters),
    )
