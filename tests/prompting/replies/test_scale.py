"""Scales: what front matter may say, and the value that log-probabilities give."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item, Question
from selectllm.models.token_logprobs import as_text
from selectllm.prompting.replies.scale import read_point, scale_of


def question(scale: str) -> Question:
    points = scale_of(scale)
    assert points is not None
    values = tuple(points.values())
    return Question((Item("a", "Sing."),), tuple(points), 1, "digit", scale=values)


@pytest.mark.parametrize("written", ["1-5", "0-9", "1 - 5", "no/yes"])
def test_a_scale_has_answers_of_one_token_in_rising_order(written: str) -> None:
    points = scale_of(written)
    assert points is not None
    assert next(iter(points.values())) == min(points.values())
    assert max(points.values()) == {"1-5": 5, "0-9": 9, "1 - 5": 5, "no/yes": 1}[written]


@pytest.mark.parametrize("written", ["", "5-1", "3-3", "1-10", "a-e", "yes/no", "1,2,3", "-1-5"])
def test_anything_else_is_none(written: str) -> None:
    assert scale_of(written) is None


@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5))
def test_the_value_is_the_mean_of_the_points_by_their_probabilities(weights: list[float]) -> None:
    total = sum(weights)
    listed = [(str(n), math.log(w / total / 2)) for n, w in enumerate(weights, start=1)]
    parsed = read_point(as_text("3", [*listed, ("The", math.log(0.5))]), question("1-5"), False)
    mean = sum(n * w for n, w in enumerate(weights, start=1)) / total
    assert (parsed.status, parsed.problems, parsed.picks) == ("ok", (), (0,))
    assert parsed.scores == pytest.approx((mean,))


def test_yes_is_taken_in_any_case_and_with_spaces_before_it() -> None:
    listed = [(" Yes", math.log(0.3)), ("yes", math.log(0.1)), ("No", math.log(0.4))]
    parsed = read_point(as_text("No", listed), question("no/yes"), False)
    assert parsed.scores == pytest.approx((0.5,))
    assert parsed.problems == ()


def test_points_that_are_not_listed_and_other_words_are_noted() -> None:
    listed = [("Well", math.log(0.9)), ("4", math.log(0.02))]
    parsed = read_point(as_text("Well", listed), question("1-5"), False)
    assert (parsed.status, parsed.problems) == ("repaired", ("unlisted", "stray_token"))
    assert parsed.scores == (4.0,)


@given(st.text() | st.sampled_from(['{"top_logprobs": 3}', "[]", '{"top_logprobs": [["1", "x"]]}']))
def test_whatever_comes_instead_is_no_answer(text: str) -> None:
    parsed = read_point(text, question("1-5"), False)
    assert (parsed.picks, parsed.status, parsed.scores) == ((), "invalid", None)
