"""`swap`: whether a model can take another's place. Pure.

Per cluster x = s_to - retain * s_from, with s = G - r what a model's picks gain over random ones.
The newcomer is safe if the mean of x lies above 0 (one-sided alpha: then it keeps at least the
share `retain` of the incumbent's lift), the incumbent itself beats random picks (or there would
be nothing to keep), and its valid rate is at most .05 below the incumbent's. A larger drop
makes it not safe if it is no accident (its lower bound lies above 0), else nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Amounts, Intervals, Needed, Swap, Verdict
from selectllm.evaluation.comparison.verdict import Bounds, Ruling, rule
from selectllm.evaluation.metrics.consistency import order_consistency
from selectllm.stats.paired import Paired


def swap_word(bounds: Bounds, margin: float | None = None) -> Word:
    """Safe or not safe by the bounds of x alone; there is no margin."""
    return "safe" if bounds.low > 0 else "not safe" if bounds.high < 0 else "inconclusive"


def swap(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> list[Verdict]:
    """The verdict on the second arm's model in place of the first one's."""
    comparison = inputs.comparison
    assert comparison is not None
    assert comparison.retain is not None
    contrast = PairedComparison.of(inputs, *(arm_results[arm] for arm in comparison.arms))
    beside = _beside(contrast, comparison.retain)
    if contrast.estimate is None or contrast.paired is None:
        return [contrast.verdict("swap", contrast.nothing(), swap=beside)]
    alpha = inputs.gate.alpha
    retention, incumbent = _lifts(contrast, comparison.retain)
    kept, assay = retention.estimate(), incumbent.estimate()
    assert kept is not None
    assert assay is not None
    shown_lifts = {
        "retention": kept.interval(1 - 2 * alpha),
        "assay": assay.interval(1 - 2 * alpha),
    }
    beside = beside.model_copy(update=shown_lifts)
    ruling = _ruling(contrast, retention, incumbent)
    undecided = ruling.word == "inconclusive" and contrast.rarer() is None
    needed = _needed(contrast, retention, incumbent) if undecided else None
    shown = contrast.estimate.interval(1 - 2 * alpha)
    p = contrast.paired.p_sign_flip()
    return [
        contrast.verdict(
            "swap", ruling, difference=shown, inner=shown, p=p, needed=needed, swap=beside
        )
    ]


def _lifts(contrast: PairedComparison, retain: float) -> tuple[Paired, Paired]:
    """X and the incumbent's s by cluster; both lie in [-1, 1]."""
    utility = contrast.inputs.headline
    assert utility is not None
    assert contrast.paired is not None
    a, b = contrast.a.measured[utility.name], contrast.b.measured[utility.name]
    clusters = [cluster for cluster in contrast.inputs.order if cluster in b.chance]
    s_from = np.array([a.gain[cluster] - a.chance[cluster] for cluster in clusters])
    s_to = np.array([b.gain[cluster] - b.chance[cluster] for cluster in clusters])
    return (
        replace(contrast.paired, values=s_to - retain * s_from),
        replace(contrast.paired, values=s_from),
    )


def _ruling(contrast: PairedComparison, retention: Paired, incumbent: Paired) -> Ruling:
    """The word on x, unless replies are too often invalid or the incumbent shows nothing."""
    alpha = contrast.inputs.gate.alpha
    if rarer := contrast.rarer():
        return replace(rarer, word="not safe" if rarer.word == "fail" else "inconclusive")
    kept = retention.estimate()
    assert kept is not None
    interval = kept.interval(1 - 2 * alpha)
    bounds = Bounds.of(interval, interval)
    ruling = rule(swap_word, retention, bounds, None, (alpha, alpha), contrast.paired)
    if ruling.word == "safe" and not incumbent.above_zero(alpha):
        return Ruling(
            "inconclusive",
            "the incumbent is not shown to beat random picks here, so there is nothing to keep",
            betting=ruling.betting,
        )
    return ruling


def _needed(contrast: PairedComparison, retention: Paired, incumbent: Paired) -> Needed | None:
    """What would settle x and show the incumbent to beat random picks, if both are as seen."""
    alpha = contrast.inputs.gate.alpha
    counts = []
    for part, size in ((retention, abs), (incumbent, float)):
        judged = replace(contrast, paired=part, estimate=part.estimate())
        mean = 0.0 if judged.estimate is None else size(judged.estimate.mean)
        counts.append(judged.clusters_for(mean, alpha, sides=1))
    return None if None in counts else contrast.needed([max(count or 0 for count in counts)])


def _beside(contrast: PairedComparison, retain: float) -> Swap:
    """What else one wants to know before swapping, for both models."""
    both = (contrast.a, contrast.b)
    k = contrast.inputs.picks
    orders = contrast.inputs.orders
    drops = contrast.valid_drops()
    a, b = (order_consistency(s.decisions, k) if orders > 1 else None for s in both)
    usd_a, usd_b = (_per_1000(side, side.cost_usd, k) for side in both)
    seconds_a, seconds_b = (_per_1000(side, side.seconds, k) for side in both)
    return Swap(
        retain=retain,
        retention=None,
        assay=None,
        valid_rate_drop=0.0 if drops is None else float(drops.values.mean()),
        order_consistency=Intervals(a=a, b=b),
        usd_per_1000=Amounts(a=usd_a, b=usd_b),
        seconds_per_1000=Amounts(a=seconds_a, b=seconds_b),
    )


def _per_1000(side: ArmResult, total: float | None, k: int) -> float | None:
    """What selecting 1,000 items takes, at the rate of the decisions made here."""
    if total is None or not side.decisions:
        return None
    return 1000 * total / (k * len(side.decisions))
