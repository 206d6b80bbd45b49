"""Strategies by name, and those that go by a measured value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.selection.strategies import Candidates, find_strategy
from tests.selection.strategies.test_contract import ALL, pools
from tests.support.made_vectors import names, unit

# Those that go by a measured value


def valued(values: list[float], seed: int = 0) -> Candidates:
    ids = [f"item-{number}" for number in range(len(values))]
    vectors = unit(np.eye(len(values)) + 0.0)
    return Candidates([Item(id, id) for id in ids], seed, vectors, np.array(values))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("perplexity-low", [1, 3, 0, 2]),
        ("perplexity-high", [2, 0, 3, 1]),
        ("response-perplexity-low", [1, 3, 0, 2]),
        ("oracle:rating", [2, 0, 3, 1]),
        ("rating:quality@1+gpt", [2, 0, 3, 1]),
        ("ifd", [0, 3, 1, 2]),
    ],
)
def test_items_come_by_their_value(name: str, expected: list[int]) -> None:
    assert find_strategy(name).choose(valued([0.9, 0.2, 1.4, 0.5]), 4) == expected


def test_ifd_puts_values_from_1_on_last_the_nearest_to_1_first() -> None:
    assert find_strategy("ifd").choose(valued([3.0, 1.0, 0.1, 2.0]), 4) == [2, 1, 3, 0]


def test_the_middle_is_a_middle_slice_whatever_its_size() -> None:
    values = [float(value) for value in (7, 1, 5, 3, 9)]
    middle = find_strategy("perplexity-middle")
    assert [sorted(values[p] for p in middle.choose(valued(values), n)) for n in (1, 3, 5)] == [
        [5],
        [3, 5, 7],
        [1, 3, 5, 7, 9],
    ]


@pytest.mark.parametrize("name", ["oracle:r", "perplexity-low", "ifd", "score-first:0.9:oracle:r"])
def test_what_could_not_be_measured_is_never_picked(name: str) -> None:
    strategy = find_strategy(name)
    some = valued([0.4, np.nan, 0.7, np.nan])
    assert sorted(strategy.choose(some, 4)) == [0, 2]
    assert len(strategy.choose(some, 1)) == 1
    assert strategy.choose(valued([np.nan, np.nan]), 1) == []


# score-first


def test_score_first_passes_over_what_is_near_a_better_item_and_takes_it_last() -> None:
    vectors = unit(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]))
    items = [Item(id, id) for id in names(4)]
    pool = Candidates(items, 0, vectors, np.array([4.0, 3.0, 2.0, 1.0]))
    assert find_strategy("score-first:0.9:oracle:r").choose(pool, 4) == [0, 2, 1, 3]
    assert find_strategy("score-first:1:oracle:r").choose(pool, 4) == [0, 1, 2, 3]


@given(pools(), st.sampled_from([0.5, 0.9, 1.0]))
def test_score_first_is_the_plain_greedy_rule(pool: Candidates, cutoff: float) -> None:
    assert pool.vectors is not None
    cosines = (pool.vectors.astype(float) @ pool.vectors.astype(float).T) + 1e-6
    kept: list[int] = []
    passed_over: list[int] = []
    for position in find_strategy("oracle:r").choose(pool, len(pool.items)):
        near = any(cosines[position, other] >= cutoff for other in kept)
        (passed_over if near else kept).append(position)
    found = find_strategy(f"score-first:{cutoff}:oracle:r").choose(pool, len(pool.items))
    assert found == kept + passed_over


# Names


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("longst", "Did you mean 'longest'"),
        ("rating", "write rating:PROMPT\\+MODEL"),
        ("rating:quality@1", "write rating:PROMPT\\+MODEL"),
        ("oracle:", "write oracle:UTILITY"),
        ("slot:0", "whole number from 1 on"),
        ("score-first:longest", "cosine above 0 and at most 1"),
        ("score-first:1.5:longest", "cosine above 0 and at most 1"),
        ("score-first:0.9:k-means", "k-means does not rank"),
        ("score-first:0.9:nothing", "no strategy 'nothing'"),
        ("nothing:x", "no strategy 'nothing:x'"),
    ],
)
def test_a_name_that_cannot_be_says_what_to_write(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_strategy(name)


def test_strategies_that_go_by_responses_say_so() -> None:
    needing = {name for name in ALL if find_strategy(name).needs_responses}
    likelihoods = {f"response-perplexity-{which}" for which in ("low", "middle", "high")}
    assert needing == {"ifd", "ifd:some/model", *likelihoods}
