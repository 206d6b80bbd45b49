"""Rows of JSON that are read fast are what the careful reader makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.data.readers.json_rows import StrictJson
from selectllm.data.readers.records import BadRow

TEXTS = st.text(st.characters(codec=None)) | st.text('"\\:{}a \t', max_size=6)
FLAT = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = FLAT | st.lists(FLAT, max_size=2) | st.dictionaries(TEXTS, FLAT, max_size=2)
ROWS = st.dictionaries(TEXTS, VALUES, max_size=5)
SPACES = st.sampled_from(["", " ", "  ", "\t", "\r"])


def shown(value: Any) -> Any:
    return (value.reason, value.fix, value.text) if isinstance(value, BadRow) else value


def assert_alike(data: bytes) -> None:
    reader = StrictJson()
    careful, read = reader._any(data), reader.row(data)
    assert shown(read) == shown(careful)
    assert type(read) is type(careful)
    if isinstance(read, dict):
        assert [*read] == [*careful]
        assert [type(one) for one in read.values()] == [type(one) for one in careful.values()]


@given(ROWS, st.booleans())
def test_a_row_is_read_as_with_care(row: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(row, ensure_ascii=ascii_only)
    assert_alike(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.tuples(TEXTS, FLAT), max_size=4), SPACES, SPACES, st.booleans())
def test_a_key_that_is_written_twice_is_seen_however_it_is_written(
    pairs: list[tuple[str, Any]], before: str, behind: str, ascii_only: bool
) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    members = [f"{written(k)}{before}:{behind}{written(v)}" for k, v in [*pairs, *pairs[:1]]]
    data = f"{{{before}{','.join(members)}{behind}}}".encode("utf-8", "surrogatepass")
    assert_alike(data)
    if pairs:
        assert isinstance(StrictJson().row(data), BadRow)


@given(ROWS, st.integers(0, 200), st.binary(max_size=3))
def test_a_damaged_row_is_refused_in_the_same_words(
    row: dict[str, Any], at: int, put: bytes
) -> None:
    data = json.dumps(row).encode()
    assert_alike(data[:at] + put + data[at + 1 :])


@pytest.mark.parametrize(
    "data",
    [
        rb'{"a":1,"a":"x\\","b":"y\\"}',
        rb'{"a":"\"","\u0061":1}',
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":1.0}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x01"}',
        b"\xef\xbb\xbf{}",
        b'{"a":1} {}',
        b'{"n":' + b"9" * 5_000 + b"}",
        b'{"n":' + b"9" * 30 + b"}",
        b"[" * 5_000,
    ],
)
def test_what_readers_differ_in_is_read_with_care(data: bytes) -> None:
    assert_alike(data)
