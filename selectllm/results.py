"""From a run's decisions to results.json: pure, and byte-identical for the same decisions.

What was spent this time, cache hits and clocks are not here; they live in decisions.jsonl.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, get_args

from selectllm.agreement import Agreement, Choice, agreement, random_agreement
from selectllm.consistency import order_consistency, overlap, slot_histogram
from selectllm.run import FORMAT, Run
from selectllm.strategies import Strategy
from selectllm.types import Attempt, Cluster, Decision, Status
from selectllm.utility import Utility

VALID: tuple[Status, ...] = ("ok", "repaired")


def results(run: Run, decisions: Sequence[Decision]) -> dict[str, Any]:
    """The content of results.json (schema: schemas/results.json).

    `decisions`: all of the run, none with status `error`.
    """
    by_selector: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_selector[decision.prompt or "", decision.model or decision.strategy or ""].append(
            decision
        )
    names = [(s.prompt.ref, s.spec.name) for s in run.selectors]
    return {
        "format": FORMAT,
        "suite": run.suite.name,
        "picks": run.suite.picks,
        "clusters": len(run.clusters),
        "cluster_sizes": sorted({len(cluster.members) for cluster in run.clusters}),
        "utilities": run.manifest["utilities"],
        "pairs": [_pair(run, *name, by_selector[name]) for name in names],
        "strategies": [_strategy(run, s, by_selector["", s.name]) for s in run.strategies],
        "overlaps": [
            {
                "a": list(a),
                "b": list(b),
                "kappa": _json(overlap(by_selector[a], by_selector[b], run.suite.picks)),
            }
            for a, b in combinations(names, 2)
        ],
        "verdicts": [],
    }


def _pair(run: Run, prompt: str, model: str, decisions: Sequence[Decision]) -> dict[str, Any]:
    counts = Counter(decision.status for decision in decisions)
    attempts = [attempt for decision in decisions for attempt in decision.attempts]
    k = run.suite.picks
    many_orders = run.suite.orders > 1
    return {
        "prompt": prompt,
        "model": model,
        **_agreements(run, lambda utility: agreement(_choices(decisions), utility, k, run.groups)),
        "decisions": len(decisions),
        "valid_rate": sum(counts[status] for status in VALID) / len(decisions),
        "status_counts": {status: counts[status] for status in get_args(Status)},
        "order_consistency": _json(order_consistency(decisions, k)) if many_orders else None,
        "slots": slot_histogram(decisions, k).to_json(),
        "tokens_in": _total(attempts, "tokens_in"),
        "tokens_out": _total(attempts, "tokens_out"),
        "replay_cost_usd": _total(attempts, "cost_usd"),
        "seconds": _total(attempts, "seconds"),
    }


def _strategy(run: Run, strategy: Strategy, decisions: Sequence[Decision]) -> dict[str, Any]:
    k = run.suite.picks

    def measure(utility: Mapping[str, float]) -> Agreement:
        if strategy.analytic:
            members = {cluster.id: cluster.members for cluster in run.clusters}
            return random_agreement(members, utility, k, run.groups)
        return agreement(_choices(decisions), utility, k, run.groups)

    return {"strategy": strategy.name, **_agreements(run, measure)}


def _agreements(run: Run, measure: Callable[[Mapping[str, float]], Agreement]) -> dict[str, Any]:
    """`agreement` by utility, and the cluster counts of the headline utility."""
    measured = {utility.name: measure(utility.values) for utility in run.utilities}
    headline = measured[run.headline.name] if run.headline else None
    return {
        "clusters": headline.clusters if headline else len(_choosable(run)),
        "flat_clusters": headline.flat_clusters if headline else None,
        "agreement": {
            utility.name: _labelled(utility, measured[utility.name]) for utility in run.utilities
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


def _choosable(run: Run) -> list[Cluster]:
    return [cluster for cluster in run.clusters if len(cluster.members) > run.suite.picks]


def _choices(decisions: Iterable[Decision]) -> list[Choice]:
    return [Choice.of(decision) for decision in decisions]


def _total(attempts: Sequence[Attempt], name: str) -> Any:
    """The sum of a column of attempts; None if any of them does not know it."""
    values = [getattr(attempt, name) for attempt in attempts]
    return None if None in values or not values else sum(values)


def _json(value: Any) -> Any:
    return None if value is None else value.to_json()
