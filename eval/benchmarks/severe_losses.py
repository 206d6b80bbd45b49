"""The table `severe` of verdicts.py: how often the guard against severe losses errs, and finds one.

Differences are in captured units. A break is a share of clusters that lose `LOSS`, whatever else
happens there; the other clusters differ as they do between equal prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from bench import Bench, row
from outcomes import ALPHA
from rare_losses import GENERATORS, shown
from scipy.special import bdtrc, betaincinv

from selectllm.core.arrays import Floats
from selectllm.stats.binomial import p_outnumbers, share_interval

LOSS, MOST = 0.5, 0.02
SIZES = (60, 100, 200, 300, 500)
BROKEN = 0.05
Generator = Callable[[tuple[int, int], np.random.Generator], Floats]
Flags = npt.NDArray[np.bool_]


def _either_way(share: float) -> Generator:
    """So many clusters lose .5 or more, as many gain it, and the others hardly differ."""

    def draw(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
        kind = rng.random(shape)
        far = rng.uniform(LOSS, 1.0, shape)
        near = rng.normal(0, 0.1, shape)
        return np.where(kind < share, -far, np.where(kind < 2 * share, far, near))

    return draw


EQUAL: Mapping[str, Generator] = {
    "the same picks": lambda shape, rng: np.zeros(shape),
    "2 % either way": _either_way(0.02),
    "6 % either way": _either_way(0.06),
    "12 % either way": _either_way(0.12),
    **{name: GENERATORS[name] for name in ("normal, sd .35", "-.5, 0 or .5")},
}
RARE = {name: GENERATORS[name] for name in (".9 lost in 2 %", ".5 lost in 8 %")}
"""Prompts that are equal on average, and yet break some clusters."""


def breaks(d: Floats, alpha: float = ALPHA) -> Flags:
    """Whether the guard speaks, of every row; what severity.is_break says of one."""
    n = d.shape[1]
    losses, gains = (d <= -LOSS).sum(axis=1), (d >= LOSS).sum(axis=1)
    low = np.where(losses == 0, 0.0, betaincinv(np.maximum(losses, 1), n - losses + 1, alpha))
    p = np.where(losses == 0, 1.0, bdtrc(np.maximum(losses, 1) - 1, losses + gains, 0.5))
    found: Flags = (low > MOST) & (p < alpha)
    return found


def _check(d: Floats) -> None:
    """Raise SystemExit unless `breaks` says what the guard's own functions say."""
    for values, flag in zip(d, breaks(d), strict=True):
        losses, gains = int((values <= -LOSS).sum()), int((values >= LOSS).sum())
        low = share_interval(losses, len(values), ALPHA).low
        if (low > MOST and p_outnumbers(losses, gains) < ALPHA) != flag:
            raise SystemExit(f"the table says {flag} of {losses} against {gains} of {len(values)}")


def severe(bench: Bench) -> None:
    """Print the table."""
    print(f"The guard: losses of {LOSS} in more than {MOST:.0%} of the clusters, by clusters.")
    print("Prompts that are equal: called broken by the guard")
    row("equal", *SIZES, width=14)
    wrong = []
    for name, generator in EQUAL.items():
        d = generator((bench.replicates, max(SIZES)), bench.rng("severe", name))
        _check(d[:50, :200])
        found = [float(breaks(d[:, :n]).mean()) for n in SIZES]
        wrong += found
        row(name, *(f"{share:.3f}" for share in found), width=14)
    bench.check("equal prompts called broken", wrong, high=0.055)
    print("Equal on average, though some clusters break: by the guard / not passed by the mean")
    row("rare losses", *SIZES, width=14)
    for name, generator in RARE.items():
        d = generator((bench.replicates, max(SIZES)), bench.rng("severe", name))
        row(name, *(_both(d[:, :n]) for n in SIZES), width=14)
    print(f"A break in {BROKEN:.0%} of the clusters: by the guard / by the mean (worse) / either")
    row("broken", *SIZES, width=20)
    for name, generator in EQUAL.items():
        d = _broken(generator, bench, name)
        row(name, *(_stopped(d[:, :n]) for n in SIZES), width=20)
    at_300 = float(breaks(_broken(EQUAL["the same picks"], bench, "same")[:, :300]).mean())
    bench.check("breaks found at 300 clusters", [at_300], low=0.8)


def _broken(generator: Generator, bench: Bench, name: str) -> Floats:
    rng = bench.rng("broken", name)
    d = generator((bench.replicates, max(SIZES)), rng)
    return np.where(rng.random(d.shape) < BROKEN, -LOSS, d)


def _both(d: Floats) -> str:
    passed = shown(d + 0.1, ALPHA, 0.1 - 2.0)  # a margin of .10, in captured units
    return f"{breaks(d).mean():.3f} / {1 - passed.mean():.3f}"


def _stopped(d: Floats) -> str:
    guard, mean = breaks(d), shown(-d, ALPHA, -2.0)
    return f"{guard.mean():.2f} / {mean.mean():.2f} / {(guard | mean).mean():.2f}"
