"""Clusters of items that are close together: the partition `similar`. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints
from selectllm.selection.clustering.seeded_rows import BLOCK, SeededRows

AXIS_STEPS = 4  # refinements of the direction in which `similar` halves; 8 gain 1 % more
SWAP_BLOCK = 1_000  # rows among which `similar` looks for better neighbours
SWAP_PASSES = 5


def similar(rows: SeededRows, clusters: int, seed: int) -> Ints:
    """Clusters of neighbours: items close together by cosine.

    The pool is halved again and again between its two balanced means; then, in blocks of at most
    1,000 rows, two items change places wherever that brings the members of both clusters closer
    together. Near-linear in the number of items. The seed acts through the order of the rows.
    """
    return _neighbours(rows, clusters)


def _neighbours(rows: SeededRows, clusters: int) -> Ints:
    if clusters == 1 or len(rows) > SWAP_BLOCK:
        return _halved(rows, clusters, _neighbours)
    vectors = rows.take()
    block = SeededRows(vectors, np.arange(len(vectors)))
    return _swapped(vectors.astype(np.float64), _bisected(block, clusters))


def _bisected(rows: SeededRows, clusters: int) -> Ints:
    return _halved(rows, clusters, _bisected)


def _halved(rows: SeededRows, clusters: int, divide: Callable[[SeededRows, int], Ints]) -> Ints:
    """The cluster of each row: half of the clusters from either side of a cut, by `divide`."""
    labels = np.zeros(len(rows), dtype=np.intp)
    if clusters == 1:
        return labels
    half = clusters // 2
    size, larger = divmod(len(rows), clusters)
    lower = _lower_side(rows, half * size + larger * half // clusters)
    labels[lower] = divide(rows.subset(lower), half)
    labels[~lower] = half + divide(rows.subset(~lower), clusters - half)
    return labels


def _lower_side(rows: SeededRows, count: int) -> NDArray[np.bool_]:
    """True for the `count` rows at the lower end of the axis along which the rows spread."""
    # The head of a seeded order is a fair sample.
    sample = rows.take(0, BLOCK).astype(np.float64)
    axis = _axis(sample, count * len(sample) // len(rows))
    along = np.concatenate([block @ axis for _, block in rows.blocks()]).astype(np.float32)
    lower = np.zeros(len(rows), dtype=np.bool_)
    lower[np.argsort(along, kind="stable")[:count]] = True
    return lower


def _axis(sample: Floats, count: int) -> Floats:
    """The direction (dim,) from the mean of `count` rows to the mean of the others.

    Starts at the first principal component (power iteration from the row farthest from the
    mean), then goes on as k-means with two centres and fixed sizes does.
    """
    centred = sample - sample.mean(axis=0)
    axis: Floats = centred[np.argmax(np.einsum("nd,nd->n", centred, centred))]
    for _ in range(AXIS_STEPS):
        axis = (centred @ axis) @ centred
        axis = axis / (np.linalg.norm(axis) or 1.0)
    for _ in range(AXIS_STEPS):
        order = np.argsort(centred @ axis, kind="stable")
        axis = centred[order[count:]].mean(axis=0) - centred[order[:count]].mean(axis=0)
    return axis


def _swapped(vectors: Floats, labels: Ints) -> Ints:
    """Labels after exchanges of two rows that raise the sum of cosines within clusters.

    Each row in turn changes places with the row for which the sum gains most, until a pass finds
    no gain. (n, n) cosines are held, so this is for blocks.
    """
    # Rounded to float32 and summed in float64, a few cosines add up exactly: equal rows tie.
    cosine = (vectors @ vectors.T).astype(np.float32).astype(np.float64)
    np.fill_diagonal(cosine, 0.0)
    labels = labels.copy()
    rows = np.arange(len(labels))
    member = labels == np.arange(labels.max() + 1)[:, None]
    to = member.astype(np.float64) @ cosine  # (n_clusters, n): sum of a row's cosines with each
    own = to[labels, rows]
    for _ in range(SWAP_PASSES):
        before = labels.copy()
        for i in rows.tolist():
            mine = labels[i]
            gain = to[:, i][labels] - own[i] + to[mine] - own - 2 * cosine[i]
            gain[labels == mine] = 0.0
            j = int(gain.argmax())
            if gain[j] > 1e-6:
                change = cosine[j] - cosine[i]
                to[mine] += change
                to[labels[j]] -= change
                labels[i], labels[j] = labels[j], mine
                own = to[labels, rows]
        if np.array_equal(before, labels):
            break
    return labels
