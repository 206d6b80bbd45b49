"""The arithmetic of a selection: clusters, their sizes, and how many picks each gives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Cluster
from selectllm.selection.by_model import SelectSettings, allocate, cluster_size, rounds_ahead


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_budgets_are_spread_fairly(sizes: list[int], share: float, seed: int) -> None:
    smallest = min(sizes)
    sizes = [smallest + (size > smallest) for size in sizes]
    clusters = [Cluster(n, tuple(f"{n}-{i}" for i in range(size))) for n, size in enumerate(sizes)]
    budget = max(len(sizes), round(share * sum(sizes)))
    picks = allocate(clusters, budget, seed)
    assert sum(picks) == budget
    assert max(picks) - min(picks) <= 1
    assert all(k <= size for k, size in zip(picks, sizes, strict=True))


@given(pool=st.integers(1, 10**6), share=st.floats(0, 1))
def test_a_tournament_ends_with_at_most_as_many_clusters_as_the_budget(
    pool: int, share: float
) -> None:
    budget = max(1, round(pool * share))
    rounds = rounds_ahead(pool, SelectSettings(budget))
    assert rounds[-1][0] <= budget
    assert all(clusters > budget for clusters, _ in rounds[:-1])
    assert all(5 <= size <= 50 for _, size in rounds)


@pytest.mark.parametrize(
    ("pool", "budget", "size"), [(1000, 100, 10), (1000, 999, 5), (1000, 1, 50), (14, 3, 5)]
)
def test_auto_cluster_size(pool: int, budget: int, size: int) -> None:
    assert cluster_size(pool, budget) == size == min(max(math.ceil(pool / budget), 5), 50)
