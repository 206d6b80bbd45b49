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
from selectllm.evaluation.comparison.advice import needed, units_for
from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.guards import no_estimate, rarer, valid_drops
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.ruling import Bounds, Ruling, rule
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Amounts, Intervals, Needed, Swap, Verdict
from selectllm.evaluation.comparison.verdict import verdict_of
from selectllm.evaluation.metrics.consistency import order_consistency
from selectllm.stats.paired import Paired


def swap_word(bounds: Bounds, margin: float | None = None) -> Word:
    """Safe or not safe by the bounds of x alone; there is no margin."""
    return "safe" if bounds.low > 0 else "not safe" if bounds.high < 0 else "inconclusive"


def swap(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> list[Verdict]:
    """The verdict on the second arm's model in place of the first one's."""
    design = inputs.comparison
    assert design is not None
    assert design.retain is not None
    comparison = PairedComparison.of(inputs, *(arm_results[arm] for arm in design.arms))
    beside = _beside(comparison, design.retain)
    if comparison.estimate is None or comparison.paired is None:
        return [verdict_of(comparison, "swap", no_estimate(comparison), swap=beside)]
    alpha = inputs.gate.alpha
    retention, incumbent = _lifts(comparison, design.retain)
    kept, assay = retention.estimate(), incumbent.estimate()
    assert kept is not None
    assert assay is not None
    shown_lifts = {
        "retention": kept.interval(1 - 2 * alpha),
        "assay": assay.interval(1 - 2 * alpha),
    }
    beside = beside.model_copy(update=shown_lifts)
    ruling = _ruling(comparison, retention, incumbent)
    undecided = ruling.word == "inconclusive" and rarer(comparison) is None
    more = _needed(comparison, retention, incumbent) if undecided else None
    shown = comparison.estimate.interval(1 - 2 * alpha)
    p = comparison.paired.p_sign_flip()
    return [
        verdict_of(
            comparison, "swap", ruling, difference=shown, inner=shown, p=p, needed=more, swap=beside
        )
    ]


def _lifts(comparison: PairedComparison, retain: float) -> tuple[Paired, Paired]:
    """X and the incumbent's s by cluster, of which one more is taken to have the average r.

    There G may be 0 or 1 for each, so that s lies in [-r, 1 - r], and x in [-r - retain * (1 - r),
    1 - r + retain * r].
    """
    utility = comparison.inputs.headline
    assert utility is not None
    assert comparison.paired is not None
    a, b = comparison.a.measured[utility.name], comparison.b.measured[utility.name]
    clusters = [cluster for cluster in comparison.inputs.order if cluster in b.chance]
    s_from = np.array([a.gain[cluster] - a.chance[cluster] for cluster in clusters])
    s_to = np.array([b.gain[cluster] - b.chance[cluster] for cluster in clusters])
    best = comparison.paired.scale
    worst = best - 1
    return (
        replace(
            comparison.paired,
            values=s_to - retain * s_from,
            least=worst - retain * best,
            most=best - retain * worst,
        ),
        replace(comparison.paired, values=s_from, least=worst, most=best),
    )


def _ruling(comparison: PairedComparison, retention: Paired, incumbent: Paired) -> Ruling:
    """The word on x, unless replies are too often invalid or the incumbent shows nothing."""
    alpha = comparison.inputs.gate.alpha
    if against := rarer(comparison):
        return replace(against, word="not safe" if against.word == "fail" else "inconclusive")
    kept = retention.estimate()
    assert kept is not None
    interval = kept.interval(1 - 2 * alpha)
    bounds = Bounds.of(interval, interval)
    ruling = rule(swap_word, retention, bounds, None, (alpha, alpha))
    if ruling.word == "safe" and incumbent.p_above() >= alpha:
        return Ruling(
            "inconclusive",
            "the model in use is not shown to beat random picks here, so there is nothing to keep",
            one_more=ruling.one_more,
        )
    return ruling


def _needed(comparison: PairedComparison, retention: Paired, incumbent: Paired) -> Needed | None:
    """What would settle x and show the incumbent to beat random picks, if both are as seen."""
    alpha = comparison.inputs.gate.alpha
    kept, assay = retention.estimate(), incumbent.estimate()
    assert kept is not None
    assert assay is not None
    against = -retention.least if kept.mean > 0 else retention.most
    counts = (
        units_for(retention, abs(kept.mean), alpha, against),
        units_for(incumbent, assay.mean, alpha, -incumbent.least),
    )
    return None if None in counts else needed(comparison, [max(count or 0 for count in counts)])


def _beside(comparison: PairedComparison, retain: float) -> Swap:
    """What else one wants to know before swapping, for both models."""
    both = (comparison.a, comparison.b)
    k = comparison.inputs.picks
    orders = comparison.inputs.orders
    drops = valid_drops(comparison)
    a, b = (order_consistency(s.decisions, k) if orders > 1 else None for s in both)
    usd_a, usd_b = (_per_1000(arm, arm.cost_usd, k) for arm in both)
    seconds_a, seconds_b = (_per_1000(arm, arm.seconds, k) for arm in both)
    return Swap(
        retain=retain,
        retention=None,
        assay=None,
        valid_rate_drop=0.0 if drops is None else float(drops.values.mean()),
        order_consistency=Intervals(a=a, b=b),
        usd_per_1000=Amounts(a=usd_a, b=usd_b),
        seconds_per_1000=Amounts(a=seconds_a, b=seconds_b),
    )


def _per_1000(arm: ArmResult, total: float | None, k: int) -> float | None:
    """What selecting 1,000 items takes, at the rate of the decisions made here."""
    if total is None or not arm.decisions:
        return None
    return 1000 * total / (k * len(arm.decisions))
