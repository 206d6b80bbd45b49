"""How many clusters a comparison needs, and what it can find with those it has. Pure.

For Student's t test of a mean of paired differences: with a true mean `effect` and a standard
deviation `sd` between clusters, the t of n clusters has the noncentral t distribution with n - 1
degrees of freedom and noncentrality sqrt(n) * effect / sd (Cohen 1988, Statistical Power Analysis
for the Behavioral Sciences, chapter 2).

`sd` and `effect` share any unit. Of the effect only the size counts: a one-sided test (`sides` 1)
is taken to look in its direction. With an `sd` of 0 every cluster says the same, and two
clusters show any effect.

With `extreme` the whole rule of paired.py is asked: t has to show the effect with one more
cluster as well, one that speaks against it as strongly as a cluster can. `extreme` is how far
from 0 its value lies, in the unit of `sd`. Given the standard deviation of a sample, the rule is
a bar for its mean; the chance to pass it is averaged over the distribution of the former.

What has no closed form is found by bisection: `threshold`, `least_integer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.stats.special import chdtrc, chdtri, nctdtr, ndtr, stdtrit

HALVINGS = 60  # of an interval, until a float has no finer


@cache
def gauss_legendre(points: int) -> tuple[Floats, Floats]:
    """Points in [-1, 1] and their weights; numpy's polynomials are loaded by who integrates."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights


def power(
    effect: float, sd: float, n: int, alpha: float, sides: int = 2, extreme: float | None = None
) -> float:
    """The probability, in [0, 1], that a test of level `alpha` on n clusters finds `effect`.

    0 below two clusters, where there is no test; by t alone, `alpha` for no effect. Raises
    ValueError on an `alpha` outside (0, 0.5), `sides` other than 1 and 2, and an `effect`, `sd` or
    `extreme` that is not finite, or one of the latter two below 0.
    """
    _check(effect, sd, alpha, sides, extreme)
    return _found(effect, sd, n, alpha / sides, sides, extreme)


def clusters_needed(
    effect: float,
    sd: float,
    alpha: float,
    *,
    power: float = 0.8,
    sides: int = 2,
    extreme: float | None = None,
) -> int:
    """The fewest clusters, at least 2, that find `effect` with probability `power` or more.

    Raises ValueError for an effect of 0, which no number of clusters finds, a `power` outside
    (0, 1), and as the function `power` does.
    """
    _check(effect, sd, alpha, sides, extreme, power)
    if effect == 0:
        raise ValueError("no number of clusters finds an effect of 0. Give the least that matters")
    return least_integer(  # power grows with n
        lambda n: _found(effect, sd, n, alpha / sides, sides, extreme) >= power, start=2
    )


def clusters_to_decide(
    effect: float,
    margin: float | None,
    sd: float,
    alpha: float,
    *,
    power: float = 0.8,
    extreme: float | None = None,
) -> int | None:
    """The fewest clusters that show `effect`, or that it is inside +-`margin`, with `power`.

    The effect two-sided at `alpha`; the margin by two one-sided tests at `alpha`. Where both
    may happen their chances are added up to 1. None if no number does: an effect of 0 without a
    margin. Raises as `clusters_needed` does.
    """
    _check(effect, sd, alpha, 2, extreme, power)
    size = abs(effect)
    inside = margin is not None and size < margin
    if size == 0 and not inside:
        return None

    def found(n: int) -> float:
        shown = _found(size, sd, n, alpha / 2, 2, extreme) if size else 0.0
        if margin is None or not inside:
            return shown
        ends = (margin - size, margin + size)
        beyond = None if extreme is None else max(0.0, extreme - margin)
        missed = sum(1 - _found(end, sd, n, alpha, 1, beyond) for end in ends)
        return shown + max(0.0, 1 - missed)

    return least_integer(lambda n: found(n) >= power, start=2)


def detectable(
    sd: float,
    n: int,
    alpha: float,
    *,
    power: float = 0.8,
    sides: int = 2,
    extreme: float | None = None,
) -> float:
    """The least effect that n clusters find with probability `power`, in the unit of `sd`.

    Infinite below two clusters, and where it would have to be larger than `extreme`. Raises
    ValueError on a `power` outside (0, 1), and as the function `power` does.
    """
    _check(0.0, sd, alpha, sides, extreme, power)
    if n < 2:
        return math.inf
    if extreme is not None:

        def found(effect: float) -> bool:
            return _found(effect, sd, n, alpha / sides, sides, extreme) >= power

        return threshold(found, 0.0, extreme)[1] if found(extreme) else math.inf

    def enough(shift: float) -> bool:
        return _power(shift, n - 1, alpha / sides, sides) >= power

    above = least_integer(enough, start=0)
    _, shift = threshold(enough, above - 1, above) if above else (0.0, 0.0)
    return shift * sd / math.sqrt(n)


