"""Strategies in rounds, for pools that no machine could look at as a whole. Pure.

Rows are dealt to shards by their seeded order, which is random; each shard is picked from by
itself, wherever that is done, and what the shards picked is picked from again. The picks do not
depend on who carries the rounds out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.clustering.seeded_rows import SeededRows

CLIENTS = 4_096  # rows that stand for all in the sum of facility location
SHARD = 30_000  # rows of one shard: half a gigabyte of similarities to the clients
AGAIN = 150_000  # rows that are picked from in the last round at most

Greedy = Callable[[NDArray[np.float32], int], Ints]
"""(similarities of candidates to clients, n) -> n candidates, what adds most first."""


def facility_fits(rows: int, n: int, shard: int = SHARD) -> bool:
    """Whether what the shards pick can be picked from again."""
    return -(-rows // shard) * min(n, shard) <= AGAIN


def facility_in_rounds(rows: SeededRows, n: int, greedy: Greedy, *, shard: int = SHARD) -> Ints:
    """(n,) row numbers that add most to sum_i max_{j picked} max(0, cosine(i, j)), by two rounds.

    RandGreeDi (Barbosa, Ene, Nguyen & Ward, "The Power of Randomization", ICML 2015, arXiv
    1502.02606): the greedy method on each of the shards, then on what they picked, and the better
    of that and the best shard. The rows i are the first 4,096 of the seeded order, a random sample
    of all: for their sum the picks reach in expectation at least (1 - 1/e) / 2 of the best, as far
    as shards of equal size do what shards drawn row by row do, of which that is proved. (For shards
    that are not random the bound is 1 / min(shards, n) of that of greedy: GreeDi, Mirzasoleiman et
    al., NIPS 2013.) For any one set that was named before the sample was drawn, the mean over the
    sample is within 0.03 of the mean over all rows with a probability of 99.8 % (Hoeffding's
    inequality); the picks were chosen by the sample, so they reach somewhat less of the others.
    """
    clients = rows.take(0, CLIENTS)
    found = list(_picked(rows, partial(_of_shard, greedy, clients, n), shard))
    union = np.concatenate([numbers for numbers, _ in found])
    picks = union[greedy(similarities(rows.wide(union), clients), n)]
    best = max(found, key=lambda each: each[1])
    similar = similarities(rows.wide(picks), clients)
    return picks if _reached(similar) >= best[1] or len(best[0]) < n else best[0]


def k_center_in_rounds(
    rows: SeededRows, n: int, farthest_first: Callable[[SeededRows, int], Ints], *, shard: int
) -> Ints:
    """(n,) row numbers of a farthest-first traversal of what those of the shards picked.

    At most four times the best radius, however the rows are dealt (Malkomes, Kusner, Chen,
    Weinberger & Moseley, "Fast Distributed k-Center Clustering with Outliers on Massive Data", NIPS
    2015, section 3), where one traversal of all rows has at most twice (Gonzalez 1985).
    """
    found = _picked(rows, partial(_traversed, farthest_first, n), shard)
    union = np.sort(np.concatenate([numbers for numbers, _ in found]))
    return union[farthest_first(SeededRows(rows.vectors, rows.order[union]), n)]


def _picked(
    rows: SeededRows, pick: Callable[[Vectors], tuple[Ints, float]], shard: int
) -> Iterator[tuple[Ints, float]]:
    """For each shard the row numbers that `pick` gives, and its sum."""
    shards = -(-len(rows) // shard)
    # Row i goes to shard i modulo their number: a few rows that are known, such as the clients,
    # say nothing about where the others are.
    numbers = [np.arange(first, len(rows), shards) for first in range(shards)]
    pieces = (SeededRows(rows.vectors, rows.order[mine]).take() for mine in numbers)
    for mine, (picks, total) in zip(numbers, rows.workers.map(pick, pieces), strict=True):
        yield mine[picks], total


def _of_shard(greedy: Greedy, clients: Vectors, n: int, shard: Vectors) -> tuple[Ints, float]:
    similar = similarities(shard.astype(np.float64), clients)
    picks = greedy(similar, min(n, len(shard)))
    return picks, _reached(similar[picks])


def _traversed(
    farthest_first: Callable[[SeededRows, int], Ints], n: int, shard: Vectors
) -> tuple[Ints, float]:
    rows = SeededRows(shard, np.arange(len(shard)))
    return farthest_first(rows, min(n, len(shard))), 0.0


def similarities(candidates: Floats, clients: Vectors) -> NDArray[np.float32]:
    """(n_candidates, n_clients) cosines, 0 where negative."""
    wide = clients.astype(np.float64)
    similar = np.empty((len(candidates), len(clients)), dtype=np.float32)
    for start in range(0, len(candidates), CLIENTS):
        block = candidates[start : start + CLIENTS]
        similar[start : start + CLIENTS] = np.maximum(block @ wide.T, 0)
    return similar


def _reached(similar: NDArray[np.float32]) -> float:
    """The sum that candidates reach together."""
    return float(similar.max(axis=0).sum(dtype=np.float64))
