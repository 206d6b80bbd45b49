"""Clusters that lose very much, beside the mean: `gate: {severe: ...}`. Pure.

A mean can be fine while a few clusters break. A cluster is a severe loss if b's picks are worth
less than a's by at least `loss`, in the unit of report, and a severe gain if they are worth as much
more. Equal prompts lose and gain as often. So there is a break only where both of these hold, each
tested one-sidedly at alpha (shared among several arms or pairs, after Bonferroni):

- the share of severe losses lies above `share`, by Clopper and Pearson's exact interval;
- severe losses outnumber severe gains, by the exact sign test over the severe clusters.

With `strict`, no break has to be ruled out as well: the upper end of the interval must lie at or
below `share` before a newcomer passes. Error rates: eval/benchmarks/verdicts.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from selectllm.core.shown import told_apart
from selectllm.core.verdict_words import KIND_WORDS, OPEN, VerdictKind
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.ruling import Ruling
from selectllm.evaluation.comparison.schema import ClusterLoss, SevereLosses
from selectllm.stats.binomial import n_to_rule_out, p_outnumbers, share_interval
from selectllm.stats.paired import SAME, Paired

WORST = 10
"""How many of the clusters that lost most are listed."""


def severe_losses(comparison: PairedComparison) -> SevereLosses | None:
    """What the guard counts; None where the gate has none, or nothing is known."""
    entry, paired = comparison.inputs.gate.severe, comparison.paired
    if entry is None or paired is None:
        return None
    differences = paired.values / paired.scale
    losses = int((differences <= SAME - entry.loss).sum())
    gains = int((differences >= entry.loss - SAME).sum())
    alpha = comparison.inputs.gate.alpha / _several(comparison)
    return SevereLosses(
        loss=entry.loss,
        most=entry.share,
        strict=entry.strict,
        alpha=alpha,
        losses=losses,
        gains=gains,
        share=share_interval(losses, len(paired), alpha),
        p=p_outnumbers(losses, gains),
        worst=_worst(paired),
    )


def guarded(kind: VerdictKind, ruling: Ruling, severe: SevereLosses | None) -> Ruling:
    """`ruling`, unless severe losses speak against it."""
    if severe is None:
        return ruling
    bad, equal = next(iter(KIND_WORDS[kind].bad)), KIND_WORDS[kind].equal
    if is_break(severe):
        gain = "none gains" if severe.gains == 0 else f"only {severe.gains} gain"
        reason = (
            f"{severe.losses} of the clusters lose {severe.loss:g} or more, which is more than "
            f"{severe.most:.1%} of them, and {gain} as much"
        )
        return replace(ruling, word=bad, reason=reason)
    unsure = severe.strict and severe.share.high > severe.most and not ruling.outright
    if unsure and ruling.word == equal:
        reason = (
            f"by the mean it would be {equal}, but more than {severe.most:.1%} of the clusters may "
            f"lose {severe.loss:g} or more (up to {told_apart(severe.share.high, severe.most)})"
        )
        return replace(ruling, word=OPEN, reason=reason)
    return ruling


def strict_notes(kind: VerdictKind, word: str, severe: SevereLosses | None) -> tuple[str, ...]:
    """What `strict` asks of an open verdict beside what the mean takes, if that is not met."""
    if severe is None or not severe.strict or word != OPEN or severe.share.high <= severe.most:
        return ()
    equal, lose = KIND_WORDS[kind].equal, f"lose {severe.loss:g} or more"
    least = n_to_rule_out(severe.most, severe.alpha, severe.share.estimate)
    if least is None:
        return (
            f"if as large a share of the clusters as here should {lose}, no number of clusters "
            f"would earn the word {equal} (the gate's strict guard)",
        )
    return (
        f"the word {equal} takes {least:,} counted clusters at least, if no larger share of them "
        f"than here should {lose} (the gate's strict guard)",
    )


def beyond_reach(severe: SevereLosses | None, paired: Paired | None) -> tuple[str, ...]:
    """That no cluster can lose so much, as where a percentage was written."""
    if severe is None or paired is None:
        return ()
    most = -paired.least / abs(paired.scale)
    if severe.loss <= most + SAME:
        return ()
    return (
        f"no cluster can lose {severe.loss:g} (gate.severe.loss), since {most:.2f} is the most "
        "that there is to lose in one, so the guard cannot stop anything",
    )


def is_break(severe: SevereLosses) -> bool:
    """Whether more clusters lose severely than are allowed, and that is no accident."""
    return severe.share.low > severe.most and severe.p < severe.alpha


def _several(comparison: PairedComparison) -> int:
    """How many comparisons of the run share the error rate."""
    design = comparison.inputs.comparison
    if design is not None and design.kind == "regress":
        return max(1, len(comparison.inputs.pairs))
    return 1 if design is None else max(1, len(design.arms) - 1)


def _worst(paired: Paired) -> tuple[ClusterLoss, ...]:
    """The clusters that lost most, the worst first; none of those that lost nothing."""
    order = np.argsort(paired.values, kind="stable")[:WORST]
    return tuple(
        ClusterLoss(cluster=paired.clusters[place], difference=paired.values[place] / paired.scale)
        for place in order.tolist()
        if paired.values[place] < -SAME
    )
