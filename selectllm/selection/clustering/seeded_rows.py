"""The vectors that a pool is divided by, as rows in a seeded order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.codec import seeded_hashes
from selectllm.core.errors import UsageError
from selectllm.core.spilled_arrays import alike, filled, room, with_places
from selectllm.core.workers import HERE, Workers

Result = TypeVar("Result")

SAME = np.float32(1 - 1e-6)  # float32 rows have length 1 within 1e-7: beyond this cosine, equal
BLOCK = 4_096  # rows gathered at a time: small enough for the processor's cache
PIECE_ROWS = 16 * BLOCK  # sent at a time at most, so that all workers have some


@dataclass(frozen=True, slots=True)
class SeededRows:
    """Vectors in the seeded order of their ids, gathered on demand so that no copy is held.

    `vectors`: (n_items, dim), L2-normalised, in any order, or None if there are none. `order`:
    positions in `vectors`. `workers`: who carries out what can be done block by block. `folder`:
    where a number for each row may lie; in memory without one.
    """

    vectors: Vectors | None
    order: Ints
    workers: Workers = HERE
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.order)

    def subset(self, which: NDArray[np.bool_]) -> SeededRows:
        """The rows where `which` is true, in the same order."""
        return replace(self, order=self.order[which])

    def first(self, count: int) -> SeededRows:
        """The first `count` rows, or all if there are no more."""
        return replace(self, order=self.order[:count])

    def take(self, start: int = 0, stop: int | None = None) -> Vectors:
        """Rows start to stop as a new array (stop - start, dim). Raises UsageError without any."""
        if self.vectors is None:
            raise UsageError("this partition needs vectors. Embed the pool or partition by random")
        return np.asarray(self.vectors[self.order[start:stop]], dtype=np.float32)

    def wide(self, numbers: Ints) -> Floats:
        """(n_numbers, dim) the rows of these numbers in float64, for the reason of `blocks`."""
        return replace(self, order=self.order[numbers]).take().astype(np.float64)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(position of the first row, up to BLOCK rows) over all rows.

        In float64: sums are then exact enough that, rounded to float32, identical rows give
        identical numbers wherever they stand and whatever the number of threads. In float32
        they do not, and ties would be broken by noise.
        """
        for start in range(0, len(self), BLOCK):
            yield start, self.take(start, start + BLOCK).astype(np.float64)

    def map(self, function: Callable[[Floats], Result]) -> Iterator[tuple[int, Result]]:
        """(position of the first row, `function` of the block) over the same blocks as `blocks`.

        They are the same wherever they are computed, so that results are the same bits.
        """
        if not self.workers.piece_bytes or len(self) <= BLOCK:
            yield from ((start, function(block)) for start, block in self.blocks())
            return
        starts = self._pieces()
        pieces = (self.take(start, end) for start, end in pairwise(starts))
        found = self.workers.map(partial(_of_blocks, function), pieces)
        for start, results in zip(starts, found, strict=False):
            yield from ((start + BLOCK * at, result) for at, result in enumerate(results))

    def _pieces(self) -> list[int]:
        """Where the pieces that are sent begin, whole blocks each, and where the last one ends."""
        row = self.take(0, 1).nbytes
        blocks = max(1, min(PIECE_ROWS, self.workers.piece_bytes // row) // BLOCK)
        return [*range(0, len(self), blocks * BLOCK), len(self)]


def seeded_order(ids: Sequence[str], *drawn_by: str | int, folder: Path | None = None) -> Ints:
    """Positions of distinct ids by hash(drawn_by, id); the id itself settles equal hashes.

    `folder`: where they may lie; in memory without one.
    """
    draws = seeded_hashes(*drawn_by, each=ids)
    keys = filled(room(folder, len(ids), np.uint64), draws)
    mask = with_places(keys)
    for start, places in alike(keys, mask):  # what the places took of the hashes settles it
        some = [ids[place] for place in places]
        drawn = sorted(zip(seeded_hashes(*drawn_by, each=some), some, places, strict=True))
        keys[start : start + len(drawn)] = [place for _, _, place in drawn]
    keys &= np.uint64(mask)
    return keys.view(np.intp)


def _of_blocks(function: Callable[[Floats], Result], piece: Vectors) -> list[Result]:
    """`function` of every block of a piece that was sent."""
    return [function(block) for _, block in SeededRows(piece, np.arange(len(piece))).blocks()]


def nearest_to(centres: Floats, vectors: Floats) -> NDArray[np.float32]:
    """(n_rows,) the highest cosine of each row of `vectors` to a centre, at most SAME."""
    nearest = np.full(len(vectors), -1, dtype=np.float32)
    for start in range(0, len(centres), BLOCK):
        cosines = (vectors @ centres[start : start + BLOCK].T).max(axis=1).astype(np.float32)
        np.maximum(nearest, np.minimum(cosines, SAME), out=nearest)
    return nearest


def cosines_to(centre: Floats, vectors: Floats) -> NDArray[np.float32]:
    """(n_rows,) cosine of each row of `vectors` to `centre`, at most SAME; equal rows tie."""
    # einsum, since BLAS starts threads for this, and waiting for them costs more than the sum.
    cosines = np.einsum("nd,d->n", vectors, centre).astype(np.float32)
    return np.asarray(np.minimum(cosines, SAME))
