"""One item at a time: the highest are picked, and who has no value is not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Decision
from selectllm.selection.ways.following import following
from selectllm.selection.ways.parts import tie
from tests.selection.ways.asked import answered, result, task

values = st.lists(st.none() | st.integers(1, 5).map(float), min_size=2, max_size=8)


def rated(given_values: list[float | None], k: int, seed: int = 0) -> tuple[list[str], str]:
    """The picks and the status of items with these values; None has no answer."""
    whole = task("point@1", len(given_values), k, seed=seed)
    decisions: list[Decision] = []
    for question, value in zip(following(whole), given_values, strict=True):
        (item,) = question.shown
        decision = answered(question, None if value is None else item.id)
        decisions.append(decision if value is None else replace(decision, scores=(value,)))
    assert not following(whole, decisions)
    found = result(whole, decisions)
    return [whole.shown[place].id for place in found.picks], found.status


@given(given_values=values, k=st.integers(1, 8), seed=st.integers(0, 99))
def test_the_highest_values_are_picked_and_equal_ones_by_a_seeded_hash(
    given_values: list[float | None], k: int, seed: int
) -> None:
    k = min(k, len(given_values))
    picks, status = rated(given_values, k, seed)
    known = {str(n): value for n, value in enumerate(given_values) if value is not None}
    whole = task("point@1", len(given_values), k, seed=seed)
    best = sorted(known, key=lambda item: (-known[item], tie(whole, item)))
    assert picks == best[:k]
    if not known:
        assert status == "invalid"
    elif len(known) < k:
        assert status == "partial"
    else:
        assert status == ("repaired" if len(known) < len(given_values) else "ok")


def test_every_item_is_asked_about_by_itself_and_once() -> None:
    questions = following(task("point@1", 5, 2))
    assert [[item.id for item in question.shown] for question in questions] == [
        [str(number)] for number in range(5)
    ]
