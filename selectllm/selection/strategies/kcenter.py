"""Strategies by vectors alone: k-center greedy, and the items nearest to the mean. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.clustering.seeded_rows import (
    BLOCK,
    SAME,
    SeededRows,
    cosines_to,
    nearest_to,
)
from selectllm.selection.strategies.candidates import Candidates, by_score, seeded_rows
from selectllm.selection.strategies.rounds import k_center_in_rounds

ROUNDS_ABOVE = 2_000_000  # items
WATCHED = 1_024  # rows kept up to date between two looks at all of them, at least
WATCHED_SHARE = 256  # or this part of all rows: 1/256


def k_center(candidates: Candidates, n: int, *, watched: int = WATCHED) -> list[int]:
    """The first n positions of the farthest-first traversal, in the order they were picked.

    Each pick is the item whose highest cosine to a picked one is lowest: on rows of length 1 the
    item at the greatest Euclidean distance from its nearest pick. This is k-center greedy, the
    core-set method of Sener & Savarese (ICLR 2018, arXiv 1708.00489), at most twice the best
    radius (Gonzalez 1985). As there, it starts from the items that are labelled, if any are given
    (`Candidates.given`); the published SelectLLM code starts from a random row, row 0, or the
    centroids of groups, depending on the caller. Without any the first pick is random by seed and
    id. Items that are equally
    far go by the same draw. n = 1 to the number of candidates; any n gives the same beginning.
    `watched`: see `farthest_first`. Above two million candidates by two rounds of shards, at most
    four times the best radius (`k_center_in_rounds`); another n begins otherwise there.
    """
    rows = seeded_rows(candidates)
    if len(rows) > ROUNDS_ABOVE:
        traverse = partial(farthest_first, given=candidates.given)
        picks = k_center_in_rounds(rows, n, traverse, shard=ROUNDS_ABOVE // 8)
        return [int(position) for position in rows.order[picks]]
    picks = farthest_first(rows, n, watched, candidates.given)
    return [int(position) for position in rows.order[picks]]


def farthest_first(
    rows: SeededRows, n: int, watched: int = WATCHED, given: Vectors | None = None
) -> Ints:
    """(n,) row numbers of the farthest-first traversal that starts at row 0; ties: lowest row.

    With `given` (n_given, dim) it goes on from those, so that the first is the farthest from them.

    Exact, and the matrix is read far less than n times. The cosine of a row to its nearest pick
    only ever grows, so an old value is a lower bound: the rows that look farthest are compared
    with the picks they have missed, in one matrix product, and picked from for as long as one of
    them is farther than any other row can be. Memory beyond the vectors: 8 bytes a row, the
    picks, and the watched rows in float64. `watched`: how many, at least; the picks are the same.
    """
    traversal = _Traversal.start(rows, n, given)
    width = max(watched, len(rows) // WATCHED_SHARE)
    while len(traversal.picks) < n:
        traversal.pick_among(*_farthest(traversal.nearest, width), n)
    return np.array(traversal.picks, dtype=np.intp)


@dataclass(slots=True)
class _Traversal:
    """The picks so far, and what is known of the others.

    `nearest`: (n_rows,) highest cosine to the first `compared` picks, infinite for the picks.
    `centres`: (n, dim) the vectors of the picks.
    """

    rows: SeededRows
    centres: Floats
    nearest: NDArray[np.float32]
    compared: NDArray[np.int32]
    picks: list[int] = field(default_factory=lambda: [0])

    @classmethod
    def start(cls, rows: SeededRows, n: int, given: Vectors | None) -> _Traversal:
        if given is not None and len(given):
            wide = given.astype(np.float64)
            nearest = np.concatenate([nearest_to(wide, block) for _, block in rows.blocks()])
            centres = np.empty((n, wide.shape[1]))
            return cls(rows, centres, nearest, np.zeros(len(rows), dtype=np.int32), [])
        first = rows.take(0, 1).astype(np.float64)
        centres = np.empty((n, first.shape[1]))
        centres[0] = first
        nearest = np.concatenate([cosines_to(first[0], block) for _, block in rows.blocks()])
        nearest[0] = np.inf
        return cls(rows, centres, nearest, np.ones(len(rows), dtype=np.int32))

    def pick_among(self, watched: Ints, limit: tuple[np.float32, np.intp], n: int) -> None:
        """Pick from `watched` (ascending) until n, or until a row outside may be farther.

        `limit`: the lower bound and number of the row outside that comes first.
        """
        vectors = self.rows.wide(watched)
        nearest = self.nearest[watched]
        for first in range(int(self.compared[watched].min()), len(self.picks), BLOCK):
            missed = self.centres[first : min(first + BLOCK, len(self.picks))]
            cosines = (vectors @ missed.T).max(axis=1).astype(np.float32)
            np.maximum(nearest, np.minimum(cosines, SAME), out=nearest)
        while len(self.picks) < n:
            best = int(nearest.argmin())
            if (nearest[best], watched[best]) > limit:
                break
            self.centres[len(self.picks)] = vectors[best]
            self.picks.append(int(watched[best]))
            np.maximum(nearest, cosines_to(vectors[best], vectors), out=nearest)
            nearest[best] = np.inf
        self.nearest[watched] = nearest
        self.compared[watched] = len(self.picks)


def _farthest(nearest: NDArray[np.float32], count: int) -> tuple[Ints, tuple[np.float32, np.intp]]:
    """The `count` rows with the lowest cosine (ties: lowest row), ascending, and the next one."""
    if count >= len(nearest):
        return np.arange(len(nearest)), (np.float32(np.inf), np.intp(len(nearest)))
    within = np.flatnonzero(nearest <= np.partition(nearest, count)[count])
    ranked = within[np.argsort(nearest[within], kind="stable")]
    following = ranked[count]
    return np.sort(ranked[:count]), (nearest[following], following)


def centroid(candidates: Candidates) -> Ints:
    """Highest cosine to the candidates' mean vector first: the most typical items."""
    vectors = candidates.vectors
    if vectors is None:
        raise ValueError("centroid needs vectors")
    # Summed in another order, digits below the ninth differ: they must not decide between items.
    mean = vectors.mean(axis=0, dtype=np.float64)
    blocks = (vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK))
    cosines = np.concatenate([block.astype(np.float64) @ mean for block in blocks])
    return by_score(candidates, np.round(cosines, 9))
