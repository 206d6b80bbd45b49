"""Controls: chance, the place in the list, the length, and whether there is an input.

None reads what an item asks: a selector that one of them matches has learnt nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from selectllm.core.arrays import Floats, Ints
from selectllm.core.types import Item
from selectllm.data.stored_items import lengths_of
from selectllm.selection.strategies.candidates import Candidates, by_score, drawn

HAS_INPUT = "has-input"
USUAL = ("random", "longest", "shortest", "first")
"""Names of those that an evaluation takes unless its suite names strategies."""

BESIDE = ("longest", HAS_INPUT)
"""Names of those told beside every `ab` and `optimize`."""


def usual_controls(items: Iterable[Item]) -> tuple[str, ...]:
    """USUAL, and `has-input` where an item has one."""
    return (*USUAL, HAS_INPUT) if any(item.input for item in items) else USUAL


def random(candidates: Candidates) -> Ints:
    """A seeded shuffle by id: the baseline that everything is measured against.

    Its draws are its own: with those that settle ties, a strategy of many ties would be like it.
    """
    return drawn(candidates, "random")


def slot(number: int, candidates: Candidates) -> Ints:
    """From slot `number` (1-based) on, and on from the first after the last.

    What a model does that always answers with the same labels: the control for position bias. A
    slot beyond the last is counted on from the first.
    """
    count = len(candidates.items)
    start = (number - 1) % count
    return np.roll(np.arange(count), -start)


def first(candidates: Candidates) -> Ints:
    """As shown: what a model does that always answers with the first labels."""
    return np.arange(len(candidates.items))


def lengths(candidates: Candidates) -> Floats:
    """Characters of instruction and input."""
    return lengths_of(candidates.items)


def longest(candidates: Candidates) -> Ints:
    """Most characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, lengths(candidates))


def shortest(candidates: Candidates) -> Ints:
    """Fewest characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, -lengths(candidates))


def has_input(candidates: Candidates) -> Ints:
    """Items with an input first: a control for labels that follow the presence of a context."""
    return by_score(candidates, [float(bool(item.input)) for item in candidates.items])
