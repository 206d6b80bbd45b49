"""Intervals over clusters. Pure: numpy and the distribution functions of scipy.special.

The cluster is the unit. Everything we report is a ratio of two sums over clusters (a mean is
the ratio whose denominators are 1), so one estimator serves all of it.

scipy.stats would cost more to import than everything here costs to compute; the tests use it,
and statsmodels, as the reference.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided confidence interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """`{estimate, low, high}`."""
        return asdict(self)


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
    num = np.asarray(numerators, dtype=np.float64)
    den = np.asarray(denominators, dtype=np.float64)
    _check(num, den, confidence, groups)
    total = den.sum()
    if len(num) < 2 or total == 0:
        return None
    estimate = float(num.sum() / total)
    errors = _group_sums(num - estimate * den, groups)
    n = len(errors)
    if n < 2:
        return None
    std_error = np.sqrt(n / (n - 1) * np.square(errors).sum()) / abs(total)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2) * std_error)
    return Interval(estimate, estimate - reach, estimate + reach)


def _group_sums(values: Floats, groups: Sequence[Hashable] | None) -> Floats:
    """The sum of `values` per group, groups in order of appearance; without groups, `values`."""
    if groups is None:
        return values
    rank = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros(len(rank))
    np.add.at(sums, [rank[group] for group in groups], values)
    return sums


def _check(num: Floats, den: Floats, confidence: float, groups: Sequence[Hashable] | None) -> None:
    if num.ndim != 1 or num.shape != den.shape:
        raise ValueError(f"need two vectors of one length, got shapes {num.shape} and {den.shape}")
    if groups is not None and len(groups) != len(num):
        raise ValueError(f"need a group per cluster, got {len(groups)} for {len(num)} clusters")
    if not (np.isfinite(num).all() and np.isfinite(den).all()):
        raise ValueError("need finite numbers; leave out the clusters where a value is undefined")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
