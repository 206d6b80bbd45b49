"""Covering clusters: members are as far apart as what is left of the pool allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Ints
from selectllm.selection.clustering.kcenter import HEADS, SAME, WHOLE_UP_TO, kcenter
from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.kcenter import farthest_first
from tests.support.made_vectors import Vectors, blobs, mean_cosine, names, random_vectors, unit


def coarse(items: int, dim: int = 3, seed: int = 0) -> Vectors:
    """Rows with few different coordinates: many repeats, many equal distances."""
    return unit(np.random.default_rng(seed).choice([-2.0, -1.0, 1.0, 2.0], (items, dim)))


def shuffled(vectors: Vectors, seed: int = 0) -> Vectors:
    return vectors[np.random.default_rng(seed).permutation(len(vectors))]


def in_order(vectors: Vectors) -> SeededRows:
    return SeededRows(vectors, np.arange(len(vectors)))


def sizes_of(items: int, clusters: int) -> list[int]:
    """Sizes within 1, the larger first."""
    return [len(part) for part in np.array_split(np.arange(items), clusters)]


def by_definition(vectors: Vectors, clusters: int) -> Ints:
    """Row by row from the matrix of all cosines; equal ones by the lowest row."""
    wide = vectors.astype(np.float64)
    cosine = np.minimum((wide @ wide.T).astype(np.float32), SAME)
    labels = np.full(len(vectors), -1)
    for cluster, size in enumerate(sizes_of(len(vectors), clusters)):
        for member in range(size):
            free = np.flatnonzero(labels == -1)
            if member:
                nearest = cosine[np.ix_(free, labels == cluster)].max(axis=1)
                free = free[nearest == nearest.min()]
            labels[free[0]] = cluster
    return labels


# The definition


@given(st.integers(1, 50), st.integers(1, 20), st.sampled_from(["coarse", "fine"]), st.data())
def test_clusters_are_those_of_the_definition(
    items: int, size: int, kind: str, data: st.DataObject
) -> None:
    make = coarse if kind == "coarse" else random_vectors
    vectors = make(items, seed=data.draw(st.integers(0, 1000)))
    clusters = -(-items // size)
    found = kcenter(in_order(vectors), clusters, 0)
    assert found.tolist() == by_definition(vectors, clusters).tolist()


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize(
    "vectors",
    [
        random_vectors(7 * HEADS + 60),
        coarse(7 * HEADS + 60),
        shuffled(blobs(count=4, each=130)),
        np.repeat(random_vectors(127), 4, axis=0),
    ],
    ids=["random", "coarse", "bunches", "repeats"],
)
def test_many_clusters_are_those_of_the_definition_too(vectors: Vectors, size: int) -> None:
    clusters = -(-len(vectors) // size)
    assert clusters > HEADS
    found = kcenter(in_order(vectors), clusters, 0)
    assert found.tolist() == by_definition(vectors, clusters).tolist()


def test_each_cluster_is_what_the_strategy_k_center_picks_from_what_is_left() -> None:
    left = in_order(random_vectors(5_000, dim=16))
    labels = kcenter(left, 5, 0)
    for cluster in range(5):
        expected = np.zeros(len(left), dtype=np.bool_)
        expected[farthest_first(left, 1_000)] = True
        assert np.array_equal(labels == cluster, expected)
        left, labels = left.subset(~expected), labels[~expected]


def test_the_first_free_row_starts_a_cluster_and_the_farthest_joins_it() -> None:
    around = np.deg2rad([0, 10, 100, 180, 280, 300])
    vectors = np.column_stack([np.cos(around), np.sin(around)]).astype(np.float32)
    assert kcenter(in_order(vectors), 2, 0).tolist() == [0, 1, 0, 0, 1, 1]


def test_where_all_are_equally_far_the_lowest_row_joins() -> None:
    assert kcenter(in_order(np.eye(8, dtype=np.float32)), 3, 0).tolist() == (
        [0, 0, 0, 1, 1, 1, 2, 2]
    )


def test_identical_vectors_are_dealt_in_their_order() -> None:
    vectors = np.repeat(random_vectors(1), 10, axis=0)
    assert kcenter(in_order(vectors), 4, 0).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]


def test_a_cluster_that_runs_into_repeats_after_others_did_not_holds_no_row_twice() -> None:
    vectors = np.eye(22, dtype=np.float32)[[*range(20), *[20, 21] * 6]]
    assert kcenter(in_order(vectors), 8, 0).tolist() == (np.arange(32) // 4).tolist()


def test_repeats_are_equally_far_however_their_length_was_rounded() -> None:
    lengths = np.array([1, 1, 1 + 1e-7, 1 - 1e-7, 1 + 1e-7, 1 - 1e-7], dtype=np.float32)
    vectors = lengths[:, None] * np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 2, 2]]
    assert kcenter(in_order(vectors), 1, 0).tolist() == [0] * 6
    assert kcenter(in_order(vectors), 2, 0).tolist() == [0, 0, 1, 1, 0, 1]
    four = kcenter(in_order(vectors[[0, 1, 2, 3, 2, 3, 2, 3]]), 2, 0)
    assert four.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


# What it is for


def test_every_cluster_shows_one_item_of_every_bunch() -> None:
    clusters = partition(names(200), blobs(count=10, each=20), "kcenter", 10, 0)
    bunches = [
        {int(name.removeprefix("item-")) // 20 for name in cluster.members} for cluster in clusters
    ]
    assert bunches == [set(range(10))] * 20


@pytest.mark.parametrize(
    "vectors", [blobs(count=20, each=10), random_vectors(200)], ids=["bunches", "random"]
)
def test_members_are_farther_apart_than_in_random_clusters(vectors: Vectors) -> None:
    ids = names(200)
    covered, random = (
        mean_cosine(vectors, partition(ids, vectors, by, 10, 0)) for by in ("kcenter", "random")
    )
    assert covered < random - 0.02


# What every partition promises


@pytest.mark.parametrize(("items", "size"), [(1, 1), (1, 5), (4, 10), (7, 1), (95, 10), (101, 10)])
def test_every_item_is_in_one_cluster_and_the_larger_clusters_come_first(
    items: int, size: int
) -> None:
    clusters = -(-items // size)
    labels = kcenter(in_order(random_vectors(items)), clusters, 0)
    assert np.bincount(labels).tolist() == sizes_of(items, clusters)


@pytest.mark.parametrize("vectors", [random_vectors(150), coarse(150)], ids=["random", "coarse"])
def test_the_order_of_the_file_changes_nothing(vectors: Vectors) -> None:
    ids = names(150)
    order = np.random.default_rng(1).permutation(150)
    moved = partition([ids[row] for row in order], vectors[order], "kcenter", 7, 3)
    assert moved == partition(ids, vectors, "kcenter", 7, 3)


def test_the_vectors_are_left_as_they_were() -> None:
    vectors = random_vectors(60)
    kcenter(in_order(vectors), 6, 0)
    assert np.array_equal(vectors, random_vectors(60))


# Large pools, which are taken in parts


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selectllm.selection.clustering.kcenter.WHOLE_UP_TO", 300)
    monkeypatch.setattr("selectllm.selection.clustering.kcenter.PART", 100)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("items", "clusters"), [(301, 43), (512, 37), (400, 399), (301, 2)])
def test_a_large_pool_is_divided_part_by_part_as_each_part_alone(items: int, clusters: int) -> None:
    rows = in_order(random_vectors(items))
    labels = kcenter(rows, clusters, 0)
    sizes = np.bincount(labels, minlength=clusters)
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(sizes) <= 0).all()
    parts = min(clusters, -(-items // 100))
    ends = [clusters * (part + 1) // parts for part in range(parts)]
    start = first = 0
    for end in ends:
        stop = start + sizes[first:end].sum()
        alone = kcenter(in_order(random_vectors(items)[start:stop]), end - first, 0)
        assert np.array_equal(labels[start:stop] - first, alone)
        start, first = stop, end


@pytest.mark.usefixtures("small_parts")
def test_each_cluster_of_a_large_pool_covers_its_part_within_twice_the_best() -> None:
    items, clusters = 600, 100
    vectors = random_vectors(items, 3)
    rows = in_order(vectors)
    labels = kcenter(rows, clusters, 0)
    of_part = clusters // 6
    first = np.flatnonzero(labels < of_part)  # the first part
    members = np.flatnonzero(labels == 0)
    apart = np.sqrt(np.maximum(2 - 2 * vectors[first] @ vectors[members].T, 0))
    radius = apart.min(axis=1).max()
    # Members that far apart, and one more row: two of them share the nearest of any centres.
    among = np.sqrt(np.maximum(2 - 2 * vectors[members] @ vectors[members].T, 0))
    np.fill_diagonal(among, np.inf)
    assert radius <= among.min() + 1e-6


def test_a_pool_is_taken_whole_up_to_the_limit() -> None:
    rows = SeededRows(np.ones((1, 1), dtype=np.float32), np.zeros(WHOLE_UP_TO, dtype=np.intp))
    assert np.bincount(kcenter(rows, 2, 0)).tolist() == [50_000, 50_000]
