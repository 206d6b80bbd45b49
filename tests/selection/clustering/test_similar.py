"""Similar clusters: members are closer together than chance puts them."""

from __future__ import annotations

import numpy as np

from selectllm.core.types import Cluster
from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.similar import SWAP_BLOCK
from tests.support.made_vectors import Vectors, blobs, names, random_vectors


def mean_cosine(vectors: Vectors, clusters: tuple[Cluster, ...]) -> float:
    """Mean over clusters of the mean cosine between two members."""
    row = {name: position for position, name in enumerate(names(len(vectors)))}
    means = []
    for cluster in clusters:
        members = vectors[[row[name] for name in cluster.members]].astype(np.float64)
        count = len(members)
        cosines = members @ members.T
        means.append((cosines.sum() - count) / (count * (count - 1)))
    return float(np.mean(means))


def test_similar_clusters_find_the_bunches() -> None:
    vectors = blobs(count=20, each=10)
    ids = names(200)
    assert mean_cosine(vectors, partition(ids, vectors, "similar", 10, 0)) > 0.9
    assert mean_cosine(vectors, partition(ids, vectors, "random", 10, 0)) < 0.2


def test_similar_clusters_beat_random_ones_where_there_are_no_bunches() -> None:
    items = 2 * SWAP_BLOCK + 500
    vectors = random_vectors(items, dim=16)
    ids = names(items)
    assert mean_cosine(vectors, partition(ids, vectors, "similar", 10, 0)) > 0.4
    assert abs(mean_cosine(vectors, partition(ids, vectors, "random", 10, 0))) < 0.05
