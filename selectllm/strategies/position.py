"""Strategies that do not look at the items: chance, and the place in the list."""

from __future__ import annotations

from selectllm.strategies.candidates import Candidates, by_score


def random(candidates: Candidates) -> list[int]:
    """A seeded shuffle by id: the baseline that everything is measured against."""
    return by_score(candidates, [0.0] * len(candidates.items))


def slot(number: int, candidates: Candidates) -> list[int]:
    """From slot `number` (1-based) on, and on from the first after the last.

    What a model does that always answers with the same labels: the control for position bias. A
    slot beyond the last is counted on from the first.
    """
    count = len(candidates.items)
    start = (number - 1) % count
    return [*range(start, count), *range(start)]


def first(candidates: Candidates) -> list[int]:
    """As shown: what a model does that always answers with the first labels."""
    return list(range(len(candidates.items)))
