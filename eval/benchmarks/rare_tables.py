"""Tables of verdicts.py: losses that are rare and large, groups, and what allowing for them costs.

Differences are in units of d, whose clusters leave a headroom of a half: the margin is .05.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bench import Bench, row
from outcomes import ALPHA, MARGIN, plan_of
from rare_losses import EFFECTS, GENERATORS, WORST, Floats, bet, shown, shown_by_groups

from selectllm.stats.sequential import tail

COLUMNS = (20, 60, 100, 150, 400)
ALL = (20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 350, 400)
MOST = 0.055  # .05 and simulation error
LOSS = MARGIN / 2
GROUPS = ((10, 110), (20, 400), (30, 400), (60, 400), (120, 600), (200, 600))
Sizes = Callable[[int, int, int, np.random.Generator], Floats]
GAIN = 2.8  # standard errors: what t finds with a power of .80, two-sided


def losses(bench: Bench) -> None:
    print("Wrong words by t / by the betting bound / by the rule. regress passes a loss of the")
    print("margin (one-sided .05), by clusters; last: the most of the rule at any of")
    print(f"{', '.join(map(str, ALL))}")
    row("regress", *COLUMNS, "most", width=22)
    most = {}
    for name, generator in (GENERATORS | WORST).items():
        rng = bench.rng("losses", name)
        d = generator((bench.replicates, max(ALL)), rng)  # of a loss: less the margin
        found = {n: _three(d[:, :n], ALPHA) for n in ALL}
        most[name] = max(ours for _, _, ours in found.values())
        cells = [_slashed(*found[n]) for n in COLUMNS]
        row(name, *cells, f"{most[name]:.3f}", width=22)
    bench.check("losses of the margin let through", [most[name] for name in GENERATORS], high=MOST)
    print("ab says better or worse of equal arms (two-sided .05), by t / by the rule; no margin")
    row("ab", *COLUMNS, "most", width=22)
    most = {}
    for name, generator in (GENERATORS | WORST).items():
        d = generator((bench.replicates, max(ALL)), bench.rng("equal", name))
        both = {n: _directions(d[:, :n], ALPHA / 2) for n in ALL}
        most[name] = max(ours for _, ours in both.values())
        row(name, *(_slashed(*both[n]) for n in COLUMNS), f"{most[name]:.3f}", width=22)
    bench.check("equal arms called better or worse", [most[name] for name in GENERATORS], high=MOST)


def _three(d: Floats, alpha: float) -> tuple[float, float, float]:
    """Passed though the margin was lost, by t, bet and rule: d less the loss, against -loss."""
    bets = bet(d - LOSS, alpha, -LOSS)
    return (
        float(shown(d, alpha).mean()),
        float(bets.mean()),
        float(shown(d, alpha, LOSS - 1).mean()),
    )


def _directions(d: Floats, alpha: float) -> tuple[float, float]:
    by_t = shown(d, alpha) | shown(-d, alpha)
    by_rule = shown(d, alpha, -1.0) | shown(-d, alpha, -1.0)
    return float(by_t.mean()), float(by_rule.mean())


def _slashed(*shares: float) -> str:
    return " / ".join(f"{share:.3f}" for share in shares)


def looks(bench: Bench) -> None:
    print("Sequential: equal arms called better or worse at any of five looks, by t / by the rule;")
    print("then a gain of 2.8 standard errors found, d normal with sd .3")
    row("cap", *map(str, (150, 400)), width=22)
    wrong = {}
    for name, generator in (GENERATORS | WORST).items():
        cells = []
        for cap in (150, 400):
            d = generator((bench.replicates, cap), bench.rng("looks", name, cap))
            cells.append(_looked(d, two_sided=True))
        row(name, *(_slashed(*cell) for cell in cells), width=22)
        wrong[name] = max(ours for _, ours in cells)
    found = []
    for cap in (150, 400):
        d = bench.rng("found", cap).normal(GAIN * 0.3 / cap**0.5, 0.3, (bench.replicates, cap))
        found.append(_looked(d, two_sided=False))
    row("power", *(_slashed(*cell) for cell in found), width=22)
    bench.check("equal arms, sequential", [wrong[name] for name in GENERATORS], high=MOST)


def _looked(d: Floats, two_sided: bool) -> tuple[float, float]:
    plan = plan_of(d.shape[1])
    by_t, by_rule = np.zeros((2, len(d)), dtype=bool)
    for count, z in zip(plan.looks, plan.outer, strict=True):
        for part in (d[:, :count], -d[:, :count])[: 1 + two_sided]:
            by_t |= shown(part, tail(z))
            by_rule |= shown(part, tail(z), -1.0)
    return float(by_t.mean()), float(by_rule.mean())


def several(bench: Bench) -> None:
    print("Several equal arms against one: any of them called better or worse (Holm), by t / rule")
    row("arms, clusters", "3, 150", "3, 400", "10, 150", "10, 400", width=22)
    wrong = []
    for name, generator in (GENERATORS | WORST).items():
        cells = []
        for arms in (3, 10):
            for n in (150, 400):
                rng = bench.rng("several", name, arms, n)
                flags = np.zeros((2, bench.replicates), dtype=bool)
                for _ in range(arms):  # of equal ones, any is wrong where the first is
                    d, alpha = generator((bench.replicates, n), rng), ALPHA / arms / 2
                    flags[0] |= shown(d, alpha) | shown(-d, alpha)
                    flags[1] |= shown(d, alpha, -1.0) | shown(-d, alpha, -1.0)
                cells.append(flags.mean(axis=1))
        row(name, *(_slashed(*cell) for cell in cells), width=22)
        wrong += [cell[1] for cell in cells] if name in GENERATORS else []
    bench.check("any of several equal arms", wrong, high=MOST)


def groups(bench: Bench) -> None:
    print("Clusters in groups that share an effect: wrongly better (one-sided .05), by t / rule.")
    print("Sizes equal; unequal: Dirichlet(2), Dirichlet(.5); a group of a fifth, of half of all")
    row("groups, clusters", *(f"{G}, {n}" for G, n in GROUPS), width=22)
    wrong = []
    for kind, sizes_of in SIZES.items():
        for name, generator in EFFECTS.items():
            cells = []
            for count, n in GROUPS:
                rng = bench.rng("groups", name, count, n, kind)
                sizes = sizes_of(bench.replicates, count, n, rng)
                means = generator((bench.replicates, count), rng)
                means = means + rng.normal(0, 0.3, means.shape) / np.sqrt(sizes)
                cells.append(
                    [
                        float(shown_by_groups(means, sizes, ALPHA, worst).mean())
                        for worst in (None, -1.0)
                    ]
                )
            row(f"{kind}: {name}", *(_slashed(*cell) for cell in cells), width=22)
            wrong += [cell[1] for cell in cells]
    bench.check("wrongly better, in groups", wrong, high=MOST)
    counts = (10, 20, 30, 60, 120)
    print("A gain of 2.8 standard errors found in 600 clusters, effects normal with sd .15")
    counts = (10, 20, 30, 60, 120, 200)
    row("groups", *counts, width=22)
    for kind, sizes_of in SIZES.items():
        cells = []
        for count in counts:
            rng = bench.rng("gain", kind, count)
            sizes = sizes_of(bench.replicates, count, 600, rng)
            spread = (0.15**2 + 0.09 / sizes) ** 0.5
            error = np.sqrt((sizes**2 * spread**2).sum(axis=1, keepdims=True)) / 600
            means = rng.normal(GAIN * error, spread)
            cells.append(
                [float(shown_by_groups(means, sizes, ALPHA, worst).mean()) for worst in (None, -1)]
            )
        row(f"power, {kind}", *(_slashed(*cell) for cell in cells), width=22)


def _equal(replicates: int, count: int, n: int, rng: np.random.Generator) -> Floats:
    return np.full((replicates, count), n / count)


def _dirichlet(spread: float) -> Sizes:
    def sizes(replicates: int, count: int, n: int, rng: np.random.Generator) -> Floats:
        return np.maximum(1.0, np.round(rng.dirichlet(np.full(count, spread), replicates) * n))

    return sizes


def _one_of(share: float) -> Sizes:
    def sizes(replicates: int, count: int, n: int, rng: np.random.Generator) -> Floats:
        made = np.full((replicates, count), n * (1 - share) / (count - 1))
        made[:, 0] = n * share
        return made

    return sizes


SIZES: dict[str, Sizes] = {
    "equal": _equal,
    "D(2)": _dirichlet(2.0),
    "D(.5)": _dirichlet(0.5),
    "a fifth": _one_of(0.2),
    "half": _one_of(0.5),
}


def price(bench: Bench) -> None:
    print("What it costs: a gain of 2.8 standard errors found (one-sided .05), d normal, by t / by")
    print("the betting bound / by the rule")
    sizes = (60, 100, 150, 300, 400, 1000)
    row("sd of d, clusters", *sizes, width=24)
    for sd in (0.1, 0.2, 0.35):
        cells = []
        for n in sizes:
            shape, gain = (bench.replicates, n), GAIN * sd / n**0.5
            d = bench.rng("price", sd, n).normal(gain, sd, shape)
            flags = shown(d, ALPHA), bet(d, ALPHA), shown(d, ALPHA, -1.0)
            cells.append(_slashed(*(float(each.mean()) for each in flags)))
        row(sd, *cells, width=24)
