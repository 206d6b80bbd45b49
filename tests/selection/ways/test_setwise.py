"""A few items at a time: a tournament, and what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from selectllm.selection.ways.following import calls_at, following
from tests.selection.ways.asked import asked, picks, result, task

seeds = st.integers(0, 2**31)


@given(m=st.integers(2, 20), show=st.integers(3, 6), seed=seeds, data=st.data())
def test_without_noise_the_best_come_out_in_order_within_the_calls_that_are_planned(
    m: int, show: int, seed: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations([str(number) for number in range(m)]))
    k = data.draw(st.integers(1, m - 1))
    whole = task("few@1", m, k, seed=seed, show=show)
    decisions = asked(whole, lambda shown: min(shown, key=order.index))
    found = result(whole, decisions)
    assert [whole.shown[place].id for place in found.picks] == order[:k]
    assert found.status == "ok"
    assert len(decisions) <= calls_at(whole.selector, m, k)
    assert all(2 <= len(decision.shown) <= show for decision in decisions)


def test_it_takes_fewer_calls_than_pairs() -> None:
    few, pair = task("few@1", 10, 2).selector, task("pair@1", 10, 2).selector
    assert calls_at(few, 10, 2) == 6 < calls_at(pair, 10, 2) == 20


def test_the_groups_of_one_round_are_asked_at_once() -> None:
    assert [len(question.shown) for question in following(task("few@1", 10, 1))] == [4, 3, 3]


def test_the_picks_of_a_model_that_takes_the_first_hang_on_no_item() -> None:
    def first(shown: Sequence[str]) -> str:
        return shown[0]

    counts = Counter(
        item for seed in range(600) for item in picks(task("few@1", 8, 1, seed=seed), first)
    )
    assert chisquare([counts[str(number)] for number in range(8)]).pvalue > 0.001


def test_a_group_without_an_answer_has_no_winner() -> None:
    """The others go on; who was in it is never picked by that."""
    failing = {"0", "3", "6", "9"}  # the first group of ten items by fours

    def answer(shown: Sequence[str]) -> str | None:
        return None if {*shown} <= failing else min(shown, key=int)

    some = task("few@1", 10, 2)
    assert {item.id for item in following(some)[0].shown} == failing
    found = result(some, asked(some, answer))
    assert not {some.shown[place].id for place in found.picks} & failing
    assert (found.status, found.problems) == ("repaired", ("missing_answers",))


def test_without_any_answer_there_is_no_pick() -> None:
    nothing = task("few@1", 10, 2)
    found = result(nothing, asked(nothing, lambda shown: None))
    assert (found.picks, found.status) == ((), "invalid")
