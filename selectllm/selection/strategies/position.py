"""Strategies that do not look at the items: chance, and the place in the list."""

from __future__ import annotations

from selectllm.core.codec import seeded_hash
from selectllm.selection.strategies.candidates import Candidates, by_score


def random(candidates: Candidates) -> list[int]:
    """A seeded shuffle by id: the baseline that everything is measured against.

    Its draws are its own: with those that settle ties, a strategy of many ties would be like it.
    """
    draws = [
        (seeded_hash("random", candidates.seed, item.id), item.id, position)
        for position, item in enumerate(candidates.items)
    ]
    return [position for _, _, position in sorted(draws)]


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


def longest(candidates: Candidates) -> list[int]:
    """Most characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, [float(len(item.text)) for item in candidates.items])


def shortest(candidates: Candidates) -> list[int]:
    """Fewest characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, [-float(len(item.text)) for item in candidates.items])


def has_input(candidates: Candidates) -> list[int]:
    """Items with an input first: a control for labels that follow the presence of a context."""
    return by_score(candidates, [float(bool(item.input)) for item in candidates.items])
