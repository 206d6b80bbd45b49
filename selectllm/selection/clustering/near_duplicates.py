"""Near-duplicates of pools whose pairs are too many to be compared. Pure.

Items are compared inside k-means cells, of which each item is in the nearest two, so that a border
between two seldom parts a pair; and items whose texts share most of their words are compared
wherever they are (data/minhash.py). Whatever is dropped is near a kept item, by its cosine. What is
missed is a pair that neither way brings together: such an item is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt

import numpy as np

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.types import Item
from selectllm.core.workers import HERE, Workers
from selectllm.data.deduplicate import BLOCK, KEPT, Positions, earliest_near, normalised
from selectllm.data.minhash import distinct_pairs, met, signatures
from selectllm.data.stored_items import picked, texts_of
from selectllm.selection.clustering.kmeans import kmeans_centres
from selectllm.selection.clustering.seeded_rows import SeededRows

CELLS = 2  # of which every item is in one
ROWS_A_CENTRE = 64  # that cells are fitted on
BATCH = 4_096  # rows
TEXTS = 20_000  # held at a time


@dataclass(frozen=True, slots=True)
class InCells:
    """A NearSearch (data/deduplicate.py) in about as many cells as the square root of the items.

    `items`: those of the rows of the vectors. `workers` compare the items of a cell. The time grows
    with the number of items times its square root.
    """

    items: Sequence[Item]
    workers: Workers = HERE

    def __call__(self, vectors: Vectors, order: Positions, limit: float) -> Positions:
        """(n,) as `earliest_near`: a kept earlier row with cosine >= limit to each row, or KEPT.

        Rows are numbered by their place in `order`.
        """
        rows = SeededRows(vectors, order, self.workers)
        near = [*self._in_cells(rows, limit), _near(rows, self._alike(order), limit)]
        return _resolved(rows, distinct_pairs(np.concatenate(near), len(rows)), limit)

    def _in_cells(self, rows: SeededRows, limit: float) -> Iterator[Ints]:
        """For each cell (n_dropped, 2): the row that would be kept, and the one that it repeats."""
        cells = [cell for cell in _cells(rows) if len(cell) > 1]
        compared = partial(_of_cell, limit)
        pieces = (SeededRows(rows.vectors, rows.order[cell]).take() for cell in cells)
        for cell, earlier in zip(cells, self.workers.map(compared, pieces), strict=True):
            dropped = np.flatnonzero(earlier != KEPT)
            yield np.column_stack([cell[earlier[dropped]], cell[dropped]])

    def _alike(self, order: Positions) -> Ints:
        """(n_pairs, 2) rows whose texts share most of their words."""
        texts = texts_of(self.items)
        signed = [
            signatures([normalised(text) for text in picked(texts, order[start:][:TEXTS].tolist())])
            for start in range(0, len(order), TEXTS)
        ]
        return met(np.concatenate(signed))


def _cells(rows: SeededRows) -> Iterator[Ints]:
    """The rows of every cell, in ascending order; each row is in the CELLS nearest ones."""
    count = max(1, isqrt(len(rows)))
    drawn = np.random.default_rng(0).permutation(len(rows))[: ROWS_A_CENTRE * count]
    sample = SeededRows(rows.vectors, rows.order[drawn])
    centres = kmeans_centres(sample, count, 0, batch=BATCH, light_start=True, lloyd_up_to=0)
    nearest = np.empty((len(rows), min(CELLS, count)), dtype=np.intp)
    for start, found in rows.map(partial(_nearest, centres.astype(np.float64))):
        nearest[start : start + len(found)] = found
    flat = nearest.ravel()
    by_cell = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=count))[:-1]
    return iter(np.split(by_cell // nearest.shape[1], ends))


def _nearest(centres: Floats, block: Floats) -> Ints:
    """(n_block, CELLS) the nearest centres of each row."""
    half_norms = np.einsum("cd,cd->c", centres, centres) / 2
    nearness = block @ centres.T - half_norms
    count = min(CELLS, len(centres))
    return np.argpartition(-nearness, count - 1, axis=1)[:, :count]


def _of_cell(limit: float, cell: Vectors) -> Positions:
    return earliest_near(cell, np.arange(len(cell)), limit)


def _near(rows: SeededRows, pairs: Ints, limit: float) -> Ints:
    """Those of `pairs` (n, 2) whose cosine is at least `limit`."""
    near = np.empty(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), BLOCK):
        one, other = (rows.wide(side) for side in pairs[start : start + BLOCK].T)
        near[start : start + BLOCK] = np.einsum("nd,nd->n", one, other) >= limit
    return pairs[near]


def _resolved(rows: SeededRows, near: Ints, limit: float) -> Positions:
    """What is dropped, in the order of the rows: what is near a row that is itself kept.

    `near`: (n_pairs, 2), the earlier row first, sorted by the later one. Where the earlier row was
    dropped, the row that was kept for it is looked at as well.
    """
    earliest = np.full(len(rows), KEPT, dtype=np.intp)
    for earlier, row in near.tolist():
        if earliest[row] != KEPT:
            continue
        stands = int(earliest[earlier])
        if stands == KEPT:
            earliest[row] = earlier
        elif len(_near(rows, np.array([[stands, row]]), limit)):
            earliest[row] = stands
    return earliest
