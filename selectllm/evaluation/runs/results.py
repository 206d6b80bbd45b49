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
from selectllm.evaluation.comparison.verdict import Verdict
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.evaluation.metrics.consistency import order_consistency, overlap, slot_histogram
from selectllm.utility.utility import Utility

FORMAT = 1
LONGEST = Arm(strategy="longest")


def results(inputs: RunInputs, decisions: Sequence[Decision]) -> dict[str, Any]:
    """The content of results.json (schema: schemas/results.json).

    `decisions`: all that were made, none with status `error`. A sequential comparison that
    stopped early is of the clusters that were asked.
    """
    inputs = inputs.first(inputs.asked({decision.cluster for decision in decisions}))
    found = arm_results(inputs, decisions)
    kind = kind_of(inputs.comparison)
    pairs = [Arm(*pair) for pair in inputs.pairs]
    utilities = [_utility(utility, found) for utility in inputs.covering]
    return {
        "format": FORMAT,
        "suite": inputs.suite,
        "picks": inputs.picks,
        "clusters": len(inputs.clusters),
        "cluster_sizes": sorted({len(cluster.members) for cluster in inputs.clusters}),
        "utilities": utilities,
        "pairs": [_pair(inputs, arm, found[arm]) for arm in pairs],
        "strategies": [
            {
                "strategy": name,
                **_agreements(inputs, found[Arm(strategy=name)]),
                **_spent(found[Arm(strategy=name)].decisions),
            }
            for name in inputs.strategies
        ],
        "overlaps": [
            {
                "a": [a.prompt, a.model],
                "b": [b.prompt, b.model],
                "kappa": _json(overlap(found[a].decisions, found[b].decisions, inputs.picks)),
            }
            for a, b in combinations(pairs, 2)
        ],
        "verdicts": [_verdict(each, utilities) for each in kind.decide(inputs, found)],
        "noise": _json(kind.noise(inputs, found)),
    }


def _utility(utility: Utility, found: Mapping[Arm, ArmResult]) -> dict[str, Any]:
    """What is told beside every agreement with `utility`; `length`: what longest captures of it."""
    longest = found.get(LONGEST)
    length = longest and longest.measured[utility.name].captured
    return utility.to_json() | {"sha256": utility.sha256, "length": _json(length)}


def _verdict(verdict: Verdict, utilities: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict with what length alone captures of the utility that decides."""
    told = verdict.to_json()
    if told["utility"] is not None:
        length = {each["name"]: each["length"] for each in utilities}
        told["utility"] = told["utility"] | {"length": length.get(told["utility"]["name"])}
    return told


def _pair(inputs: RunInputs, arm: Arm, side: ArmResult) -> dict[str, Any]:
    decisions, k = side.decisions, inputs.picks
    counts = Counter(decision.status for decision in decisions)
    many_orders = inputs.orders > 1
    return {
        "prompt": arm.prompt,
        "model": arm.model,
        **_agreements(inputs, side),
        "decisions": len(decisions),
        "valid_rate": side.valid_rate,
        "status_counts": {status: counts[status] for status in get_args(Status)},
        "order_consistency": _json(order_consistency(decisions, k)) if many_orders else None,
        "slots": slot_histogram(decisions, k).to_json(),
        **_spent(decisions),
    }


def _agreements(inputs: RunInputs, side: ArmResult) -> dict[str, Any]:
    """`agreement` by utility, and the cluster counts of the headline utility."""
    headline = inputs.headline and side.measured.get(inputs.headline.name)
    return {
        "clusters": headline.clusters if headline else len(_choosable(inputs)),
        "flat_clusters": headline.flat_clusters if headline else None,
        "agreement": {
            utility.name: _labelled(utility, side.measured[utility.name])
            for utility in inputs.covering
        },
    }


def _labelled(utility: Utility, measured: Agreement) -> dict[str, Any]:
    return {
        "kind": utility.kind,
        "rater": utility.rater,
        "clusters": measured.clusters,
        "flat_clusters": measured.flat_clusters,
        **measured.to_json(),
    }


def _choosable(inputs: RunInputs) -> list[Cluster]:
    return [cluster for cluster in inputs.clusters if len(cluster.members) > inputs.picks]


def _spent(decisions: Sequence[Decision]) -> dict[str, Any]:
    """Tokens, USD and seconds of the calls behind `decisions`."""
    attempts = [attempt for decision in decisions for attempt in decision.attempts]
    return {
        "tokens_in": _total(attempts, "tokens_in"),
        "tokens_out": _total(attempts, "tokens_out"),
        "replay_cost_usd": _total(attempts, "cost_usd"),
        "seconds": _total(attempts, "seconds"),
    }


def _total(attempts: Sequence[Attempt], name: str) -> Any:
    """The sum of a column of attempts; None if any of them does not know it, or without any."""
    values = [getattr(attempt, name) for attempt in attempts]
    return None if None in values or not values else sum(values)


def _json(value: Any) -> Any:
    return None if value is None else value.to_json()
