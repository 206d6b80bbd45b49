"""Two items at a time: what is asked next, in which direction, and what it comes to."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from selectllm.core.errors import PromptError
from selectllm.selection.ways.following import calls_at, check_asked, following
from tests.selection.ways.asked import Answer, asked, picks, result, task

sizes = st.integers(2, 7)
seeds = st.integers(0, 2**31)


def perfect(order: Sequence[str]) -> Answer:
    """Whoever comes first in `order` wins, wherever it is shown."""
    return lambda shown: min(shown, key=order.index)


def first(shown: Sequence[str]) -> str:
    """A model that takes what it is shown first, whatever it is."""
    return shown[0]


@given(m=sizes, seed=seeds, data=st.data())
def test_a_comparer_without_noise_gives_the_exact_order_once_all_pairs_are_asked(
    m: int, seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations([str(number) for number in range(m)]))
    k = data.draw(st.integers(1, m))
    whole = task("pair@1", m, k, seed=seed, calls=m * (m - 1))
    found = result(whole, asked(whole, perfect(order)))
    assert [whole.shown[place].id for place in found.ranking or ()] == order
    assert [whole.shown[place].id for place in found.picks] == order[:k]
    assert found.status == "ok"


def test_with_two_calls_an_item_it_nearly_always_finds_the_best_two_of_ten() -> None:
    """As many random pairs capture 0.88 of the possible gain (eval/benchmarks/pairs.py)."""
    right = 0
    for seed in range(60):
        order = random.Random(seed).sample([str(number) for number in range(10)], 10)
        right += set(picks(task("pair@1", 10, 2, seed=seed), perfect(order))) == set(order[:2])
    assert right >= 54


def test_the_picks_of_a_model_that_takes_the_first_are_uniform() -> None:
    """A random direction makes of a position a noise of mean zero."""
    counts = Counter(
        item for seed in range(600) for item in picks(task("pair@1", 6, 2, seed=seed), first)
    )
    assert chisquare([counts[str(number)] for number in range(6)]).pvalue > 0.001


def test_the_direction_is_a_fair_draw_that_hangs_on_seed_and_order_alone() -> None:
    turned = 0
    for seed in range(800):
        shown = following(task("pair@1", 2, 1, seed=seed))[0].shown
        assert shown == following(task("pair@1", 2, 1, seed=seed))[0].shown
        turned += shown[0].id == "1"
    assert binomtest(turned, 800).pvalue > 0.001
    directions = {
        following(task("pair@1", 2, 1, order=order))[0].shown[0].id for order in range(20)
    }
    assert directions == {"0", "1"}


@given(m=sizes, seed=seeds, calls=st.integers(1, 60), data=st.data())
def test_it_keeps_to_its_calls_and_asks_no_pair_twice_in_one_direction(
    m: int, seed: int, calls: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, m))
    some = task("pair@1", m, k, seed=seed, calls=calls)
    drawn = random.Random(seed)
    decisions = asked(some, lambda shown: drawn.choice([*shown, None]))
    assert len(decisions) == min(calls, m * (m - 1)) == calls_at(some.selector, m, k)
    assert len({decision.shown for decision in decisions}) == len(decisions)
    assert all(len(decision.shown) == 2 for decision in decisions)
    if calls >= (m + 1) // 2:
        assert {item for d in decisions for item in d.shown} == {item.id for item in some.shown}


def test_what_comes_next_hangs_on_nothing_but_what_was_answered() -> None:
    """So a decision that was broken off goes on where it was."""
    whole = task("pair@1", 6, 2, seed=3)
    decisions = asked(whole, perfect(["3", "1", "5", "0", "4", "2"]))
    for count in range(6, len(decisions)):
        (question,) = following(whole, decisions[:count])
        assert tuple(item.id for item in question.shown) == decisions[count].shown


def test_later_questions_are_about_pairs_around_the_last_pick() -> None:
    """Of a clear order those in the middle of the ranks below are left alone."""
    order = [str(number) for number in range(10)]
    decisions = asked(task("pair@1", 10, 2, calls=30), perfect(order))
    late = Counter(item for decision in decisions[15:] for item in decision.shown)
    assert sum(late[item] for item in "123") > sum(late[item] for item in "6789")


def test_a_comparison_that_failed_counts_for_nobody() -> None:
    """An item that was in no answered comparison is never picked, not even to fill up."""

    def answer(shown: Sequence[str]) -> str | None:
        return None if "0" in shown else min(shown)

    alone = task("pair@1", 4, 4, calls=12)
    found = result(alone, asked(alone, answer))
    assert [alone.shown[place].id for place in found.picks] == ["1", "2", "3"]
    assert (found.status, found.ranking) == ("partial", None)
    assert "missing_answers" in found.problems


def test_without_any_answer_there_is_no_pick() -> None:
    nothing = task("pair@1", 4, 2)
    found = result(nothing, asked(nothing, lambda shown: None))
    assert (found.picks, found.status) == ((), "invalid")


def test_too_few_calls_for_every_candidate_are_an_error() -> None:
    prompt = task("pair@1", 10, 2, calls=4).selector.prompt
    with pytest.raises(PromptError, match=r"`calls: 4` is too few for clusters of 10.*at least 5"):
        check_asked(prompt, 10)
    check_asked(prompt, 8)
