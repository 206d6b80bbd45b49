"""Why a reply is missing: the nearest question that was asked, and what differs, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item, Question
from selectllm.models.model import Request
from selectllm.models.wrappers.asked import asked
from selectllm.models.wrappers.nearest import Comparison
from tests.models.wrappers.test_cache import REQUEST, SHAPES_THE_REPLY, SPEC

ITEMS = tuple(Item(name, f"Explain {name}") for name in "abcdef")


def showing(*numbers: int, user: str = "pick", system: str = "be good", **more: Any) -> Request:
    shown = tuple(ITEMS[number] for number in numbers)
    text = user + "".join(item.instruction for item in shown)
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    question = Question(shown, tuple("123456"[: len(shown)]), 1, "indices")
    return replace(REQUEST, messages=messages, question=question, **more)  # type: ignore[arg-type]


ASKED = showing(0, 1, 2)


@pytest.mark.parametrize(
    ("wanted", "reason", "fields"),
    [
        (
            showing(0, 1, 2, model=replace(SPEC, temperature=0.7)),
            "the same messages were asked with temperature 0; now it is 0.7",
            ("temperature",),
        ),
        (
            showing(0, 1, 2, model=replace(SPEC, top_p=0.5), max_tokens=9),
            "the same messages were asked with max_tokens 1024; now it is 9 "
            "and with no top_p; now it is 0.5",
            ("max_tokens", "top_p"),
        ),
        (
            showing(0, 1, 2, schema={"type": "object"}),
            "the same messages were asked with no schema; now it is set (only its hash is kept)",
            ("schema",),
        ),
        (
            showing(0, 1, 2, user="choose"),
            "the same model and settings were asked, but another text showed the same items in "
            "the same order: the user message differs, the others are the same",
            ("messages",),
        ),
        (
            showing(0, 1, 2, user="choose", system="be bad"),
            "the same model and settings were asked, but another text showed the same items in "
            "the same order",
            ("messages",),
        ),
        (
            showing(2, 1, 0),
            "the same model and settings were asked, but the same items were shown in another "
            "order",
            ("messages",),
        ),
        (
            showing(1, 2, 3),
            "the same model and settings were asked, but other items were shown (at most 2 of "
            "these 3 were shown together)",
            ("messages",),
        ),
        (
            showing(3, 4),
            "the same model and settings were asked, but no question showed any of these items",
            ("messages",),
        ),
        (
            showing(2, 1, 0, seed=3),
            "the same model was asked with seed 0; now it is 3; and the same items were shown in "
            "another order",
            ("seed", "messages"),
        ),
    ],
)
def test_the_difference_is_told_in_words(
    wanted: Request, reason: str, fields: tuple[str, ...]
) -> None:
    found = Comparison([("key", asked(ASKED))]).nearest(asked(wanted))
    assert (found.key, found.reason, found.fields) == ("key", reason, fields)


def test_a_model_that_was_never_asked_is_told_beside_those_that_were() -> None:
    other = asked(showing(3, 4, model=replace(SPEC, id="openai/other")))
    found = Comparison([("key", asked(ASKED))]).nearest(other)
    assert found.key is None
    assert "nothing that can be compared was asked of openai/other. There are: 'openai/m'" in (
        found.reason
    )
    assert "nothing that can be compared" in Comparison([]).nearest(other).reason


def test_the_fewest_differences_win() -> None:
    far = asked(showing(0, 1, 2, seed=1, max_tokens=5))
    near = asked(showing(0, 1, 2, seed=1))
    for rows in ([("far", far), ("near", near)], [("near", near), ("far", far)]):
        assert Comparison(rows).nearest(asked(ASKED)).key == "near"


@pytest.mark.parametrize("name", SHAPES_THE_REPLY)
def test_whatever_shapes_the_reply_is_named(name: str) -> None:
    found = Comparison([("key", asked(REQUEST))]).nearest(asked(SHAPES_THE_REPLY[name]))
    assert found.key == "key"
    called = {"role": "messages", "reasoning effort": "reasoning_effort", "extra": "extra.num_ctx"}
    assert called.get(name, name) in found.fields


orders = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True)
requests = st.builds(
    lambda shown, seed, user: showing(*shown, seed=seed, user=user),
    orders,
    st.integers(0, 1),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(requests, min_size=1, max_size=6), requests)
def test_what_is_found_is_a_row_and_differs_in_what_is_named(
    rows: list[Request], wanted: Request
) -> None:
    keys = {each.key: each for each in rows}
    found = Comparison([(key, asked(each)) for key, each in keys.items()]).nearest(asked(wanted))
    assert found.key in keys
    nearest = keys[found.key]
    differing = {"seed"} if nearest.seed != wanted.seed else set()
    if nearest.messages != wanted.messages:
        differing.add("messages")
    assert set(found.fields) == differing
