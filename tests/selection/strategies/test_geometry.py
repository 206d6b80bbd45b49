"""What the strategies that look at vectors promise, against their plain definitions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

from selectllm.core.arrays import Floats
from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.selection.strategies import facility
from selectllm.selection.strategies.candidates import Candidates, seeded_rows
from selectllm.selection.strategies.facility import facility_location
from selectllm.selection.strategies.grouped import HDBSCAN_UP_TO, k_center_hdbscan, shares
from selectllm.selection.strategies.kcenter import k_center
from selectllm.selection.strategies.kmeans import kmeans_nearest
from selectllm.selection.strategies.stochastic_facility import stochastic_greedy
from tests.support.made_vectors import Vectors, blobs, coarse_vectors, names, random_vectors

Selector = Callable[[Candidates, int], list[int]]

SELECTORS: tuple[Selector, ...] = (k_center, k_center_hdbscan, kmeans_nearest, facility_location)
seeds = st.integers(0, 5)


def candidates(vectors: Vectors, seed: int = 0, ids: list[str] | None = None) -> Candidates:
    return Candidates([Item(id, id) for id in ids or names(len(vectors))], seed, vectors)


# All of them


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_repeat_waits_until_everything_else_was_picked(selector: Selector) -> None:
    vectors = np.repeat(random_vectors(6, dim=32), 4, axis=0)
    picks = selector(candidates(vectors), 6)
    assert sorted(pick // 4 for pick in picks) == list(range(6))


@pytest.mark.parametrize("selector", [k_center, k_center_hdbscan, kmeans_nearest])
def test_the_seed_decides(selector: Selector) -> None:
    vectors = random_vectors(300, dim=16)
    first, again, other = (selector(candidates(vectors, seed), 20) for seed in (1, 1, 2))
    assert first == again
    assert set(first) != set(other)


# k-center


def farthest_one_by_one(vectors: Vectors, start: int, n: int) -> list[int]:
    """The definition: the item at the greatest distance from its nearest pick, n - 1 times."""
    picks = [start]
    for _ in range(n - 1):
        nearest = pairwise_distances(vectors.astype(np.float64), vectors[picks]).min(axis=1)
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return picks


def assert_each_is_farthest(vectors: Vectors, picks: list[int]) -> None:
    squared = pairwise_distances(vectors.astype(np.float64), vectors[picks]) ** 2
    for count in range(1, len(picks)):
        nearest = squared[:, :count].min(axis=1)
        assert nearest[picks[count]] >= nearest.max() - 3e-6  # a cosine of 1 - 1e-6 is a repeat


@pytest.mark.parametrize("watched", [1, 7, 100, 1_024])
@pytest.mark.parametrize("dim", [4, 32])
def test_k_center_is_the_farthest_first_traversal_however_few_rows_are_watched(
    dim: int, watched: int
) -> None:
    vectors = random_vectors(300, dim)
    picks = k_center(candidates(vectors), 200, watched=watched)
    assert picks == farthest_one_by_one(vectors, picks[0], 200)


@given(coarse_vectors(), st.sampled_from([1, 3, 1_024]))
def test_each_pick_of_k_center_is_farthest_where_items_tie(vectors: Vectors, watched: int) -> None:
    picks = k_center(candidates(vectors), len(vectors), watched=watched)
    assert sorted(picks) == list(range(len(vectors)))
    assert_each_is_farthest(vectors, picks)


def test_the_first_pick_is_drawn_evenly() -> None:
    vectors = blobs(count=2, each=50)
    starts = [k_center(candidates(vectors, seed), 1)[0] for seed in range(200)]
    assert len(set(starts)) > 60
    assert 60 < sum(start < 50 for start in starts) < 140


def test_k_center_visits_every_bunch_before_any_twice() -> None:
    picks = k_center(candidates(blobs(count=20, each=10)), 20)
    assert len({pick // 10 for pick in picks}) == 20


# k-center on HDBSCAN groups


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.data())
def test_shares_are_rounded_down_or_up_and_sum_to_n(sizes: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, sum(sizes)))
    given_out = shares(np.array(sizes), n, data.draw(st.integers(0, 2**64 - 1)))
    exact = np.array(sizes) * n / sum(sizes)
    assert given_out.sum() == n
    assert (given_out >= np.floor(exact)).all()
    assert (given_out <= np.ceil(exact)).all()


def test_shares_are_exact_on_average() -> None:
    sizes, n = np.array([1, 5, 2, 13, 4]), 6
    drawn = [shares(sizes, n, draw) for draw in range(sizes.sum())]
    np.testing.assert_allclose(np.mean(drawn, axis=0), sizes * n / sizes.sum())


def test_every_group_gives_its_share_and_noise_is_one_of_them() -> None:
    vectors = np.concatenate([blobs(count=4, each=30), random_vectors(20, dim=32, seed=3)])
    picks = k_center_hdbscan(candidates(vectors), 35)
    groups = HDBSCAN(min_cluster_size=2, min_samples=2, copy=True).fit_predict(vectors)
    assert -1 in groups
    for group in set(groups):
        exact = 35 * np.mean(groups == group)
        assert abs(np.sum(groups[picks] == group) - exact) < 1


def test_the_groups_take_turns() -> None:
    vectors = np.repeat(random_vectors(2, dim=32), [60, 20], axis=0)
    picks = k_center_hdbscan(candidates(vectors), 40)
    assert [sum(pick < 60 for pick in picks[start:][:8]) for start in range(0, 40, 8)] == [6] * 5


def test_too_many_items_for_hdbscan_is_an_error_that_says_what_to_do() -> None:
    many = HDBSCAN_UP_TO + 1
    with pytest.raises(UsageError, match=r"up to 15,000 items, got 15,001\. Use k-center"):
        k_center_hdbscan(candidates(np.ones((many, 1), dtype=np.float32)), 5)


# k-means


@pytest.mark.parametrize("seed", range(5))
def test_each_bunch_gives_the_item_nearest_to_its_mean(seed: int) -> None:
    vectors = blobs(count=2, each=40)
    halves = vectors[:40], vectors[40:]
    nearest = [pairwise_distances_argmin(half.mean(axis=0)[None], half)[0] for half in halves]
    picks = kmeans_nearest(candidates(vectors, seed), 2)
    assert sorted(picks) == [nearest[0], nearest[1] + 40]


def test_one_group_gives_the_item_nearest_to_the_mean() -> None:
    vectors = random_vectors(200)
    mean = vectors.mean(axis=0, keepdims=True)
    assert kmeans_nearest(candidates(vectors), 1) == [pairwise_distances_argmin(mean, vectors)[0]]


def test_large_groups_come_first() -> None:
    vectors = blobs(count=2, each=40)[35:]
    picks = kmeans_nearest(candidates(vectors), 2)
    assert [pick >= 5 for pick in picks] == [True, False]


@pytest.mark.parametrize("items", [12, 90])
def test_mini_batches_give_as_many_items(items: int) -> None:
    vectors = blobs(count=3, each=items // 3)
    for n in (1, 3, items):
        picks = kmeans_nearest(candidates(vectors), n, lloyd_up_to=10, batch=16)
        assert len(set(picks)) == n


# Facility location


def covered(vectors: Vectors, picks: list[int]) -> float:
    """The objective: how similar each item is to the nearest pick, summed."""
    cosines = vectors.astype(np.float64) @ vectors[picks].astype(np.float64).T
    return float(np.maximum(cosines, 0).max(axis=1).sum())


def assert_each_adds_most(similar: Floats, picks: list[int]) -> None:
    reached = np.zeros(len(similar))
    for count, pick in enumerate(picks):
        gains = np.maximum(similar - reached, 0).sum(axis=1)
        gains[picks[:count]] = -1
        assert gains[pick] >= gains.max() - 1e-5
        reached = np.maximum(reached, similar[pick])


@given(st.integers(1, 120), st.integers(2, 20), seeds, st.sampled_from([1, 16]), st.data())
def test_facility_location_picks_what_plain_greedy_picks(
    items: int, dim: int, seed: int, batch: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, items))
    vectors = random_vectors(items, dim, seed)
    picks = facility_location(candidates(vectors, seed), n, batch=batch)
    wide = vectors.astype(np.float64)
    assert_each_adds_most(np.maximum(wide @ wide.T, 0), picks)


@given(coarse_vectors())
def test_facility_location_picks_what_adds_most_among_repeats_too(vectors: Vectors) -> None:
    wide = vectors.astype(np.float64)
    picks = facility_location(candidates(vectors), len(vectors))
    assert_each_adds_most(np.maximum(wide @ wide.T, 0), picks)


@given(coarse_vectors())
def test_every_pick_adds_to_the_sum_and_never_more_than_the_one_before(vectors: Vectors) -> None:
    picks = facility_location(candidates(vectors), len(vectors))
    sums = [0.0, *(covered(vectors, picks[: count + 1]) for count in range(len(picks)))]
    gains = np.diff(sums)
    assert (gains >= -1e-9).all()
    assert (np.diff(gains) <= 1e-5).all()


# Facility location of large pools, by samples


def greedy_of(similar: Floats, n: int) -> float:
    """The sum of plain greedy picks."""
    reached = np.zeros(len(similar))
    for _ in range(n):
        best = int(np.maximum(similar - reached, 0).sum(axis=1).argmax())
        reached = np.maximum(reached, similar[best])
    return float(reached.sum())


@given(st.integers(2, 90), st.integers(2, 12), seeds, st.data())
def test_samples_pick_distinct_rows_that_each_add_what_is_said(
    items: int, dim: int, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, items))
    picks = stochastic_greedy(random_vectors(items, dim, seed), n, seed).tolist()
    assert len(set(picks)) == n
    assert all(0 <= pick < items for pick in picks)
    assert picks == stochastic_greedy(random_vectors(items, dim, seed), n, seed).tolist()


@pytest.mark.parametrize("n", [1, 7, 40])
@pytest.mark.parametrize("dim", [3, 24])
def test_samples_that_hold_everything_pick_as_the_exact_method(dim: int, n: int) -> None:
    vectors = random_vectors(150, dim)
    picks = stochastic_greedy(vectors, n, 0, epsilon=np.exp(-n)).tolist()  # of all that is left
    wide = vectors.astype(np.float64)
    assert_each_adds_most(np.maximum(wide @ wide.T, 0), picks)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_on_average_samples_reach_the_bound_of_the_best_sum(epsilon: float) -> None:
    vectors = random_vectors(14, 3)
    similar = np.maximum(vectors.astype(np.float64) @ vectors.T, 0)
    best = max(np.maximum.reduce(similar[list(some)]).sum() for some in combinations(range(14), 4))
    sums = [covered(vectors, stochastic_greedy(vectors, 4, s, epsilon).tolist()) for s in range(40)]
    assert np.mean(sums) >= (1 - 1 / np.e - epsilon) * best


def test_samples_come_close_to_the_exact_method() -> None:
    vectors = random_vectors(1_500, 16)
    similar = np.maximum(vectors.astype(np.float64) @ vectors.T, 0)
    picks = stochastic_greedy(vectors, 60, 0).tolist()
    assert covered(vectors, picks) >= 0.97 * greedy_of(similar, 60)


def test_a_pool_above_the_limit_is_taken_by_samples_and_one_at_the_limit_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = candidates(random_vectors(200, 8), 3)
    exact = facility_location(made, 20)
    monkeypatch.setattr(facility, "UP_TO", 200)
    assert facility_location(made, 20) == exact
    monkeypatch.setattr(facility, "UP_TO", 199)
    sampled = facility_location(made, 20)
    assert len(set(sampled)) == 20
    rows = seeded_rows(made)
    assert sampled == rows.order[stochastic_greedy(rows.take(), 20, 3)].tolist()
