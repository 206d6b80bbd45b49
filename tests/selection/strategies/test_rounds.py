"""Strategies in rounds: within their bounds of what one look at all rows gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Ints
from selectllm.core.types import Item
from selectllm.selection.clustering.partition import partition
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies import STRATEGIES, Candidates, facility, kcenter
from selectllm.selection.strategies.kcenter import farthest_first
from selectllm.selection.strategies.rounds import (
    CLIENTS,
    facility_fits,
    facility_in_rounds,
    k_center_in_rounds,
    similarities,
)
from tests.support.made_vectors import blobs, names, random_vectors
from tests.support.other_workers import Elsewhere

GREEDY = facility.lazy_greedy


def shuffled(items: int, seed: int = 0) -> SeededRows:
    order = np.random.default_rng(seed).permutation(items)
    return SeededRows(random_vectors(items, 4, seed), order)


def reached(rows: SeededRows, picks: Ints) -> float:
    """The sum over all rows, as facility location defines it."""
    every = rows.take()
    similar = similarities(rows.wide(picks), every)
    return float(similar.max(axis=0).sum(dtype=np.float64))


def radius(rows: SeededRows, picks: Ints) -> float:
    """The distance of the row that is farthest from its nearest pick."""
    cosines = (rows.take() @ rows.wide(picks).T).max(axis=1)
    return float(np.sqrt(np.maximum(0, 2 - 2 * cosines.min())))


@given(st.integers(30, 120), st.integers(1, 12), st.integers(10, 40), st.integers(0, 99))
def test_facility_location_reaches_its_share_of_the_best(
    items: int, n: int, shard: int, seed: int
) -> None:
    rows = shuffled(items, seed)
    picks = facility_in_rounds(rows, n, GREEDY, shard=shard)
    assert len(set(picks.tolist())) == n
    whole = GREEDY(similarities(rows.take().astype(np.float64), rows.take()), n)
    # Of the best sum greedy reaches 63 % at least, and rounds 31 % in expectation.
    assert reached(rows, picks) >= 0.5 * reached(rows, whole)


@given(st.integers(30, 120), st.integers(1, 12), st.integers(10, 40), st.integers(0, 99))
def test_k_center_stays_within_four_times_the_best_radius(
    items: int, n: int, shard: int, seed: int
) -> None:
    rows = shuffled(items, seed)
    picks = k_center_in_rounds(rows, n, farthest_first, shard=shard)
    assert len(set(picks.tolist())) == n
    assert radius(rows, picks) <= 4 * radius(rows, farthest_first(rows, n)) + 1e-3


def test_both_pick_one_of_each_bunch() -> None:
    rows = SeededRows(blobs(8, 50), np.random.default_rng(0).permutation(400))
    for picks in (
        facility_in_rounds(rows, 8, GREEDY, shard=60),
        k_center_in_rounds(rows, 8, farthest_first, shard=60),
    ):
        assert sorted((rows.order[picks] // 50).tolist()) == list(range(8))


def test_the_picks_do_not_depend_on_who_carries_the_rounds_out() -> None:
    here, far = shuffled(300), Elsewhere()
    there = SeededRows(here.vectors, here.order, far)
    for pick in (
        lambda rows: facility_in_rounds(rows, 9, GREEDY, shard=70),
        lambda rows: k_center_in_rounds(rows, 9, farthest_first, shard=70),
    ):
        assert pick(here).tolist() == pick(there).tolist()
    assert far.sent == 10  # five shards each


def test_one_shard_is_the_plain_method_on_the_clients() -> None:
    rows = shuffled(200)
    assert len(rows) < CLIENTS
    plain = GREEDY(similarities(rows.take().astype(np.float64), rows.take()), 7)
    assert facility_in_rounds(rows, 7, GREEDY).tolist() == plain.tolist()


@pytest.mark.parametrize("strategy", ["facility-location", "k-center"])
def test_strategies_go_by_rounds_in_pools_that_are_large(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Item(name, name) for name in names(400)]
    candidates = Candidates(items, 0, random_vectors(400))
    whole = STRATEGIES[strategy].choose(candidates, 20)
    monkeypatch.setattr(facility, "ROUNDS_ABOVE", 300)
    monkeypatch.setattr(kcenter, "ROUNDS_ABOVE", 300)
    rounds = STRATEGIES[strategy].choose(candidates, 20)
    assert len(set(rounds)) == 20
    if strategy == "k-center":
        assert rounds != whole


def test_rounds_are_for_budgets_that_a_machine_can_pick_again() -> None:
    assert facility_fits(1_000_000, 1_000)
    assert not facility_fits(1_000_000, 10_000)


@pytest.mark.parametrize("by", ["diverse", "similar", "kcenter"])
def test_partitions_do_not_depend_on_who_computes_them(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "selectllm.selection.clustering.kcenter"
    monkeypatch.setattr(f"{module}.WHOLE_UP_TO", 2_000)
    monkeypatch.setattr(f"{module}.PART", 1_500)
    ids, vectors, far = names(9_000), random_vectors(9_000), Elsewhere()
    near = partition(ids, vectors, by, 50, 1)
    assert partition(ids, vectors, by, 50, 1, far) == near
    assert (far.sent > 0) == (by != "similar")
