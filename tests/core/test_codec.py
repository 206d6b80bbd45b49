"""Canonical JSON and hashes: equal values give equal bytes, different ones differ."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import (
    canonical_json,
    json_text,
    pretty_json,
    seeded_hash,
    sha256_json,
    sha256_texts,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(JSON)
def test_what_is_written_reads_back(value: object) -> None:
    assert json.loads(canonical_json(value)) == value
    assert json.loads(pretty_json(value)) == value


@given(st.dictionaries(TEXT, st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_carry_is_an_error(number: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"x": number})


def test_the_bytes_are_pinned() -> None:
    assert canonical_json({"b": [1, 0.1], "a": "é"}) == '{"a":"é","b":[1,0.1]}'
    assert (
        sha256_json({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )


@given(st.lists(TEXT), st.lists(TEXT))
def test_different_sequences_of_texts_have_different_hashes(a: list[str], b: list[str]) -> None:
    assert (sha256_texts(a) == sha256_texts(b)) == (a == b)


def test_seeded_hash_depends_on_every_part_and_on_nothing_else() -> None:
    assert seeded_hash("order", 0, "x") == seeded_hash("order", 0, "x") == 15927849273899268703
    assert len({seeded_hash("a", 1), seeded_hash("a", 2), seeded_hash("b", 1)}) == 3


ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT, ANY_TEXT)
def test_a_long_text_is_written_as_a_short_one(part: str, other: str) -> None:
    for text in (part, (part + other) * 40, part * 300):
        assert json_text(text) == canonical_json(text)


@pytest.mark.parametrize("value", [None, 1, [], ["x"] * 300, b"bytes" * 100])
def test_only_a_text_is_written_as_one(value: object) -> None:
    with pytest.raises(TypeError):
        json_text(value)  # type: ignore[arg-type]
