"""Facility location: the items that together are most similar to everything. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows
from selectllm.selection.strategies.rounds import facility_fits, facility_in_rounds
from selectllm.selection.strategies.stochastic_facility import stochastic_greedy

UP_TO = 30_000  # items; their similarities are held in memory, 4 bytes a pair: 3.6 GB here
ROUNDS_ABOVE = 200_000  # items, of which samples take more than a quarter of an hour
BLOCK = 8_000_000  # similarities computed at a time
BATCH = 16  # gains brought up to date at a time


def facility_location(candidates: Candidates, n: int, *, batch: int = BATCH) -> list[int]:
    """Positions in the order in which they add most to sum_i max_{j picked} max(0, cosine(i, j)).

    The lazy greedy method of Minoux (1978) on the facility-location function, as in Wei, Iyer &
    Bilmes (ICML 2015): a gain never grows, so an old one is an upper bound and only those that
    could still be the highest are computed again. Same picks as the plain greedy method, at least
    1 - 1/e of the best sum. Gains that are equal go by seed and id; any n gives the same
    beginning. `batch`: gains brought up to date at a time; the picks are the
    same.

    Above 30,000 candidates by the stochastic greedy method (stochastic_facility.py), whose memory
    is that of the vectors: in expectation at least 1 - 1/e - 0.05 of the best sum, and another n
    begins otherwise. The work grows with the square of the candidates. Above 200,000 it grows with
    their number: by two rounds of shards (`facility_in_rounds`, which states its bound), as long as
    what all shards pick is at most 150,000 rows.
    """
    rows = seeded_rows(candidates)
    if len(rows) > ROUNDS_ABOVE and facility_fits(len(rows), n):
        return [int(at) for at in rows.order[facility_in_rounds(rows, n, lazy_greedy)]]
    if len(rows) > UP_TO:
        return [int(at) for at in rows.order[stochastic_greedy(rows.take(), n, candidates.seed)]]
    return [int(position) for position in rows.order[lazy_greedy(_similarities(rows), n, batch)]]


def _similarities(rows: SeededRows) -> NDArray[np.float32]:
    """(n_rows, n_rows) cosines, 0 where negative."""
    vectors = rows.take().astype(np.float64)
    similar = np.empty((len(rows), len(rows)), dtype=np.float32)
    for block in _blocks(len(rows)):
        # Rounded from float64, so that equal rows have equal gains (see SeededRows.blocks).
        similar[block] = np.maximum(vectors[block] @ vectors.T, 0)
    return similar


def lazy_greedy(similar: NDArray[np.float32], n: int, batch: int = BATCH) -> Ints:
    """(n,) row numbers, the highest gain first; ties: lowest row.

    `similar`: (n_candidates, n_rows) of the rows that are to be reached.

    Terms of a gain shrink one by one and are added up in a fixed order, so that bounds hold and
    ties are found in floating point too.
    """
    rows = len(similar)
    reached = np.zeros(similar.shape[1], dtype=np.float32)  # by the nearest pick of each row
    gains = np.concatenate([_gains(similar[block], reached) for block in _blocks(rows)])
    fresh = np.ones(rows, dtype=np.bool_)
    picks = np.empty(n, dtype=np.intp)
    for count in range(n):
        while not fresh[best := int(gains.argmax())] and gains[best] > 0:
            stale = _highest_stale(gains, fresh, batch)
            gains[stale] = _gains(similar[stale], reached)
            fresh[stale] = True
        picks[count] = best
        np.maximum(reached, similar[best], out=reached)
        gains[best] = -np.inf
        fresh[:] = False
    return picks


def _gains(similar: NDArray[np.float32], reached: NDArray[np.float32]) -> Floats:
    """How much the item of each row of `similar` would add to the sum."""
    added = np.maximum(similar - reached, 0)
    return np.asarray(added.sum(axis=1, dtype=np.float64))


def _highest_stale(gains: Floats, fresh: NDArray[np.bool_], most: int) -> Ints:
    """Up to `most` rows with the highest gains among those that are out of date."""
    stale = np.flatnonzero(~fresh & (gains > 0))
    if len(stale) <= most:
        return stale
    return stale[np.argpartition(gains[stale], -most)[-most:]]


def _blocks(rows: int) -> list[slice]:
    step = max(1, BLOCK // rows)
    return [slice(start, start + step) for start in range(0, rows, step)]
