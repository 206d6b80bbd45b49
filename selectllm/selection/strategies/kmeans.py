"""k-means with a group for every pick: the item nearest to each centroid. Pure."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows

MINI_BATCH_ABOVE = 100_000  # items; k-means on all of them up to here, one pass beyond
MINI_BATCH = 4_096  # rows


def kmeans_nearest(candidates: Candidates, n: int) -> list[int]:
    """The item nearest to the centroid of each of n k-means groups, largest group first.

    A group's pick is one of its own members, so no item is picked twice. Where groups stay empty
    (fewer distinct vectors than n), the second nearest of the other groups fill up, largest first,
    then the third. Ties go by seed and id.
    """
    rows = seeded_rows(candidates)
    groups, distances = _nearest_centroid(rows, _centroids(rows, n, candidates.seed))
    return [int(position) for position in rows.order[_turns(groups, distances)[:n]]]


def _centroids(rows: SeededRows, count: int, seed: int) -> NDArray[np.float64]:
    """(count, dim): Lloyd on all rows up to 100,000, else one pass of mini-batches.

    Lloyd starts from k-means++ (Arthur & Vassilvitskii 2007) with one draw per centroid: the
    ten of scikit-learn's greedy variant take longer than all that follows.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus
    from sklearn.exceptions import ConvergenceWarning

    state = seed % 2**32
    with warnings.catch_warnings():
        # Fewer distinct rows than centroids is fine: empty groups are filled from the others.
        few = "Number of distinct clusters"
        warnings.filterwarnings("ignore", message=few, category=ConvergenceWarning)
        if len(rows) <= MINI_BATCH_ABOVE:
            vectors = rows.take()
            start, _ = kmeans_plusplus(vectors, count, random_state=state, n_local_trials=1)
            model = KMeans(count, init=start, n_init=1, random_state=state).fit(vectors)
        else:
            start = rows.take(0, count)  # rows are in random order
            model = MiniBatchKMeans(count, init=start, n_init=1, random_state=state)
            batch = max(MINI_BATCH, count)
            for first in range(0, max(1, len(rows) - count), batch):
                model.partial_fit(rows.take(first, first + batch))
    return np.asarray(model.cluster_centers_, dtype=np.float64)


def _nearest_centroid(
    rows: SeededRows, centroids: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The nearest centroid of each row, and the squared Euclidean distance to it."""
    groups = np.empty(len(rows), dtype=np.intp)
    distances = np.empty(len(rows), dtype=np.float32)
    half_norms = np.einsum("cd,cd->c", centroids, centroids) / 2
    for start, block in rows.blocks():
        nearest = (block @ centroids.T - half_norms).argmax(axis=1)
        apart = block - centroids[nearest]
        groups[start : start + len(block)] = nearest
        distances[start : start + len(block)] = np.einsum("nd,nd->n", apart, apart)
    return groups, distances


def _turns(groups: NDArray[np.intp], distances: NDArray[np.float32]) -> NDArray[np.intp]:
    """All rows: the nearest of every group, then the second nearest, ...; large groups first."""
    sizes = np.bincount(groups)
    by_group = np.lexsort((distances, groups))  # stable: ties stay in seeded order
    rank = np.empty_like(groups)
    rank[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.lexsort((-sizes[groups], rank))
