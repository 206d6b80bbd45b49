"""Looking at a comparison before all its clusters are in, without more false alarms. Pure.

A test repeated at every look rejects far more often than its alpha. A group-sequential design
raises the bar of the early looks so that the whole keeps alpha: by the share t of the clusters
that are in, each side of a two-sided test has spent 2 - 2 Phi(z / sqrt(t)) of its error, z being
the 1 - alpha / 4 quantile. That is little at first (the boundaries resemble those of O'Brien and
Fleming 1979) and alpha / 2 in the end. The looks may be anywhere, as long as the results have no
say in where.

Lan and DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70 (1983). The
boundaries come from following the distribution of the z statistic from look to look: Armitage,
McPherson and Rowe, JRSS A 132 (1969); Jennison and Turnbull, Group Sequential Methods (2000),
chapter 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.stats.power import gauss_legendre, threshold
from selectllm.stats.special import ndtr, ndtri, stdtrit

LOOKS = 5
FIRST = 100  # clusters; before that the t statistic is not near enough to normal
LEAST_CAP = 150
LEAST_STEP = 1e-3  # between looks, as a share of all clusters; a finer one needs a finer grid
NO_ERROR = 1e-16  # a share of the error that is not worth a boundary
REACH = 9.0  # standard deviations, beyond which less than NO_ERROR lies


def looks(cap: int) -> tuple[int, ...]:
    """How many clusters are in at each of LOOKS looks: equally spaced from the first to `cap`.

    The first comes after a fifth of the clusters, but not before 100. Raises ValueError for a cap
    below 150, which is too few to look early: use a fixed design.
    """
    if cap < LEAST_CAP:
        raise ValueError(f"need at least {LEAST_CAP} clusters to look before the end, got {cap}")
    return tuple(round(n) for n in np.linspace(max(FIRST, cap / LOOKS), cap, LOOKS).tolist())


def boundaries(fractions: Sequence[float], alpha: float) -> tuple[float, ...]:
    """The |z| at which to stop, one per look, for a two-sided test of level `alpha`.

    `fractions`: the share of all clusters in at each look, increasing, the last 1. One look
    gives the usual 1 - alpha / 2 quantile. A look so early that its share of the error is below
    1e-16 has the boundary infinity, and leaves that share to the next.

    Raises ValueError on fractions that do not increase by 1e-3 or more, or end elsewhere, and on
    an `alpha` outside (0, 1).
    """
    times = _times(fractions, alpha)
    steps = np.sqrt(np.diff(times, prepend=0.0))
    budget = 2 * ndtr(ndtri(alpha / 4) / np.sqrt(times))
    spent, points, mass = 0.0, np.zeros(1), np.ones(1)  # all paths start at 0
    bounds: list[float] = []
    for look, (end, step) in enumerate(zip(np.sqrt(times), steps, strict=True)):
        bounds.append(_boundary(budget[look] - spent, points / step, mass, end / step))
        if math.isfinite(bounds[-1]):
            spent = budget[look]
        if look + 1 < len(steps):
            reach = end * min(bounds[-1], REACH)
            grid, weights = _grid(reach, min(step, steps[look + 1]))
            mass = weights * (_density((grid[:, None] - points) / step) / step @ mass)
            points = grid
    return tuple(bounds)


def tail(z: float) -> float:
    """The one-sided error of the boundary `z`, in [0, 1)."""
    return float(ndtr(-z))


def critical(z: float, df: float) -> float:
    """The t quantile on `df` degrees of freedom with the same tail probability as `z`, z >= 0."""
    error = tail(z)
    return math.inf if error == 0 else -float(stdtrit(df, error))


def _times(fractions: Sequence[float], alpha: float) -> Floats:
    """The fractions, checked."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    times = np.asarray(fractions, dtype=np.float64)
    increasing = times.ndim == 1 and times.size > 0 and times[0] > 0
    if not (increasing and times[-1] == 1 and (np.diff(times) >= LEAST_STEP).all()):
        raise ValueError(
            f"looks must be at fractions above 0, at least {LEAST_STEP} apart, the last 1. Got "
            f"{list(fractions)}"
        )
    return times


def _boundary(error: float, centres: Floats, mass: Floats, scale: float) -> float:
    """The z above which `error` of the paths end at this look.

    `centres`, `mass`: where the paths that went on stood before, in standard deviations of the
    step since, and how many are there; `scale`: those standard deviations per unit of z.
    """
    if error < NO_ERROR:
        return math.inf
    _, z = threshold(lambda z: bool(mass @ ndtr(centres - scale * z) <= error), 0.0, REACH)
    return z


def _grid(reach: float, width: float) -> tuple[Floats, Floats]:
    """Points and weights to integrate over [-reach, reach] what changes on the scale `width`.

    Gauss-Legendre with 12 points in each of equal panels, none broader than twice the width.
    """
    panels = math.ceil(reach / width)
    half = reach / panels
    centres = half * np.arange(1 - panels, panels, 2)
    nodes, weights = gauss_legendre(12)
    points = centres[:, None] + half * nodes
    return points.ravel(), np.tile(half * weights, panels)


def _density(z: Floats) -> Floats:
    """Of the standard normal distribution."""
    return np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
