"""Pool.from_records: rows from memory make the pool that they would make from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import PoolError, UsageError
from tests.conftest import pool_rows, write_jsonl

ROWS = pool_rows(12)


def polars(rows: list[dict[str, Any]]) -> Any:
    import polars

    return polars.DataFrame(rows)


def lazy(rows: list[dict[str, Any]]) -> Any:
    return polars(rows).lazy()


def pandas(rows: list[dict[str, Any]]) -> Any:
    import pandas

    return pandas.DataFrame(rows)


def dataset(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


MAKERS = [list, tuple, iter, polars, lazy, pandas, dataset]


@pytest.mark.parametrize("maker", MAKERS)
def test_records_make_the_pool_of_a_file(tmp_path: Path, maker: Any) -> None:
    loaded = sl.load_pool(write_jsonl(tmp_path / "pool.jsonl", ROWS)).pool
    pool = sl.Pool.from_records(maker(ROWS))
    assert pool.items == loaded.items
    assert pool.sha256 == loaded.sha256
    assert [dict(item.row) for item in pool.items] == ROWS
    assert pool.source == ""


@pytest.mark.parametrize("maker", [list, polars, pandas, dataset])
def test_what_is_missing_is_none_and_ids_are_made(maker: Any) -> None:
    rows = [{"prompt": "Say a", "completion": "a"}, {"prompt": "Say b", "completion": None}]
    pool = sl.Pool.from_records(maker(rows))
    assert [item.instruction for item in pool.items] == ["Say a", "Say b"]
    assert [item.response for item in pool.items] == ["a", None]
    assert len(pool.by_id) == 2


def test_columns_may_be_named() -> None:
    rows = [{"task": "Say a", "number": 1}]
    pool = sl.Pool.from_records(rows, columns={"instruction": "task", "id": "number"})
    assert (pool.items[0].id, pool.items[0].instruction) == ("1", "Say a")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "the pool is empty"),
        ("pool.jsonl", "records are str. Give a list of dicts"),
        ({"train": []}, "records are dict"),
        (7, "records are int"),
        ([{"instruction": "a"}, {"instruction": " "}], "record 2: instruction is empty"),
        ([{"instruction": "a"}, ["b"]], "record 2: the row is not an object"),
        ([{"instruction": b"a"}], "record 1: instruction is of type bytes, not text"),
        ([{"id": "x", "instruction": "a"}] * 2, "record 2: id 'x' is already used by record 1"),
    ],
)
def test_what_is_no_pool_is_refused(records: Any, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        sl.Pool.from_records(records)


def test_a_column_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(UsageError, match="part of an item"):
        sl.Pool.from_records([{"a": "b"}], columns={"instrution": "a"})
