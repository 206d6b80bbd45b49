"""How far raters agree, and what their mean is worth. Pure.

Everything takes ratings as item -> rater -> value. Raters may have rated any part of the items:
nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import fsum
from typing import Literal

import numpy as np

from selectllm.core.arrays import Floats

Ratings = Mapping[str, Mapping[str, float]]
Level = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(ratings: Ratings, level: Level = "interval") -> float | None:
    """Krippendorff's alpha: 1 - observed / expected disagreement of two ratings of one item.

    1 is perfect agreement, 0 what ratings dealt at random would give, below 0 is worse than
    that. `level` says what the numbers mean: names, ranks, an interval scale, or a scale with a
    true zero. Items with a single rating count for nothing. None where alpha is undefined: no
    item has two ratings, or all ratings that count are equal.

    Krippendorff 2011, Computing Krippendorff's Alpha-Reliability: with o_ck the coincidences of
    the values c and k, n_c their margins and n their total, alpha = 1 - (n - 1) * sum(o_ck *
    d_ck) / sum(n_c * n_k * d_ck). Raises ValueError on a negative rating at level ratio.
    """
    pairable = [list(raters.values()) for raters in ratings.values() if len(raters) > 1]
    values, place = np.unique([each for item in pairable for each in item], return_inverse=True)
    if len(values) < 2:
        return None
    if level == "ratio" and values[0] < 0:
        raise ValueError(f"level ratio needs ratings of 0 or more, got {values[0]}")
    counts = np.zeros((len(pairable), len(values)))
    np.add.at(counts, (np.repeat(np.arange(len(pairable)), [len(i) for i in pairable]), place), 1)
    per_pair = counts / (counts.sum(axis=1, keepdims=True) - 1)
    coincidences = per_pair.T @ counts - np.diag(per_pair.sum(axis=0))
    margins = counts.sum(axis=0)
    distance = _DISTANCES[level](values, margins)
    observed = float((coincidences * distance).sum())
    expected = float((np.multiply.outer(margins, margins) * distance).sum())
    return 1 - float(margins.sum() - 1) * observed / expected if expected else None


def _nominal(values: Floats, margins: Floats) -> Floats:
    return np.not_equal.outer(values, values).astype(np.float64)


def _ordinal(values: Floats, margins: Floats) -> Floats:
    """Squared count of the ratings between two values, half of those at either end included."""
    ranks = np.cumsum(margins) - margins / 2
    return np.square(np.subtract.outer(ranks, ranks))


def _interval(values: Floats, margins: Floats) -> Floats:
    return np.square(np.subtract.outer(values, values))


def _ratio(values: Floats, margins: Floats) -> Floats:
    total = np.add.outer(values, values)
    total[total == 0] = 1  # zero against zero: no distance
    return np.square(np.subtract.outer(values, values) / total)


_DISTANCES: dict[Level, Callable[[Floats, Floats], Floats]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
    "ratio": _ratio,
}


def mean_ratings(ratings: Ratings) -> dict[str, float]:
    """The mean of every item's ratings, by item id; never outside of them, rounding included."""
    return {item: _mean(raters.values()) for item, raters in ratings.items() if raters}


def _mean(values: Collection[float]) -> float:
    return min(max(fsum(values) / len(values), min(values)), max(values))


def rater_noise(ratings: Ratings) -> float | None:
    """Standard deviation of one rating about its item's mean, on the scale of the ratings.

    The square root of the mean square within items of a one-way analysis of variance: squared
    deviations summed over all items, divided by the number of ratings beyond the first of each.
    None if no item has two ratings. 0 if raters always agree; what one rater gives to all items
    alike (a harsh one, a kind one) counts as noise too.
    """
    within = _within_variance(ratings)
    return None if within is None else float(np.sqrt(within))


def _within_variance(ratings: Ratings) -> float | None:
    groups = [np.array(list(raters.values())) for raters in ratings.values() if len(raters) > 1]
    if not groups:
        return None
    squares = fsum(float(np.square(group - group.mean()).sum()) for group in groups)
    return squares / sum(len(group) - 1 for group in groups)


def reliability(ratings: Ratings) -> float | None:
    """Share of the variance of the items' means that is not rater noise, from 0 to 1.

    1 - w * mean(1 / k_i) / v, with w the squared `rater_noise`, k_i the raters of item i and v
    the variance of the items' means: what is left of v after the noise that the means still
    carry. When all items have k raters this is ICC(1, k) of Shrout and Fleiss 1979 (Intraclass
    correlations), case 1: the correlation expected with the means of as many other raters. Not
    below 0. None where it is undefined: no item has two ratings, or all means are equal.
    """
    within = _within_variance(ratings)
    means = list(mean_ratings(ratings).values())
    if within is None or max(means) == min(means):
        return None
    noise_left = within * fsum(1 / len(raters) for raters in ratings.values() if raters)
    return max(0.0, 1 - noise_left / len(means) / float(np.var(means, ddof=1)))
