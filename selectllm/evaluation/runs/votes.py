"""What adaptive votes saved, and what that did to agreement against the fixed vote. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from selectllm.core.types import Decision
from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import paired_gains
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.runs.schema import AdaptiveVote, FixedVote
from selectllm.stats.interval import Interval

NAMES = ("name", "vote")
"""What may differ between the settings of an adaptive vote and of its fixed one."""


def adaptive_vote(
    inputs: RunInputs, pair: tuple[str, str], by_arm: Mapping[Arm, ArmResult]
) -> AdaptiveVote | None:
    """What the vote of `pair` asked; None for a pair that has no adaptive one.

    It is compared with the fixed vote wherever the run has the same model with that.
    """
    prompt, model = pair
    vote = inputs.specs[model].get("vote") or {}
    if "until" not in vote:
        return None
    first, orders = vote["orders"]
    least, most = first * vote["repeats"], orders * vote["repeats"]
    side = by_arm[Arm(prompt, model)]
    decisions = [decision for decision in side.decisions if decision.ballots is not None]
    return AdaptiveVote(
        least=least,
        most=most,
        until=vote["until"],
        ballots=sum(decision.ballots or 0 for decision in decisions),
        ballots_fixed=sum(_of_fixed(decision, orders, vote["repeats"]) for decision in decisions),
        ended_first=sum((decision.ballots or 0) <= least for decision in decisions),
        fixed=_fixed(inputs, pair, by_arm),
    )


def _of_fixed(decision: Decision, orders: int, repeats: int) -> int:
    """The ballots that the fixed vote has in the cluster of `decision`."""
    return min(orders, math.factorial(len(decision.shown))) * repeats


def _fixed(
    inputs: RunInputs, pair: tuple[str, str], by_arm: Mapping[Arm, ArmResult]
) -> FixedVote | None:
    prompt, model = pair
    wanted = _settings(inputs.specs[model])
    twin = next(
        (
            name
            for ref, name in inputs.pairs
            if ref == prompt and name != model and _settings(inputs.specs[name]) == wanted
        ),
        None,
    )
    if twin is None:
        return None
    ours, theirs = by_arm[Arm(prompt, model)], by_arm[Arm(prompt, twin)]
    picks = {_place(decision): frozenset(decision.picks) for decision in theirs.decisions}
    both = [
        frozenset(decision.picks) == picks[_place(decision)]
        for decision in ours.decisions
        if _place(decision) in picks
    ]
    shown = [_of_fixed(d, *_size(inputs.specs[twin])) for d in theirs.decisions]
    return FixedVote(
        model=twin,
        ballots=sum(shown),
        same=sum(both) / len(both) if both else None,
        difference={
            utility.name: _difference(inputs, theirs, ours, utility.name)
            for utility in inputs.covering
        },
    )


def _settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the model of `spec` what it is, with its vote as the fixed one."""
    vote = dict(spec.get("vote") or {})
    if "until" in vote:
        del vote["until"]
        vote["orders"] = vote["orders"][1]
    return {name: value for name, value in spec.items() if name not in NAMES} | {"vote": vote}


def _size(spec: Mapping[str, Any]) -> tuple[int, int]:
    return spec["vote"]["orders"], spec["vote"]["repeats"]


def _place(decision: Decision) -> tuple[int, int, int]:
    return decision.cluster, decision.order, decision.repeat


def _difference(inputs: RunInputs, a: ArmResult, b: ArmResult, utility: str) -> Interval | None:
    found = paired_gains(inputs, a.measured[utility], b.measured[utility])
    estimate = None if found is None else found.estimate()
    return None if estimate is None else estimate.interval()
