"""Exact figures of counts: the interval of a share, and whether one count outnumbers another. Pure.

The distributions are those of scipy.special; scipy.stats, which takes longer to import than all of
this takes to compute, is the reference in the tests.
"""

from __future__ import annotations

from selectllm.stats.interval import Interval
from selectllm.stats.special import bdtrc, betaincinv


def share_interval(hits: int, n: int, alpha: float) -> Interval:
    """The share `hits` / `n` with Clopper and Pearson's exact interval, from 0 to 1.

    Each side errs with a probability of at most `alpha`, whatever the true share (Clopper and
    Pearson 1934, The use of confidence or fiducial limits). Raises ValueError unless 0 <= hits <= n
    and n is at least 1, and for an alpha outside (0, 1).
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"need 0 <= hits <= n and n at least 1, got {hits} of {n}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha))
    return Interval(hits / n, low, high)


def p_outnumbers(more: int, fewer: int) -> float:
    """One-sided p of 'each is as likely': how often `more` of both together, or yet more, come.

    The exact sign test: the upper tail of a binomial of `more` + `fewer` draws with probability .5.
    1 where there is none of either.
    """
    if more == 0:
        return 1.0
    return float(bdtrc(more - 1, more + fewer, 0.5))


def n_to_rule_out(share: float, alpha: float, rate: float = 0.0) -> int | None:
    """The least n at which the upper end of `share_interval` lies at or below `share`.

    `rate`: the share of hits that is expected among them, rounded up. None if it is not below
    `share`, where no n is enough, and where more than 10 million would be needed.
    """
    if not 0 <= rate < share < 1:
        return None

    def enough(n: int) -> bool:
        hits = -int(-rate * n // 1)
        return hits < n and share_interval(hits, n, alpha).high <= share

    low, high = 0, 1
    while not enough(high):
        low, high = high, high * 2
        if high > 10_000_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
