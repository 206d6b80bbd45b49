"""Intervals and tests over clusters. Pure: numpy and the distributions of scipy.special.

The cluster is the unit. Everything we report is a ratio of two sums over clusters (a mean is
the ratio whose denominators are 1), so one estimator serves all of it.

Tests of a mean come in two kinds: Student's t (`Estimate`), and sign flips, which assume no
normality but that each cluster's difference is as likely to have the other sign.

scipy.stats would cost more to import than everything here costs to compute; the tests use it,
and statsmodels, as the reference.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats
from selectllm.stats.binomial import share_interval
from selectllm.stats.interval import Interval
from selectllm.stats.special import stdtr, stdtrit

MOST_ENUMERATED = 14  # units whose 2^n sign patterns are all counted
FLIPS = 9999  # sign patterns drawn for more units than that
BLOCK = 2**20  # signs held in memory at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over clusters with its standard error on `df` degrees of freedom, for t tests.

    With a standard error of 0 every cluster says the same: a p-value is then 0 or 1, by
    comparison of the mean with the value asked about.
    """

    mean: float
    std_error: float
    df: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's two-sided interval. Raises ValueError on a confidence outside (0, 1)."""
        _check_confidence(confidence)
        reach = float(stdtrit(self.df, (1 + confidence) / 2) * self.std_error)
        return Interval(self.mean, self.mean - reach, self.mean + reach)

    def low(self, alpha: float) -> float:
        """Student's one-sided lower bound; `alpha` in [0, 1), at 0 there is none: -infinity."""
        if self.std_error == 0:
            return self.mean
        if alpha == 0:
            return -math.inf  # where stdtrit says +infinity
        return self.mean + float(stdtrit(self.df, alpha)) * self.std_error

    def high(self, alpha: float) -> float:
        """As `low`, from above."""
        return -Estimate(-self.mean, self.std_error, self.df).low(alpha)

    def p_two_sided(self, value: float = 0.0) -> float:
        """The two-sided p-value of the hypothesis that the true mean is `value`."""
        return min(1.0, 2 * min(self.p_above(value), self.p_below(value)))

    def p_above(self, value: float = 0.0) -> float:
        """One-sided: small when the mean is above `value`. Hypothesis: it is at most that."""
        if self.std_error == 0:
            return float(self.mean <= value)
        return float(stdtr(self.df, (value - self.mean) / self.std_error))

    def p_below(self, value: float = 0.0) -> float:
        """One-sided: small when the mean is below `value`. Hypothesis: it is at least that."""
        return Estimate(-self.mean, self.std_error, self.df).p_above(-value)


