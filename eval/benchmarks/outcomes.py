"""What `ab`, `swap` and `regress` would say of paired differences, without a run around them.

Words, intervals and boundaries come from the functions that a verdict comes from; only the order
of the steps is written again here, since a whole verdict takes a thousand times as long.
`compare_with_verdicts` holds the two against each other on simulated picks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from simulated_clusters import ARMS, Clusters, Floats, Trials, as_run, first_of

from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.ab import ab, ab_word
from selectllm.evaluation.comparison.regress import regress, regress_word
from selectllm.evaluation.comparison.ruling import Bounds, WordOf, rule
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.comparison.swap import swap, swap_word
from selectllm.evaluation.suite_entries import Gate
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import Paired
from selectllm.stats.sequential import LEAST_CAP, boundaries, critical, looks, tail

ALPHA, MARGIN, RETAIN = 0.05, 0.10, 0.9
VERDICTS = {"ab": ab, "swap": swap, "regress": regress}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`word`: by the whole rule; `alone`: by the t intervals alone. `clusters`: asked."""

    word: Word
    alone: Word
    interval: Interval
    clusters: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The looks of a sequential design, and at each the boundaries of both its intervals."""

    looks: tuple[int, ...]
    outer: tuple[float, ...]
    inner: tuple[float, ...]


@cache
def plan_of(cap: int) -> Plan:
    """Below the least cap there is no sequential design: one look, the usual interval."""
    counts = looks(cap) if cap >= LEAST_CAP else (cap,)
    shares = [count / cap for count in counts]
    return Plan(counts, boundaries(shares, ALPHA), boundaries(shares, 2 * ALPHA))


def judge(
    word_of: WordOf,
    found: Paired,
    bounds: Bounds,
    margin: float | None,
    alphas: tuple[float, float],
) -> tuple[Word, Word]:
    """The word by the whole rule, and by the bounds alone; arguments as those of `rule`."""
    alone = word_of(bounds, margin)
    if alone == "inconclusive":
        return alone, alone  # one more cluster only takes words back
    return rule(word_of, found, bounds, margin, alphas).word, alone


def estimated(found: Paired) -> Estimate:
    estimate = found.estimate()
    assert estimate is not None
    return estimate


def fixed(found: Paired, margin: float | None = MARGIN) -> Outcome:
    """`ab` in a fixed design."""
    estimate = estimated(found)
    interval = estimate.interval(1 - ALPHA)
    bounds = Bounds.of(interval, estimate.interval(1 - 2 * ALPHA))
    return Outcome(*judge(ab_word, found, bounds, margin, (ALPHA / 2, ALPHA)), interval, len(found))


def sequential(found: Paired, margin: float | None = MARGIN, by_t: bool = False) -> Outcome:
    """`ab` look by look, up to the first word; `found` has as many clusters as the cap.

    `by_t`: a word of the intervals alone ends it.
    """
    plan = plan_of(len(found))
    for counted, *z in zip(plan.looks, plan.outer, plan.inner, strict=True):
        part = found.first(counted)
        estimate = estimated(part)
        outer, inner = (_repeated(estimate, each) for each in z)
        tails = tail(z[0]), tail(z[1])
        words = judge(ab_word, part, Bounds.of(outer, inner), margin, tails)
        if words[by_t] != "inconclusive":
            break
    return Outcome(*words, outer, counted)


def _repeated(estimate: Estimate, z: float) -> Interval:
    reach = critical(z, estimate.df) * estimate.std_error
    return Interval(estimate.mean, estimate.mean - reach, estimate.mean + reach)


def gated(found: Paired) -> Outcome:
    """`regress` of one pair."""
    interval = estimated(found).interval(1 - 2 * ALPHA)
    bounds = Bounds.of(interval, interval)
    return Outcome(
        *judge(regress_word, found, bounds, MARGIN, (ALPHA, ALPHA)), interval, len(found)
    )


def swapped(gain_from: Floats, gain_to: Floats, chance: Floats) -> Outcome:
    """`swap` by G of two models that always answer, and r; all of shape (n,)."""
    s_from, s_to = gain_from - chance, gain_to - chance
    r = float(chance.mean())
    kept = Paired(
        s_to - RETAIN * s_from,
        1 - chance,
        least=-r - RETAIN * (1 - r),
        most=1 - r + RETAIN * r,
    )
    incumbent = Paired(s_from, 1 - chance, least=-r, most=1 - r)
    interval = estimated(kept).interval(1 - 2 * ALPHA)
    words = judge(swap_word, kept, Bounds.of(interval, interval), None, (ALPHA, ALPHA))
    if words[0] == "safe" and incumbent.p_above() >= ALPHA:
        words = ("inconclusive", words[1])
    return Outcome(*words, interval, len(kept))


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the replicates with its Monte Carlo standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, seen: Iterable[Any]) -> Share:
        """The mean of flags, or of shares."""
        values = np.array([float(each) for each in seen])
        return cls(float(values.mean()), float(values.std() / math.sqrt(len(values))))

    def __str__(self) -> str:
        return f"{self.value:.3f} ±{self.error:.3f}"


def words(outcomes: Iterable[Outcome], *wanted: Word) -> Share:
    """How often the whole rule says one of the words."""
    return Share.of(outcome.word in wanted for outcome in outcomes)


def covered(outcomes: Iterable[Outcome], truth: float) -> Share:
    """How often the interval holds the truth."""
    return Share.of(o.interval.low <= truth <= o.interval.high for o in outcomes)


def flip_rejects(cases: Sequence[Paired]) -> list[bool]:
    """Whether the sign-flip p of each is at most ALPHA.

    It takes 30 ms, and follows that of t closely: so it is worked out only where t's is near
    ALPHA, and of the others in the 15 nearest, to see that they agree (SystemExit if not).
    """
    by_t = [estimated(found).p_two_sided() for found in cases]
    rejects = [p <= ALPHA for p in by_t]
    far = [index for index, p in enumerate(by_t) if not 0.025 < p < 0.085]
    for index in set(range(len(cases))).difference(far):
        rejects[index] = _flip_rejects(cases[index])
    for index in sorted(far, key=lambda index: abs(by_t[index] - ALPHA))[:15]:
        if _flip_rejects(cases[index]) != rejects[index]:
            raise SystemExit(f"sign-flip and t disagree though t has p = {by_t[index]:.3f}")
    return rejects


def _flip_rejects(found: Paired) -> bool:
    p = found.p_sign_flip()
    return p is not None and p <= ALPHA


def compare_with_verdicts(clusters: Clusters) -> None:
    """Raise SystemExit unless whole verdicts on these picks are the outcomes above."""
    trial, n = Trials.of(clusters), len(clusters)
    found = trial.paired(0, n)
    rated = Paired(trial.points[0] / (4 * clusters.lab.picks), np.ones(n))
    steps = tuple((count, count) for count in plan_of(n).looks)
    looked = list(_verdicts(clusters, ComparisonDesign("ab", ARMS, looks=steps)))
    decided = [verdict for verdict in looked if verdict.word != "inconclusive"]
    _same("sequential ab", [*decided, looked[-1]][0], sequential(found))
    for comparison, outcome in (
        (ComparisonDesign("ab", ARMS), fixed(found)),
        (ComparisonDesign("ab", ARMS, differing=True), fixed(rated, None)),
        (
            ComparisonDesign("swap", ARMS, retain=RETAIN),
            swapped(trial.a[0], trial.b[0], trial.chance[0]),
        ),
        (ComparisonDesign("regress", ARMS), gated(found)),
    ):
        _same(comparison.kind, next(_verdicts(clusters, comparison)), outcome)


def _verdicts(clusters: Clusters, comparison: ComparisonDesign) -> Iterator[Verdict]:
    """The verdict at every look, or the one of a fixed design."""
    run, made = as_run(clusters, comparison, Gate(margin=MARGIN, alpha=ALPHA))
    for asked, _ in comparison.looks or ((len(clusters), 0),):
        yield VERDICTS[comparison.kind](*first_of(run, made, asked))[0]


def _same(what: str, verdict: Verdict, outcome: Outcome) -> None:
    interval = verdict.swap.retention if verdict.swap else verdict.difference
    ours = _ends(outcome.interval)
    if (verdict.word, verdict.clusters) != (outcome.word, outcome.clusters) or not np.allclose(
        _ends(interval), ours, rtol=0, atol=1e-9
    ):
        raise SystemExit(f"{what}: {verdict.word} {interval}, but the tables would take {outcome}")


def _ends(interval: Interval | None) -> Sequence[float]:
    assert interval is not None
    return interval.estimate, interval.low, interval.high
