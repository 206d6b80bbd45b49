"""Rows that are read many at once are what each of them is alone, and fail in the same words."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selectllm.core.errors import PoolError
from selectllm.core.types import Pool
from selectllm.data import item_builder
from selectllm.data.pool import LoadedPool, load_pool
from selectllm.data.readers import json_rows, scan_rows
from selectllm.data.readers.json_rows import StrictJson
from selectllm.data.readers.records import BadRow

ODD = [
    b"",
    b" \t",
    b"\r",
    b"{}",
    b"[{}]",
    b"null",
    b'{"a":1},{"b":2}',
    b'{"a":1},',
    b',{"a":1}',
    b'{"a":1',
    b'"b":2}',
    b'"b":2},{"c":3}',
    b'{"a":[{}',
    b"{}]}",
    b'{"a":"x}',
    b'{y"}',
    b"{}]",
    b"[{}",
    b'{"a":1,"a":2}',
    b'{"a":1,"\\u0061":2}',
    b'{"a":"\\\\","b":"\\"\\\\\\""}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":1e999}',
    b'{"a":-0.0,"b":1E2,"c":0.1}',
    b'{"a":NaN}',
    b'{"a":99999999999999999999}',
    b'{"a":"\x00"}',
    b'{"a":"\xff"}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":{"b":1,"b":2}}',
    '{"ä":"ö\u2028"}'.encode(),
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text('"\\:{},[]a \t\n', max_size=6)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.lists(TEXTS)
WRITTEN = st.builds(
    lambda row, ascii_only: json.dumps(row, ensure_ascii=ascii_only).encode("utf-8"),
    st.dictionaries(TEXTS, VALUES, max_size=4),
    st.booleans(),
)
LINES = st.lists(WRITTEN | st.sampled_from(ODD) | st.binary(max_size=5), max_size=12)
FIELDS = ("id", "instruction", "input", "output", "more")
ITEMS = st.fixed_dictionaries(
    {"instruction": TEXTS.map("Explain {}".format)},
    optional={"id": st.uuids().map(str), "input": TEXTS, "output": st.none() | TEXTS},
)
ODD_ITEMS = st.dictionaries(st.sampled_from(FIELDS), VALUES | st.just("x"), max_size=4)


def shown(row: Any) -> Any:
    return (row.reason, row.fix, row.text) if isinstance(row, BadRow) else (type(row), repr(row))


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([1, 30, 1 << 16]))
@example([b'{"a":1', b'"b":2},{"c":3}'], b"\n", 1 << 16)
@example([b'{"a":[{}', b"{}]}", b"{},{}"], b"\n", 1 << 16)
@example([b"{}", b"{}]", b"[{}"], b"\n", 1 << 16)
@example([*ODD, b"{}"], b"\n", 1 << 16)
def test_lines_are_what_each_is_alone(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("pool")
    data = end.join(lines)
    (folder / "pool.jsonl").write_bytes(data)
    (folder / "pool.jsonl.gz").write_bytes(gzip.compress(data))
    careful = StrictJson()
    expected = [
        (number, shown(careful._any(line.rstrip(b"\r"))))
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
        if line.strip()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_AT_ONCE", at_once)
        for name in ("pool.jsonl", "pool.jsonl.gz"):
            read = [(number, shown(row)) for number, row in scan_rows(folder / name)]
            assert read == expected


DIGITS = st.from_regex(r"[1-9][0-9]{0,30}\.[0-9]{1,30}", fullmatch=True)


@given(st.floats(allow_nan=False, allow_infinity=False), DIGITS)
def test_numbers_are_those_of_python(number: float, digits: str) -> None:
    for text in (repr(number), digits, f"{digits}E-7"):
        assert StrictJson().row(b'{"a":%b}' % text.encode())["a"] == json.loads(text)


def outcome(load: Callable[[], LoadedPool]) -> Any:
    try:
        loaded = load()
    except PoolError as error:
        return str(error)
    pool: Pool = loaded.pool
    rows = [(repr(item), type(item), list(item.row.items())) for item in pool.items]
    return pool.sha256, pool.notes, repr(rows), loaded.rejected


@given(
    st.lists(ITEMS | ODD_ITEMS, min_size=1, max_size=12), st.booleans(), st.sampled_from([1, 3, 99])
)
@example([{"instruction": "a"}, {"instruction": "a"}, {"instruction": "a"}], False, 99)
@example([{"id": "a", "instruction": "a"}] * 2, False, 99)
@example([{"instruction": "b"}, *[{"instruction": "a"}] * 3], False, 99)
@example([{"id": name, "instruction": "a"} for name in "zaa"], False, 99)
@example([{"id": 1, "instruction": "a"}, {"id": "1", "instruction": "a"}], True, 99)
@example([{"id": number, "instruction": "a"} for number in (7, 0, -1, 10**30)], False, 99)
@example([{"id": number, "instruction": "a"} for number in (7, 8, True, 9)], True, 99)
@example([{"id": number, "instruction": "a"} for number in (7, 8, 9, 8)], False, 99)
@example([{"instruction": "a"}, {"instruction": "\u3000"}], False, 99)
def test_items_are_what_each_is_alone(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    skip_bad: bool,
    at_once: int,
) -> None:
    path = tmp_path_factory.mktemp("pool") / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_builder, "_SAMPLED", len(rows))
        alone = outcome(lambda: load_pool(path, skip_bad=skip_bad))
        patch.setattr(item_builder, "_SAMPLED", 1)
        patch.setattr(item_builder, "_AT_ONCE", at_once)
        assert outcome(lambda: load_pool(path, skip_bad=skip_bad)) == alone


def test_the_items_of_other_formats_are_made_at_once_too(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "instruction": [f"Explain {number}" for number in range(2_500)],
            "input": ["", "é"] * 1_250,
            "rating": [1.5, None] * 1_250,
        }
    )
    frame.write_ndjson(tmp_path / "pool.jsonl")
    frame.write_parquet(tmp_path / "pool.parquet")
    lines, columns = (load_pool(tmp_path / name).pool for name in ("pool.jsonl", "pool.parquet"))
    assert lines.items == columns.items == Pool.from_records(frame.to_dicts()).items
    assert lines.sha256 == columns.sha256
    assert [item.row for item in lines.items] == [item.row for item in columns.items]


def test_what_is_bad_before_the_end_of_a_broken_file_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    rows = [{"instruction": f"Explain {number}"} for number in range(1_100)]
    path.write_text(json.dumps([*rows, {"instruction": " "}])[:-1] + ", x]")
    with pytest.raises(PoolError, match=r"element 1101: instruction is empty"):
        load_pool(path)
