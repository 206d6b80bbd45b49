"""Pools of many Parquet files: their rows stay there, and items are what one file gives."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PoolError
from selectllm.core.types import Pool
from selectllm.data import stored_items
from selectllm.data.pool import load_pool
from selectllm.data.stored_items import PackedIds, StoredItems, ids_of, picked, texts_of

ROWS = 250


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_items, "SLICE", 40)


def written(folder: Path, rows: list[dict[str, Any]], each: int = 70) -> Path:
    folder.mkdir(exist_ok=True)
    for start in range(0, len(rows), each):
        frame = pl.from_dicts(rows[start : start + each], infer_schema_length=None)
        frame.write_parquet(folder / f"part-{start:06}.parquet")
    return folder


def made(count: int = ROWS, *, ids: bool = True) -> list[dict[str, Any]]:
    rows = [
        {"instruction": f"Explain {number % 90}", "input": "", "response": None, "more": number}
        for number in range(count)
    ]
    return [{"id": f"i{row['more']}", **row} for row in rows] if ids else rows


def whole(tmp_path: Path, rows: list[dict[str, Any]]) -> Pool:
    pl.from_dicts(rows, infer_schema_length=None).write_parquet(tmp_path / "whole.parquet")
    return load_pool(tmp_path / "whole.parquet").pool


def stored(folder: Path) -> StoredItems:
    items = load_pool(folder, in_place=folder.parent).pool.items
    assert isinstance(items, StoredItems)
    return items


@pytest.mark.parametrize("ids", [True, False])
def test_items_are_those_of_one_file(tmp_path: Path, ids: bool) -> None:
    rows = made(ids=ids)  # without ids every text comes three times: -2, -3
    one, many = (
        whole(tmp_path, rows),
        load_pool(written(tmp_path / "pool", rows), in_place=tmp_path).pool,
    )
    assert many.sha256 == one.sha256
    assert many.items == one.items
    assert [item.row for item in many.items] == [item.row for item in one.items]
    assert many.by_id == one.by_id
    assert list(ids_of(many.items)) == [item.id for item in one.items]
    assert list(texts_of(many.items)) == [item.text for item in one.items]


@given(data=st.data())
def test_any_items_are_found_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    items = stored(written(tmp_path_factory.mktemp("pool"), made()))
    places = data.draw(st.lists(st.integers(0, ROWS - 1), max_size=60))
    assert [item.id for item in picked(items, places)] == [f"i{place}" for place in places]
    assert picked(texts_of(items), places) == [f"Explain {place % 90}" for place in places]
    start, stop, step = (data.draw(st.none() | st.integers(-300, 300)) for _ in range(3))
    expected = range(ROWS)[start : stop : step or None]
    assert [item.row["more"] for item in items[start : stop : step or None]] == list(expected)
    at = data.draw(st.integers(-ROWS, ROWS - 1))
    assert items[at].row["more"] == range(ROWS)[at]


def test_single_items_here_and_there_are_soon_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = stored(written(tmp_path / "pool", made()))
    monkeypatch.setattr(stored_items, "PATIENCE", 3)
    reads: list[int] = []
    read = StoredItems.frames
    monkeypatch.setattr(StoredItems, "frames", lambda self, at: reads.append(1) or read(self, at))
    for _ in range(20):
        assert [items[place].id for place in (0, 100, 200)] == ["i0", "i100", "i200"]
    assert len(reads) == 3 + -(-ROWS // 40)
    with pytest.raises(IndexError):
        items[ROWS]


def test_a_file_that_changes_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "pool", made())
    items = stored(folder)
    written(folder, made(100))
    with pytest.raises(PoolError, match=r"part-0000\d0.parquet has changed since the pool"):
        list(items)


def test_an_id_that_is_given_twice_is_named(tmp_path: Path) -> None:
    rows = made()
    rows[200]["id"] = "i3"
    with pytest.raises(
        PoolError, match=r"000140.parquet: row 61: id 'i3' is already used by .*row 4"
    ):
        load_pool(written(tmp_path / "pool", rows), in_place=tmp_path)


def test_a_bad_row_is_named_by_its_file(tmp_path: Path) -> None:
    rows = made()
    rows[100]["instruction"] = " "
    folder = written(tmp_path / "pool", rows)
    with pytest.raises(PoolError, match=r"part-000070.parquet: row 31: instruction is empty"):
        load_pool(folder, in_place=tmp_path)
    loaded = load_pool(folder, skip_bad=True, in_place=tmp_path)
    assert len(loaded.pool) == ROWS - 1
    assert [each.place for each in loaded.rejected] == [f"{folder}/part-000070.parquet: row 31"]


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_packed_ids_are_what_was_packed(ids: list[str]) -> None:
    packed: Sequence[str] = PackedIds(ids, Path(tempfile.gettempdir()))
    assert list(packed) == ids
    assert [packed[place] for place in range(len(packed))] == ids
    assert packed[1:] == ids[1:]
