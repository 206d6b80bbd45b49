"""How often verdicts err where a judge helps people's ratings, and how many ratings it saves.

    python eval/benchmarks/assisted.py [--only TABLE ...] [--replicates 4000]

By simulation: people rate n clusters, drawn at random from N = 10 n that a judge rated. Nothing
differs, unless a table says otherwise. `check` holds the arrays that are tested at once against
the functions that a verdict comes from. A share of .05 of 4,000 has a standard error of .0034.

Exits with 1 if a target is missed, and names it. With fewer than 2,000 replicates targets are
printed, but not judged. One thread; takes about five minutes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from assisted_draws import (
    CORRELATIONS,
    JUDGES,
    RARE,
    Both,
    Flags,
    Judged,
    alike,
    check,
    heavy,
    normal,
    rare,
)
from bench import Bench, row
from scipy.special import ndtri

from selectllm.stats.assisted import AssistedPaired
from selectllm.stats.paired import Paired
from selectllm.stats.power import clusters_needed
from selectllm.stats.prediction_powered import TAIL

ALPHA = 0.05
SIZES = (40, 60, 100, 200, 400)
PER_RATED, SD = 10, 0.3
BLOCK = 2_000_000  # numbers held at once
LEVEL, COVERAGE, MOST = (0.035, 0.065), (0.935, 0.965), 0.055
SHAPES: dict[str, Both] = {
    **{f"normal, correlation {each:g}": normal(each) for each in CORRELATIONS},
    "normal, judge too kind to b": normal(0.6, more=0.2),
    **{f"t on 3 df, correlation {each:g}": heavy(each) for each in (0.3, 0.6, 0.9)},
    "picks alike in 70 %, .6": alike(0.7, 0.6),
}


def blocks(
    bench: Bench, both: Both, n: int, name: str, gain: float = 0.0
) -> Iterator[tuple[Judged, Judged, Judged]]:
    """Some replicates at a time: with the judge, with one that is not drawn in, people alone."""
    rng, left = bench.rng(name, n), bench.replicates
    while left > 0:
        count = min(left, max(1, BLOCK // (n * PER_RATED)))
        human, judge = both((count, n * PER_RATED), rng)
        human, judge = human[:, :n] + gain, judge + gain
        yield Judged.of(human, judge), Judged.of(human, judge, tail=0), Judged.alone(human)
        left -= count


def share(flags: list[Flags]) -> float:
    return float(np.concatenate(flags).mean())


def level(bench: Bench) -> None:
    print("Equal arms: the 95 % interval leaves out 0; and in brackets, ab says better or worse")
    row("", *SIZES, width=15)
    by_interval, by_rule = [], []
    for name, both in SHAPES.items():
        cells = []
        for n in SIZES:
            found = [judged for judged, _, _ in blocks(bench, both, n, f"level {name}")]
            by_interval.append(share([each.apart(ALPHA, rule=False) for each in found]))
            by_rule.append(share([each.apart(ALPHA, rule=True) for each in found]))
            cells.append(f"{by_interval[-1]:.3f} ({by_rule[-1]:.3f})")
        row(f"{name:<30}", *cells, width=15)
    bench.check("false alarms of the interval alone", by_interval, *LEVEL)
    bench.check("false alarms of the words", by_rule, high=0.05)


def coverage(bench: Bench) -> None:
    print("A gain of .10: the 95 % interval holds it")
    row("", *SIZES, width=10)
    shares = []
    for name, both in SHAPES.items():
        cells = []
        for n in SIZES:
            found = [judged for judged, _, _ in blocks(bench, both, n, f"cover {name}", 0.1)]
            cells.append(share([each.covers(0.1, ALPHA) for each in found]))
        row(f"{name:<30}", *(f"{cell:.3f}" for cell in cells), width=10)
        shares += cells
    bench.check("coverage", shares, *COVERAGE)


def losses(bench: Bench) -> None:
    print("Equal arms, one of which loses much in few clusters: ab says better or worse, the most")
    print(f"of {len(RARE)} ways to lose, by what the judge says of these clusters: with the judge,")
    print("with one that is not drawn in, and people alone")
    row("judge", *(f"n = {n}" for n in SIZES), width=24)
    words, half = [], replace(bench, replicates=bench.replicates // 2)
    for judge in JUDGES:
        cells = []
        for n in SIZES:
            most = [max(each) for each in zip(*_lost(half, judge, n), strict=True)]
            words.append(most[0])
            cells.append(" / ".join(f"{each:.3f}" for each in most))
        row(judge, *cells, width=24)
    bench.check("false alarms of the words, rare losses", words, high=MOST)


def _lost(bench: Bench, judge: str, n: int) -> Iterator[list[float]]:
    """By way to lose, how often a word is said: with the judge, not drawn in, people alone."""
    for name, (few, loss, sd) in RARE.items():
        flags: list[list[Flags]] = [[], [], []]
        for three in blocks(bench, rare(few, loss, sd, judge), n, f"{judge} {name}"):
            for kept, each in zip(flags, three, strict=True):
                kept.append(each.apart(ALPHA, rule=True))
        yield [share(each) for each in flags]


def saved(bench: Bench) -> None:
    print(
        "Human ratings saved at a power of .80, by the interval alone / by the words; the gain is"
    )
    print("what people alone find in n clusters with that power, by t; d normal, sd .3")
    row("n", *(f"correlation {each:g}" for each in CORRELATIONS), width=20)
    by_interval: dict[float, list[float]] = {each: [] for each in CORRELATIONS}
    by_words: dict[float, list[float]] = {each: [] for each in CORRELATIONS}
    for n in (60, 100, 200, 400):
        gain, cells = 2.8 * SD / n**0.5, []
        alone = (
            clusters_needed(gain, SD, ALPHA),
            clusters_needed(gain, SD, ALPHA, extreme=1.0),
        )
        for each in CORRELATIONS:
            ends = [
                _end(bench, each, gain, people, rule=rule)
                for people, rule in zip(alone, (False, True), strict=True)
            ]
            ours = [1 - end / people for end, people in zip(ends, alone, strict=True)]
            by_interval[each].append(ours[0])
            by_words[each].append(ours[1])
            cells.append(f"{ours[0]:+.3f} / {ours[1]:+.3f}")
        row(n, *cells, width=20)
    bench.check("saved at correlation .6, by the interval alone", by_interval[0.6], low=0.30)
    useless = [*by_interval[0.0], *by_words[0.0], *by_interval[-0.5], *by_words[-0.5]]
    bench.check("1 + what is saved at correlations 0 and -.5", [1 + x for x in useless], low=0.95)


def _end(bench: Bench, correlation: float, gain: float, people: int, *, rule: bool) -> float:
    """The clusters that people rate for a power of .80 with the judge; alone they rate `people`."""
    helps = max(0.0, correlation) ** 2 * (1 - 1 / PER_RATED)
    likely = people * math.sqrt(1 - helps) if rule else people * (1 - helps)
    sizes = [max(8, round(likely * times)) for times in (0.8, 0.93, 1.07, 1.2)]
    powers = []
    for size in sizes:
        draws = blocks(bench, normal(correlation, SD), size, f"saved {correlation}", gain)
        powers.append(share([judged.shown(ALPHA / 2, rule=rule) for judged, _, _ in draws]))
    # The probit of the power is about linear in the square root of n.
    slope, start = np.polyfit(np.sqrt(sizes), ndtri(np.clip(powers, 0.001, 0.999)), 1)
    return float(((ndtri(0.8) - start) / slope) ** 2)


def groups(bench: Bench) -> None:
    print("Clusters in groups that share an effect (intraclass correlation .2), 5 of 50 rated in")
    print(
        "each on average, correlation .6: the interval leaves out 0; ab says better or worse; and"
    )
    print("the interval of people alone")
    row("groups", "interval", "words", "people alone")
    by_interval, by_words = [], []
    for count in (10, 20, 40):
        rng, flags = bench.rng("groups", count), []
        labels = np.repeat(np.arange(count), 50)
        for _ in range(bench.replicates // 2):
            human, judge = (each[0] for each in normal(0.6)((1, len(labels)), rng))
            shared = 0.15 * rng.standard_normal((2, count))
            human = human + shared[0][labels]
            judge = judge + (0.6 * shared[0] + 0.8 * shared[1])[labels]
            sample = rng.permutation(len(labels))[: 5 * count]
            paired = AssistedPaired(
                human[sample],
                np.ones(len(sample)),
                tuple(labels[sample].tolist()),
                judge=judge,
                sample=sample,
                all_groups=tuple(labels.tolist()),
            )
            estimate = paired.estimate()
            assert estimate is not None
            words = min(paired.p_above(), paired.p_below()) < ALPHA / 2
            alone = Paired(paired.values, paired.headroom, paired.groups).estimate()
            assert alone is not None
            flags.append((estimate.p_two_sided() < ALPHA, words, alone.p_two_sided() < ALPHA))
        shares = np.mean(flags, axis=0).tolist()
        row(count, *(f"{each:.3f}" for each in shares))
        by_interval.append(shares[0])
        by_words.append(shares[1])
    bench.check("false alarms of the interval, in groups", by_interval, *LEVEL)
    bench.check("false alarms of the words, in groups", by_words, high=0.05)


def checked(bench: Bench) -> None:
    check(bench.rng("check"))
    print("what the tables test at once is, to the ninth decimal, what a verdict rests on; the")
    print(f"judge is drawn in to leave {TAIL:g} sampled clusters beyond each end")


TABLES: dict[str, Callable[[Bench], None]] = {
    "check": checked,
    "level": level,
    "coverage": coverage,
    "losses": losses,
    "saved": saved,
    "groups": groups,
}


def main() -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bench = Bench(options.replicates, options.seed, ())
    print(f"{bench.replicates:,} replicates of each figure; of rare losses and of groups half")
    for name in options.only:
        start = time.perf_counter()
        print(f"\n-- {name}")
        TABLES[name](bench)
        print(f"{time.perf_counter() - start:.0f} s")
    for missed in bench.missed:
        print(f"missed: {missed}", file=sys.stderr)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
