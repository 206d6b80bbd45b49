"""Differences of which few clusters make up the mean, and tests of that mean, many at once.

A verdict takes a tenth of a millisecond or more, and these tables need millions. `shown` and
`shown_by_groups` say of whole arrays what `Paired.p_above` says of one sample; `check` holds them
against it. `bet` is the bound that the rule has replaced, which is proven but finds less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from selectllm.core.arrays import Floats
from selectllm.stats.paired import Paired

Shape = tuple[int, int]
Flags = npt.NDArray[np.bool_]
Generator = Callable[[Shape, np.random.Generator], Floats]
LOGNORMAL = (0.28, -1.8, 1.0)
BET = 0.75  # the share of the capital that one value may cost at most


def _normal(sd: float) -> Generator:
    return lambda shape, rng: rng.normal(0, sd, shape)


def _rare(share: float, loss: float, sd: float) -> Generator:
    """So many lose `loss`, and the others gain what makes up for it, give or take `sd`."""

    def draw(shape: Shape, rng: np.random.Generator) -> Floats:
        few = rng.random(shape) < share
        return np.where(few, -loss, rng.normal(share * loss / (1 - share), sd, shape))

    return draw


def _lognormal(shape: Shape, rng: np.random.Generator) -> Floats:
    top, mean, sd = LOGNORMAL
    values = np.clip(top - np.exp(rng.normal(mean, sd, shape)), -1, 1)
    known = np.exp(np.random.default_rng(1).normal(mean, sd, 10**6))
    shifted: Floats = values - np.clip(top - known, -1, 1).mean()
    return shifted


def _few(shape: Shape, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(shape) < 0.1, rng.choice([-0.5, 0.5], shape), 0.0)


def _three(shape: Shape, rng: np.random.Generator) -> Floats:
    return rng.choice([-0.5, 0.0, 0.5], shape, p=[0.2, 0.6, 0.2])


GENERATORS: Mapping[str, Generator] = {
    "normal, sd .2": _normal(0.2),
    "normal, sd .35": _normal(0.35),
    "90 % unchanged": _few,
    ".9 lost in 2 %": _rare(0.02, 0.9, 0.12),
    ".95 lost in 1 %": _rare(0.01, 0.95, 0.12),
    ".9 in 2 %, quiet": _rare(0.02, 0.9, 0.03),
    ".95 in 1 %, quiet": _rare(0.01, 0.95, 0.03),
    ".5 lost in 8 %": _rare(0.08, 0.5, 0.12),
    "lognormal losses": _lognormal,
    "-.5, 0 or .5": _three,
}
"""Of d, with mean 0."""
WORST: Mapping[str, Generator] = {".95 in 2 %, no noise": _rare(0.02, 0.95, 0.0)}
"""What no picks are likely to do; it shows how far the rule can be led astray."""

EFFECTS: Mapping[str, Generator] = {
    "1 group in 12 loses": _rare(1 / 12, 0.7, 0.0),
    "1 in 25 loses": _rare(1 / 25, 0.7, 0.0),
    "normal effects": _normal(0.15),
    "t3 effects": lambda shape, rng: 0.1 * rng.standard_t(3, shape),
}
"""What the clusters of a group have in common, with mean 0."""


def shown(d: Floats, alpha: float, worst: float | None = None) -> Flags:
    """Whether each row's mean lies above 0 by t, and (`worst`) with one more of that value, too.

    `d`: shape (replicates, clusters).
    """
    return shown_by_groups(d, np.ones(d.shape), alpha, worst)


def shown_by_groups(
    means: Floats, sizes: Floats, alpha: float, worst: float | None = None
) -> Flags:
    """The same of groups, by the mean and the number of each one's clusters."""
    found = _low(means * sizes, sizes, alpha) > 0
    if worst is None:
        return found
    more = (np.square(sizes).sum(axis=1) / sizes.sum(axis=1))[:, None]
    sums = np.hstack((means * sizes, worst * more))
    both: Flags = found & (_low(sums, np.hstack((sizes, more)), alpha) > 0)
    return both


def _low(sums: Floats, sizes: Floats, alpha: float) -> Floats:
    """One-sided lower bounds of the means, CR1 with t(G - 1)."""
    n, total = sums.shape[1], sizes.sum(axis=1)
    mean = sums.sum(axis=1) / total
    errors = np.square(sums - mean[:, None] * sizes).sum(axis=1)
    low: Floats = mean + float(stdtrit(n - 1, alpha)) * np.sqrt(n / (n - 1) * errors) / total
    return low


def bet(d: Floats, alpha: float, mean: float = 0.0) -> Flags:
    """Whether a bet that each row's mean lies above `mean` ever multiplied the stake by 1 / alpha.

    Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86
    (2024), section 4: predictable plug-in bets for a known horizon.
    """
    x, m = (np.clip(d, -1, 1) + 1) / 2, (mean + 1) / 2
    seen = np.arange(1, x.shape[1] + 1)
    squares = np.cumsum(np.square(x - (0.5 + np.cumsum(x, axis=1)) / (seen + 1)), axis=1)
    before = np.hstack((np.zeros((len(x), 1)), squares[:, :-1]))
    bets = np.sqrt(-2 * np.log(alpha) / (x.shape[1] * (0.25 + before) / seen))
    capital = np.cumsum(np.log1p(np.minimum(bets, BET / m) * (x - m)), axis=1)
    rich: Flags = capital.max(axis=1) >= -np.log(alpha)
    return rich


def check(rng: np.random.Generator) -> None:
    """Raise SystemExit unless `shown_by_groups` says what `Paired` does."""
    for number, generator in enumerate([*GENERATORS.values(), *EFFECTS.values()]):
        groups = int(rng.integers(5, 60))
        sizes = rng.integers(1, 6, groups) if number % 2 else np.ones(groups, dtype=np.intp)
        gain, alpha = rng.uniform(0.0, 0.15), (0.05, 0.01)[number % 2]
        means = generator((20, groups), rng) + gain
        ours = shown_by_groups(means, np.tile(sizes.astype(float), (20, 1)), alpha, -1.0)
        labels = np.repeat(np.arange(groups), sizes)
        for row, flag in zip(means, ours, strict=True):
            whole = Paired(row[labels], np.ones(len(labels)), tuple(labels.tolist()))
            if (whole.p_above() < alpha) != flag:
                raise SystemExit(f"the tables say {flag} of {row}, and the rule does not")
