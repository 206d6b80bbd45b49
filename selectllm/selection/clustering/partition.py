"""The pool divided into clusters: what each prompt will show. Pure and seeded.

Every item is in exactly one cluster and sizes differ by at most 1. Nothing depends on the order
of the file: rows are first put into a seeded order by hash(seed, id), and "the lowest index" in a
tie means the earliest in that order.

The same ids, vectors and seed give the same clusters on one machine with the same versions; one
and two threads agreed in all our measurements up to 20,000 items. Another processor may round a
k-means centre differently, so membership is stored and never recomputed where two runs are
compared (see clusters_file.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.codec import seeded_hashes
from selectllm.core.errors import EncoderError, UsageError
from selectllm.core.plugins import Port, calling, find
from selectllm.core.sequences import InOrder
from selectllm.core.spilled_arrays import BLOCK, filled, order_of, room
from selectllm.core.types import Cluster
from selectllm.core.workers import HERE, Workers
from selectllm.selection.clustering.diverse import diverse
from selectllm.selection.clustering.kcenter import kcenter
from selectllm.selection.clustering.packed_clusters import PackedClusters
from selectllm.selection.clustering.seeded_rows import SeededRows, seeded_order
from selectllm.selection.clustering.similar import similar

PartitionFunction = Callable[[SeededRows, int, int], Ints]
"""(rows, number of clusters, seed) -> the cluster of each row, sizes within 1."""


def partition(
    ids: Sequence[str],
    vectors: Vectors | None,
    by: str | PartitionFunction,
    size: int,
    seed: int,
    workers: Workers = HERE,
) -> tuple[Cluster, ...]:
    """Clusters of at most `size` items: ceil(n / size) of them, sizes within 1.

    `ids` are distinct; row i of `vectors` (n_items, dim), L2-normalised, belongs to ids[i]; None
    will do for `random`. `by` is a name (see find_partition) or a function like those. Clusters are
    numbered in a seeded order, so that the first few are a fair sample of all. `workers` carry out
    what can be done in pieces; the clusters are the same. Raises UsageError for what cannot be
    divided, EncoderError for vectors that cannot be used.
    """
    return tuple(divided(ids, vectors, by, size, seed, workers))


def divided(
    ids: Sequence[str],
    vectors: Vectors | None,
    by: str | PartitionFunction,
    size: int,
    seed: int,
    workers: Workers = HERE,
    folder: Path | None = None,
) -> PackedClusters:
    """`partition`, with the places of the members in `ids` and not the members themselves.

    `folder`: where a number for each item may lie meanwhile; in memory without one.
    """
    function = by if callable(by) else find_partition(by)
    if size < 1 or not ids:
        raise UsageError(
            f"cannot divide {len(ids)} items into clusters of {size}. Both must be at least 1"
        )
    order = seeded_order(ids, "partition", seed, folder=folder)
    # Equal ids are neighbours in it, and a set of all would take more than the ids do.
    if repeats := sum(one == next_ for one, next_ in pairwise(map(ids.__getitem__, order))):
        raise UsageError(f"{repeats} of {len(ids)} ids are repeats. Make them unique")
    if vectors is not None:
        check_vectors(vectors, len(ids))
    count = -(-len(ids) // size)
    labels = np.asarray(function(SeededRows(vectors, order, workers, folder), count, seed))
    _check_labels(labels, len(ids), count)
    return _clusters(ids, order, labels, seed, folder)


def show_order(members: Sequence[str], seed: int, cluster: int, order: int) -> tuple[str, ...]:
    """The members in the order in which they are shown: a permutation drawn for each cluster.

    Order 0, 1, ... of a cluster are independent draws, so that a slot is never a topic.
    """
    draws = seeded_hashes("show", seed, cluster, order, each=members)
    return tuple(member for _, member in sorted(zip(draws, members, strict=True)))


def at_random(rows: SeededRows, clusters: int, seed: int) -> Ints:
    """Clusters of items that have nothing in common but the seed. Needs no vectors."""
    labels: Ints = room(rows.folder, len(rows), np.intp)
    return filled(labels, cycle(range(clusters)))


PARTITIONS: Mapping[str, PartitionFunction] = MappingProxyType(
    {"diverse": diverse, "similar": similar, "kcenter": kcenter, "random": at_random}
)


_PORT: Port[PartitionFunction] = Port(
    what="partition",
    kind="function",
    contract="selectllm.selection.clustering.partition.PartitionFunction",
    known=PARTITIONS,
)


def find_partition(name: str, base: Path | None = None) -> PartitionFunction:
    """The partition called `name`: one of PARTITIONS, or `module:attr` of the user's own.

    `base`: a folder in which that module may be. Raises UsageError with the closest match.
    """
    function = find(_PORT, name, base).object
    if name in PARTITIONS:
        return function

    def divided(rows: SeededRows, clusters: int, seed: int) -> Ints:
        with calling(f"partition {name}"):
            return np.asarray(function(rows, clusters, seed))

    return divided


def named(name: str, base: Path | None = None) -> dict[str, str | None]:
    """What manifests say of a partition: its name, and the sha256 of code of the user's own."""
    code = find(_PORT, name, base).code_sha256
    return {"by": name} if code is None else {"by": name, "by_sha256": code}


def _clusters(
    ids: Sequence[str], order: Ints, labels: Ints, seed: int, folder: Path | None
) -> PackedClusters:
    """Numbered clusters from the label of each id, in an order drawn by their first members.

    `labels`: of the ids in their seeded `order`.
    """
    ends = np.cumsum(np.bincount(labels))
    starts = np.concatenate([[0], ends[:-1]])
    places = order_of(labels, folder)
    for start in range(0, len(places), BLOCK):
        places[start : start + BLOCK] = order[places[start : start + BLOCK]]
    for start, end in zip(starts, ends, strict=True):
        members = sorted((ids[place], place) for place in places[start:end].tolist())
        places[start:end] = [place for _, place in members]
    drawn = seeded_order(InOrder(ids, places[starts]), "clusters", seed)
    in_order = room(folder, len(places), np.intp)
    filled(in_order, (place for at in drawn for place in places[starts[at] : ends[at]]))
    return PackedClusters(ids, in_order, np.cumsum((ends - starts)[drawn]))


def check_vectors(vectors: Vectors, items: int) -> None:
    """Raise EncoderError unless there is a finite row for each of `items`."""
    if vectors.ndim != 2 or len(vectors) != items or vectors.shape[1] == 0:
        raise EncoderError(
            f"{items} items need vectors of shape ({items}, dim), got {vectors.shape}"
        )
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(vectors.sum(dtype=np.float64))
    if not finite:
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise EncoderError(f"row {bad} of the vectors holds NaN or infinity. Embed the pool again")


def _check_labels(labels: Ints, items: int, clusters: int) -> None:
    """A function of the user's may return anything."""
    numbers = labels.shape == (items,) and labels.dtype.kind in "iu" and labels.min() >= 0
    sizes = np.bincount(labels, minlength=clusters) if numbers else np.zeros(0, dtype=np.intp)
    if len(sizes) != clusters or np.ptp(sizes) > 1:
        raise UsageError(
            f"a partition function must return {items} numbers from 0 to {clusters - 1}, each "
            f"equally often within 1. Got {labels.dtype} of shape {labels.shape}"
            + (f", used {sizes.min()} to {sizes.max()} times" if numbers else "")
        )
