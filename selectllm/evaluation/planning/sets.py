"""What the sets of a suite will take, before anything is divided, measured or asked.

Clusters are not known before the pool is divided, so a few random ones stand in for those of a
round, and random items for the pool. Replies that are cached are counted as if they were not.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, cycle, islice

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Item, Reply
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.planning.forecast import (
    ESTIMATE,
    Forecast,
    Recall,
    Unasked,
    assumed_pace,
    forecast,
    outlay,
)
from selectllm.evaluation.planning.prices import Priced, priced
from selectllm.evaluation.planning.schema import CallPace, Outlay
from selectllm.evaluation.planning.sets_schema import SelectorAsking, SetRound
from selectllm.evaluation.sets.protocol import Protocol, arm_of
from selectllm.models.tokens import estimate_tokens
from selectllm.selection.by_model import rounds_ahead
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.scorers.item_scorer import ItemScorer, Meter
from selectllm.selection.selector import Selector
from selectllm.selection.strategies import Strategy
from selectllm.selection.task import AskSettings, Task, with_ballots

CLUSTERS = 10  # that stand in for those of a round
ITEMS = 200  # that stand in for the pool


@dataclass(frozen=True, slots=True)
class SelectorPlan:
    """A selector that asks a model, and what that takes with all seeds.

    `budget`, `rounds`: of a pair, for which each budget is asked anew. A strategy is measured
    once, whatever the budgets and seeds; it has None and none.
    """

    arm: Arm
    budget: int | None
    rounds: tuple[SetRound, ...]
    forecast: Forecast
    pace: CallPace
    priced: Priced | None
    outlay: Outlay

    def asking(self) -> SelectorAsking:
        """As the plan has it."""
        return SelectorAsking(
            **dict(self.outlay),
            too_long=self.forecast.too_long,
            tokens_by=self.forecast.tokens_by,
            pace=self.pace,
            price=None if self.priced is None else self.priced.told(),
            selector=self.arm.name,
            **self.arm.to_json(),
            budget=self.budget,
            rounds=self.rounds,
        )


async def plan_sets(protocol: Protocol, ask: AskSettings) -> list[SelectorPlan]:
    """Every pair at every budget, then every strategy that asks a model. Nothing is sent."""
    pairs = [
        await _pair(protocol, selector, budget, ask)
        for selector in protocol.run.selectors
        for budget in protocol.budgets
    ]
    strategies = [
        await _strategy(protocol, strategy, strategy.scorer, ask)
        for strategy in protocol.strategies
        if strategy.scorer is not None and strategy.calls_per_item
    ]
    return [*pairs, *strategies]


async def _pair(
    protocol: Protocol, selector: Selector, budget: int, ask: AskSettings
) -> SelectorPlan:
    seeds = protocol.entry.seeds
    items = len(protocol.pool)
    rounds: list[SetRound] = []
    parts: list[Forecast] = []
    for clusters, _ in rounds_ahead(items, protocol.settings(budget, seeds[0], ask)):
        size, picks = math.ceil(items / clusters), max(1, budget // clusters)
        asked = _asked(budget, clusters, size)
        calls = 0
        if asked:
            forecast = scaled(await _round(protocol, selector, size, picks, ask), asked)
            calls = len(forecast.unasked)
            parts += [forecast] * len(seeds)
        rounds.append(SetRound(clusters=clusters, size=size, picks=picks, calls=calls))
        items = clusters
    return _asking(arm_of(selector), budget, rounds, _together(selector, parts), ask)


def _together(selector: Selector, parts: Sequence[Forecast]) -> Forecast:
    return Forecast(
        prompt=selector.prompt.ref,
        spec=selector.spec,
        decisions=sum(part.decisions for part in parts),
        known=(),
        too_long=sum(part.too_long for part in parts),
        unasked=tuple(call for part in parts for call in part.unasked),
        tokens_by=parts[0].tokens_by if parts else ESTIMATE,
        perhaps=tuple(call for part in parts for call in part.perhaps),
        per_decision=max((part.per_decision for part in parts), default=1),
    )


def _asked(budget: int, clusters: int, size: int) -> int:
    """Clusters that are asked, if all have `size` items: those that do not give all they have."""
    base, with_one_more = divmod(budget, clusters)
    if base >= size:
        return 0
    return clusters - with_one_more if base + 1 == size else clusters


async def _round(
    protocol: Protocol, selector: Selector, size: int, picks: int, ask: AskSettings
) -> Forecast:
    """What a few clusters of `size` ask."""
    drawn = _sample(protocol, size * CLUSTERS)
    whole = [tuple(drawn[at : at + size]) for at in range(0, len(drawn) - size + 1, size)]
    tasks = [_task(selector, shown, picks) for shown in whole]
    return await forecast(selector, tasks, ask, _nothing)


def _task(selector: Selector, shown: tuple[Item, ...], picks: int) -> Task:
    """A decision with its ballots."""
    by_id = {item.id: item for item in shown}

    def show(order: int) -> tuple[Item, ...]:
        return tuple(by_id[i] for i in show_order(tuple(by_id), 0, 0, order))

    return with_ballots(Task(selector, cluster=0, shown=shown, k=picks), show)


def _nothing(key: str) -> Reply | None:
    """The reply that is remembered: none."""
    return None


def _sample(protocol: Protocol, count: int) -> list[Item]:
    """`count` random items, all of them if there are no more; drawn by the suite's seed."""
    seed = protocol.run.suite.seed
    return heapq.nsmallest(
        count, protocol.pool.items, key=lambda item: seeded_hash("sample", seed, item.id)
    )


