"""Strategies: selectors without a selection prompt. The paper's baselines and our controls.

`select` applies one to the pool, `eval` inside each cluster. A strategy orders the candidates,
best first; its picks are the first k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selectllm.errors import UsageError
from selectllm.names import unknown
from selectllm.strategies.candidates import Candidates
from selectllm.strategies.content import has_input, longest, shortest
from selectllm.strategies.geometry import centroid
from selectllm.strategies.position import first, random

__all__ = ["STRATEGIES", "Candidates", "Strategy", "find_strategy"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named strategy.

    `order`: all positions (0-based) of the candidates, best first. `needs_vectors`: the
    candidates must come with vectors. `analytic`: `eval` reports its exact expectation instead
    of one draw.
    """

    name: str
    order: Callable[[Candidates], list[int]]
    needs_vectors: bool = False
    analytic: bool = False


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("random", random, analytic=True),
        Strategy("longest", longest),
        Strategy("shortest", shortest),
        Strategy("first", first),
        Strategy("has-input", has_input),
        Strategy("centroid", centroid, needs_vectors=True),
    )
}


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`. Raises UsageError with the closest match and the list."""
    if name not in STRATEGIES:
        raise UsageError(unknown("strategy", name, STRATEGIES))
    return STRATEGIES[name]
