"""k-means with a group for every pick: the item nearest to each centre. Pure."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.clustering.kmeans import LLOYD_UP_TO, kmeans_centres
from selectllm.selection.clustering.seeded_rows import SeededRows, cosines_to, nearest_to
from selectllm.selection.strategies.candidates import Candidates, seeded_rows

MINI_BATCH = 4_096  # rows
COVERED = 2e-6  # 1 - cosine of rows that are one


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
    given = np.unique(given.astype(np.float32), axis=0)
    vectors = np.concatenate([rows.take(), given])
    rng = np.random.default_rng(seed)
    both = SeededRows(vectors, rng.permutation(len(vectors)), rows.workers)
    drawn = rng.permutation(own)[:n] if own > lloyd_up_to else _drawn_beside(rows, given, n, rng)
    centres = kmeans_centres(
        both,
        len(given) + n,
        seed,
        batch=batch,
        lloyd_up_to=lloyd_up_to,
        start_at=np.concatenate([given, vectors[drawn]]),
    )
    in_order = SeededRows(vectors, np.arange(len(vectors)), rows.workers)
    groups, distances = nearest_centre(in_order, centres.astype(np.float64))
    held = np.isin(groups[:own], groups[own:])
    turns = _turns(groups[:own], distances[:own])
    turns = np.concatenate([turns[~held[turns]], turns[held[turns]]])
    return [int(position) for position in rows.order[turns[:n]]]


def _drawn_beside(rows: SeededRows, given: Vectors, n: int, rng: np.random.Generator) -> Ints:
    """(n,) rows of k-means++ (Arthur & Vassilvitskii 2007) that goes on from what is given.

    Each is drawn with a probability in proportion to its squared distance to the nearest one.
    """
    wide = given.astype(np.float64)
    apart = np.concatenate([1.0 - nearest_to(wide, block) for _, block in rows.blocks()])
    drawn = np.empty(n, dtype=np.intp)
    for count in range(n):
        far = np.where(apart > COVERED, apart, 0.0).astype(np.float64)
        total = far.sum()
        drawn[count] = rng.choice(len(rows), p=far / total) if total else rng.integers(len(rows))
        centre = rows.wide(drawn[count : count + 1])[0]
        for start, block in rows.blocks():
            piece = apart[start : start + len(block)]
            np.minimum(piece, 1.0 - cosines_to(centre, block), out=piece)
    return drawn


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
