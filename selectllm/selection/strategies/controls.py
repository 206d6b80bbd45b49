"""Controls: chance, the place in the list, the length, and whether there is an input.

None reads what an item asks: a selector that one of them matches has learnt nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Item
from selectllm.data.stored_items import ids_of
from selectllm.selection.strategies.candidates import Candidates, by_score

HAS_INPUT = "has-input"
USUAL = ("random", "longest", "shortest", "first")
"""Names of those that an evaluation takes unless its suite names strategies."""

BESIDE = ("longest", HAS_INPUT)
"""Names of those told beside every `ab` and `optimize`."""


def usual_controls(items: Iterable[Item]) -> tuple[str, ...]:
    """USUAL, and `has-input` where an item has one."""
    return (*USUAL, HAS_INPUT) if any(item.input for item in items) else USUAL


def random(candidates: Candidates) -> list[int]:
    """A seeded shuffle by id: the baseline that everything is measured against.

    Its draws are its own: with those that settle ties, a strategy of many ties would be like it.
    """
    draws = [
        (seeded_hash("random", candidates.seed, name), name, position)
        for position, name in enumerate(ids_of(candidates.items))
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


def lengths(candidates: Candidates) -> list[float]:
    """Characters of instruction and input."""
    return [float(len(item.text)) for item in candidates.items]


def longest(candidates: Candidates) -> list[int]:
    """Most characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, lengths(candidates))


def shortest(candidates: Candidates) -> list[int]:
    """Fewest characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, [-length for length in lengths(candidates)])


def has_input(candidates: Candidates) -> list[int]:
    """Items with an input first: a control for labels that follow the presence of a context."""
    return by_score(candidates, [float(bool(item.input)) for item in candidates.items])
