"""From a ruling to the verdict: the word with everything that stands beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from selectllm.core.verdict_words import VerdictKind
from selectllm.evaluation.comparison.assisted import assistance
from selectllm.evaluation.comparison.paired_comparison import PairedComparison, paired_gains
from selectllm.evaluation.comparison.ruling import Bounds, Ruling
from selectllm.evaluation.comparison.schema import (
    DecidingUtility,
    Design,
    Intervals,
    Look,
    OneMore,
    OtherUtility,
    Shares,
    Verdict,
)
from selectllm.evaluation.comparison.severity import (
    beyond_reach,
    guarded,
    severe_losses,
    strict_notes,
)
from selectllm.evaluation.metrics.consistency import overlap


def verdict_of(
    comparison: PairedComparison,
    kind: VerdictKind,
    ruling: Ruling,
    *,
    looks: Sequence[Look] = (),
    notes: Sequence[str] = (),
    **extra: Any,
) -> Verdict:
    """The verdict of `ruling` on `comparison`.

    `looks`: those that a sequential design took so far. `notes`: beside the ruling's own.
    `extra`: fields of Verdict that only some kinds have.
    """
    inputs, a, b, paired = comparison.inputs, comparison.a, comparison.b, comparison.paired
    utility, margin, captured = inputs.headline, comparison.margin, comparison.captured(a)
    lift = captured.estimate if captured else 0.0
    severe = severe_losses(comparison)
    ruling = guarded(kind, ruling, severe)
    of_guard = (*strict_notes(kind, ruling.word, severe), *beyond_reach(severe, paired))
    return Verdict(
        kind=kind,
        word=ruling.word,
        reason=ruling.reason,
        a=a.name,
        b=b.name,
        alpha=inputs.gate.alpha,
        margin=margin,
        utility=None if utility is None else DecidingUtility(name=utility.name, **utility.origin),
        assisted=assistance(inputs, paired),
        unit="range" if comparison.differing_only else "captured",
        margin_share=margin / lift if margin and lift > 0 else None,
        clusters=len(paired) if paired else 0,
        flat_clusters=comparison.flat_clusters,
        nonzero=paired.nonzero if paired else 0,
        groups=paired.group_count if paired else None,
        captured=Intervals(a=captured, b=comparison.captured(b)),
        one_more=_outer(ruling.one_more),
        design=_design(comparison, looks),
        others=tuple(_others(comparison)),
        valid_rate=Shares(a=a.valid_rate, b=b.valid_rate),
        overlap=overlap(a.decisions, b.decisions, inputs.picks),
        notes=(*ruling.notes, *of_guard, *notes),
        severe=severe,
        **extra,
    )


def _outer(bounds: Bounds | None) -> OneMore | None:
    return None if bounds is None else OneMore(low=bounds.low, high=bounds.high)


def _design(comparison: PairedComparison, looks: Sequence[Look]) -> Design:
    """How the verdict was come by, and the calls that stopping early has saved."""
    design = comparison.inputs.comparison
    assert design is not None
    asked = len(comparison.inputs.clusters)
    calls = comparison.a.calls + comparison.b.calls
    cap = design.looks[-1][0] if design.looks else asked
    return Design(
        kind=design.design,
        why=design.why,
        cap=cap,
        looks=tuple(looks),
        calls=calls,
        calls_saved=round(calls * (cap - asked) / asked),
    )


def _others(comparison: PairedComparison) -> Iterable[OtherUtility]:
    """The other utilities: reported, never chosen from."""
    inputs = comparison.inputs
    for utility in inputs.covering:
        if utility is inputs.headline:
            continue
        a, b = (arm.measured.get(utility.name) for arm in (comparison.a, comparison.b))
        paired = a and b and paired_gains(inputs, a, b)
        estimate = paired.estimate() if paired else None
        yield OtherUtility(
            utility=utility.name,
            **utility.origin,
            difference=None if estimate is None else estimate.interval(1 - inputs.gate.alpha),
        )
