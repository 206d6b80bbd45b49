"""`swap`: whether a model can take another's place. Pure.

Per cluster x = s_to - retain * s_from, with s = G - r what a model's picks gain over random ones.
The newcomer is safe if the mean of x lies above 0 (one-sided alpha: then it keeps at least the
share `retain` of the incumbent's lift), the incumbent itself beats random picks (or there would
be nothing to keep), and its valid rate is at most VALID_DROP below the incumbent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from selectllm.arms import Arm
from selectllm.consistency import order_consistency
from selectllm.contrast import Contrast
from selectllm.evidence import Evidence
from selectllm.paired import Paired
from selectllm.sides import Side
from selectllm.verdict import Bounds, Ruling, Verdict, rule

VALID_DROP = 0.05


def swap(evidence: Evidence, sides: Mapping[Arm, Side]) -> list[Verdict]:
    """The verdict on the second arm's model in place of the first one's."""
    comparison = evidence.comparison
    assert comparison is not None
    assert comparison.retain is not None
    contrast = Contrast.of(evidence, *(sides[arm] for arm in comparison.arms))
    beside = _beside(contrast, comparison.retain)
    if contrast.estimate is None or contrast.paired is None:
        return [contrast.verdict("swap", contrast.nothing(), swap=beside)]
    alpha = evidence.gate.alpha
    retention, incumbent = _lifts(contrast, comparison.retain)
    kept, assay = retention.estimate(), incumbent.estimate()
    assert kept is not None
    assert assay is not None
    beside |= {"retention": kept.interval(1 - 2 * alpha), "assay": assay.interval(1 - 2 * alpha)}
    ruling = _ruling(retention, incumbent, beside["valid_rate_drop"], alpha)
    needed = None
    if ruling.word == "inconclusive":
        judged = replace(contrast, paired=retention, estimate=kept)
        needed = judged.needed([judged.clusters_for(abs(kept.mean), alpha, sides=1)])
    shown = contrast.estimate.interval(1 - 2 * alpha)
    p = contrast.paired.p_sign_flip()
    return [
        contrast.verdict(
            "swap", ruling, difference=shown, inner=shown, p=p, needed=needed, swap=beside
        )
    ]


def _lifts(contrast: Contrast, retain: float) -> tuple[Paired, Paired]:
    """X and the incumbent's s by cluster; both lie in [-1, 1]."""
    utility = contrast.evidence.headline
    assert utility is not None
    assert contrast.paired is not None
    a, b = contrast.a.measured[utility.name], contrast.b.measured[utility.name]
    clusters = sorted(b.chance)
    s_from = np.array([a.gain[cluster] - a.chance[cluster] for cluster in clusters])
    s_to = np.array([b.gain[cluster] - b.chance[cluster] for cluster in clusters])
    return (
        replace(contrast.paired, values=s_to - retain * s_from),
        replace(contrast.paired, values=s_from),
    )


def _ruling(retention: Paired, incumbent: Paired, drop: float, alpha: float) -> Ruling:
    """The word on x, unless replies are too often invalid or the incumbent shows nothing."""
    if drop > VALID_DROP:
        return Ruling("not safe", f"its replies are valid {drop:.0%} less often")
    kept = retention.estimate()
    assert kept is not None
    interval = kept.interval(1 - 2 * alpha)
    ruling = rule("swap", retention, Bounds.of(interval, interval), None, (alpha, alpha))
    if ruling.word == "safe" and not _beats_random(incumbent, alpha):
        return Ruling(
            "inconclusive",
            "the incumbent is not shown to beat random picks here, so there is nothing to keep",
            betting=ruling.betting,
        )
    return ruling


def _beats_random(incumbent: Paired, alpha: float) -> bool:
    estimate = incumbent.estimate()
    if estimate is None or estimate.p_above() >= alpha:
        return False
    return not incumbent.few or incumbent.bet_low(alpha) > 0


def _beside(contrast: Contrast, retain: float) -> dict[str, Any]:
    """What else one wants to know before swapping, for both models."""
    both = {"a": contrast.a, "b": contrast.b}
    k = contrast.evidence.picks
    orders = contrast.evidence.orders
    rates = contrast.a.valid_rate, contrast.b.valid_rate
    return {
        "retain": retain,
        "retention": None,
        "assay": None,
        "valid_rate_drop": 0.0 if None in rates else (rates[0] or 0.0) - (rates[1] or 0.0),
        "order_consistency": {
            name: order_consistency(side.decisions, k) if orders > 1 else None
            for name, side in both.items()
        },
        "usd_per_1000": {name: _per_1000(side, side.cost_usd, k) for name, side in both.items()},
        "seconds_per_1000": {name: _per_1000(side, side.seconds, k) for name, side in both.items()},
    }


def _per_1000(side: Side, total: float | None, k: int) -> float | None:
    """What selecting 1,000 items takes, at the rate of the decisions made here."""
    if total is None or not side.decisions:
        return None
    return 1000 * total / (k * len(side.decisions))
