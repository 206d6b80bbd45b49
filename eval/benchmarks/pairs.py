"""What the choice of pairs, and a random direction, are worth: simulated comparers of known noise.

    python eval/benchmarks/pairs.py [--clusters 300]

Clusters of ten items of normal worth, of which two are picked. A comparer says that a, which is
shown first, is better than b with probability 1 / (1 + exp(-(a - b) / noise - bias)). The table has
captured (0 = random picks, 1 = the best possible) by the calls: of the pairs that pair@1 asks, of
random pairs in a random direction, of random pairs in one direction (whichever item comes first in
the cluster is shown first), all combined alike; and of the tournament of few@1, whose comparer
chooses among four by the same odds. The standard error of a figure is about 0.02.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from selectllm.core.types import Decision, Item
from selectllm.models.model import ModelSpec
from selectllm.models.providers.mock import MockModel
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task
from selectllm.selection.ways.following import combined, following

M, K = 10, 2
COMPARERS = {
    "sure": (0.05, 0.0),
    "noisy": (0.5, 0.0),
    "noisy, likes the first": (0.5, 1.5),
    "very noisy": (1.5, 0.0),
}
Asking = Callable[[Task, "Comparer"], Sequence[Decision]]


def main() -> int:
    """A row for every comparer and number of calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=300)
    clusters = parser.parse_args().clusters
    print(
        f"{'comparer':24}{'calls':>6}{'pair@1':>8}{'random':>8}{'one direction':>15}{'few@1':>12}"
    )
    for name, (noise, bias) in COMPARERS.items():
        few = captured(clusters, "few@1", None, noise, bias, as_it_comes)
        for calls in (10, 20, 40):
            ways = {as_it_comes: 8, at_random: 8, in_one_direction: 15}
            shown = "".join(
                f"{captured(clusters, 'pair@1', calls, noise, bias, asking):>{width}.2f}"
                for asking, width in ways.items()
            )
            beside = f"{few:>6.2f} by 6" if calls == 10 else ""
            print(f"{name:24}{calls:>6}{shown}{beside:>12}", flush=True)
    return 0


def captured(
    clusters: int, ref: str, calls: int | None, noise: float, bias: float, asking: Asking
) -> float:
    """The share of the possible gain over random picks, over all clusters."""
    spec = ModelSpec("m", "mock/first")
    prompt = replace(PromptLibrary().load(ref), calls=calls)
    selector = Selector(prompt, spec, MockModel(spec))
    items = tuple(Item(str(number), str(number)) for number in range(M))
    gained = possible = 0.0
    for seed in range(clusters):
        comparer = Comparer(seed, noise, bias)
        task = Task(selector, 0, items, K, seed=seed)
        parsed = combined(task, asking(task, comparer))
        assert parsed is not None
        chance = K * comparer.worth.mean()
        gained += comparer.worth[list(parsed.picks)].sum() - chance
        possible += np.sort(comparer.worth)[-K:].sum() - chance
    return gained / possible


class Comparer:
    """Whoever chooses among items; `worth`: of each of them."""

    def __init__(self, seed: int, noise: float, bias: float) -> None:
        self.random = np.random.default_rng(seed)
        self.worth = self.random.normal(size=M)
        self._noise, self._bias = noise, bias

    def choose(self, shown: Sequence[int]) -> int:
        """One of the items shown, the first of which it may like better."""
        odds = self.worth[list(shown)] / self._noise + self._bias * (np.arange(len(shown)) == 0)
        weights = np.exp(odds - odds.max())
        return int(self.random.choice(shown, p=weights / weights.sum()))

    def two(self) -> list[int]:
        """Two of the items at random."""
        return [int(item) for item in self.random.choice(M, 2, replace=False)]


def answered(shown: Sequence[int], winner: int) -> Decision:
    """The decision on one comparison."""
    return Decision(0, 0, 0, 0, tuple(map(str, shown)), (str(winner),), "ok")


def as_it_comes(task: Task, comparer: Comparer) -> Sequence[Decision]:
    """The questions that the prompt asks."""
    decisions: list[Decision] = []
    while questions := following(task, decisions):
        for question in questions:
            shown = [int(item.id) for item in question.shown]
            decisions.append(answered(shown, comparer.choose(shown)))
    return decisions


def at_random(task: Task, comparer: Comparer) -> Sequence[Decision]:
    """As many random pairs in a random direction."""
    pairs = [comparer.two() for _ in range(task.selector.prompt.calls or 0)]
    return [answered(pair, comparer.choose(pair)) for pair in pairs]


def in_one_direction(task: Task, comparer: Comparer) -> Sequence[Decision]:
    """As many random pairs, whichever item comes first in the cluster shown first."""
    pairs = [sorted(comparer.two()) for _ in range(task.selector.prompt.calls or 0)]
    return [answered(pair, comparer.choose(pair)) for pair in pairs]


if __name__ == "__main__":
    sys.exit(main())