async def _strategy(
    protocol: Protocol, strategy: Strategy, scorer: ItemScorer, ask: AskSettings
) -> SelectorPlan:
    meter = protocol.run.meter
    items = _sample(protocol, ITEMS)
    forecast = await measure_forecast(meter, scorer, items, ask, _nothing)
    forecast = scaled(forecast, len(protocol.pool))
    return _asking(arm_of(strategy), None, (), forecast, ask)


async def measure_forecast(
    meter: Meter,
    scorer: ItemScorer,
    items: Sequence[Item],
    ask: AskSettings,
    recall: Recall,
    counted_keys: set[str] | None = None,
) -> Forecast:
    """What measuring `items` will ask, by a scorer that asks a model; `counted_keys`: see forecast.

    Replies that are no decisions mostly take all the tokens that they may.
    """
    ahead = scorer.ahead(items, meter)
    if ahead.selector is not None:
        return await forecast(ahead.selector, ahead.tasks, ask, recall, counted_keys)
    lacking = [recall(each.key) is None for each in ahead.requests]
    unasked = tuple(
        Unasked(estimate_tokens(each.messages), each.max_tokens, each.max_tokens, left=1)
        for each in compress(ahead.requests, lacking)
    )
    of_an_item = scorer.calls_per_item
    answered = sum(
        not any(lacking[first : first + of_an_item]) for first in range(0, len(lacking), of_an_item)
    )
    return Forecast(
        *(scorer.name, ahead.spec, len(items), (), 0, unasked, ESTIMATE), answered=answered
    )


def scaled(forecast: Forecast, decisions: int) -> Forecast:
    """`forecast` as it would be of so many decisions; its calls stand in for the others in turn."""
    share = decisions / forecast.decisions

    def all_of(calls: Sequence[Unasked]) -> tuple[Unasked, ...]:
        return tuple(islice(cycle(calls), round(len(calls) * share)))

    return replace(
        forecast,
        decisions=decisions,
        too_long=round(forecast.too_long * share),
        unasked=all_of(forecast.unasked),
        answered=round(forecast.answered * share),
        perhaps=all_of(forecast.perhaps),
    )


def _asking(
    arm: Arm,
    budget: int | None,
    rounds: Sequence[SetRound],
    forecast: Forecast,
    ask: AskSettings,
) -> SelectorPlan:
    pace = assumed_pace(forecast)
    price = priced(forecast.spec) if forecast.unasked else None
    taken = outlay(forecast, pace, price, ask.concurrency)
    return SelectorPlan(arm, budget, tuple(rounds), forecast, pace, price, taken)
