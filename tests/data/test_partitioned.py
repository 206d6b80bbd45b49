"""Pools in many Parquet files are read as one, and a bad row is named by its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import selectllm as sl
from selectllm.core.errors import PoolError, UsageError
from selectllm.data.pool import load_pool, write_rejected
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl


def parts(folder: Path, rows: list[dict[str, Any]], *sizes: int) -> Path:
    """The rows in files of these sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        pl.DataFrame(rows[:size], infer_schema_length=None).write_parquet(
            folder / f"part-{number:04}.parquet"
        )
        rows = rows[size:]
    return folder


@pytest.mark.parametrize("name", ["pool", "pool/*.parquet", "pool/part-000[0-9].parquet"])
def test_a_folder_or_a_pattern_gives_what_one_file_gives(tmp_path: Path, name: str) -> None:
    rows = pool_rows()
    parts(tmp_path / "pool", rows, 15, 1, 24)
    whole = load_pool(write_jsonl(tmp_path / "whole.jsonl", rows)).pool
    read = load_pool(tmp_path / name).pool
    assert read.items == whole.items
    assert read.sha256 == whole.sha256
    assert [dict(item.row) for item in read.items] == [dict(item.row) for item in whole.items]


def test_files_in_folders_below_are_read_by_their_paths_in_order(tmp_path: Path) -> None:
    rows = pool_rows()
    parts(tmp_path / "pool" / "year=2025", rows[:10], 10)
    parts(tmp_path / "pool" / "year=2026", rows[10:], 30)
    for name in ("pool", "pool/**/*.parquet"):
        assert [item.id for item in load_pool(tmp_path / name).pool.items] == [
            r["id"] for r in rows
        ]


def test_a_bad_row_is_named_by_its_file_and_its_place_there(tmp_path: Path) -> None:
    rows = pool_rows()
    rows[17]["instruction"] = ""
    folder = parts(tmp_path / "pool", rows, 15, 25)
    with pytest.raises(PoolError, match=r"part-0001\.parquet: row 3: "):
        load_pool(folder)
    loaded = load_pool(folder, skip_bad=True)
    assert len(loaded.pool) == 39
    assert [bad.line for bad in loaded.rejected] == [18]
    assert [bad.place for bad in loaded.rejected] == [f"{folder / 'part-0001.parquet'}: row 3"]
    write_rejected(tmp_path / "bad.jsonl", loaded.rejected)
    (told,) = read_jsonl(tmp_path / "bad.jsonl")
    assert told["place"] == f"{folder / 'part-0001.parquet'}: row 3"


def test_a_row_of_a_single_file_is_named_by_its_line_alone(tmp_path: Path) -> None:
    pool = write_jsonl(tmp_path / "pool.jsonl", [*pool_rows(3), {"instruction": ""}])
    write_rejected(tmp_path / "bad.jsonl", load_pool(pool, skip_bad=True).rejected)
    (told,) = read_jsonl(tmp_path / "bad.jsonl")
    assert told.keys() == {"line", "reason", "row"}
    assert told["line"] == 4


def test_an_id_that_two_files_have_names_both(tmp_path: Path) -> None:
    rows = pool_rows()
    rows[20]["id"] = rows[3]["id"]
    with pytest.raises(PoolError, match=r"part-0001\.parquet: row 6: .*part-0000\.parquet: row 4"):
        load_pool(parts(tmp_path / "pool", rows, 15, 25))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    folder = parts(tmp_path / "pool", pool_rows(), 15, 25)
    (folder / "part-0001.parquet").write_bytes(b"PAR1 not so")
    with pytest.raises(PoolError, match=r"part-0001\.parquet is broken Parquet"):
        load_pool(folder)


def test_a_pattern_without_files_and_a_folder_without_any_are_told(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"none\*\.parquet: no file has such a name"):
        load_pool(tmp_path / "none*.parquet")
    with pytest.raises(PoolError):
        load_pool(tmp_path)


def test_selections_of_a_pattern_are_written_beside_its_folder(
    selectllm: Command, tmp_path: Path
) -> None:
    parts(tmp_path / "pool", pool_rows(), 15, 25)
    words = ("--budget", 5, "--strategy", "longest", "--quiet")
    assert selectllm("select", "pool/*.parquet", *words).code == 0
    chosen = read_jsonl(tmp_path / "pool.selected.jsonl")
    assert selectllm("select", "pool", *words, "-o", "again.jsonl").code == 0
    assert read_jsonl(tmp_path / "again.jsonl") == chosen
    assert len(chosen) == 5


@pytest.mark.parametrize(
    ("pool", "file", "joins"),
    [
        ("parts", "parts/new.parquet", True),
        ("parts", "parts/below/new.parquet", True),
        ("parts", "parts/new.jsonl", False),
        ("parts", "new.parquet", False),
        ("parts/part-*.parquet", "parts/part-9.parquet", True),
        ("parts/part-*.parquet", "parts/new.parquet", False),
        ("parts/*.parquet", "parts/below/new.parquet", False),
        ("**/*.parquet", "parts/below/new.parquet", True),
    ],
)
def test_a_selection_does_not_become_one_more_file_of_its_pool(
    selectllm: Command, tmp_path: Path, pool: str, file: str, joins: bool
) -> None:
    parts(tmp_path / "parts", pool_rows(), 40)
    (tmp_path / "parts" / "below").mkdir()
    done = selectllm("select", pool, "--budget", 2, "--strategy", "longest", "-o", file)
    if joins:
        assert done.code == 2
        assert "would be read as one more file of the pool from then on. Choose another" in done.err
    assert (tmp_path / file).is_file() != joins


def test_nor_does_one_that_is_written_in_python(tmp_path: Path) -> None:
    pool = parts(tmp_path / "parts", pool_rows(), 40)
    chosen = sl.select(pool, budget=2, strategy="longest")
    with pytest.raises(UsageError, match="one more file of the pool"):
        chosen.write(pool / "new.parquet")
    chosen.write(tmp_path / "new.parquet")
