"""Rulings: which word a comparison has earned, by rules with stated error rates. Pure.

ab        better, worse: the two-sided 1 - alpha interval lies off 0. equivalent: the 1 - 2 alpha
          interval lies inside the margin (two one-sided tests); it wins over the other two
regress   pass: the one-sided lower bound lies above -margin; it wins over fail. fail: the
          one-sided upper bound lies below 0, or valid replies are rarer
swap      safe: the one-sided lower bound of x = s_to - retain * s_from lies above 0, the incumbent
          beats random picks, and valid replies are hardly rarer. not safe: the upper bound lies
          below 0, or the lower bound of the drop in valid replies above 0 and the drop is large

Nor is anything equivalent or passed where valid replies are rarer by more than .05: total failure
picks as well as chance does, which a utility may not tell from a poor model. Several arms, and
several pairs of `regress`, share their error rate by Holm's step-down.

Everything else is inconclusive. And so is what one more cluster would undo, had it gone as badly
for the word as a cluster can (paired.py): losses that are rare and large may not have shown up at
all, and t does not know of them. Error rates: eval/benchmarks/verdicts.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selectllm.core.verdict_words import REASONS, Word
from selectllm.stats.interval import Interval
from selectllm.stats.paired import Paired


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the difference lies, in the unit of report.

    `low`, `high`: what direction is read from. `inner_low`, `inner_high`: what being inside the
    margin is read from.
    """

    low: float
    high: float
    inner_low: float
    inner_high: float

    @classmethod
    def of(cls, outer: Interval, inner: Interval) -> Bounds:
        """From two intervals."""
        return cls(outer.low, outer.high, inner.low, inner.high)

    @classmethod
    def with_one_more(cls, paired: Paired, alphas: tuple[float, float]) -> Bounds:
        """Each as it would be had one more cluster gone as badly, or as well, as it can.

        `alphas`: one-sided, of direction and of the margin.
        """
        direction, inside = alphas
        return cls(
            paired.low_with_one_more(direction),
            paired.high_with_one_more(direction),
            paired.low_with_one_more(inside),
            paired.high_with_one_more(inside),
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """A word and why. `one_more`: the bounds with one more cluster, where it was asked for.

    `outright`: it rests on no sample, since nothing has changed.
    """

    word: Word
    reason: str
    notes: tuple[str, ...] = ()
    one_more: Bounds | None = None
    outright: bool = False


WordOf = Callable[[Bounds, float | None], Word]
"""A kind's rule: its word by the bounds alone; `margin` None: no margin is set."""


def rule(
    word_of: WordOf,
    paired: Paired,
    bounds: Bounds,
    margin: float | None,
    alphas: tuple[float, float],
) -> Ruling:
    """The word for `bounds`, if one more cluster could not change it.

    `word_of`: the rule of the kind of comparison, such as ab.ab_word. `alphas`: the one-sided
    error rates of `bounds`, for direction and for the margin.
    """
    word = word_of(bounds, margin)
    one_more = Bounds.with_one_more(paired, alphas)
    if word == "inconclusive" or word_of(one_more, margin) == word:
        return Ruling(word, REASONS[word], _certain_but_small(word, bounds), one_more)
    return Ruling("inconclusive", _would_change(paired, word), one_more=one_more)


def _certain_but_small(word: Word, bounds: Bounds) -> tuple[str, ...]:
    """The note where a word wins over another that holds as well."""
    if word == "pass" and bounds.high < 0:
        return ("small certain loss: the difference lies below 0, but inside the margin",)
    if word == "equivalent" and (bounds.low > 0 or bounds.high < 0):
        sign = "gain" if bounds.low > 0 else "loss"
        return (f"small certain {sign}: the interval does not hold 0, but lies inside the margin",)
    return ()


def _would_change(paired: Paired, word: Word) -> str:
    more = "cluster" if paired.groups is None else "group of clusters"
    badly = "badly as possible" if word != "equivalent" else "badly, or as well, as possible"
    return (
        f"by its interval it would be {word}, but one more {more} that went as {badly} would "
        "change that, and these clusters are too few to rule it out"
    )


def corrected(ruling: Ruling, alone: Word) -> Ruling:
    """`ruling` with the reason why it is not `alone`, the word of the comparison by itself.

    For where Holm's level, and not what is held against the bounds, leaves the word open.
    """
    if alone == "inconclusive" or ruling.word != "inconclusive":
        return ruling
    return replace(ruling, reason=f"on its own it would be {alone}, but not among several (Holm)")


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which each hypothesis is tested by Holm's step-down, in the order given.

    p <= level exactly where Holm (1979) rejects.
    """
    levels = [0.0] * len(p_values)
    level, stopped = 0.0, False
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if not stopped:
            level = alpha / (len(p_values) - rank)
            stopped = p_values[index] > level
        levels[index] = level
    return levels
