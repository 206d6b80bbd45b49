"""`ab`: each further arm against the first, on the same clusters, orders and seeds. Pure.

Fixed: all clusters are asked, then the words are given; several arms by Holm. Sequential: the
words are tried after each look at the clusters so far, with boundaries that keep the error rates
over all looks, and asking stops at the first word that is not inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.advice import needed, rated_to_decide, units_to_decide
from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.guards import no_estimate, unless_rarer
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.ruling import (
    Bounds,
    Ruling,
    corrected,
    holm_levels,
    rule,
)
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Control, Look, Needed, Verdict
from selectllm.evaluation.comparison.verdict import verdict_of
from selectllm.selection.strategies.controls import BESIDE
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate, holm
from selectllm.stats.paired import Paired
from selectllm.stats.sequential import LEAST_CAP, boundaries, critical, looks, tail


def ab_word(bounds: Bounds, margin: float | None) -> Word:
    """better, worse or equivalent by `bounds`; `margin` None: nothing is equivalent."""
    if margin is not None and -margin < bounds.inner_low and bounds.inner_high < margin:
        return "equivalent"
    return "better" if bounds.low > 0 else "worse" if bounds.high < 0 else "inconclusive"


def ab(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> list[Verdict]:
    """A verdict on every arm but the first.

    `arm_results`: of all clusters in `inputs`; of a sequential design, of the first so many, all of
    which were asked. Raises UtilityError if ratings of differing items are missing.
    """
    design = inputs.comparison
    assert design is not None
    first, *others = [arm_results[arm] for arm in design.arms]
    comparisons = [PairedComparison.of(inputs, first, other) for other in others]
    beside = {"controls": _controls(inputs, arm_results)}
    if design.design == "sequential":
        return [_sequential(comparisons[0], beside)]
    return _fixed(comparisons, beside)


def _controls(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> tuple[Control, ...]:
    """What picking by length, or by having an input, captures."""
    utility = inputs.headline
    if utility is None or utility not in inputs.covering:
        return ()
    beside = {name: arm_results.get(Arm(strategy=name)) for name in BESIDE}
    return tuple(
        Control(strategy=name, captured=control.measured[utility.name].captured)
        for name, control in beside.items()
        if control
    )


def _fixed(comparisons: Sequence[PairedComparison], beside: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts of a fixed design; of several, every family of words by Holm."""
    alpha = comparisons[0].inputs.gate.alpha
    differ = [_p_apart(c.paired) for c in comparisons]
    alike = [_p_inside(c.paired, c.margin) for c in comparisons]
    several = len(comparisons) > 1
    by_t = [c.estimate.p_two_sided() if c.estimate else 1.0 for c in comparisons]
    adjusted = holm(by_t) if several else [None]
    levels = zip(holm_levels(differ, alpha), holm_levels(alike, alpha), strict=True)
    return [
        _verdict(comparison, level, {**beside, "p_holm": p_holm})
        for comparison, level, p_holm in zip(comparisons, levels, adjusted, strict=True)
    ]


def _p_apart(paired: Paired | None) -> float:
    """Two-sided p of 'no difference'."""
    return 1.0 if paired is None else min(1.0, 2 * min(paired.p_above(), paired.p_below()))


def _p_inside(paired: Paired | None, margin: float | None) -> float:
    """P of the two one-sided tests of 'at least the margin apart'."""
    if paired is None or margin is None:
        return 1.0
    return max(paired.p_above(-margin), paired.p_below(margin))


def _verdict(
    comparison: PairedComparison, levels: tuple[float, float], beside: Mapping[str, Any]
) -> Verdict:
    """One verdict. `levels`: of direction, two-sided, and of equivalence, each side."""
    paired, estimate, margin = comparison.paired, comparison.estimate, comparison.margin
    if paired is None or estimate is None:
        return verdict_of(comparison, "ab", no_estimate(comparison), **beside)
    alpha = comparison.inputs.gate.alpha
    by_utility = _ruling(paired, estimate, margin, levels)
    ruling = unless_rarer(comparison, by_utility)
    if by_utility.word == "inconclusive" and levels < (alpha, alpha):
        ruling = corrected(ruling, _ruling(paired, estimate, margin, (alpha, alpha)).word)
    return verdict_of(
        comparison,
        "ab",
        ruling,
        difference=estimate.interval(1 - alpha),
        inner=estimate.interval(1 - 2 * alpha),
        p=paired.p_sign_flip(),
        needed=_needed(comparison, by_utility),
        **beside,
    )


