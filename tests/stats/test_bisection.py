"""Bisection: the threshold is found, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.stats.power import least_integer, threshold


@given(st.floats(0, 0.999))
def test_a_threshold_lies_between_the_two_numbers_found(edge: float) -> None:
    fails, holds = threshold(lambda x: x > edge, 0.0, 1.0)
    assert fails <= edge < holds
    assert holds - fails < 1e-15


@given(st.integers(-50, 50), st.integers(0, 10**9))
def test_the_least_integer_is_found_from_the_start_on(start: int, further: int) -> None:
    assert least_integer(lambda n: n >= start + further, start) == start + further


def test_a_condition_that_holds_at_the_start_is_asked_once() -> None:
    asked: list[int] = []
    assert least_integer(lambda n: not asked.append(n), 7) == 7
    assert asked == [7]


@pytest.mark.parametrize("least", [10, 1000, 10**6])
def test_few_questions_are_enough(least: int) -> None:
    asked: list[int] = []
    assert least_integer(lambda n: not asked.append(n) and n >= least, 0) == least
    assert len(asked) <= 3 * least.bit_length()
