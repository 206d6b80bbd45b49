"""The vectors that a pool is divided by, as rows in a seeded order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.errors import UsageError

SAME = np.float32(1 - 1e-6)  # float32 rows have length 1 within 1e-7: beyond this cosine, equal
BLOCK = 4_096  # rows gathered at a time: small enough for the processor's cache


@dataclass(frozen=True, slots=True)
class SeededRows:
    """Vectors in the seeded order of their ids, gathered on demand so that no copy is held.

    `vectors`: (n_items, dim), L2-normalised, in any order, or None if there are none. `order`:
    positions in `vectors`.
    """

    vectors: Vectors | None
    order: Ints

    def __len__(self) -> int:
        return len(self.order)

    def subset(self, which: NDArray[np.bool_]) -> SeededRows:
        """The rows where `which` is true, in the same order."""
        return SeededRows(self.vectors, self.order[which])

    def between(self, start: int, stop: int) -> SeededRows:
        """Rows start to stop, in the same order."""
        return SeededRows(self.vectors, self.order[start:stop])

    def take(self, start: int = 0, stop: int | None = None) -> Vectors:
        """Rows start to stop as a new array (stop - start, dim). Raises UsageError without any."""
        if self.vectors is None:
            raise UsageError("this partition needs vectors. Embed the pool or partition by random")
        return np.asarray(self.vectors[self.order[start:stop]], dtype=np.float32)

    def wide(self, numbers: Ints) -> Floats:
        """(n_numbers, dim) the rows of these numbers in float64, for the reason of `blocks`."""
        return SeededRows(self.vectors, self.order[numbers]).take().astype(np.float64)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(position of the first row, up to BLOCK rows) over all rows.

        In float64: sums are then exact enough that, rounded to float32, identical rows give
        identical numbers wherever they stand and whatever the number of threads. In float32
        they do not, and ties would be broken by noise.
        """
        for start in range(0, len(self), BLOCK):
            yield start, self.take(start, start + BLOCK).astype(np.float64)


def cosines_to(centre: Floats, vectors: Floats) -> NDArray[np.float32]:
    """(n_rows,) cosine of each row of `vectors` to `centre`, at most SAME; equal rows tie."""
    # einsum, since BLAS starts threads for this, and waiting for them costs more than the sum.
    cosines = np.einsum("nd,d->n", vectors, centre).astype(np.float32)
    return np.asarray(np.minimum(cosines, SAME))
