"""Clusters that are cross-sections of balanced k-means groups: the partition `diverse`. Pure.

Equal-size k-means of SelectLLM (arXiv 2401.16553) in near-linear time: centres, then groups of
equal size around them, then clusters that hold one row of each group.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.workers import HERE, Workers
from selectllm.selection.clustering.kmeans import kmeans_centres
from selectllm.selection.clustering.seeded_rows import SeededRows

FITTED_ON = 20_000  # rows, the first in their seeded order: a fair sample of what is larger
ROWS_A_CENTRE = 256  # that centres are fitted on at least, if that is more


def diverse(rows: SeededRows, clusters: int, seed: int) -> Ints:
    """Clusters alike across and diverse inside: each holds one item of every k-means group.

    The equal-size k-means of SelectLLM (arXiv 2401.16553), with as many groups as the largest
    cluster has members: `size`, wherever that divides the pool, and then the groups are the
    published ones for the same centres as long as nothing ties. The centres are fitted on a sample
    of a pool of more than 20,000 items (`fitted_centres`). Members are dealt to clusters by
    seed, not by file order. Elsewhere a cluster lacks at most one of the groups.
    """
    if clusters == 1:
        return np.zeros(len(rows), dtype=np.intp)
    groups = -(-len(rows) // clusters)
    return cross_sections(rows, fitted_centres(rows, groups, seed), clusters)


def fitted_centres(rows: SeededRows, count: int, seed: int) -> Vectors:
    """(count, dim) k-means centres by Lloyd: of all rows, or of the first 20,000 if there are more.

    Of 256 rows a centre, if that is more. They are in random order, so they are a sample of all,
    and the work does not grow with the others. Lloyd on all of 50,000 rows around 50 centres
    brings rows nearer to the centre of their group by 0.2 %, in twice the time.
    """
    sample = rows.first(max(FITTED_ON, ROWS_A_CENTRE * count))
    return kmeans_centres(sample, count, seed, lloyd_up_to=len(sample))


def cross_sections(rows: SeededRows, centres: Vectors, clusters: int) -> Ints:
    """The cluster of each row, given ceil(n_items / clusters) centres (n_centres, dim)."""
    distances = squared_distances(rows, centres)
    return _dealt(balanced_groups(distances, rows.workers), clusters)


def squared_distances(rows: SeededRows, centres: Vectors) -> NDArray[np.float32]:
    """(n_centres, n_items): squared Euclidean distance of every row to every centre.

    Up to a constant per centre, which changes nothing in the order of that centre's distances.
    """
    distances = np.empty((len(centres), len(rows)), dtype=np.float32)
    for start, part in rows.map(partial(_distances, centres.astype(np.float64))):
        distances[:, start : start + part.shape[1]] = part
    return distances


def _distances(centres: Floats, block: Floats) -> NDArray[np.float32]:
    """(n_centres, n_block) the same for the rows of one block."""
    norms = np.einsum("nd,nd->n", block, block)
    distances: NDArray[np.float32] = (norms - 2 * (centres @ block.T)).astype(np.float32)
    return distances


def balanced_groups(distances: NDArray[np.float32], workers: Workers = HERE) -> Ints:
    """The group of each item, sizes within 1: centres take turns at their nearest free item.

    `distances`: (n_centres, n_items), finite. In turn, centre 0, 1, ... takes the nearest item
    that no centre has taken, the lowest index where several are equally near, until none is
    left; so the first centres hold one more where the count does not divide. Same labels as with
    one full sort per turn (SelectLLM, arXiv 2401.16553), with one sort per centre: here of what
    it is about to look at, so that the whole is near-linear in the number of items, or by
    `workers`.
    """
    centres, items = distances.shape
    taken = bytearray(items)
    gone = np.frombuffer(taken, dtype=np.bool_)  # the same memory, for whole arrays at a time
    queues = [_nearest_free(order, taken, gone) for order in workers.sort(distances, gone)]
    turns = (next(queue) for queue in islice(cycle(queues), items))
    sequence = np.fromiter(turns, dtype=np.intp, count=items)
    labels = np.empty(items, dtype=np.intp)
    labels[sequence] = np.arange(items) % centres
    return labels


def _nearest_free(
    order: Iterator[Ints], taken: bytearray, gone: NDArray[np.bool_]
) -> Iterator[int]:
    """Takes, each time it is asked, the free item nearest to one centre, and marks it taken."""
    for candidates in order:
        for item in candidates[~gone[candidates]].tolist():
            if not taken[item]:
                taken[item] = True
                yield item


def _dealt(groups: Ints, clusters: int) -> Ints:
    """The cluster of each row, where every cluster gets at most one row of each group.

    `groups` have `clusters` rows, or one less; each of the short ones passes over a cluster of
    its own. Rows of a group are dealt in their (seeded) order.
    """
    sizes = np.bincount(groups)
    passed = np.full(len(sizes), clusters)
    short = sizes < clusters
    passed[short] = np.arange(np.count_nonzero(short))
    by_group = np.argsort(groups, kind="stable")
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    labels = np.empty(len(groups), dtype=np.intp)
    labels[by_group] = rank + (rank >= np.repeat(passed, sizes))
    return labels
