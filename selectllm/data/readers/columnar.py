"""Pools in Parquet, and data sets of the hub: values that JSON lacks become null or text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import PoolError
from selectllm.core.shown import shortened
from selectllm.data.hub import hub_rows
from selectllm.data.readers.records import BadRow

if TYPE_CHECKING:
    import polars as pl

_SLICE = 50_000  # rows of a Parquet file in memory at a time
_PLAIN_TYPES = ("String", "Boolean", "Int64", "Int32")  # of Parquet; the same in JSON


def parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a Parquet file as dicts of JSON values, or the BadRow in its place."""
    import polars as pl

    table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    number = 0
    while True:
        try:
            frame = table.slice(number, _SLICE).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise broken(path, error) from None
        if not frame.height:
            return
        for row in frame_rows(frame):
            number += 1
            yield number, row


def broken(path: Path, error: BaseException) -> PoolError:
    """Our error for a Parquet file that polars cannot read."""
    reason = str(error).partition("\n")[0]
    return PoolError(f"{path} is broken Parquet ({reason}). Write the file again")


def parquet_columns(path: Path) -> list[str]:
    """The names of the columns of a Parquet file; none if it is broken."""
    import polars as pl

    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return []


def hub_dataset_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a data set with an `hf:` name, likewise."""
    for number, row in enumerate(hub_rows(path), 1):
        try:
            yield number, {name: _json_value(value) for name, value in row.items()}
        except BadRow as bad:
            yield number, bad


def frame_rows(frame: pl.DataFrame) -> Iterator[Any]:
    """Dicts of JSON values, or the BadRow in its place."""
    strange = [name for name, kind in frame.schema.items() if str(kind) not in _PLAIN_TYPES]
    for row in frame.iter_rows(named=True):
        try:
            row.update([(name, _json_value(row[name])) for name in strange])
        except BadRow as bad:
            yield bad
        else:
            yield row


def _json_value(value: Any) -> Any:
    """A value as JSON can carry it: NaN is null, dates, times and decimals are text."""
    match value:
        case None | str() | int():
            return value
        case list():
            return [_json_value(one) for one in value]
        case dict():
            return {key: _json_value(one) for key, one in value.items()}
        case float() if not math.isinf(value):
            return None if math.isnan(value) else value
        case float() | bytes():
            reason = f"the value {shortened(value)} is none that JSON can carry"
            raise BadRow(reason, "drop the column or store it as text", repr(value))
        case _:
            return str(value)
