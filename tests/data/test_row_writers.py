"""Rows come back from the files that they are written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.data import row_writers
from selectllm.data.readers import read_rows
from selectllm.data.row_writers import WRITERS, write_rows

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
WHOLE = st.integers(-(2**63), 2**63 - 1)
KINDS: tuple[st.SearchStrategy[Any], ...] = (
    TEXT,
    WHOLE,
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXT, max_size=3),
    st.fixed_dictionaries({"role": TEXT, "number": WHOLE}),
    st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=2),
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with the same names, each column of one kind of value or null."""
    columns = {
        name: draw(st.sampled_from(KINDS))
        for name in draw(st.lists(TEXT, min_size=1, max_size=3, unique=True))
    }
    values = {name: st.none() | kind for name, kind in columns.items()}
    rows: list[dict[str, Any]] = draw(st.lists(st.fixed_dictionaries(values), min_size=1))
    return rows


def read(path: Path) -> list[Any]:
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize("suffix", [*WRITERS, ""])  # without one a folder of files
@given(rows=tables())
def test_rows_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / f"rows{suffix}"
    write_rows(path, rows)
    assert read(path) == rows
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_folder_is_replaced_whole_by_files_of_so_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_writers, "PART_ROWS", 3)
    folder = tmp_path / "rows"
    for count in (10, 4):
        rows: list[dict[str, Any]] = [
            {"id": n, "odd": "x" if n == 1 else None} for n in range(count)
        ]
        write_rows(folder, rows)
        assert read(folder) == rows
    assert sorted(path.name for path in folder.iterdir()) == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert len({str(pl.read_parquet_schema(path)) for path in folder.iterdir()}) == 1
    with pytest.raises(UsageError, match="column 'id'"):
        write_rows(folder, [{"id": 1}, {"id": "x"}])
    assert len(read(folder)) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_parquet_has_null_for_what_a_row_lacks(tmp_path: Path) -> None:
    rows = [{"a": "x", "of": {"b": 1}}, {"c": 2.5, "of": {"d": "y"}}, {"c": 1, "of": {}}]
    write_rows(tmp_path / "rows.parquet", rows)
    assert read(tmp_path / "rows.parquet") == [
        {"a": "x", "of": {"b": 1, "d": None}, "c": None},
        {"a": None, "of": {"b": None, "d": "y"}, "c": 2.5},
        {"a": None, "of": {"b": None, "d": None}, "c": 1.0},
    ]
    assert pl.read_parquet(tmp_path / "rows.parquet").columns == ["a", "of", "c"]


@pytest.mark.parametrize(
    "values",
    [
        (1, "1"),
        (True, 1),
        ({"a": 1}, {"a": "b"}),
        ([{"a": 1}], [{"a": "b"}]),
        ({}, {}),
        ([1], "x"),
        (2**200, 1),
        (2**53 + 1, 0.5),
    ],
)
def test_a_column_that_parquet_cannot_hold_is_named_and_nothing_is_written(
    tmp_path: Path, values: tuple[Any, ...]
) -> None:
    rows = [{"fine": "x", "mixed": value} for value in values]
    (tmp_path / "rows.parquet").write_bytes(b"as it was")
    with pytest.raises(UsageError, match=r"column 'mixed'.*end the name in \.jsonl"):
        write_rows(tmp_path / "rows.parquet", rows)
    assert (tmp_path / "rows.parquet").read_bytes() == b"as it was"
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read(tmp_path / "rows.jsonl") == rows
