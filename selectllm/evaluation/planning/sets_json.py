"""The plan of a suite's sets as one JSON object (schema.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from selectllm.evaluation.planning.forecast import ESTIMATE
from selectllm.evaluation.planning.prices import price_table
from selectllm.evaluation.planning.schema import SetsPlanResults
from selectllm.evaluation.planning.sets import CLUSTERS, ITEMS, SelectorPlan
from selectllm.evaluation.sets.protocol import LeftOut, Protocol


def sets_plan_json(
    protocol: Protocol,
    asking: Sequence[SelectorPlan],
    left_out: Sequence[LeftOut],
    concurrency: int,
) -> SetsPlanResults:
    """What `plan --for sets` prints; USD is null where a model is not priced."""
    asked = {plan.arm for plan in asking}
    by_table = any(plan.priced and plan.priced.source == "litellm" for plan in asking)
    content = {
        "suite": protocol.run.suite.name,
        "for": "sets",
        "items": len(protocol.pool),
        "budgets": protocol.budgets,
        "seeds": list(protocol.entry.seeds),
        "concurrency": concurrency,
        "asking": [plan.to_json() for plan in asking],
        "unasked": [arm.name for arm in protocol.arms if arm not in asked],
        "left_out": [selector.to_json() for selector in left_out],
        "total": _total(asking),
        "price_table": asdict(price_table()) if by_table else None,
        "assumptions": list(_assumptions(protocol, asking)),
    }
    return SetsPlanResults.model_validate(content)


def _total(asking: Sequence[SelectorPlan]) -> dict[str, Any]:
    """Of everything; USD is None if anything is not priced."""
    outlays = [plan.outlay for plan in asking]
    total: dict[str, Any] = {"too_long": sum(plan.forecast.too_long for plan in asking)}
    for name in ("calls", "calls_most", "tokens_in", "tokens_out"):
        total[name] = sum(getattr(outlay, name) for outlay in outlays)
    for name in ("usd", "usd_most"):
        costs = [getattr(outlay, name) for outlay in outlays]
        total[name] = None if None in costs else float(sum(costs))
    return total | {"hours": float(sum(outlay.hours for outlay in outlays))}


def _assumptions(protocol: Protocol, asking: Sequence[SelectorPlan]) -> Iterator[str]:
    """Everything that the figures take for granted, one sentence each."""
    if not asking:
        return
    yield (
        "no reply is cached, nor shared by budgets: where two of them ask the same of a cluster, "
        "it is asked once"
    )
    yield (
        f"{CLUSTERS} random clusters stand in for those of a round, and {ITEMS} random items for "
        "the pool; winners of a round are as long as other items"
    )
    if estimated := _models(plan for plan in asking if plan.forecast.tokens_by == ESTIMATE):
        yield (
            f"prompt tokens of {estimated} are an estimate, within about 13 % for English text: no "
            "tokenizer of theirs is at hand"
        )
    yield (
        "replies hold to the format and say nothing else, and none is asked for again; reasons or "
        "thinking take more"
    )
    local = [
        strategy.name
        for strategy in protocol.strategies
        if strategy.scorer is not None and strategy.scorer.reads_items
    ]
    if local:
        yield (
            f"{', '.join(local)}: the time in which a language model reads the pool on this "
            "machine is not counted"
        )


def _models(asking: Iterable[SelectorPlan]) -> str:
    return ", ".join(sorted({plan.forecast.spec.name for plan in asking}))
