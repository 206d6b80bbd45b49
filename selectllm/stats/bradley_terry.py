"""Strengths from noisy comparisons of two at a time (Bradley and Terry 1952, Biometrika 39)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats, Ints

PRIOR_SD = 2.0
"""Standard deviation of the strengths before anything is compared, in logits."""
_STEPS, _CLOSE = 50, 1e-10


@dataclass(frozen=True, slots=True)
class Strengths:
    """`mean`: the strength of each of m things, shape (m,), in logits; higher is better.

    `covariance`: of the strengths, shape (m, m); the larger, the less is known of them.
    """

    mean: Floats
    covariance: Floats

    def apart(self, a: int, b: int) -> float:
        """How far a and b are apart, in standard deviations of their difference; 0 or more."""
        spread = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return abs(float(self.mean[a] - self.mean[b])) / float(np.sqrt(spread))


def strengths(m: int, wins: Sequence[tuple[int, int]], prior_sd: float = PRIOR_SD) -> Strengths:
    """The likeliest strengths of `m` things, of which (winner, loser) in `wins` were compared.

    P(a beats b) = 1 / (1 + exp(b - a)), with a normal prior of mean 0, which keeps the strength of
    what always won finite. The covariance is Laplace's: the inverse of the Hessian at the maximum.
    Newton's method finds it, since the posterior is strictly concave; a step that would lead down
    is halved.
    """
    won, lost = (np.array([pair[side] for pair in wins], dtype=np.intp) for side in (0, 1))
    precision = prior_sd**-2.0

    def log_posterior(at: Floats) -> float:
        return float(-np.logaddexp(0.0, at[lost] - at[won]).sum() - 0.5 * precision * at @ at)

    at = np.zeros(m)
    for _ in range(_STEPS):
        upset = 1.0 / (1.0 + np.exp(at[won] - at[lost]))  # the probability that the loser wins
        gradient = -precision * at
        np.add.at(gradient, won, upset)
        np.subtract.at(gradient, lost, upset)
        step = np.linalg.solve(_hessian(at, won, lost, precision), gradient)
        while log_posterior(at + step) < log_posterior(at) and np.abs(step).max() > _CLOSE:
            step = step / 2
        at = at + step
        if np.abs(step).max() <= _CLOSE:
            break
    covariance = np.linalg.inv(_hessian(at, won, lost, precision))
    return Strengths(at, covariance.astype(np.float64))


def _hessian(at: Floats, won: Ints, lost: Ints, precision: float) -> Floats:
    """Minus the second derivatives of the logarithm of the posterior."""
    upset = 1.0 / (1.0 + np.exp(at[won] - at[lost]))
    weight = upset * (1.0 - upset)
    hessian = np.eye(len(at)) * precision
    for rows, columns, sign in ((won, won, 1), (lost, lost, 1), (won, lost, -1), (lost, won, -1)):
        np.add.at(hessian, (rows, columns), sign * weight)
    return hessian
