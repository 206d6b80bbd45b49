"""Selected items beside their pool: how long they are, what they are about. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.codec import seeded_hash
from selectllm.core.shown import excerpt, visible
from selectllm.core.types import Decision, Item
from selectllm.evaluation.sets.diversity import kmeans_groups, mean_pairwise_cosine
from selectllm.selection.by_model import Chosen
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.schema import (
    ClusterSpread,
    Likenesses,
    PickedLengths,
    PickedTopic,
    PicksPerCluster,
)

BINS = 10
TAIL = 0.98  # of the lengths lie below the last bin
TOPICS = 12
PER_TOPIC = 10  # items of the pool, at least: fewer topics of a small pool
LLOYD_UP_TO = 20_000  # items; more go through k-means in batches
EXAMPLE = 60  # characters of the item that a topic is called by


def picked_lengths(picks: Sequence[int], pool: Sequence[int] | None) -> tuple[PickedLengths, ...]:
    """How many items have which length, in characters, among the picks and in their pool.

    At most BINS bins of about one width, the last of them open; None for a pool that is not there.
    """
    values = np.array(picks if pool is None else pool, dtype=float)
    if not values.size:
        return ()
    width = max(1, int(np.ceil((np.quantile(values, TAIL) - values.min() + 1) / (BINS - 1))))
    width = _round(width)
    first = int(values.min()) // width * width
    edges = np.append(np.arange(first, first + width * BINS, width), np.inf)
    chosen, _ = np.histogram(np.array(picks, dtype=float), edges)
    offered = None if pool is None else np.histogram(values, edges)[0]
    bins = []
    for n in range(BINS):
        last = n == BINS - 1
        low, high = int(edges[n]), None if last else int(edges[n + 1]) - 1
        among = None if offered is None else int(offered[n])
        bins.append(PickedLengths(low=low, high=high, pool=among, picks=int(chosen[n])))
    while bins and not (bins[-1].picks or bins[-1].pool):
        bins.pop()
    return tuple(bins)


def _round(width: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    step: int = 10 ** (len(str(width)) - 1)
    return next(step * factor for factor in (1, 2, 5, 10) if step * factor >= width)


def cluster_spread(
    chosen: Sequence[Chosen], decisions: Iterable[Decision], by: str | None
) -> ClusterSpread | None:
    """From which of the clusters that were shown first the selected items are; None without any.

    `decisions`: a model's. A cluster that was taken whole has none, and counts by what it gave.
    """
    decisions = list(decisions)
    if not decisions:
        return None
    first = {d.cluster: d.shown for d in decisions if d.round == 0}
    home = {item: cluster for cluster, shown in first.items() for item in shown}
    given = Counter(
        home[choice.item.id] if choice.item.id in home else choice.cluster for choice in chosen
    )
    counts = Counter(given.get(cluster, 0) for cluster in {*first, *given})
    return ClusterSpread(
        by=by,
        clusters=sum(counts.values()),
        reached=sum(number for picks, number in counts.items() if picks),
        rounds=1 + max(decision.round for decision in decisions),
        picks=tuple(PicksPerCluster(picks=k, clusters=n) for k, n in sorted(counts.items())),
    )


def picked_topics(
    items: Sequence[Item], vectors: Vectors, picked: Mapping[str, object], seed: int
) -> tuple[PickedTopic, ...]:
    """The pool in k-means groups, largest first, and how many of the picks are in each.

    `vectors`: (n_items, dim), rows of length 1. A group is called by the item whose vector is
    nearest to its mean. Raises ExtraMissing without scikit-learn.
    """
    count = min(TOPICS, len(items) // PER_TOPIC)
    if count < 2:
        return ()
    order = sorted(range(len(items)), key=lambda at: seeded_hash("topics", seed, items[at].id))
    rows = SeededRows(vectors, np.array(order, dtype=np.intp))
    groups = kmeans_groups(rows, count, seed, lloyd_up_to=LLOYD_UP_TO)
    chosen = np.array([item.id in picked for item in items])
    topics = []
    for group in np.argsort(-groups.sizes, kind="stable"):
        members = np.flatnonzero(groups.labels == group)
        middle = vectors[members].mean(axis=0)
        nearest = items[int(members[(vectors[members] @ middle).argmax()])]
        example = visible(excerpt(" ".join(nearest.instruction.split()), EXAMPLE))
        picks = int(chosen[members].sum())
        topics.append(PickedTopic(example=example, pool=len(members), picks=picks))
    return tuple(topics)


def likenesses(items: Sequence[Item], vectors: Vectors, picked: Mapping[str, object]) -> Likenesses:
    """The mean cosine of two picks, and of two items of the pool."""
    chosen = vectors[[at for at, item in enumerate(items) if item.id in picked]]
    return Likenesses(picks=mean_pairwise_cosine(chosen), pool=mean_pairwise_cosine(vectors))
