"""Diverse clusters: cross-sections of balanced groups, which are the published ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Ints
from selectllm.selection.clustering.diverse import (
    FITTED_ON,
    balanced_groups,
    cross_sections,
    fitted_centres,
    squared_distances,
)
from selectllm.selection.clustering.kmeans import kmeans_centres
from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.seeded_rows import SeededRows
from tests.support.made_vectors import Vectors, blobs, names, random_vectors


def published_groups(distances: Vectors) -> Ints:
    """The loop of the published method: every centre in turn takes the nearest free item."""
    centres, items = distances.shape
    left = distances.astype(np.float64)
    groups = np.full(items, -1)
    for turn in range(items):
        nearest = int(np.argsort(left[turn % centres], kind="stable")[0])
        groups[nearest] = turn % centres
        left[:, nearest] = np.inf
    return groups


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_groups_are_the_published_ones(centres: int, each: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.permutation(centres * centres * each).reshape(centres, -1)
    distances = distances.astype(np.float32)
    np.testing.assert_array_equal(balanced_groups(distances), published_groups(distances))


@pytest.mark.parametrize(("centres", "items"), [(3, 4_500), (14, 4_200), (51, 2_040)])
def test_groups_are_the_published_ones_where_centres_sort_more_than_once(
    centres: int, items: int
) -> None:
    vectors = random_vectors(items, dim=4)
    distances = 2 - 2 * vectors[:centres] @ vectors.T
    assert len(balanced_groups(distances)) == items
    np.testing.assert_array_equal(balanced_groups(distances), published_groups(distances))


@given(st.integers(1, 8), st.integers(1, 60), st.integers(1, 3), st.integers(0, 1000))
def test_ties_go_to_the_lowest_index_and_remainders_to_the_first_centres(
    centres: int, items: int, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, levels, (centres, items)).astype(np.float32)
    groups = balanced_groups(distances)
    np.testing.assert_array_equal(groups, published_groups(distances))
    sizes = np.bincount(groups, minlength=centres)
    assert sizes.tolist() == [items // centres + (c < items % centres) for c in range(centres)]


def test_a_thousand_tied_items_go_by_index() -> None:
    groups = balanced_groups(np.zeros((7, 1_000), dtype=np.float32))
    np.testing.assert_array_equal(groups, np.arange(1_000) % 7)


@pytest.mark.parametrize("items", [200, 197, 81])
def test_a_diverse_cluster_holds_at_most_one_item_of_each_group(items: int) -> None:
    rows = SeededRows(random_vectors(items), np.arange(items))
    clusters = -(-items // 10)
    centres = kmeans_centres(rows, -(-items // clusters), 0)
    groups = balanced_groups(squared_distances(rows, centres))
    labels = cross_sections(rows, centres, clusters)
    seen = Counter(zip(labels.tolist(), groups.tolist(), strict=True))
    assert set(seen.values()) == {1}
    held = np.bincount(labels)
    assert held.min() >= len(centres) - 1, "a cluster lacks one group at the most"


def test_diverse_clusters_hold_one_item_of_every_topic() -> None:
    clusters = partition(names(200), blobs(count=10, each=20), "diverse", 10, 0)
    for cluster in clusters:
        topics = {int(name.removeprefix("item-")) // 20 for name in cluster.members}
        assert topics == set(range(10))


def test_diverse_members_are_dealt_by_seed_and_not_by_place_in_the_file() -> None:
    clusters = partition(names(200), blobs(count=10, each=20), "diverse", 10, 0)
    places = [[int(name.removeprefix("item-")) % 20 for name in c.members] for c in clusters]
    assert all(len(set(row)) > 1 for row in places)


def test_equal_rows_have_equal_distances_wherever_they_stand() -> None:
    # In float32, BLAS gives two answers for them, depending on the place in the array.
    rows = SeededRows(np.repeat(random_vectors(1, dim=384), 5_001, axis=0), np.arange(5_001))
    distances = squared_distances(rows, random_vectors(51, dim=384, seed=1))
    assert (distances == distances[:, :1]).all()


def test_distances_keep_the_order_of_euclidean_ones() -> None:
    vectors, centres = random_vectors(500), random_vectors(6, seed=1) * 0.7
    ours = squared_distances(SeededRows(vectors, np.arange(500)), centres)
    euclidean = np.linalg.norm(centres[:, None].astype(np.float64) - vectors, axis=2)
    np.testing.assert_array_equal(ours.argsort(axis=1), euclidean.argsort(axis=1))


def test_the_centres_of_a_large_pool_are_those_of_a_sample() -> None:
    items = FITTED_ON + 5
    rows = SeededRows(random_vectors(items, dim=4), np.random.default_rng(0).permutation(items))
    centres = kmeans_centres(rows.first(FITTED_ON), 20, 3)
    np.testing.assert_array_equal(fitted_centres(rows, 20, 3), centres)
    clusters = partition(names(items), random_vectors(items, dim=4), "diverse", 20, 0)
    assert Counter(len(cluster.members) for cluster in clusters) == {20: 986, 19: 15}


def test_the_centres_of_any_other_pool_are_those_of_all_its_items() -> None:
    rows = SeededRows(random_vectors(FITTED_ON, dim=4), np.arange(FITTED_ON))
    np.testing.assert_array_equal(fitted_centres(rows, 20, 3), kmeans_centres(rows, 20, 3))


def test_many_centres_are_fitted_on_more_rows() -> None:
    rows = SeededRows(blobs(count=100, each=256, dim=8), np.arange(25_600))
    centres = fitted_centres(rows, 100, 0)
    np.testing.assert_array_equal(centres, kmeans_centres(rows, 100, 0))
