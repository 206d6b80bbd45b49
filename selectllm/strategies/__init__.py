"""Strategies: selectors without a selection prompt. The paper's baselines and our controls.

`select` applies one to the pool, `eval` inside each cluster. Most order all candidates, best
first, and pick the first n; some pick n that go together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from selectllm.errors import UsageError
from selectllm.names import unknown
from selectllm.strategies.candidates import Candidates
from selectllm.strategies.content import has_input, longest, shortest
from selectllm.strategies.facility import facility_location
from selectllm.strategies.geometry import centroid
from selectllm.strategies.grouped import k_center_hdbscan
from selectllm.strategies.kcenter import k_center
from selectllm.strategies.kmeans import kmeans_nearest
from selectllm.strategies.overlap import rouge_diversity
from selectllm.strategies.position import first, random, slot
from selectllm.strategies.strategy import Measure, Pick, Strategy

__all__ = ["STRATEGIES", "Candidates", "Measure", "Strategy", "find_strategy"]


def _by(order: Callable[[Candidates], list[int]]) -> Pick:
    """Picking the first n of an order of all candidates."""
    return lambda candidates, n: order(candidates)[:n]


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("random", _by(random), analytic=True),
        Strategy("longest", _by(longest)),
        Strategy("shortest", _by(shortest)),
        Strategy("first", _by(first)),
        Strategy("has-input", _by(has_input)),
        Strategy("rouge-diversity", rouge_diversity),
        Strategy("centroid", _by(centroid), needs_vectors=True),
        Strategy("k-center", k_center, needs_vectors=True),
        Strategy("k-center-hdbscan", k_center_hdbscan, needs_vectors=True, ranks=False),
        Strategy("k-means", kmeans_nearest, needs_vectors=True, ranks=False),
        Strategy("facility-location", facility_location, needs_vectors=True),
    )
}


SLOT = "slot:"


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`, or slot:I for the slot I, from 1 on.

    Raises UsageError with the closest match and the list.
    """
    if name.startswith(SLOT):
        number = name.removeprefix(SLOT)
        if not (number.isascii() and number.isdecimal() and int(number)):
            raise UsageError(f"strategy {name!r}: the slot is a whole number from 1 on: slot:3")
        return Strategy(name, _by(partial(slot, int(number))))
    if name not in STRATEGIES:
        raise UsageError(unknown("strategy", name, STRATEGIES))
    return STRATEGIES[name]
