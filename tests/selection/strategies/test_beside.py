"""Strategies beside what is given, weighted facility location, and D-optimal design.

Each against its plain definition.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Floats, Vectors
from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.selection.strategies import Candidates, find_strategy
from selectllm.selection.strategies.candidates import seeded_rows
from selectllm.selection.strategies.facility import facility_location, lazy_greedy
from selectllm.selection.strategies.rounds import facility_in_rounds
from selectllm.selection.strategies.stochastic_facility import stochastic_greedy
from selectllm.selection.strategies.wanted import Wanted
from tests.support.made_vectors import blobs, coarse_vectors, names, random_vectors

GEOMETRY = ("k-center", "k-center-hdbscan", "k-means", "facility-location", "d-optimal")


def candidates(vectors: Vectors, given: Vectors | None = None, seed: int = 0) -> Candidates:
    items = [Item(id, id) for id in names(len(vectors))]
    return Candidates(items, seed, vectors, given=given)


@pytest.mark.parametrize("name", [*GEOMETRY, "score-first:0.99:longest"])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_exactly_n_come_out_beside_what_is_given(name: str, n: int) -> None:
    pool = candidates(random_vectors(40), random_vectors(9, seed=3))
    picks = find_strategy(name).choose(pool, n)
    assert len(picks) == len({*picks}) == n
    assert picks == find_strategy(name).choose(pool, n)


@pytest.mark.parametrize("name", ["k-center", "k-means", "facility-location", "d-optimal"])
def test_bunches_that_hold_something_given_are_left_to_the_last(name: str) -> None:
    vectors = blobs(6, 10)
    given = vectors[[0, 10, 20]]  # one of each of the first three bunches
    picks = find_strategy(name).choose(candidates(vectors, given), 3)
    assert sorted(pick // 10 for pick in picks) == [3, 4, 5]


@pytest.mark.parametrize("name", GEOMETRY)
def test_nothing_given_is_as_without(name: str) -> None:
    vectors = random_vectors(30)
    nothing = np.empty((0, vectors.shape[1]), dtype=np.float32)
    strategy = find_strategy(name)
    alone = strategy.choose(candidates(vectors), 8)
    assert strategy.choose(candidates(vectors, nothing), 8) == alone


@given(coarse_vectors(), st.integers(0, 100), st.data())
def test_k_center_goes_on_from_what_is_given(
    vectors: Vectors, seed: int, data: st.DataObject
) -> None:
    """The definition: the next is the item at the greatest distance from its nearest of all."""
    given = random_vectors(4, dim=3, seed=seed)
    n = data.draw(st.integers(1, len(vectors)))
    picks = find_strategy("k-center").choose(candidates(vectors, given), n)
    wide = vectors.astype(np.float64)
    nearest = (wide @ given.T.astype(np.float64)).max(axis=1)
    for count, pick in enumerate(picks):
        left = [row for row in range(len(vectors)) if row not in picks[:count]]
        assert nearest[pick] <= nearest[left].min() + 2e-6
        nearest = np.maximum(nearest, wide @ wide[pick])


def reached(vectors: Vectors, picks: list[int], given: Vectors, weights: Floats) -> float:
    """sum_i w_i max(0, cosine to the nearest of the picks and of what is given)."""
    chosen = np.concatenate([vectors[picks], given]).astype(np.float64)
    cosines = np.maximum(vectors.astype(np.float64) @ chosen.T, 0)
    return float((weights * cosines.max(axis=1, initial=0)).sum())


def plain_facility(vectors: Vectors, given: Vectors, weights: Floats, n: int) -> float:
    """What the plain greedy method reaches."""
    picks: list[int] = []
    for _ in range(n):
        left = [row for row in range(len(vectors)) if row not in picks]
        picks.append(max(left, key=lambda row: reached(vectors, [*picks, row], given, weights)))
    return reached(vectors, picks, given, weights)


@given(st.integers(2, 14), st.integers(0, 1000), st.booleans(), st.data())
def test_facility_location_reaches_what_the_plain_method_does(
    items: int, seed: int, with_given: bool, data: st.DataObject
) -> None:
    vectors = random_vectors(items, dim=4, seed=seed)
    given = random_vectors(2, dim=4, seed=seed + 1)[: 2 * with_given]
    weights = np.random.default_rng(seed).random(items)
    n = data.draw(st.integers(1, items))
    picks = facility_location(candidates(vectors, given), n, weights=weights)
    best = plain_facility(vectors, given, weights, n)
    assert reached(vectors, picks, given, weights) == pytest.approx(best, rel=1e-5)


def test_the_methods_of_large_pools_reach_nearly_as_much_beside_what_is_given() -> None:
    vectors, given = random_vectors(400, seed=1), random_vectors(20, seed=2)
    weights = np.random.default_rng(3).random(400)
    pool = candidates(vectors, given)
    rows, n = seeded_rows(pool), 30
    wanted = Wanted.of(rows, given, weights)
    best = reached(vectors, facility_location(pool, n, weights=weights), given, weights)
    sampled = rows.order[stochastic_greedy(rows.take(), n, 0, wanted=wanted)].tolist()
    sharded = rows.order[facility_in_rounds(rows, n, lazy_greedy, wanted, shard=100)].tolist()
    for picks in (sampled, sharded):
        assert len({*picks}) == n
        assert reached(vectors, picks, given, weights) > 0.97 * best


def test_items_weigh_by_the_number_that_another_strategy_goes_by() -> None:
    """Two bunches as large as each other: the one whose items weigh is reached first."""
    vectors = blobs(2, 10)
    for bunch in (0, 1):
        values = np.array([1.0] * 10 + [0.0] * 10)[:: 1 if bunch == 0 else -1]
        pool = Candidates([Item(id, id) for id in names(20)], 0, vectors, values)
        up, down = "facility-location:mean-entropy:a/m", "facility-location:margin:a/m"
        assert find_strategy(up).choose(pool, 1)[0] // 10 == bunch
        assert find_strategy(down).choose(pool, 1)[0] // 10 == 1 - bunch
    for name in ("facility-location:longest", "facility-location:perplexity-middle"):
        with pytest.raises(UsageError, match="does not rank items by a number"):
            find_strategy(name)


def log_det(vectors: Vectors, given: Vectors) -> float:
    chosen = np.concatenate([vectors, given]).astype(np.float64)
    sign, value = np.linalg.slogdet(np.eye(chosen.shape[1]) + chosen.T @ chosen)
    assert sign > 0
    return float(value)


@given(st.integers(1, 12), st.integers(0, 1000), st.booleans(), st.data())
def test_d_optimal_picks_what_adds_most_to_the_log_determinant(
    items: int, seed: int, with_given: bool, data: st.DataObject
) -> None:
    vectors = random_vectors(items, dim=5, seed=seed)
    given = random_vectors(3, dim=5, seed=seed + 1)[: 3 * with_given]
    n = data.draw(st.integers(1, items))
    picks = find_strategy("d-optimal").choose(candidates(vectors, given), n)
    for count, pick in enumerate(picks):
        left = [row for row in range(items) if row not in picks[:count]]
        gains = {row: log_det(vectors[[*picks[:count], row]], given) for row in left}
        assert gains[pick] >= max(gains.values()) - 1e-7


@pytest.mark.parametrize("seed", range(5))
def test_d_optimal_comes_near_the_best_design_there_is(seed: int) -> None:
    """The bound of Nemhauser, Wolsey & Fisher 1978, against every set of four."""
    vectors = random_vectors(10, dim=6, seed=seed)
    nothing = vectors[:0]
    best = max(log_det(vectors[list(rows)], nothing) for rows in combinations(range(10), 4))
    picks = find_strategy("d-optimal").choose(candidates(vectors), 4)
    assert log_det(vectors[picks], nothing) >= (1 - math.exp(-1)) * best


def test_d_optimal_picks_repeats_last() -> None:
    vectors = np.repeat(random_vectors(6, dim=32), 4, axis=0)
    picks = find_strategy("d-optimal").choose(candidates(vectors), 6)
    assert sorted(pick // 4 for pick in picks) == list(range(6))


def test_score_first_passes_over_what_is_near_something_given() -> None:
    vectors = blobs(3, 2)
    items = [Item(id, id * (6 - number)) for number, id in enumerate(names(6))]
    pool = Candidates(items, 0, vectors, given=vectors[:1])
    assert find_strategy("score-first:0.9:longest").choose(pool, 6) == [2, 4, 0, 1, 3, 5]
