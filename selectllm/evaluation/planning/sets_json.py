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
    asked = {each.arm for each in asking}
    by_table = any(each.priced and each.priced.source == "litellm" for each in asking)
    content = {
        "suite": protocol.run.suite.name,
        "for": "sets",
        "items": len(protocol.pool),
        "budgets": protocol.budgets,
        "seeds": list(protocol.entry.seeds),
        "concurrency": concurrency,
        "asking": [each.to_json() for each in asking],
        "unasked": [arm.name for arm in protocol.arms if arm not in asked],
        "left_out": [each.to_json() for each in left_out],
        "total": _total(asking),
        "price_table": asdict(price_table()) if by_table else None,
        "assumptions": list(_assumptions(protocol, asking)),
    }
    return SetsPlanResults.model_validate(content)


def _total(asking: Sequence[SelectorPlan]) -> dict[str, Any]:
    """Of everything; USD is None if anything is not priced."""
    outlays = [each.outlay for each in asking]
    total: dict[str, Any] = {"too_long": sum(each.forecast.too_long for each in asking)}
    for name in ("calls", "calls_most", "tokens_in", "tokens_out"):
        total[name] = sum(getattr(each, name) for each in outlays)
    for name in ("usd", "usd_most"):
        costs = [getattr(each, name) for each in outlays]
        total[name] = None if None in costs else float(sum(costs))
    return total | {"hours": float(sum(each.hours for each in outlays))}


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
    if estimated := _models(each for each in asking if each.forecast.tokens_by == ESTIMATE):
        yield (
            f"prompt tokens of {estimated} are an estimate, within about 13 % for English text: no "
            "tokenizer of theirs is at hand"
        )
    yield (
        "replies hold to the format and say nothing else, and none is asked for again; reasons or "
        "thinking take more"
    )
    local = [
        each.name
        for each in protocol.strategies
        if each.scorer is not None and each.scorer.reads_items
    ]
    if local:
        yield (
            f"{', '.join(local)}: the time in which a language model reads the pool on this "
            "machine is not counted"
        )


def _models(asking: Iterable[SelectorPlan]) -> str:
    return ", ".join(sorted({each.forecast.spec.name for each in asking}))