def _ruling(
    paired: Paired, estimate: Estimate, margin: float | None, levels: tuple[float, float]
) -> Ruling:
    direction, inside = levels
    bounds = Bounds.of(estimate.interval(1 - direction), estimate.interval(1 - 2 * inside))
    return rule(ab_word, paired, bounds, margin, (direction / 2, inside))


def _needed(comparison: PairedComparison, ruling: Ruling) -> Needed | None:
    """What would decide, if the difference is what was seen: showing it, or that it is small.

    `ruling`: by the utility alone; more clusters do not mend replies.
    """
    if ruling.word != "inconclusive" or comparison.estimate is None:
        return None
    design = comparison.inputs.comparison
    assert design is not None
    alpha = comparison.inputs.gate.alpha / (len(design.arms) - 1)  # Holm's hardest level
    if comparison.inputs.judge is not None:
        return rated_to_decide(comparison, alpha)
    return needed(comparison, [units_to_decide(comparison, alpha)])


def why_fixed(inputs: RunInputs) -> str | None:
    """Why a sequential design would not be one here; None if it can be."""
    assert inputs.comparison is not None
    if len(inputs.comparison.arms) > 2:
        return "more than two arms"
    if inputs.groups is not None:
        return "the clusters are grouped"
    if inputs.gate.severe is not None:
        return "the gate counts severe losses, which is done once"
    if inputs.comparison.differing or inputs.headline is None:
        return "the ratings come after the picks"
    if inputs.judge is not None:
        return "people rate a sample that was drawn before, and a judge the rest"
    if (cap := len(_deciding(inputs))) < LEAST_CAP:
        return f"the {cap} clusters that can decide are fewer than {LEAST_CAP}"
    return None


def looks_of(inputs: RunInputs) -> tuple[tuple[int, int], ...]:
    """At each look of a sequential design: the clusters asked, and how many of them decide.

    Looks are set by the clusters that decide, since the others carry no information; which do
    follows from the utility alone. The last look has asked all clusters.
    """
    positions = _deciding(inputs)
    counts = looks(len(positions))
    asked = [positions[count - 1] + 1 for count in counts[:-1]]
    return tuple(zip([*asked, len(inputs.clusters)], counts, strict=True))


def _deciding(inputs: RunInputs) -> list[int]:
    """Positions in `inputs.clusters` of those that can tell good picks from bad ones."""
    utility = inputs.headline
    if utility is None:
        return []
    return [
        position
        for position, cluster in enumerate(inputs.clusters)
        if len(cluster.members) > inputs.picks
        and len({utility.values[member] for member in cluster.members}) > 1
    ]


def _sequential(comparison: PairedComparison, beside: Mapping[str, Any]) -> Verdict:
    """The verdict after the look that the asked clusters have reached."""
    inputs, paired, margin = comparison.inputs, comparison.paired, comparison.margin
    assert inputs.comparison is not None
    assert paired is not None
    alpha, plan = inputs.gate.alpha, inputs.comparison.looks
    shares = [counted / plan[-1][1] for _, counted in plan]
    done = [counted for asked, counted in plan if asked <= len(inputs.clusters)]
    z_outer, z_inner = boundaries(shares, alpha), boundaries(shares, 2 * alpha)
    outer, inner = _repeated(paired, done, z_outer), _repeated(paired, done, z_inner)
    tails = tail(z_outer[len(done) - 1]), tail(z_inner[len(done) - 1])
    by_utility = rule(ab_word, paired, Bounds.of(outer[-1], inner[-1]), margin, tails)
    ruling = unless_rarer(comparison, by_utility)
    history = [
        Look(clusters=counted, low=interval.low, high=interval.high)
        for counted, interval in zip(done, outer, strict=True)
    ]
    last = len(done) == len(plan)
    return verdict_of(
        comparison,
        "ab",
        ruling,
        difference=outer[-1],
        inner=inner[-1],
        looks=history,
        needed=_needed(comparison, by_utility) if last else None,
        **beside,
    )


def _repeated(paired: Paired, done: Sequence[int], z: Sequence[float]) -> list[Interval]:
    """The repeated confidence intervals at the looks so far (Jennison and Turnbull 2000, ch. 9)."""
    intervals = []
    for counted, boundary in zip(done, z, strict=False):
        part = paired.first(counted)
        estimate = part.estimate()
        assert estimate is not None
        # Where there is no error to spend yet the boundary is infinite; d never is.
        reach = 2 / part.scale
        if math.isfinite(boundary):
            reach = critical(boundary, estimate.df) * estimate.std_error
        intervals.append(Interval(estimate.mean, estimate.mean - reach, estimate.mean + reach))
    return intervals
