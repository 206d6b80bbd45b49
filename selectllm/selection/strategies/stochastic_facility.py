"""Facility location where the similarities of all pairs would not fit into memory. Pure.

The stochastic greedy method of Mirzasoleiman, Badanidiyuru, Karbasi, Vondrák & Krause ("Lazier Than
Lazy Greedy", AAAI 2015, arXiv 1409.7938): each pick is the best of a random sample of what is left,
as large as it must be to hold one of the best with a probability of 1 - EPSILON / n_picks each time
around. Its sum is in expectation at least 1 - 1/e - EPSILON of the best that there is, where plain
greedy has 1 - 1/e; in practice both are within a few percent of each other.

Bounds are kept as in the lazy method: a gain never grows, so one computed for an earlier pick is an
upper bound, and only those of a sample that could be the highest are computed again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.strategies.rounds import EVERYTHING
from selectllm.selection.strategies.wanted import Wanted

EPSILON = 0.05
BATCH = 8  # gains of a sample brought up to date at a time
COLUMNS = 8_192  # rows that some of a sample are compared with at a time: within the cache


def sample_size(rows: int, picks: int, epsilon: float = EPSILON) -> int:
    """How many of `rows` are looked at for each of `picks`: rows / picks * ln(1 / epsilon)."""
    return max(1, min(rows, math.ceil(rows / picks * math.log(1 / epsilon))))


def stochastic_greedy(
    vectors: Vectors,
    picks: int,
    seed: int,
    epsilon: float = EPSILON,
    wanted: Wanted = EVERYTHING,
) -> Ints:
    """(picks,) row numbers of `vectors` (n_rows, dim) float32, in the order they are picked.

    They add up to sum_i w_i max_{j picked} max(0, cosine(i, j)), over all rows, beside what is
    reached already (`wanted`). Memory is that of the
    vectors and of a few numbers a row. The same `seed` gives the same picks on one machine with one
    number of threads; another number of `picks` looks at other samples.
    """
    state = _State(vectors, wanted)
    rng = np.random.default_rng(seed)
    free = np.arange(len(vectors))
    size = sample_size(len(vectors), picks, epsilon)
    chosen = np.empty(picks, dtype=np.intp)
    for count in range(picks):
        left = len(vectors) - count
        places = rng.choice(left, min(size, left), replace=False, shuffle=False)
        place = places[state.best(free[places])]
        chosen[count] = free[place]
        state.pick(int(free[place]))
        free[place] = free[left - 1]  # the last takes the place of the one that went
    return chosen


class _State:
    """What is covered so far, and an upper bound of what each row would add to it."""

    def __init__(self, vectors: Vectors, wanted: Wanted) -> None:
        self._vectors = vectors
        nothing = np.zeros(len(vectors), dtype=np.float32)
        self._reached = nothing if wanted.reached is None else wanted.reached.copy()
        self._weights = wanted.weights
        self._sum = float(self._weighed(self._reached, 0))  # of what is reached
        self._bounds: Floats = np.full(len(vectors), np.inf)

    def best(self, sample: Ints) -> int:
        """The place in `sample` of the row that adds most."""
        bounds = self._bounds[sample]
        new = np.flatnonzero(np.isinf(bounds))
        bounds[new] = self._gains(sample[new])
        fresh = np.isinf(self._bounds[sample])
        while not fresh[best := int(bounds.argmax())] and bounds[best] > 0:
            stale = np.flatnonzero(~fresh)
            if len(stale) > BATCH:
                stale = stale[np.argpartition(bounds[stale], -BATCH)[-BATCH:]]
            bounds[stale] = self._gains(sample[stale])
            fresh[stale] = True
        self._bounds[sample] = bounds
        return best

    def pick(self, row: int) -> None:
        """Count what `row` covers as reached."""
        similar = self._vectors @ self._vectors[row]
        np.maximum(self._reached, similar, out=self._reached)
        self._sum = float(self._weighed(self._reached, 0))

    def _weighed(self, similar: NDArray[np.float32], start: int) -> Floats:
        """The weighted sum over rows from `start` on, along the last axis."""
        if self._weights is not None:
            similar = similar * self._weights[start : start + similar.shape[-1]]
        return np.asarray(similar.sum(axis=-1, dtype=np.float64))

    def _gains(self, rows: Ints) -> Floats:
        """(n_rows,) what each of `rows` would add to the sum now."""
        covered = np.zeros(len(rows))
        wanted = self._vectors[rows]
        for start in range(0, len(self._vectors) if len(rows) else 0, COLUMNS):
            stop = start + COLUMNS
            similar = wanted @ self._vectors[start:stop].T
            np.maximum(similar, self._reached[start:stop], out=similar)
            covered += self._weighed(similar, start)
        return np.maximum(covered - self._sum, 0.0)
