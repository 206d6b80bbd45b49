"""What measuring items for a strategy will ask of a model; nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice

from selectllm.ask import AskSettings
from selectllm.measures.meter import Meter
from selectllm.measures.open_endedness import sample_requests
from selectllm.measures.rating import rating_task
from selectllm.plan.forecast import ESTIMATE, Forecast, Recall, Unasked, forecast
from selectllm.strategies import Measure
from selectllm.tokens import estimate_tokens
from selectllm.types import Item


async def measure_forecast(
    meter: Meter, measure: Measure, items: Sequence[Item], ask: AskSettings, recall: Recall
) -> Forecast:
    """What measuring `items` will ask, by a measure that asks a model (meter.calls_per_item).

    Open-ended replies mostly take all the tokens that they may.
    """
    if measure.kind == "rating":
        rater = meter.rater(measure)
        tasks = [rating_task(item, rater) for item in items]
        return await forecast(rater, tasks, ask, recall)
    sampler = meter.sampler(measure)
    requests = [request for item in items for request in sample_requests(item, sampler, meter.seed)]
    unasked = tuple(
        Unasked(estimate_tokens(each.messages), each.max_tokens, each.max_tokens, left=1)
        for each in requests
        if recall(each.key) is None
    )
    return Forecast(measure.kind, sampler.spec, len(items), (), 0, unasked, ESTIMATE)


def scaled(found: Forecast, decisions: int) -> Forecast:
    """`found` as it would be of so many decisions; its calls stand in for the others in turn."""
    share = decisions / found.decisions
    calls = round(len(found.unasked) * share)
    return replace(
        found,
        decisions=decisions,
        too_long=round(found.too_long * share),
        unasked=tuple(islice(cycle(found.unasked), calls)),
    )
