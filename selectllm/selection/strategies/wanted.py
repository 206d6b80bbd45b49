"""What facility location is to reach: how near each row is, and how much it weighs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Vectors
from selectllm.selection.clustering.seeded_rows import SeededRows, nearest_to


@dataclass(frozen=True, slots=True)
class Wanted:
    """`reached`: (n_rows,) the cosine to what is given, at least 0. `weights`: (n_rows,) 0 to 1.

    Either is None where there is none. To add to what is reached is the same as facility location
    on max(0, cosine - reached): the picks beside what is given come from the same method.
    """

    reached: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, rows: SeededRows, given: Vectors | None, weights: Floats | None) -> Self:
        """Of rows in their seeded order; `weights`: in the order of their vectors."""
        reached = None
        if given is not None and len(given):
            wide = given.astype(np.float64)
            nearest = [nearest_to(wide, block) for _, block in rows.blocks()]
            reached = np.maximum(np.concatenate(nearest), np.float32(0))
        own = None if weights is None else weights[rows.order].astype(np.float32)
        return cls(reached, own)

    def of_rows(self, similar: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_candidates, n_rows) cosines at least 0, as what a candidate adds to each of the rows.

        The rows are the first of the seeded order. `similar` is written to.
        """
        count = similar.shape[1]
        if self.reached is not None:
            np.maximum(similar - self.reached[:count], np.float32(0), out=similar)
        if self.weights is not None:
            similar *= self.weights[:count]
        return similar
