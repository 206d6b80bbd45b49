"""What `select` will ask and what that takes, before anything is divided by vectors or sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selectllm.core.types import Cluster, Pool
from selectllm.data.stored_items import ids_of
from selectllm.evaluation.planning.forecast import (
    Forecast,
    Recall,
    assumed_pace,
    forecast,
    outlay,
    pace_of,
)
from selectllm.evaluation.planning.prices import priced
from selectllm.evaluation.planning.schema import Outlay
from selectllm.selection.by_model import (
    RoundAhead,
    SelectSettings,
    plan_round,
    round_tasks,
    sample_task,
)
from selectllm.selection.selector import Selector
from selectllm.selection.task import further_calls
from selectllm.selection.ways.following import way_of

Known = Callable[[Pool, int, int], Sequence[Cluster] | None]
"""(pool, cluster size, seed) -> its clusters, None where they are not known yet."""


@dataclass(frozen=True, slots=True)
class SelectionOutlay:
    """What a selection is going to send, beyond what is cached.

    `cached`: of `looked_up` decisions, those whose replies are all cached. Of the others the
    clusters are not known yet, and they count as not cached.
    """

    outlay: Outlay
    cached: int
    looked_up: int


def laid_out(asked: Forecast, looked_up: int, concurrency: int) -> SelectionOutlay:
    """What the calls of a forecast take."""
    pace = pace_of(asked.known, "replies") or assumed_pace(asked)
    price = priced(asked.spec) if asked.unasked else None
    return SelectionOutlay(outlay(asked, pace, price, concurrency), asked.cached, looked_up)


async def forecast_selection(
    pool: Pool,
    selector: Selector,
    settings: SelectSettings,
    rounds: list[RoundAhead],
    known: Known,
    recall: Recall,
) -> tuple[Forecast, int]:
    """What all `rounds` will ask, and how many decisions could be looked up.

    A sample of the pool stands for clusters that are not known: those of later rounds, and all of
    them where the pool would have to be embedded.
    """
    found: Sequence[Cluster] = ()

    def divide(part: Pool, size: int, seed: int) -> Sequence[Cluster]:
        nonlocal found
        found = known(part, size, seed) or ()
        return found or (Cluster(0, tuple(ids_of(part.items))),)

    tasks = round_tasks(pool, selector, plan_round(pool, 0, settings, divide), settings.seed)
    looked_up = (task.made() for task in tasks if found)
    total = await forecast(selector, looked_up, settings.ask, recall)
    for this in rounds[1 if found else 0 :]:
        if this.calls:
            task = sample_task(pool, selector, this.size, this.picks, settings.seed)
            one = await forecast(selector, [task], settings.ask, lambda key: None)
            decisions, several = this.clusters, way_of(selector.prompt) is not None
            total = replace(
                total,
                decisions=total.decisions + decisions,
                too_long=total.too_long + one.too_long * decisions,
                unasked=total.unasked + one.unasked * (decisions if several else this.calls),
                perhaps=total.perhaps + one.unasked * (decisions * further_calls(selector.spec)),
                tokens_by=one.tokens_by,
                per_decision=max(total.per_decision, one.per_decision),
            )
    return total, len(tasks) if found else 0