def _check(
    effect: float,
    sd: float,
    alpha: float,
    sides: int,
    extreme: float | None,
    power: float = 0.8,
) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must be between 0 and 0.5, got {alpha}")
    if not 0 < power < 1:
        raise ValueError(f"power must be between 0 and 1, got {power}")
    if sides not in (1, 2):
        raise ValueError(f"a test has 1 or 2 sides, got {sides}")
    if not (math.isfinite(effect) and math.isfinite(sd) and sd >= 0):
        raise ValueError(f"need a finite effect and an sd of 0 or more, got {effect} and {sd}")
    if extreme is not None and not (math.isfinite(extreme) and extreme >= 0):
        raise ValueError(f"a cluster's most extreme value must be 0 or more, got {extreme}")


def _found(
    effect: float, sd: float, n: int, tail: float, sides: int, extreme: float | None
) -> float:
    """The power where each side of the test errs by `tail`."""
    if n < 2:
        return 0.0
    size = abs(effect)
    if extreme is not None:
        directions = (size,) if sides == 1 else (size, -size)
        return min(1.0, sum(_passed(each, sd, n, tail, extreme) for each in directions))
    if size == 0:
        return tail * sides
    return _power(math.sqrt(n) * size / sd if sd > 0 else math.inf, n - 1, tail, sides)


def _power(shift: float, df: int, tail: float, sides: int) -> float:
    """The probability that t with noncentrality `shift` >= 0 is beyond its critical values."""
    if math.isinf(shift):
        return 1.0
    bar = -float(stdtrit(df, tail))
    above = 1 - _below(shift, df, bar)
    return above if sides == 1 else min(1.0, above + 1 - _below(-shift, df, bar))


def _passed(mean: float, sd: float, n: int, tail: float, extreme: float) -> float:
    """The probability that n clusters show a mean above 0, and would with one more at -`extreme`.

    With n values of mean m and standard deviation s, those and one of w have the lower bound
    (n m + w - t sqrt((n + 1) (n - 1) s^2 / n + (m - w)^2)) / (n + 1), t on n degrees of freedom.
    It lies above 0 where m is beyond the larger root of a quadratic equation; where t >= n, never.
    """
    t = -float(stdtrit(n, tail))
    if t >= n:
        return 0.0
    nodes, weights = gauss_legendre(64)  # over the shares of samples
    s = sd * np.sqrt(chdtri(n - 1, (nodes + 1) / 2) / (n - 1))
    w = -extreme
    square, linear = n**2 - t**2, w * (n + t**2)
    rest = w**2 * (1 - t**2) - t**2 * (n**2 - 1) * s**2 / n
    bar = (np.sqrt(linear**2 - square * rest) - linear) / square
    bar = np.maximum(bar, -float(stdtrit(n - 1, tail)) * s / math.sqrt(n))
    error = sd / math.sqrt(n)
    beyond = ndtr((mean - bar) / error) if error > 0 else mean > bar
    return float(weights @ beyond) / 2


def _below(shift: float, df: int, bar: float) -> float:
    """P(t <= bar), for a bar above 0.

    scipy gives NaN where the noncentrality is far beyond the bar, or so large that only the
    spread of the estimated standard deviation matters; the latter alone serves for both.
    """
    exact = float(nctdtr(df, shift, bar))
    if not math.isnan(exact):
        return exact
    return float(chdtrc(df, df * (max(shift, 0.0) / bar) ** 2))


def threshold(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Two numbers, closer than (high - low) / 1e18 or a float's resolution, around the threshold.

    The condition is taken to fail at `low` and to hold at `high`: it fails at the first number
    returned and holds at the second.
    """
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low, high


def least_integer(holds: Callable[[int], bool], start: int) -> int:
    """The least integer from `start` on for which the condition holds. One must exist."""
    if holds(start):
        return start
    step = 1
    while not holds(start + step):
        step *= 2
    low, high = start + step // 2, start + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
