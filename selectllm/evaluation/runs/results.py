"""From a run's decisions to results.json: pure, and byte-identical for the same decisions.

What was spent this time, cache hits and clocks are not here; they live in decisions.jsonl.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, get_args

from selectllm.core.types import Attempt, Cluster, Decision, Status
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.kinds import kind_of
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.metrics.agreement import METRICS, Agreement
from selectllm.evaluation.metrics.consistency import order_consistency, overlap, slot_histogram
from selectllm.evaluation.metrics.schema import UtilityAgreement
from selectllm.evaluation.runs.schema import (
    Overlap,
    PairFigures,
    RunResults,
    RunUtility,
    StrategyFigures,
)
from selectllm.evaluation.runs.votes import adaptive_vote
from selectllm.selection.ways.following import wins_in
from selectllm.stats.interval import Interval
from selectllm.utility.utility import Utility

LONGEST = Arm(strategy="longest")


def results(inputs: RunInputs, decisions: Sequence[Decision]) -> RunResults:
    """The content of results.json.

    `decisions`: all that were made, none with status `error`. A sequential comparison that
    stopped early is of the clusters that were asked.
    """
    inputs = inputs.first(inputs.asked({decision.cluster for decision in decisions}))
    by_arm = arm_results(inputs, decisions)
    kind = kind_of(inputs.comparison)
    length = {utility.name: _length(utility, by_arm) for utility in inputs.covering}
    return RunResults(
        suite=inputs.suite,
        picks=inputs.picks,
        clusters=len(inputs.clusters),
        cluster_sizes=tuple(sorted({len(cluster.members) for cluster in inputs.clusters})),
        utilities=tuple(
            RunUtility(
                name=utility.name,
                sha256=utility.sha256,
                length=length[utility.name],
                **utility.origin,
            )
            for utility in inputs.covering
        ),
        pairs=tuple(_pair(inputs, pair, by_arm) for pair in inputs.pairs),
        strategies=tuple(_strategy(inputs, name, by_arm) for name in inputs.strategies),
        overlaps=tuple(
            Overlap(
                a=a,
                b=b,
                kappa=overlap(by_arm[Arm(*a)].decisions, by_arm[Arm(*b)].decisions, inputs.picks),
            )
            for a, b in combinations(inputs.pairs, 2)
        ),
        verdicts=tuple(_with_length(verdict, length) for verdict in kind.decide(inputs, by_arm)),
        noise=kind.noise(inputs, by_arm),
    )


def _length(utility: Utility, by_arm: Mapping[Arm, ArmResult]) -> Interval | None:
    """What picking by length alone captures of `utility`, where the run has that control."""
    longest = by_arm.get(LONGEST)
    return None if longest is None else longest.measured[utility.name].captured


def _with_length(verdict: Verdict, length: Mapping[str, Interval | None]) -> Verdict:
    """The verdict with what length alone captures of the utility that decides."""
    decides = verdict.utility
    if decides is None:
        return verdict
    beside = decides.model_copy(update={"length": length.get(decides.name)})
    return verdict.model_copy(update={"utility": beside})


def _pair(inputs: RunInputs, pair: tuple[str, str], by_arm: Mapping[Arm, ArmResult]) -> PairFigures:
    prompt, model = pair
    side = by_arm[Arm(prompt, model)]
    decisions, k = side.decisions, inputs.picks
    counts = Counter(decision.status for decision in decisions)
    many_orders = inputs.orders > 1
    return PairFigures(
        prompt=prompt,
        model=model,
        decisions=len(decisions),
        valid_rate=side.valid_rate,
        status_counts={status: counts[status] for status in get_args(Status)},
        order_consistency=order_consistency(decisions, k) if many_orders else None,
        slots=slot_histogram(decisions, k),
        vote=adaptive_vote(inputs, pair, by_arm),
        wins=wins_in(decisions),
        **_figures(inputs, side),
    )


def _strategy(inputs: RunInputs, name: str, by_arm: Mapping[Arm, ArmResult]) -> StrategyFigures:
    return StrategyFigures(strategy=name, **_figures(inputs, by_arm[Arm(strategy=name)]))


def _figures(inputs: RunInputs, side: ArmResult) -> dict[str, Any]:
    """The fields of an ArmFigures; the cluster counts are of the headline utility."""
    headline = inputs.headline and side.measured.get(inputs.headline.name)
    return {
        "clusters": headline.clusters if headline else len(_choosable(inputs)),
        "flat_clusters": headline.flat_clusters if headline else None,
        "agreement": {
            utility.name: _labelled(utility, side.measured[utility.name])
            for utility in inputs.covering
        },
        **_spent(side.decisions),
    }


def _labelled(utility: Utility, measured: Agreement) -> UtilityAgreement:
    return UtilityAgreement(
        kind=utility.kind,
        rater=utility.rater,
        clusters=measured.clusters,
        flat_clusters=measured.flat_clusters,
        **{metric: getattr(measured, metric) for metric in METRICS},
    )


def _choosable(inputs: RunInputs) -> list[Cluster]:
    return [cluster for cluster in inputs.clusters if len(cluster.members) > inputs.picks]


def _spent(decisions: Sequence[Decision]) -> dict[str, Any]:
    """Tokens, USD and seconds of the calls behind `decisions`."""
    attempts = [attempt for decision in decisions for attempt in decision.replies]
    return {
        "tokens_in": _total(attempts, "tokens_in"),
        "tokens_out": _total(attempts, "tokens_out"),
        "tokens_reasoning": sum(attempt.tokens_reasoning or 0 for attempt in attempts) or None,
        "replay_cost_usd": _total(attempts, "cost_usd"),
        "seconds": _total(attempts, "seconds"),
    }


def _total(attempts: Sequence[Attempt], name: str) -> Any:
    """The sum of a column of attempts; None if any of them does not know it, or without any."""
    values = [getattr(attempt, name) for attempt in attempts]
    return None if None in values or not values else sum(values)
