"""Selecting from a whole pool by a strategy, without a selection prompt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import cast

import numpy as np

from selectllm.core.errors import UsageError
from selectllm.core.types import Attempt, Decision, Item
from selectllm.data.stored_items import PackedIds, ids_of, picked
from selectllm.selection.by_model import Chosen, SelectSettings, fill
from selectllm.selection.strategies import Candidates, Strategy


def select_by_strategy(
    candidates: Candidates, strategy: Strategy, settings: SelectSettings
) -> list[Chosen]:
    """Exactly `settings.budget` items (fewer only under `skip`), best first by `strategy`.

    Needs 1 <= budget <= candidates. Where too few could be measured, the others fill the gap as
    `on_invalid` says, marked.
    """
    decision = strategy_decision(candidates, strategy, settings.budget)
    return chosen_by(decision, candidates.items, settings)


def strategy_decision(
    candidates: Candidates, strategy: Strategy, budget: int, attempts: Sequence[Attempt] = ()
) -> Decision:
    """What `strategy` picks: the whole pool is one cluster. It is invalid if there are no picks."""
    ids = ids_of(candidates.items)
    # What is packed stays packed: as texts the ids would take more than all the rest.
    shown = cast("tuple[str, ...]", ids if isinstance(ids, PackedIds) else tuple(ids))
    positions, scores = strategy.choose(candidates, budget), strategy.scores(candidates)
    picks = tuple(ids[position] for position in positions)
    return Decision(
        cluster=0,
        order=0,
        repeat=0,
        round=0,
        shown=shown,
        picks=picks,
        status="invalid" if not picks else "ok" if len(picks) == budget else "partial",
        strategy=strategy.name,
        attempts=tuple(attempts),
        scores=None if scores is None else tuple(scores[positions].tolist()),
    )


def chosen_by(decision: Decision, items: Sequence[Item], settings: SelectSettings) -> list[Chosen]:
    """The items that a strategy's decision on the whole pool gives, filled up to the budget."""
    by = f"strategy:{decision.strategy}"
    chosen = [
        Chosen(item, 0, 0, by, rank=rank, score=score)
        for rank, (item, score) in enumerate(
            zip(_named(items, decision.picks), decision.scores or repeat(None), strict=False),
            start=1,
        )
    ]
    missing = settings.budget - len(chosen)
    if missing > 0:
        complaint = f"{decision.strategy}: only {len(chosen)} of the items could be measured"
        taken = {*decision.picks}
        left = [id for id in ids_of(items) if id not in taken]
        filler = fill(left, settings, 0, complaint)[:missing]
        chosen += [Chosen(item, 0, 0, by, filled=True) for item in _named(items, filler)]
    return chosen


def _named(items: Sequence[Item], ids: Sequence[str]) -> list[Item]:
    """The items with these ids, in their order."""
    wanted = {*ids}
    places = {id: place for place, id in enumerate(ids_of(items)) if id in wanted}
    return picked(items, [places[id] for id in ids])


def check_descending(strategy: Strategy) -> None:
    """Raise UsageError unless a threshold of the strategy's values is a number of its picks."""
    if not strategy.descending:
        raise UsageError(
            "`threshold` goes with strategies that rate every item from the highest value down, "
            f"and {strategy.name} does not. Give `budget`",
            argument="threshold",
        )


def reaching(candidates: Candidates, strategy: Strategy, threshold: float) -> int:
    """How many candidates have a value of at least `threshold`, by a `descending` strategy.

    It is 0 only if nothing could be measured. Raises UsageError if the strategy is none, and if
    some items have a value but none of them reaches it.
    """
    check_descending(strategy)
    assert candidates.values is not None
    count = int(np.count_nonzero(candidates.values >= threshold))  # NaN reaches nothing
    known = candidates.values[~np.isnan(candidates.values)]
    if not count and len(known):
        raise UsageError(
            f"`threshold` {threshold:g}: No item reaches it, because the highest value is "
            f"{known.max():g}. Give a lower one",
            argument="threshold",
        )
    return count
