"""`aa`: a pair against itself, which shows the noise under every comparison. Pure.

Its decisions are split into two halves that differ in nothing but the orders in which items were
shown (or in the repeats): the earlier half of the orders against as many of the later ones, a
middle one left out. Whatever d = G(later) - G(earlier) then shows is noise: of two orders, that
of comparing arms asked in one order each; of four, of arms asked in two.

How often the rules would call such noise a change is counted in resamples in which nothing has
changed for certain: clusters drawn with replacement, each d with its own sign or the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Decision
from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.ab import ab_word
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_result_of
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.regress import regress_word
from selectllm.evaluation.comparison.ruling import Bounds, WordOf, rule
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import By, FalseAlarms, Noise
from selectllm.evaluation.metrics.consistency import order_consistency, repeat_consistency
from selectllm.evaluation.suite_entries import Gate
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import SAME, Paired
from selectllm.stats.power import detectable

RESAMPLES = 2000

PART: Mapping[By, Callable[[Decision], int]] = {
    "orders": lambda decision: decision.order,
    "repeats": lambda decision: decision.repeat,
}
CONSISTENCY: Mapping[By, Callable[[Sequence[Decision], int], Interval | None]] = {
    "orders": order_consistency,
    "repeats": repeat_consistency,
}
ALARMS: tuple[Word, ...] = ("better", "worse", "fail")
"""What `ab` and `regress` may say of arms that differ in nothing, and should not."""


def noise(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> Noise:
    """The noise of the pair that `aa` asks."""
    design = inputs.comparison
    assert design is not None
    assert design.by is not None
    arm, by = design.arms[0], design.by
    decisions, utility, gate = arm_results[arm].decisions, inputs.headline, inputs.gate
    earlier, later = _halves(decisions, PART[by])
    comparison = PairedComparison.of(
        inputs, arm_result_of(inputs, arm.name, earlier), arm_result_of(inputs, arm.name, later)
    )
    paired = comparison.paired
    return Noise(
        pair=arm.name,
        by=by,
        utility=None if utility is None else utility.summary(),
        clusters=0 if paired is None else len(paired),
        flat_clusters=None
        if utility is None
        else arm_results[arm].measured[utility.name].flat_clusters,
        nonzero=0 if paired is None else paired.nonzero,
        groups=None if paired is None else paired.group_count,
        consistency=CONSISTENCY[by](decisions, inputs.picks),
        alpha=gate.alpha,
        margin=gate.margin,
        resamples=RESAMPLES,
        **_spread(comparison, seeded_hash("aa", inputs.suite, arm.name, by)),
    )


def _halves(
    decisions: Sequence[Decision], part: Callable[[Decision], int]
) -> tuple[list[Decision], list[Decision]]:
    """The decisions of the earlier half of the parts, and those of as many later ones."""
    parts = sorted({part(decision) for decision in decisions})
    half = len(parts) // 2
    earlier, later = parts[:half], parts[len(parts) - half :]
    return (
        [decision for decision in decisions if part(decision) in earlier],
        [decision for decision in decisions if part(decision) in later],
    )


def _spread(comparison: PairedComparison, seed: int) -> dict[str, Any]:
    """The figures of d; nothing where d has no estimate."""
    paired, estimate, gate = comparison.paired, comparison.estimate, comparison.inputs.gate
    if paired is None or estimate is None:
        return {}
    return {
        "sd": paired.sd,
        "difference": estimate.interval(1 - gate.alpha),
        "false_alarms": _false_alarms(paired, gate, seed),
        "detectable": _detectable(paired, estimate, gate.alpha),
    }


def _detectable(paired: Paired, estimate: Estimate, alpha: float) -> float | None:
    """With groups these are the units that err independently; n = df + 1 of them."""
    n = int(estimate.df) + 1
    extreme = paired.most / paired.scale
    found = detectable(estimate.std_error * math.sqrt(n), n, alpha, extreme=extreme)
    return found if math.isfinite(found) else None


def _false_alarms(paired: Paired, gate: Gate, seed: int) -> FalseAlarms:
    alarms = [_alarms(resample, gate) for resample in _resamples(paired, seed)]
    ab, regress, naive = np.mean(alarms, axis=0).tolist()
    return FalseAlarms(ab=ab, regress=regress, naive=naive)


def _resamples(paired: Paired, seed: int) -> Iterator[Paired]:
    """RESAMPLES of them, whose true mean is 0; groups are drawn, and change sign, whole."""
    rng = np.random.default_rng(seed)
    units = _units(paired)
    n = len(units)
    for _ in range(RESAMPLES):
        drawn = [units[index] for index in rng.integers(0, n, n)]
        rows = np.array([row for positions in drawn for row in positions])
        unit = np.repeat(np.arange(n), [len(positions) for positions in drawn])
        signs = rng.choice((-1.0, 1.0), n)
        yield Paired(
            values=paired.values[rows] * signs[unit],
            headroom=paired.headroom[rows],
            groups=None if paired.groups is None else tuple(unit.tolist()),
        )


def _units(paired: Paired) -> list[list[int]]:
    """The positions of the clusters of each group; without groups, each cluster alone."""
    labels = range(len(paired)) if paired.groups is None else paired.groups
    units: dict[Any, list[int]] = {}
    for position, label in enumerate(labels):
        units.setdefault(label, []).append(position)
    return list(units.values())


def _alarms(paired: Paired, gate: Gate) -> tuple[bool, bool, bool]:
    """Whether ab, regress and the naive rule raise an alarm, as they would between two arms."""
    estimate, alpha = paired.estimate(), gate.alpha
    assert estimate is not None
    inner = estimate.interval(1 - 2 * alpha)
    two_sided = Bounds.of(estimate.interval(1 - alpha), inner)
    return (
        _alarm(ab_word, paired, two_sided, gate, alpha / 2),
        _alarm(regress_word, paired, Bounds.of(inner, inner), gate, alpha),
        estimate.mean < -SAME,
    )


def _alarm(word_of: WordOf, paired: Paired, bounds: Bounds, gate: Gate, alpha: float) -> bool:
    """`alpha`: one-sided, of a direction."""
    if word_of(bounds, gate.margin) not in ALARMS:
        return False  # one more cluster only takes words back
    return rule(word_of, paired, bounds, gate.margin, (alpha, gate.alpha)).word in ALARMS
