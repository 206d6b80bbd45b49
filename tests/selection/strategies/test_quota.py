"""Quotas: how many picks each group gets, and any strategy held to them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UnfitError, UsageError
from selectllm.core.types import Item
from selectllm.selection.strategies import Candidates, find_strategy
from selectllm.selection.strategies.quota import apportion
from tests.support.made_vectors import names, random_vectors
from tests.support.meters import idle_meter

groups = st.lists(st.tuples(st.integers(1, 30), st.floats(0.01, 100)), min_size=1, max_size=8)


@given(groups, st.data())
def test_shares_sum_to_n_and_no_group_gives_more_than_it_has(
    groups: list[tuple[int, float]], data: st.DataObject
) -> None:
    sizes, weights = [size for size, _ in groups], [weight for _, weight in groups]
    n = data.draw(st.integers(0, sum(sizes)))
    shares = apportion(weights, sizes, n, range(len(groups)))
    assert sum(shares) == n
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))


@given(groups, st.data())
def test_in_proportion_to_the_sizes_every_share_is_the_exact_one_rounded_down_or_up(
    groups: list[tuple[int, float]], data: st.DataObject
) -> None:
    sizes = [size for size, _ in groups]
    n = data.draw(st.integers(0, sum(sizes)))
    shares = apportion(sizes, sizes, n, range(len(groups)))
    for share, size in zip(shares, sizes, strict=True):
        assert abs(share - Fraction(n * size, sum(sizes))) < 1


def test_largest_remainders_as_in_the_textbook() -> None:
    """Balinski & Young 1982, the apportionment of 26 seats among states of these populations."""
    populations = [9061, 7179, 5259, 3319, 1182]
    assert apportion(populations, populations, 26, range(5)) == (9, 7, 5, 4, 1)


def test_what_a_full_group_cannot_take_is_divided_among_the_others() -> None:
    assert apportion([1, 1, 1], [2, 50, 50], 30, [0, 1, 2]) == (2, 14, 14)
    assert apportion([8, 1, 1], [3, 50, 50], 10, [0, 2, 1]) == (3, 3, 4)  # equal remainders: `ties`


def pool(counts: dict[str, int]) -> Candidates:
    topics = [topic for topic, count in counts.items() for _ in range(count)]
    items = [
        Item(id, id * (1 + number % 5), row={"topic": topic})
        for number, (id, topic) in enumerate(zip(names(len(topics)), topics, strict=True))
    ]
    return Candidates(items, 0, random_vectors(len(items)))


def picked(candidates: Candidates, strategy: str, n: int) -> Counter[str]:
    return Counter(
        candidates.items[p].row["topic"] for p in find_strategy(strategy).choose(candidates, n)
    )


def test_each_group_gives_the_best_of_its_own() -> None:
    candidates = pool({"a": 30, "b": 60, "c": 10})
    assert picked(candidates, "per:topic:longest", 10) == {"a": 3, "b": 6, "c": 1}
    for position in find_strategy("per:topic:longest").choose(candidates, 10):
        assert len(candidates.items[position].text) == 5 * len("item-000000")
    assert picked(candidates, "equal-per:topic:k-center", 33) == {"a": 12, "b": 11, "c": 10} or (
        picked(candidates, "equal-per:topic:k-center", 33) == {"a": 11, "b": 12, "c": 10}
    )


def test_groups_that_are_too_small_are_told() -> None:
    candidates = pool({"a": 30, "b": 60, "c": 2})
    told = find_strategy("per:topic:longest").told
    assert told is not None
    assert told(candidates, 9) == [
        "Of 3 groups by topic, 1 gets none of the 9 picks: 'c'. A larger budget gives them some."
    ]
    even = find_strategy("equal-per:topic:longest").told
    assert even is not None
    assert "1 have fewer items than an equal share" in even(candidates, 30)[0]


def test_a_column_that_is_not_there_or_not_filled_is_refused_before_anything_is_picked() -> None:
    strategy = find_strategy("per:topic:longest")
    with pytest.raises(UnfitError, match="no column 'topic'"):
        strategy.check([Item("a", "x", row={"kind": "y"})], idle_meter())
    with pytest.raises(UnfitError, match=r"1 of 2 items have no 'topic': 'b'"):
        strategy.check([Item("a", "x", row={"topic": 0}), Item("b", "x", row={})], idle_meter())
    for name in ("per:topic", "per:", "equal-per::longest"):
        with pytest.raises(UsageError, match="per:COLUMN:STRATEGY"):
            find_strategy(name)


def test_tasks_get_picks_by_the_inverse_of_how_sure_a_model_is_of_them() -> None:
    """Weighted task diversity (arXiv 2507.21482): 1/0.2 : 1/0.4 : 1/0.8 is 4 : 2 : 1."""
    candidates = pool({"a": 40, "b": 40, "c": 40})
    sure = {"a": 0.2, "b": 0.4, "c": 0.8}
    values = np.array([sure[str(item.row["topic"])] for item in candidates.items])
    rated = Candidates(candidates.items, 0, None, values)
    assert picked(rated, "task-confidence:topic", 14) == {"a": 8, "b": 4, "c": 2}
    assert picked(rated, "task-confidence:topic", 84) == {"a": 40, "b": 29, "c": 15}
    told = find_strategy("task-confidence:topic").told
    assert told is not None
    assert told(rated, 14) == [
        "Picks by topic: a 8 (confidence 0.20), b 4 (confidence 0.40), c 2 (confidence 0.80)."
    ]
