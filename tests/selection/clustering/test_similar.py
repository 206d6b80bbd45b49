"""Similar clusters: members are closer together than chance puts them."""

from __future__ import annotations

from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.similar import SWAP_BLOCK
from tests.support.made_vectors import blobs, mean_cosine, names, random_vectors


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
