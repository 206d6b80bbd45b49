"""What the division of a pool into clusters promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Ints
from selectllm.core.errors import EncoderError, UsageError
from selectllm.core.types import Cluster
from selectllm.selection.clustering.partition import PARTITIONS, partition, show_order
from selectllm.selection.clustering.seeded_rows import SeededRows
from tests.support.made_vectors import Vectors, blobs, names, random_vectors, unit

methods = st.sampled_from(sorted(PARTITIONS))
seeds = st.integers(0, 5)


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[str], Vectors]:
    """Ids and vectors; coarse coordinates, so that ties and repeats are common."""
    items = draw(st.integers(1, 60))
    levels = draw(st.sampled_from([1, 2, 1000]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    coarse = rng.integers(1, levels + 1, (items, 3)) * rng.choice([-1, 1], (items, 3))
    return names(items), unit(coarse.astype(np.float64))


# Every method


@given(pools(), methods, st.integers(1, 20), seeds)
def test_every_item_is_in_exactly_one_cluster_and_sizes_differ_by_at_most_one(
    pool: tuple[list[str], Vectors], by: str, size: int, seed: int
) -> None:
    ids, vectors = pool
    clusters = partition(ids, vectors, by, size, seed)
    assert sorted(name for cluster in clusters for name in cluster.members) == sorted(ids)
    assert len(clusters) == -(-len(ids) // size)
    sizes = {len(cluster.members) for cluster in clusters}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= size


@given(pools(), methods, st.integers(1, 20), seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(
    pool: tuple[list[str], Vectors], by: str, size: int, seed: int, random: Random
) -> None:
    ids, vectors = pool
    order = list(range(len(ids)))
    random.shuffle(order)
    shuffled = partition([ids[i] for i in order], vectors[order], by, size, seed)
    assert shuffled == partition(ids, vectors, by, size, seed)


@pytest.mark.parametrize("by", sorted(PARTITIONS))
def test_the_seed_decides(by: str) -> None:
    ids, vectors = names(200), random_vectors(200)
    first, again, other = (partition(ids, vectors, by, 10, seed) for seed in (1, 1, 2))
    assert first == again
    assert {cluster.members for cluster in first} != {cluster.members for cluster in other}


@pytest.mark.parametrize("by", sorted(PARTITIONS))
def test_members_are_sorted_and_clusters_numbered_from_zero(by: str) -> None:
    clusters = partition(names(95), random_vectors(95), by, 10, 0)
    assert [cluster.id for cluster in clusters] == list(range(10))
    assert all(list(cluster.members) == sorted(cluster.members) for cluster in clusters)


@pytest.mark.parametrize("by", sorted(PARTITIONS))
@pytest.mark.parametrize("items", [1, 7, 10])
def test_a_pool_no_larger_than_a_cluster_is_one_cluster(by: str, items: int) -> None:
    (cluster,) = partition(names(items), random_vectors(items), by, 10, 0)
    assert cluster == Cluster(0, tuple(sorted(names(items))))


@pytest.mark.parametrize("by", sorted(PARTITIONS))
@pytest.mark.parametrize("distinct", [1, 3])
def test_repeated_vectors_are_no_trouble(by: str, distinct: int) -> None:
    vectors = random_vectors(distinct)[np.arange(100) % distinct]
    clusters = partition(names(100), vectors, by, 10, 0)
    assert Counter(len(cluster.members) for cluster in clusters) == {10: 10}


@pytest.mark.parametrize("seed", [-1, 2**40])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert len(partition(names(30), random_vectors(30), "diverse", 10, seed)) == 3


def test_the_first_clusters_are_a_fair_sample_of_all() -> None:
    vectors = blobs(count=2, each=100)
    clusters = partition(names(200), vectors, "similar", 10, 0)
    topics = [int(cluster.members[0].removeprefix("item-")) // 100 for cluster in clusters[:10]]
    assert set(topics) == {0, 1}


# random


def test_random_needs_no_vectors() -> None:
    assert len(partition(names(25), None, "random", 10, 0)) == 3


@pytest.mark.parametrize("by", ["diverse", "similar"])
def test_the_others_say_that_they_need_vectors(by: str) -> None:
    with pytest.raises(UsageError, match=r"needs vectors\. Embed the pool"):
        partition(names(25), None, by, 10, 0)


# A function of the user's


def test_a_function_may_be_given_for_a_name() -> None:
    def by_number(rows: SeededRows, clusters: int, seed: int) -> Ints:
        return np.arange(len(rows)) * clusters // len(rows)

    assert len(partition(names(30), None, by_number, 10, 0)) == 3


@pytest.mark.parametrize(
    "result",
    [
        lambda rows, clusters: np.zeros(len(rows), dtype=np.intp),
        lambda rows, clusters: np.arange(len(rows)) % clusters + 1,
        lambda rows, clusters: np.arange(len(rows)) % clusters - 1,
        lambda rows, clusters: np.arange(len(rows) + 1) % clusters,
        lambda rows, clusters: (np.arange(len(rows)) % clusters).astype(np.float32),
    ],
)
def test_a_function_that_divides_badly_is_an_error(
    result: Callable[[SeededRows, int], Ints],
) -> None:
    with pytest.raises(UsageError, match="must return 30 numbers from 0 to 2"):
        partition(names(30), None, lambda rows, clusters, seed: result(rows, clusters), 10, 0)


# Bad input


@pytest.mark.parametrize(("items", "size"), [(0, 10), (5, 0), (5, -1)])
def test_what_cannot_be_divided_is_an_error_with_both_numbers(items: int, size: int) -> None:
    with pytest.raises(UsageError, match=f"{items} items into clusters of {size}"):
        partition(names(items), None, "random", size, 0)


def test_an_unknown_method_is_an_error_with_the_closest_match() -> None:
    with pytest.raises(UsageError, match=r"no partition 'divers'\. Did you mean 'diverse'"):
        partition(names(5), None, "divers", 2, 0)


def test_repeated_ids_are_an_error() -> None:
    with pytest.raises(UsageError, match="1 of 3 ids are repeats"):
        partition(["a", "b", "a"], None, "random", 2, 0)


@pytest.mark.parametrize("shape", [(4, 8), (6, 8), (5,), (5, 0), (5, 2, 2)])
def test_vectors_of_a_wrong_shape_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderError, match=r"5 items need vectors of shape \(5, dim\), got"):
        partition(names(5), np.ones(shape, dtype=np.float32), "diverse", 2, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_an_error_with_the_row(value: float) -> None:
    vectors = random_vectors(5)
    vectors[3, 0] = value
    with pytest.raises(EncoderError, match="row 3 of the vectors holds NaN or infinity"):
        partition(names(5), vectors, "diverse", 2, 0)


# The order of showing


@given(st.lists(st.text(), unique=True), seeds, st.integers(0, 9), st.integers(0, 3))
def test_an_order_is_a_permutation_that_does_not_depend_on_the_order_of_members(
    members: list[str], seed: int, cluster: int, order: int
) -> None:
    shown = show_order(members, seed, cluster, order)
    assert sorted(shown) == sorted(members)
    assert shown == show_order(members[::-1], seed, cluster, order)


def test_orders_differ_by_seed_cluster_and_order() -> None:
    members = names(10)
    draws = [(seed, c, o) for seed in range(3) for c in range(3) for o in range(3)]
    assert len({show_order(members, *draw) for draw in draws}) == len(draws)


def test_every_item_is_shown_about_equally_often_in_every_slot() -> None:
    members = names(10)
    places = Counter(
        (slot, name)
        for cluster in range(1_000)
        for slot, name in enumerate(show_order(members, 0, cluster, 0))
    )
    assert len(places) == 100
    assert max(abs(count - 100) for count in places.values()) < 40, "4 standard deviations"
