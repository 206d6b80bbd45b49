"""What holds a word back, whatever the utility says: nothing to judge by, or too few valid replies.

A model that answers nothing picks as random ones do, which a utility alone may not hold against
it; so valid replies are compared by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from selectllm.evaluation.comparison.arm_results import VALID, ArmResult
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.ruling import Ruling
from selectllm.stats.paired import Paired

VALID_DROP = 0.05
ROUNDING = 1e-9  # 1 - 0.95 is not quite 0.05


def no_estimate(comparison: PairedComparison) -> Ruling:
    """The ruling where the comparison has no estimate, with the reason."""
    if comparison.inputs.headline is None:
        return Ruling(
            "inconclusive",
            "there is no utility, so the quality of the picks is not known; rate the items in "
            "which the arms differ (selectllm utility ask, with --differing)",
        )
    if comparison.paired is None:
        flat = comparison.flat_clusters
        why = (
            (f"{flat} have the same utility for all their items")
            if flat
            else "all are picked whole"
        )
        return Ruling("inconclusive", f"no cluster can tell good picks from bad ones: {why}")
    return Ruling("inconclusive", "one cluster (or group of them) says nothing about others")


def rarer(comparison: PairedComparison) -> Ruling | None:
    """What valid replies say against `b`: None unless they are rarer by more than VALID_DROP.

    The word is `fail` where the drop is no accident, else `inconclusive`.
    """
    drops = valid_drops(comparison)
    if drops is None or (drop := float(drops.values.mean())) <= VALID_DROP + ROUNDING:
        return None
    text = f"valid replies are {drop:.1%} rarer"
    if drops.p_above() < comparison.inputs.gate.alpha:
        return Ruling("fail", text)
    return Ruling("inconclusive", f"{text}, which so few clusters may show by chance")


def unless_rarer(comparison: PairedComparison, ruling: Ruling) -> Ruling:
    """No arm whose valid replies are clearly rarer, or b's by chance so, is called equivalent."""
    if ruling.word != "equivalent":
        return ruling
    swapped = PairedComparison.of(comparison.inputs, comparison.b, comparison.a)
    for either in (comparison, swapped):
        if against := rarer(either):
            reason = f"equivalent in utility, but {against.reason} in {either.b.name}"
            return replace(ruling, word="inconclusive", reason=reason)
    return ruling


def valid_drops(comparison: PairedComparison) -> Paired | None:
    """By cluster, how much rarer valid replies are in b, in [-1, 1]; None without decisions."""
    ours, theirs = _valid_shares(comparison.a), _valid_shares(comparison.b)
    inputs = comparison.inputs
    clusters = [cluster for cluster in inputs.order if cluster in ours and cluster in theirs]
    if not clusters:
        return None
    groups = inputs.groups
    return Paired(
        values=np.array([ours[cluster] - theirs[cluster] for cluster in clusters]),
        headroom=np.ones(len(clusters)),
        groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
    )


def _valid_shares(arm: ArmResult) -> dict[int, float]:
    """By cluster, the share of the decisions that are valid."""
    valid: dict[int, list[bool]] = defaultdict(list)
    for decision in arm.decisions:
        valid[decision.cluster].append(decision.status in VALID)
    return {cluster: float(np.mean(flags)) for cluster, flags in valid.items()}
