"""G of single decisions is the G that agreement measures, and lengths are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Decision
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.metrics.gains import DecisionGains
from selectllm.evaluation.metrics.lengths import PicksByLength, length_edges, picks_by_length

ITEMS = tuple("abcdefgh")


def decision(cluster: int, order: int, picks: tuple[str, ...], shown: tuple[str, ...]) -> Decision:
    return Decision(cluster, order, 0, 0, shown, picks, "ok")


@given(
    values=st.lists(st.integers(0, 4), min_size=8, max_size=8),
    picks=st.lists(
        st.lists(st.sampled_from(ITEMS[:4]), unique=True, max_size=2), min_size=1, max_size=3
    ),
    others=st.lists(st.sampled_from(ITEMS[4:]), unique=True, max_size=2),
)
def test_the_gain_is_that_of_agreement(
    values: list[int], picks: list[list[str]], others: list[str]
) -> None:
    utility = {item: float(value) for item, value in zip(ITEMS, values, strict=True)}
    decisions = [decision(0, n, tuple(each), ITEMS[:4]) for n, each in enumerate(picks)]
    decisions.append(decision(1, 0, tuple(others), ITEMS[4:]))
    expected = agreement(map(Choice.of, decisions), utility, 2).gain
    assert DecisionGains(utility, 2).of(decisions) == pytest.approx(expected)


def test_a_cluster_without_a_choice_is_left_out() -> None:
    assert DecisionGains({"a": 1.0, "b": 2.0}, 2).of([decision(0, 0, ("a", "b"), ("a", "b"))]) == {}


def test_picks_are_counted_by_the_length_of_what_was_shown() -> None:
    lengths = {"a": 10, "b": 10, "c": 90, "d": 90}
    shown = ("a", "b", "c", "d")
    decisions = [decision(0, 0, ("c",), shown), decision(1, 0, ("c", "a"), shown)]
    edges = length_edges([10, 90])
    counted = picks_by_length(decisions, lengths, edges)
    assert sum(each.shown for each in counted) == 8
    assert counted[0] == PicksByLength(10, counted[0].high, 4, 1)
    assert counted[-1].picked == 2


def test_a_silent_decision_says_nothing_of_lengths() -> None:
    silent = decision(0, 0, (), ("a", "b"))
    assert picks_by_length([silent], {"a": 1, "b": 9}, length_edges([1, 9])) == ()