def mean_estimate(
    values: npt.ArrayLike, groups: Sequence[Hashable] | None = None
) -> Estimate | None:
    """The mean of one value per cluster, its standard error and degrees of freedom.

    `values`: shape (n_clusters,), on n - 1 degrees of freedom. `groups`: as in `ratio_interval`,
    on one less than the number of groups. None below two clusters or groups. Raises ValueError
    on unequal lengths and numbers that are not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    return _ratio(values, np.ones_like(values), groups)


def mean_interval(
    values: npt.ArrayLike,
    confidence: float = 0.95,
    groups: Sequence[Hashable] | None = None,
) -> Interval | None:
    """The mean of one value per cluster, with Student's t interval on n - 1 degrees of freedom.

    `values`: shape (n_clusters,). `groups`: as in `ratio_interval`. None below two clusters (or
    below two groups), where no interval exists. Raises ValueError as `ratio_interval` does.
    """
    values = np.asarray(values, dtype=np.float64)
    return ratio_interval(values, np.ones_like(values), confidence, groups)


def bounded_mean_interval(
    values: npt.ArrayLike, least: float, most: float, confidence: float = 0.95
) -> Interval | None:
    """The mean of one value per cluster, where every value lies from `least` to `most`.

    Student's interval, cut to that range. Where it would be blind there are exact ones. If each
    value is either end of the range, it is Clopper and Pearson's. If all values are equal, they
    leave open what others may be: with a probability of at most p^n all n are what only a share p
    of clusters is, so that the smallest p that is still likely leaves 1 - p to either end.

    `values`: shape (n_clusters,). None below two clusters. Raises ValueError as `ratio_interval`
    does, and for values outside the range.
    """
    values = np.asarray(values, dtype=np.float64)
    student = mean_interval(values, confidence)
    rounding = 1e-12 * (most - least)
    if len(values) and not (least - rounding <= values.min() and values.max() <= most + rounding):
        raise ValueError(f"the values must lie from {least} to {most}, got {values.tolist()}")
    if student is None:
        return None
    n, width, side = len(values), most - least, (1 - confidence) / 2
    high, low = np.abs(values - most) <= rounding, np.abs(values - least) <= rounding
    if (high | low).all():
        share = share_interval(int(high.sum()), n, side)
        return Interval(student.estimate, least + width * share.low, least + width * share.high)
    if np.ptp(values) <= rounding:
        equal = side ** (1 / n)
        other = (1 - equal) * least, (1 - equal) * most
        return Interval(student.estimate, *(equal * student.estimate + end for end in other))
    return student.within(least, most)


def ratio_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    confidence: float = 0.95,
    groups: Sequence[Hashable] | None = None,
) -> Interval | None:
    """`sum(numerators) / sum(denominators)` over clusters, with a t interval by the delta method.

    To first order a ratio R of sums errs by the sum of the residuals e = numerator - R *
    denominator, over the sum of the denominators. Its variance is n / (n - 1) * sum(e^2) /
    sum(denominators)^2, with n - 1 degrees of freedom: the sandwich HC1 of a least squares fit
    of numerator / denominator on a constant, weighted by the denominators.

    `numerators`, `denominators`: shape (n_clusters,). `groups`: one label per cluster; clusters
    that share a label may depend on each other. The residuals are then summed within groups
    first, n is the number of groups (the sandwich CR1 with t(G - 1): Cameron and Miller 2015,
    A Practitioner's Guide to Cluster-Robust Inference, section II).

    None below two clusters or groups, and where the denominators sum to zero. Raises ValueError
    on unequal lengths, numbers that are not finite, and a confidence outside (0, 1).
    """
    _check_confidence(confidence)
    ratio = ratio_estimate(numerators, denominators, groups)
    return None if ratio is None else ratio.interval(confidence)


def ratio_estimate(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    groups: Sequence[Hashable] | None = None,
) -> Estimate | None:
    """The ratio of `ratio_interval` with its standard error and degrees of freedom."""
    num = np.asarray(numerators, dtype=np.float64)
    den = np.asarray(denominators, dtype=np.float64)
    return _ratio(num, den, groups)


def sign_flip_p(
    values: npt.ArrayLike, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> float | None:
    """Two-sided p-value of the mean when each cluster's sign could as well be the other.

    The share of sign patterns whose sum is at least as far from 0 as the one seen, in (0, 1]: of
    all patterns up to `MOST_ENUMERATED` units, else (1 + hits) / (1 + FLIPS) of FLIPS patterns
    drawn by `seed` (Phipson and Smyth 2010, Permutation p-values should never be zero).

    `values`: shape (n_clusters,). With `groups` all clusters of a group flip together. Units
    that sum to 0 change nothing and are left out. 1.0 if all do; None for no values. Raises
    ValueError as `mean_estimate` does.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values, values, groups)
    if len(values) == 0:
        return None
    rounding = 1e-12 * np.abs(values).sum()  # sums this close are one number added up two ways
    units = group_sums(values, groups)
    units = units[np.abs(units) > rounding]
    far = abs(units.sum()) - rounding
    if len(units) <= MOST_ENUMERATED:
        return float(np.mean(np.abs(_all_flips(units)) >= far))
    hits = sum(int((np.abs(sums) >= far).sum()) for sums in _drawn_flips(units, seed))
    return (1 + hits) / (1 + FLIPS)


def group_sums(values: Floats, groups: Sequence[Hashable] | None) -> Floats:
    """The sum of `values` per group, groups in order of appearance; without groups, `values`."""
    if groups is None:
        return values
    rank = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros(len(rank))
    np.add.at(sums, [rank[group] for group in groups], values)
    return sums


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given.

    To call significant what is at most alpha keeps the chance of any false call, over all
    hypotheses, at alpha, however they depend on each other. Raises ValueError on a p-value
    outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be between 0 and 1, got {list(p_values)}")
    ascending = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[ascending] = np.maximum.accumulate(p[ascending] * np.arange(len(p), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)]


def _ratio(num: Floats, den: Floats, groups: Sequence[Hashable] | None) -> Estimate | None:
    """The estimator of `ratio_interval`."""
    _check(num, den, groups)
    total = den.sum()
    if len(num) < 2 or total == 0:
        return None
    estimate = float(num.sum() / total)
    errors = group_sums(num - estimate * den, groups)
    n = len(errors)
    if n < 2:
        return None
    std_error = np.sqrt(n / (n - 1) * np.square(errors).sum()) / abs(total)
    return Estimate(estimate, float(std_error), n - 1)


def _all_flips(units: Floats) -> Floats:
    """The sums of the units under all 2^n sign patterns."""
    sums = np.zeros(1)
    for unit in units:
        sums = np.concatenate((sums + unit, sums - unit))
    return sums


def _drawn_flips(units: Floats, seed: int) -> Iterator[Floats]:
    """The sums of the units under FLIPS random sign patterns, in blocks that bound the memory."""
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // len(units))
    for start in range(0, FLIPS, rows):
        shape = (min(rows, FLIPS - start), len(units))
        yield units.sum() - 2 * (rng.integers(0, 2, shape, dtype=np.int8) @ units)


def _check(num: Floats, den: Floats, groups: Sequence[Hashable] | None) -> None:
    if num.ndim != 1 or num.shape != den.shape:
        raise ValueError(f"need two vectors of one length, got shapes {num.shape} and {den.shape}")
    if groups is not None and len(groups) != len(num):
        raise ValueError(f"need a group per cluster, got {len(groups)} for {len(num)} clusters")
    if not (np.isfinite(num).all() and np.isfinite(den).all()):
        raise ValueError("need finite numbers. Leave out the clusters where a value is undefined")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
