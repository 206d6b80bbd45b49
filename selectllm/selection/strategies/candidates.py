"""What a strategy chooses from, and the seeded tie-break that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.codec import seeded_hashes
from selectllm.core.spilled_arrays import filled, room
from selectllm.core.types import Item
from selectllm.core.workers import HERE, Workers
from selectllm.data.stored_items import ids_of, picked, spilled_to
from selectllm.selection.clustering.seeded_rows import SeededRows, seeded_order


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items as shown (in `select`: in file order), and the seed of every draw.

    `vectors`: (n_items, dim) float32, rows of length 1; None unless the strategy needs them.
    `values`: (n_items,) of the strategy's measure, NaN where an item could not be measured; None
    unless it has one. `workers`: who carries out what can be done in pieces. `given`:
    (n_given, dim) vectors of what is chosen already, beside which more is chosen; None for nothing.
    """

    items: Sequence[Item]
    seed: int
    vectors: Vectors | None = None
    values: Floats | None = None
    workers: Workers = HERE
    given: Vectors | None = None

    def only(self, positions: Ints) -> Candidates:
        """The candidates at `positions`, in that order."""
        return Candidates(
            picked(self.items, positions.tolist()),
            self.seed,
            None if self.vectors is None else self.vectors[positions],
            None if self.values is None else self.values[positions],
            self.workers,
            self.given,
        )


def by_score(candidates: Candidates, scores: Sequence[float] | Floats) -> Ints:
    """Positions by descending score; ties by seeded hash of the id, never by file order."""
    draws = seeded_hashes("tie", candidates.seed, each=ids_of(candidates.items))
    ties = filled(room(spilled_to(candidates.items), len(candidates.items), np.uint64), draws)
    return np.lexsort((ties, -np.asarray(scores, dtype=np.float64)))


def drawn(candidates: Candidates, by: str) -> Ints:
    """Positions by hash(by, seed, id)."""
    items = candidates.items
    return seeded_order(ids_of(items), by, candidates.seed, folder=spilled_to(items))


def seeded_rows(candidates: Candidates) -> SeededRows:
    """The candidates' vectors by hash(seed, id); the id itself settles equal hashes.

    What comes first here wins a tie. Row i is candidate `order[i]`. Raises ValueError without
    vectors.
    """
    if candidates.vectors is None:
        raise ValueError("the strategy needs vectors")
    return SeededRows(candidates.vectors, drawn(candidates, "tie"), candidates.workers)
