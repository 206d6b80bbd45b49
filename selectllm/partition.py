"""The pool divided into clusters: what each prompt will show. Pure and seeded.

Every item is in exactly one cluster and sizes differ by at most 1. Nothing depends on the order
of the file: rows are first put into a seeded order by hash(seed, id), and "the lowest index" in a
tie means the earliest in that order.

The same ids, vectors and seed give the same clusters on one machine with the same versions; one
and two threads agreed in all our measurements up to 20,000 items. Another processor may round a
k-means centre differently, so membership is stored and never recomputed where two runs are
compared (see clusters.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from selectllm.codec import seeded_hash
from selectllm.errors import EncoderError, UsageError
from selectllm.names import unknown
from selectllm.types import Cluster

MINI_BATCH_ABOVE = 100_000  # items; k-means on all of them up to here, mini-batches beyond
MINI_BATCH = 1_024  # rows
BLOCK = 4_096  # rows gathered at a time: small enough for the processor's cache
SORTED_SHARE = 16  # a centre sorts 1/16 of what is left whenever it runs out of candidates
CANDIDATES = 256  # candidates looked at together; also the least that a centre sorts
AXIS_STEPS = 4  # refinements of the direction in which `similar` halves; 8 gain 1 % more
SWAP_BLOCK = 1_000  # rows among which `similar` looks for better neighbours
SWAP_PASSES = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors in the seeded order of their ids, gathered on demand so that no copy is held.

    `vectors`: (n_items, dim), L2-normalised, in any order, or None if there are none. `order`:
    positions in `vectors`.
    """

    vectors: NDArray[np.float32] | None
    order: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.order)

    def subset(self, which: NDArray[np.bool_]) -> Rows:
        """The rows where `which` is true, in the same order."""
        return Rows(self.vectors, self.order[which])

    def take(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows start to stop as a new array (stop - start, dim). Raises UsageError without any."""
        if self.vectors is None:
            raise UsageError("this partition needs vectors; embed the pool or partition by random")
        return np.asarray(self.vectors[self.order[start:stop]], dtype=np.float32)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """(position of the first row, up to BLOCK rows) over all rows.

        In float64: sums are then exact enough that, rounded to float32, identical rows give
        identical numbers wherever they stand and whatever the number of threads. In float32
        they do not, and ties would be broken by noise.
        """
        for start in range(0, len(self), BLOCK):
            yield start, self.take(start, start + BLOCK).astype(np.float64)


PartitionFunction = Callable[[Rows, int, int], NDArray[np.intp]]
"""(rows, number of clusters, seed) -> the cluster of each row, sizes within 1."""


def partition(
    ids: Sequence[str],
    vectors: NDArray[np.float32] | None,
    by: str | PartitionFunction,
    size: int,
    seed: int,
) -> tuple[Cluster, ...]:
    """Clusters of at most `size` items: ceil(n / size) of them, sizes within 1.

    `ids` are distinct; row i of `vectors` (n_items, dim), L2-normalised, belongs to ids[i]; None
    will do for `random`. `by` is a name in PARTITIONS or a function like those. Clusters are
    numbered in a seeded order, so that the first few are a fair sample of all. Raises UsageError
    for what cannot be divided, EncoderError for vectors that cannot be used.
    """
    function = by if callable(by) else _named(by)
    if size < 1 or not ids:
        raise UsageError(
            f"cannot divide {len(ids)} items into clusters of {size}; both must be at least 1"
        )
    if len(set(ids)) != len(ids):
        raise UsageError(
            f"{len(ids) - len(set(ids))} of {len(ids)} ids are repeats; make them unique"
        )
    if vectors is not None:
        _check_vectors(vectors, len(ids))
    count = -(-len(ids) // size)
    order = _seeded_order(ids, seed)
    labels = np.asarray(function(Rows(vectors, order), count, seed))
    _check_labels(labels, len(ids), count)
    return _clusters([ids[i] for i in order.tolist()], labels, seed)


def show_order(members: Sequence[str], seed: int, cluster: int, order: int) -> tuple[str, ...]:
    """The members in the order in which they are shown: a permutation drawn for each cluster.

    Order 0, 1, ... of a cluster are independent draws, so that a slot is never a topic.
    """
    return tuple(
        sorted(members, key=lambda id: (seeded_hash("show", seed, cluster, order, id), id))
    )


def at_random(rows: Rows, clusters: int, seed: int) -> NDArray[np.intp]:
    """Clusters of items that have nothing in common but the seed. Needs no vectors."""
    return np.arange(len(rows)) % clusters


def diverse(rows: Rows, clusters: int, seed: int) -> NDArray[np.intp]:
    """Clusters alike across and diverse inside: each holds one item of every k-means group.

    The equal-size k-means of SelectLLM (arXiv 2401.16553), with as many groups as the largest
    cluster has members: `size`, wherever that divides the pool, and then the groups are the
    published ones for the same centres as long as nothing ties. Members are dealt to clusters by
    seed, not by file order. Elsewhere a cluster lacks at most one of the groups.
    """
    if clusters == 1:
        return np.zeros(len(rows), dtype=np.intp)
    groups = -(-len(rows) // clusters)
    return cross_sections(rows, kmeans_centres(rows, groups, seed), clusters)


def similar(rows: Rows, clusters: int, seed: int) -> NDArray[np.intp]:
    """Clusters of neighbours: items close together by cosine.

    The pool is halved again and again between its two balanced means; then, in blocks of at most
    1,000 rows, two items change places wherever that brings the members of both clusters closer
    together. Near-linear in the number of items. The seed acts through the order of the rows.
    """
    return _neighbours(rows, clusters)


PARTITIONS: Mapping[str, PartitionFunction] = MappingProxyType(
    {"diverse": diverse, "similar": similar, "random": at_random}
)


def kmeans_centres(rows: Rows, count: int, seed: int) -> NDArray[np.float32]:
    """(count, dim) k-means centres: Lloyd on all rows up to 100,000, else mini-batches.

    Mini-batches go once through the rows in their seeded order.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    settings = {"n_clusters": count, "n_init": "auto", "random_state": seed % 2**32}
    with warnings.catch_warnings():
        # Fewer distinct rows than centres is fine: centres that coincide share their items.
        few = "Number of distinct clusters"
        warnings.filterwarnings("ignore", message=few, category=ConvergenceWarning)
        if len(rows) <= MINI_BATCH_ABOVE:
            model = KMeans(**settings).fit(rows.take())
        else:
            model = MiniBatchKMeans(**settings)
            batch = max(MINI_BATCH, count)
            for start in range(0, len(rows) - count, batch):
                model.partial_fit(rows.take(start, start + batch))
    return np.asarray(model.cluster_centers_, dtype=np.float32)


def cross_sections(rows: Rows, centres: NDArray[np.float32], clusters: int) -> NDArray[np.intp]:
    """The cluster of each row, given ceil(n_items / clusters) centres (n_centres, dim)."""
    return _dealt(balanced_groups(squared_distances(rows, centres)), clusters)


def squared_distances(rows: Rows, centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n_centres, n_items): squared Euclidean distance of every row to every centre.

    Up to a constant per centre, which changes nothing in the order of that centre's distances.
    """
    distances = np.empty((len(centres), len(rows)), dtype=np.float32)
    wide = centres.astype(np.float64)
    for start, block in rows.blocks():
        norms = np.einsum("nd,nd->n", block, block)
        distances[:, start : start + len(block)] = norms - 2 * (wide @ block.T)
    return distances


def balanced_groups(distances: NDArray[np.float32]) -> NDArray[np.intp]:
    """The group of each item, sizes within 1: centres take turns at their nearest free item.

    `distances`: (n_centres, n_items), finite. In turn, centre 0, 1, ... takes the nearest item
    that no centre has taken, the lowest index where several are equally near, until none is
    left; so the first centres hold one more where the count does not divide. Same labels as with
    one full sort per turn (SelectLLM, arXiv 2401.16553), but each centre sorts only what it is
    about to look at, so that the whole is near-linear in the number of items.
    """
    centres, items = distances.shape
    taken = bytearray(items)
    queues = [_nearest_free(row, taken) for row in distances]
    turns = (next(queue) for queue in islice(cycle(queues), items))
    sequence = np.fromiter(turns, dtype=np.intp, count=items)
    labels = np.empty(items, dtype=np.intp)
    labels[sequence] = np.arange(items) % centres
    return labels


def _nearest_free(distances: NDArray[np.float32], taken: bytearray) -> Iterator[int]:
    """Takes, each time it is asked, the free item nearest to one centre, and marks it taken."""
    gone = np.frombuffer(taken, dtype=np.bool_)  # the same memory, for whole arrays at a time
    while True:
        free = np.flatnonzero(~gone)
        queue = _nearest(distances, free, max(CANDIDATES, len(free) // SORTED_SHARE))
        for start in range(0, len(queue), CANDIDATES):
            candidates = queue[start : start + CANDIDATES]
            for item in candidates[~gone[candidates]].tolist():
                if not taken[item]:
                    taken[item] = True
                    yield item


def _nearest(
    distances: NDArray[np.float32], free: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """The `count` nearest of the items `free` (ascending), nearest first, ties by lowest index."""
    near = distances[free]
    if count < len(free):
        # Everything up to the count-th distance, so that the tied ones are cut by index below.
        within = ~(near > np.partition(near, count - 1)[count - 1])  # a NaN is far, not lost
        near, free = near[within], free[within]
    return free[np.argsort(near, kind="stable")[:count]]


def _dealt(groups: NDArray[np.intp], clusters: int) -> NDArray[np.intp]:
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


def _neighbours(rows: Rows, clusters: int) -> NDArray[np.intp]:
    if clusters == 1 or len(rows) > SWAP_BLOCK:
        return _halved(rows, clusters, _neighbours)
    vectors = rows.take()
    block = Rows(vectors, np.arange(len(vectors)))
    return _swapped(vectors.astype(np.float64), _bisected(block, clusters))


def _bisected(rows: Rows, clusters: int) -> NDArray[np.intp]:
    return _halved(rows, clusters, _bisected)


def _halved(
    rows: Rows, clusters: int, divide: Callable[[Rows, int], NDArray[np.intp]]
) -> NDArray[np.intp]:
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


def _lower_side(rows: Rows, count: int) -> NDArray[np.bool_]:
    """True for the `count` rows at the lower end of the axis along which the rows spread."""
    # The head of a seeded order is a fair sample.
    sample = rows.take(0, BLOCK).astype(np.float64)
    axis = _axis(sample, count * len(sample) // len(rows))
    along = np.concatenate([block @ axis for _, block in rows.blocks()]).astype(np.float32)
    lower = np.zeros(len(rows), dtype=np.bool_)
    lower[np.argsort(along, kind="stable")[:count]] = True
    return lower


def _axis(sample: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The direction (dim,) from the mean of `count` rows to the mean of the others.

    Starts at the first principal component (power iteration from the row farthest from the
    mean), then goes on as k-means with two centres and fixed sizes does.
    """
    centred = sample - sample.mean(axis=0)
    axis: NDArray[np.float64] = centred[np.argmax(np.einsum("nd,nd->n", centred, centred))]
    for _ in range(AXIS_STEPS):
        axis = (centred @ axis) @ centred
        axis = axis / (np.linalg.norm(axis) or 1.0)
    for _ in range(AXIS_STEPS):
        order = np.argsort(centred @ axis, kind="stable")
        axis = centred[order[count:]].mean(axis=0) - centred[order[:count]].mean(axis=0)
    return axis


def _swapped(vectors: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
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


def _named(name: str) -> PartitionFunction:
    if name not in PARTITIONS:
        raise UsageError(unknown("partition", name, PARTITIONS))
    return PARTITIONS[name]


def _seeded_order(ids: Sequence[str], seed: int) -> NDArray[np.intp]:
    """Positions of the ids by hash(seed, id); the id itself settles equal hashes."""
    draws = [(seeded_hash("partition", seed, id), id, i) for i, id in enumerate(ids)]
    draws.sort()
    return np.fromiter((i for _, _, i in draws), dtype=np.intp, count=len(draws))


def _clusters(ids: Sequence[str], labels: NDArray[np.intp], seed: int) -> tuple[Cluster, ...]:
    """Numbered clusters from the label of each id, in an order drawn by their first members."""
    by_label = np.argsort(labels, kind="stable").tolist()
    ends = np.cumsum(np.bincount(labels)).tolist()
    members = [
        tuple(sorted(ids[i] for i in by_label[start:end]))
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    members.sort(key=lambda names: (seeded_hash("clusters", seed, names[0]), names[0]))
    return tuple(Cluster(number, names) for number, names in enumerate(members))


def _check_vectors(vectors: NDArray[np.float32], items: int) -> None:
    if vectors.ndim != 2 or len(vectors) != items or vectors.shape[1] == 0:
        raise EncoderError(
            f"{items} items need vectors of shape ({items}, dim), got {vectors.shape}"
        )
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(vectors.sum(dtype=np.float64))
    if not finite:
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise EncoderError(f"row {bad} of the vectors holds NaN or infinity; embed the pool again")


def _check_labels(labels: NDArray[np.intp], items: int, clusters: int) -> None:
    """A function of the user's may return anything."""
    numbers = labels.shape == (items,) and labels.dtype.kind in "iu" and labels.min() >= 0
    sizes = np.bincount(labels, minlength=clusters) if numbers else np.zeros(0, dtype=np.intp)
    if len(sizes) != clusters or np.ptp(sizes) > 1:
        raise UsageError(
            f"a partition function must return {items} numbers from 0 to {clusters - 1}, each "
            f"equally often within 1; got {labels.dtype} of shape {labels.shape}"
            + (f", used {sizes.min()} to {sizes.max()} times" if numbers else "")
        )
