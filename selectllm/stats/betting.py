"""Confidence bounds for the mean of bounded values, exact at any sample size. Pure.

The t interval trusts that the sample shows how far values stray. Where a loss is rare and large,
a small sample often holds none, and the interval fails. A bet needs no such trust: a player who
stakes on the values being above m multiplies a capital of 1 by 1 + bet * (x - m) per value,
with a bet that was fixed before x was seen. If the mean is m or less, that capital expects no
gain, so it ever reaches 1 / alpha with probability alpha at most (Ville's inequality). Every m
at which it did is ruled out.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86
(2024), sections 3 and 4: predictable plug-in bets for a horizon known in advance.

Here values are differences d in [-1, 1], for which x = (d + 1) / 2 is bet on. The bets learn
from the values so far, so the order counts: give the seeded order of the clusters, never one
that the values had a say in.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats
from selectllm.stats.power import least_integer, threshold

CAP = 0.75  # the share of the capital that one value may cost at most
TINY = 1e-4  # a margin below which bets need not be laid to know how many clusters it takes
SLACK = 1e-9  # beyond [-1, 1]: rounding, not a mistake


def lower_bound(values: npt.ArrayLike, alpha: float) -> float:
    """What the mean of the values' distribution is above, with probability 1 - `alpha` or more.

    `values`: shape (n_clusters,), each in [-1, 1], in their seeded order. The bound is in
    [-1, 1], never above the sample mean, and -1 for no values.

    Raises ValueError on values that are not finite or outside [-1, 1], and on an `alpha`
    outside (0, 1).
    """
    values = np.asarray(values, dtype=np.float64)
    x = _to_unit(values)
    bets = _bets(x, alpha)
    if not _ruled_out(0.0, x, bets, alpha):
        return -1.0
    # Capital falls as m grows, so what is ruled out is one piece from 0 on.
    ruled_out, _ = threshold(lambda m: not _ruled_out(m, x, bets, alpha), 0.0, 1.0)
    return min(2 * ruled_out - 1, float(np.mean(values)))


def upper_bound(values: npt.ArrayLike, alpha: float) -> float:
    """What the mean is below, with probability 1 - `alpha` or more; see `lower_bound`."""
    return -lower_bound(-np.asarray(values, dtype=np.float64), alpha)


def least_clusters(margin: float, alpha: float) -> int:
    """The fewest clusters, all with a difference of 0, whose `lower_bound` is above -`margin`.

    With fewer, no outcome without gains can show that nothing beyond the margin was lost.
    About 4 / margin at an alpha of .05. `margin`: in units of the values, in (0, 1].
    Below TINY it is taken to go on as 1 / margin. Raises ValueError on a margin outside that, and
    an `alpha` outside (0, 1).
    """
    if not 0 < margin <= 1:
        raise ValueError(f"margin must be above 0 and at most 1, got {margin}")
    if margin < TINY:
        return math.ceil(least_clusters(TINY, alpha) * TINY / margin)

    def enough(n: int) -> bool:
        x = np.full(n, 0.5)
        return _ruled_out((1 - margin) / 2, x, _bets(x, alpha), alpha)

    return least_integer(enough, start=1)  # the capital after n zeros grows with n


def _to_unit(values: Floats) -> Floats:
    """The values moved from [-1, 1] to [0, 1]."""
    if values.ndim != 1:
        raise ValueError(f"need one value per cluster, got shape {values.shape}")
    outside = values[~(np.abs(values) <= 1 + SLACK)]
    if len(outside):
        raise ValueError(f"need values between -1 and 1, got {outside[0]}")
    x: Floats = (np.clip(values, -1, 1) + 1) / 2
    return x


def _bets(x: Floats, alpha: float) -> Floats:
    """The bet on each value before it is seen, from the variance of those before it.

    sqrt(2 log(1 / alpha) / (n variance)), the paper's equation for a fixed n; mean and variance
    start as if one value of 1/2 with variance 1/4 had been seen.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    seen = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (seen + 1)
    squares = np.cumsum(np.square(x - means))
    variances = (0.25 + np.concatenate(([0.0], squares[:-1]))) / seen
    bets: Floats = np.sqrt(-2 * np.log(alpha) / (len(x) * variances))
    return bets


def _ruled_out(m: float, x: Floats, bets: Floats, alpha: float) -> bool:
    """Whether betting that the mean of `x` is above `m` ever multiplied the capital by 1/alpha."""
    stakes = np.minimum(bets, CAP / m) if m > 0 else bets
    capital = np.cumsum(np.log1p(stakes * (x - m)))
    return bool(capital.max(initial=0.0) >= -np.log(alpha))
