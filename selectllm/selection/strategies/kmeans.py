"""k-means with a group for every pick: the item nearest to each centre. Pure."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.clustering.kmeans import LLOYD_UP_TO, kmeans_centres
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows

MINI_BATCH = 4_096  # rows


def kmeans_nearest(
    candidates: Candidates, n: int, *, lloyd_up_to: int = LLOYD_UP_TO, batch: int = MINI_BATCH
) -> list[int]:
    """The item nearest to the centre of each of n k-means groups, largest group first.

    A group's pick is one of its own members, so no item is picked twice. Where groups stay empty
    (fewer distinct vectors than n), the second nearest of the other groups fill up, largest first,
    then the third. Ties go by seed and id. `lloyd_up_to`, `batch`: see `kmeans_centres`.

    Beside what is given, there are as many groups as items given and picked together, of all of
    them; groups that hold an item that is given come last.
    """
    rows = seeded_rows(candidates)
    if candidates.given is not None and len(candidates.given):
        return _beside(rows, candidates.given, n, candidates.seed, lloyd_up_to, batch)
    centres = kmeans_centres(
        rows, n, candidates.seed, batch=batch, light_start=True, lloyd_up_to=lloyd_up_to
    )
    groups, distances = nearest_centre(rows, centres.astype(np.float64))
    return [int(position) for position in rows.order[_turns(groups, distances)[:n]]]


def _beside(
    rows: SeededRows, given: Vectors, n: int, seed: int, lloyd_up_to: int, batch: int
) -> list[int]:
    """The same beside what is given."""
    own = len(rows)
    vectors = np.concatenate([rows.take(), given.astype(np.float32)])
    rng = np.random.default_rng(seed)
    both = SeededRows(vectors, rng.permutation(len(vectors)), rows.workers)
    count = n + len(np.unique(given, axis=0))
    centres = kmeans_centres(
        both, min(count, len(vectors)), seed, batch=batch, light_start=True, lloyd_up_to=lloyd_up_to
    )
    in_order = SeededRows(vectors, np.arange(len(vectors)), rows.workers)
    groups, distances = nearest_centre(in_order, centres.astype(np.float64))
    held = np.isin(groups[:own], groups[own:])
    turns = _turns(groups[:own], distances[:own])
    turns = np.concatenate([turns[~held[turns]], turns[held[turns]]])
    return [int(position) for position in rows.order[turns[:n]]]


def nearest_centre(rows: SeededRows, centres: Floats) -> tuple[Ints, NDArray[np.float32]]:
    """The nearest centre of each row, and the squared Euclidean distance to it."""
    groups = np.empty(len(rows), dtype=np.intp)
    distances = np.empty(len(rows), dtype=np.float32)
    for start, (nearest, apart) in rows.map(partial(_nearest_of_block, centres)):
        groups[start : start + len(nearest)] = nearest
        distances[start : start + len(nearest)] = apart
    return groups, distances


def _nearest_of_block(centres: Floats, block: Floats) -> tuple[Ints, NDArray[np.float32]]:
    """The same for the rows of one block."""
    half_norms = np.einsum("cd,cd->c", centres, centres) / 2
    nearest = (block @ centres.T - half_norms).argmax(axis=1)
    apart = block - centres[nearest]
    return nearest, np.einsum("nd,nd->n", apart, apart).astype(np.float32)


def _turns(groups: Ints, distances: NDArray[np.float32]) -> Ints:
    """All rows: the nearest of every group, then the second nearest, ...; large groups first."""
    sizes = np.bincount(groups)
    by_group = np.lexsort((distances, groups))  # stable: ties stay in seeded order
    rank = np.empty_like(groups)
    rank[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.lexsort((-sizes[groups], rank))
