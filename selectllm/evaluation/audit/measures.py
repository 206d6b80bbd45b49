"""Lines of the score card, from a value for each cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from selectllm.evaluation.audit.schema import Better, Measure
from selectllm.stats.binomial import share_interval
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import bounded_mean_interval

Range = tuple[float, float]
SHARE: Range = (0.0, 1.0)
CORRELATION: Range = (-1.0, 1.0)
"""What the values of a cluster lie within: shares, and correlations, kappas and differences."""

SIDE = 0.0125
"""Error of each end of an interval from two counts: both together 2.5 % below and above."""


def measure(
    name: str,
    meaning: str,
    better: Better,
    values: Mapping[int, float],
    within: Range,
    value: Interval | None = None,
) -> Measure:
    """A measure of `values`, by cluster; `value`: its interval, if not that of `mean_of`."""
    return Measure(
        name=name,
        meaning=meaning,
        better=better,
        value=value or mean_of(values, within),
        clusters=len(values),
        span=within[1] - within[0],
        by_cluster={str(cluster): float(values[cluster]) for cluster in sorted(values)},
    )


def mean_of(values: Mapping[int, float], within: Range) -> Interval | None:
    """The mean over clusters with an interval that stays in the range; None below two."""
    return bounded_mean_interval([values[cluster] for cluster in sorted(values)], *within)


def uplift_interval(gained: int, lost: int, n: int) -> Interval | None:
    """(gained - lost) / n with an interval that holds in 95 % of cases, however few there are.

    Both shares have Clopper and Pearson's bounds at 1.25 % a side; their difference errs no more
    often than both together. None for no clusters.
    """
    if n == 0:
        return None
    more, fewer = share_interval(gained, n, SIDE), share_interval(lost, n, SIDE)
    return Interval((gained - lost) / n, more.low - fewer.high, more.high - fewer.low)
