"""The error rates of the verdicts: how often each rule says what is not so, and finds what is.

    python eval/benchmarks/verdicts.py [--log RUN ...] [--only TABLE ...] [--replicates 4000]

By simulation (simulated_clusters.py: clusters of 14, picks of 3, a skill of 0.4, unless a table
says otherwise), and by resampling the decisions of runs: one of scripted models on the quickstart,
which is made, and those of --log, run folders with two selectors. Every word and interval comes
from the functions that a verdict comes from; the table `check` holds them against whole verdicts
of `ab`, `swap` and `regress` on the same picks. After each figure stands its Monte Carlo standard
error. Effects are in captured units; alpha is .05 and the margin .10.

Where losses are rare and large, or clusters grouped (rare_tables.py), whole arrays are tested at
once, which `check` holds against the rule; a share of .05 of 4,000 has a standard error of .0034.

Exits with 1 if a target is missed, and names it. With fewer than 2,000 replicates targets are
printed, but not judged. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench import SIZES, SKILL, Bench, row
from decision_logs import real_differences, scripted_run
from outcomes import (
    ALPHA,
    MARGIN,
    RETAIN,
    Share,
    compare_with_verdicts,
    covered,
    fixed,
    flip_rejects,
    gated,
    sequential,
    swapped,
    words,
)
from rare_losses import check as check_tests
from rare_tables import groups, looks, losses, price, several
from severe_losses import severe
from simulated_clusters import Floats, Lab, Skills, Trials, draw, losing, trials

from selectllm.core.verdict_words import Word
from selectllm.stats.paired import Paired
from selectllm.stats.power import detectable

DIRECTIONS: tuple[Word, ...] = ("better", "worse")
LEVEL, COVERAGE = (0.035, 0.065), (0.935, 0.965)


def level(bench: Bench) -> None:
    print(
        "Two equal prompts: the two-sided interval leaves out 0, by t alone; and ab says better or"
    )
    print("worse, by the whole rule (a margin of .10 for equivalence would make it fewer)")
    row("", "fixed", "sign-flip", "sequential", "by rule:", "by rule:")
    row("clusters", "t", "p <= .05", "t", "fixed", "sequential")
    by_t, by_rule = [], []
    for n in SIZES:
        equal = bench.paired(bench.equal, n)
        plain = Share.of(fixed(found, None).alone in DIRECTIONS for found in equal)
        looked = Share.of(sequential(found, None, True).alone in DIRECTIONS for found in equal)
        flips = Share.of(flip_rejects(equal))
        ruled = [
            words((design(found, None) for found in equal), *DIRECTIONS)
            for design in (fixed, sequential)
        ]
        row(n, plain, flips, looked, *ruled)
        by_t += [plain, looked]
        by_rule += ruled
    bench.check("false alarms of t, fixed and sequential", by_t, *LEVEL)
    bench.check("false alarms by the rule", by_rule, high=LEVEL[1])


def coverage(bench: Bench) -> None:
    print(
        "Intervals of 95 % that hold the true difference; of sequential, the one at the stop: for a"
    )
    print("direction alone, and by the whole rule, which also stops for equivalence")
    row("difference, clusters", "fixed", "sequential", "by rule")
    null: list[Share] = []
    gain: list[Share] = []
    better = bench.trials("gain", bench.shifted(MARGIN), max(SIZES))
    for truth, trial, judged in ((0.0, bench.equal, null), (MARGIN, better, gain)):
        for n in SIZES:
            cases = bench.paired(trial, n)
            found = [
                covered((fixed(each) for each in cases), truth),
                covered((sequential(each, None, True) for each in cases), truth),
                covered((sequential(each) for each in cases), truth),
            ]
            row(f"{truth:.2f} {n:>5}", *found)
            judged += found
    bench.check("coverage of fixed intervals", [*null[::3], *gain[::3]], *COVERAGE)
    bench.check("coverage of sequential intervals, no difference", null[1::3], *COVERAGE)
    bench.check("coverage of sequential intervals, any stop", [*null, *gain], COVERAGE[0])


def saving(bench: Bench) -> None:
    print("Sequential: better prompts are found, and calls saved; 1 is the effect that the fixed")
    print("design finds with a power of .80. By rule: equivalence, margin .10, also ends it")
    row("cap, effect", "power fixed", "sequential", "saved", "saved by rule")
    sd, extreme = bench.equal.sd, 1 / float(np.mean(1 - bench.equal.chance))
    saved: dict[float, list[Share]] = {1.0: [], 1.5: [], 2.0: []}
    for cap in (300, 500, 1000):
        for times, judged in saved.items():
            effect = times * detectable(sd, cap, ALPHA, extreme=extreme)
            better = bench.trials(f"saving {times}", bench.shifted(effect), cap)
            cases = bench.paired(better, cap)
            looked = [sequential(found, None) for found in cases]
            share = Share.of(1 - o.clusters / cap for o in looked)
            by_rule = Share.of(1 - sequential(found).clusters / cap for found in cases)
            power = words((fixed(found, None) for found in cases), "better")
            row(f"{cap:>4} {effect:.3f} x{times:g}", power, words(looked, "better"), share, by_rule)
            judged.append(share)
    bench.check("calls saved at the planned effect", saved[1.0], low=0.15)
    bench.check("calls saved at twice the planned effect", saved[2.0], low=0.40)


def swaps(bench: Bench) -> None:
    print(f"swap, retain {RETAIN}: the incumbent captures .59, the newcomer a share of that")
    row("share kept, clusters", "safe by t", "safe", "not safe")
    skill = 0.6
    boundary = []
    for kept in (RETAIN, 1.0, 0.66):
        newcomer = bench.skills.skill(kept * bench.skills.captured(skill))
        trial = bench.trials(f"swap {kept}", (skill, newcomer), max(SIZES))
        safe = _swaps(f"{kept:.2f}", trial, trial.b)
        boundary += safe if kept == RETAIN else []
    print("Just 0.90 kept, the rest lost in few clusters: all other picks are the incumbent's")
    row("lost of G, clusters", "safe by t", "safe", "not safe")
    trial = bench.trials("swap rare", (skill, skill), max(SIZES))
    lost = (1 - RETAIN) * float((trial.a - trial.chance).mean())
    rare = []
    for loss in (0.9, 0.6):
        newcomer_gain = losing(trial, loss, lost, bench.rng("swap loss", loss))
        share = np.mean(newcomer_gain != trial.a)
        rare += _swaps(f"{loss:.2f} in {share:.1%}", trial, newcomer_gain, (40, *SIZES))
    bench.check("called safe at the boundary", boundary, high=0.06)
    bench.check("called safe at the boundary, lost in few clusters", rare, high=0.055)


def _swaps(
    name: str, trial: Trials, gain_to: Floats, sizes: tuple[int, ...] = SIZES
) -> list[Share]:
    """A row for each size; returns how often the newcomer is called safe."""
    shares = []
    for n in sizes:
        rows = zip(trial.a[:, :n], gain_to[:, :n], trial.chance[:, :n], strict=True)
        outcomes = [swapped(*each) for each in rows]
        by_t = Share.of(outcome.alone == "safe" for outcome in outcomes)
        shares.append(words(outcomes, "safe"))
        row(f"{name} {n:>5}", by_t, shares[-1], words(outcomes, "not safe"))
    return shares


def ratings(bench: Bench) -> None:
    print("Rating only what differs, ratings of 1 to 5: power beside that of rating every item")
    row("", "all rated", "differing", "ratio", "ratio by t", "share rated")
    n = 300
    ratios, by_t, shares = [], [], []
    for lab in (Lab(10, 2, 0.8, True), Lab(14, 3, 0.5, True)):
        skills = Skills(lab, bench.rng("ratings", lab))
        sd = trials(lab, (SKILL, SKILL), (200, n), bench.rng("pilot", lab)).sd
        effect = detectable(sd, n, ALPHA)
        pair = (SKILL, skills.skill(skills.captured(SKILL) + effect))
        trial = bench.trials(f"ratings {lab}", pair, n, lab)
        all_rated = [fixed(found, None) for found in bench.paired(trial, n)]
        d = trial.points / (lab.picks * 4)
        differing = [fixed(Paired(each, np.ones(n)), None) for each in d]
        full, few = words(all_rated, "better"), words(differing, "better")
        alone = [sum(o.alone == "better" for o in found) for found in (differing, all_rated)]
        share = Share.of(trial.unlike.mean(axis=1) / lab.size)
        name = f"{lab.picks} of {lab.size}, {lab.shared:.0%} shared"
        ratios.append(few.value / full.value)
        by_t.append(alone[0] / alone[1])
        row(name, full, few, f"{ratios[-1]:.3f}", f"{by_t[-1]:.3f}", share)
        shares.append(share)
    bench.check("power of rating what differs by t, ratio", by_t, low=0.95)
    bench.check("power of rating what differs, ratio", ratios, low=0.85)
    bench.check("share of the items rated, prompts that share 80 %", shares[:1], high=0.2)


def gate(bench: Bench) -> None:
    print("regress of an equal prompt, beside the naive rules 'any drop' and 'over 2 points'")
    row("clusters", "fail", "pass", "any drop", "over 2 points")
    alarms, missed = [], []
    for n in SIZES:
        outcomes = [gated(found) for found in bench.paired(bench.equal, n)]
        means = np.array([outcome.interval.estimate for outcome in outcomes])
        naive = Share.of(means < 0), Share.of(means < -0.02)
        alarms.append(words(outcomes, "fail"))
        row(n, alarms[-1], words(outcomes, "pass"), *naive)
    print("A prompt that is worse by the margin: regress passes it, ab calls it equivalent")
    row("clusters", "pass", "fixed", "sequential")
    worse = bench.trials("loss", bench.shifted(-MARGIN), max(SIZES))
    for n in SIZES:
        cases = bench.paired(worse, n)
        alike = [words(map(design, cases), "equivalent") for design in (fixed, sequential)]
        found = [words(map(gated, cases), "pass"), *alike]
        row(n, *found)
        missed += found
    bench.check("false alarms of the gate", alarms, high=LEVEL[1])
    bench.check("losses as large as the margin let through", missed, high=LEVEL[1])


def logs(bench: Bench) -> None:
    print("Real decisions, resampled: with a random sign each nothing differs; with their own, the")
    print("truth is the log's difference")
    row("", "fixed", "sequential", "ab by rule:", "fixed", "sequential")
    row("clusters", "t off 0", "off 0", "better, worse", "coverage", "coverage")
    judged_level, judged_coverage = [], []
    with tempfile.TemporaryDirectory() as folder:
        for log in (scripted_run(Path(folder)), *bench.logs):
            found = real_differences(log)
            truth = float(found.values.sum() / found.headroom.sum())
            for n in SIZES:
                rng = bench.rng("log", n)
                drawn = rng.integers(0, len(found), (bench.replicates, n))
                signs = rng.choice((-1.0, 1.0), drawn.shape)
                headroom = found.headroom[drawn]
                null = list(map(Paired, found.values[drawn] * signs, headroom))
                own = list(map(Paired, found.values[drawn], headroom))
                plain = [fixed(each, None) for each in null]
                alone = Share.of(o.alone in DIRECTIONS for o in plain)
                looked = Share.of(sequential(each, None, True).alone in DIRECTIONS for each in null)
                held = covered((fixed(each) for each in own), truth)
                stopped = covered((sequential(each, None, True) for each in own), truth)
                row(n, alone, looked, words(plain, *DIRECTIONS), held, stopped)
                judged_level += [alone, looked]
                judged_coverage.append(held)
    bench.check("false alarms of fixed and sequential, logs", judged_level, *LEVEL)
    bench.check("coverage of fixed intervals, logs", judged_coverage, *COVERAGE)


def check(bench: Bench) -> None:
    cases = 12
    for case in range(cases):
        shared, gain = ((0.5, 0.05), (0.999, 0.002))[case % 2]  # the second: few clusters differ
        skills = SKILL, SKILL + gain * (case // 2 % 4)
        lab = Lab(rated=True, shared=shared)
        compare_with_verdicts(draw(lab, skills, 200, bench.rng("check", case)))
    check_tests(bench.rng("check tests"))
    print(f"{cases} simulated runs: ab (fixed, sequential, --differing), swap and regress say, to")
    print("the ninth decimal, what the tables below take for their words and intervals")


TABLES: dict[str, Callable[[Bench], None]] = {
    "check": check,
    "level": level,
    "coverage": coverage,
    "losses": losses,
    "looks": looks,
    "several": several,
    "severe": severe,
    "groups": groups,
    "price": price,
    "saving": saving,
    "swap": swaps,
    "ratings": ratings,
    "gate": gate,
    "logs": logs,
}


def main() -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--log", type=Path, action="append", default=[], metavar="RUN")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bench = Bench(options.replicates, options.seed, options.log)
    print(f"{bench.replicates:,} replicates of each figure")
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
