"""Paired differences: b minus a, cluster by cluster. Pure.

d = G_b - G_a, with G the range capture of agreement.py, lies in [-1, 1]. Divided by the mean of
1 - r over the same clusters it is a difference in captured units: sum(d) / sum(1 - r) is exactly
the difference of the two arms' captured.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.stats.betting import lower_bound, upper_bound
from selectllm.stats.intervals import Estimate, mean_estimate, sign_flip_p

FEW_CLUSTERS = 100
FEW_NONZERO = 20
"""Below either a t interval may have seen no loss at all (research: statistics of rare losses)."""

SAME = 1e-12  # a difference below this is rounding


@dataclass(frozen=True)
class Paired:
    """`values`: d per counted cluster, in the order of asking, shape (n,), in [-1, 1].

    `headroom`: what a cluster's difference can be at most by doing better than random, 1 - r, for
    captured units; 1 for shares of the rating range. `groups`: one label per cluster, None
    without groups.
    """

    values: Floats
    headroom: Floats
    groups: tuple[Hashable, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nonzero(self) -> int:
        """The clusters in which the arms differ."""
        return int((np.abs(self.values) > SAME).sum())

    @property
    def few(self) -> bool:
        """Whether a directional word needs a bound that holds at any size."""
        return len(self) < FEW_CLUSTERS or self.nonzero < FEW_NONZERO

    @property
    def sd(self) -> float:
        """Standard deviation of d over clusters, in the unit of report; nan below two."""
        return float(np.std(self.values, ddof=1)) / self.scale if len(self) > 1 else float("nan")

    @property
    def scale(self) -> float:
        """What 1 in the unit of report is worth in d."""
        return float(self.headroom.mean())

    def above_zero(self, alpha: float) -> bool:
        """Whether the mean lies above 0, one-sided `alpha`; with few clusters by the bet too."""
        estimate = self.estimate()
        if estimate is None or estimate.p_above() >= alpha:
            return False
        return not self.few or self.bet_low(alpha) > 0

    def first(self, clusters: int) -> Paired:
        """The same with its first clusters only."""
        groups = None if self.groups is None else self.groups[:clusters]
        return Paired(self.values[:clusters], self.headroom[:clusters], groups)

    def estimate(self) -> Estimate | None:
        """The mean of d in the unit of report; None below two clusters (or groups)."""
        return mean_estimate(self.values / self.scale, self.groups)

    def p_sign_flip(self) -> float | None:
        """Two-sided sign-flip p of 'the arms are exchangeable'."""
        return sign_flip_p(self.values, self.groups)

    def bet_low(self, alpha: float) -> float:
        """The mean is above this with confidence 1 - alpha at any size; in the unit of report.

        The betting bound. Clusters of a group count as one: their sum, over that of the largest
        group, is bounded as a single d is.
        """
        return self._bet(lower_bound, alpha)

    def bet_high(self, alpha: float) -> float:
        """As `bet_low`, from above."""
        return self._bet(upper_bound, alpha)

    def _bet(self, bound: Callable[[Floats, float], float], alpha: float) -> float:
        if self.groups is None:
            return bound(self.values, alpha) / self.scale
        sums, sizes = _by_group(self.values, self.groups)
        units = len(sums) * sizes.max() / len(self.values)
        return float(bound(sums / sizes.max(), alpha) * units / self.scale)


def _by_group(values: Floats, groups: tuple[Hashable, ...]) -> tuple[Floats, Floats]:
    """Sum and number of the values of each group, in order of appearance."""
    sums: dict[Hashable, list[float]] = {}
    for group, value in zip(groups, values.tolist(), strict=True):
        sums.setdefault(group, []).append(value)
    return (
        np.array([sum(members) for members in sums.values()]),
        np.array([float(len(members)) for members in sums.values()]),
    )


def paired(
    gain_a: Mapping[int, float],
    gain_b: Mapping[int, float],
    chance: Mapping[int, float],
    order: Iterable[int],
    groups: Mapping[int, Hashable] | None = None,
) -> Paired | None:
    """The differences of the clusters of `chance` (r by cluster), in captured units.

    None without clusters. All three are of the same: KeyError for one that an arm lacks. `order`:
    all clusters in the seeded order in which they were asked, which the bets follow.
    """
    clusters = [cluster for cluster in order if cluster in chance]
    if not clusters:
        return None
    return Paired(
        values=np.array([gain_b[cluster] - gain_a[cluster] for cluster in clusters]),
        headroom=np.array([1 - chance[cluster] for cluster in clusters]),
        groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
    )
