"""The plan of a suite's sets as one JSON object (schema.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from selectllm.evaluation.planning.forecast import ESTIMATE, summed
from selectllm.evaluation.planning.prices import table_behind
from selectllm.evaluation.planning.schema import Destination, Outlays
from selectllm.evaluation.planning.sets import CLUSTERS, ITEMS, SelectorPlan
from selectllm.evaluation.planning.sets_schema import SetsPlanResults
from selectllm.evaluation.sets.protocol import LeftOut, Protocol


def sets_plan_json(
    protocol: Protocol,
    asking: Sequence[SelectorPlan],
    left_out: Sequence[LeftOut],
    concurrency: int,
    seen_by: tuple[Destination, ...] = (),
) -> SetsPlanResults:
    """What `plan --for sets` prints; USD is null where a model is not priced.

    `seen_by`: the hosts that are going to see texts of the pool.
    """
    asked = {plan.arm for plan in asking}
    return SetsPlanResults(
        suite=protocol.run.suite.name,
        items=len(protocol.pool),
        budgets=tuple(protocol.budgets),
        seeds=tuple(protocol.entry.seeds),
        concurrency=concurrency,
        asking=tuple(plan.asking() for plan in asking),
        unasked=tuple(arm.name for arm in protocol.arms if arm not in asked),
        left_out=tuple(selector.told() for selector in left_out),
        total=Outlays(
            **dict(summed([plan.outlay for plan in asking])),
            too_long=sum(plan.forecast.too_long for plan in asking),
        ),
        price_table=table_behind(plan.priced for plan in asking),
        assumptions=tuple(_assumptions(protocol, asking)),
        destinations=seen_by,
    )


def _assumptions(protocol: Protocol, asking: Sequence[SelectorPlan]) -> Iterator[str]:
    """Everything that the figures take for granted, one sentence each."""
    if not asking:
        return
    yield (
        "No reply is cached yet, and the sets of different budgets share none. Where two of them "
        "ask the same question, it will be asked once."
    )
    yield (
        f"{CLUSTERS} random clusters stand for those of a round, and {ITEMS} random items for the "
        "pool. The winners of a round are as long as other items."
    )
    if estimated := _models(plan for plan in asking if plan.forecast.tokens_by == ESTIMATE):
        yield (
            f"The prompt tokens of {estimated} are an estimate, because their tokenizer is not at "
            "hand. For English text it is off by about 13 % at most."
        )
    yield (
        "Every reply keeps to its format and says nothing else, and none is asked for again. "
        "Reasons or thinking take more."
    )
    local = [
        strategy.name
        for strategy in protocol.strategies
        if strategy.scorer is not None and strategy.scorer.reads_items
    ]
    if local:
        yield (
            f"The time in which a language model on this machine reads the pool for "
            f"{', '.join(local)} is not counted."
        )


def _models(asking: Iterable[SelectorPlan]) -> str:
    return ", ".join(sorted({plan.forecast.spec.name for plan in asking}))
