"""Objects in memory as rows: dicts, frames of polars and pandas, splits of data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from selectllm.core.errors import PoolError
from selectllm.core.whole_text import all_whole, are_whole
from selectllm.data.readers.records import MendedRow

_SINGLE = (str, int, float, bool, type(None))  # values that hold no others


def record_rows(records: Any) -> Iterator[tuple[int, Any]]:
    """The rows with their numbers, from 1. Raises PoolError for what holds none."""
    return ((number, _mended(row)) for number, row in enumerate(_rows_in(records), start=1))


def _mended(row: Any) -> Any:
    """A record as a file would have it: U+FFFD for each half of a surrogate pair."""
    if not isinstance(row, dict) or are_whole(row):
        return row
    return MendedRow(all_whole(row))


def _rows_in(records: Any) -> Iterable[Any]:
    """Rows as a file has them: of lists of dicts, polars, pandas and data sets of the hub."""
    library = type(records).__module__.partition(".")[0]
    if library == "polars":
        frame = records.collect() if hasattr(records, "collect") else records
        return cast("Iterable[Any]", frame.to_dicts())
    if library == "pandas":
        frame = records.astype(object)
        rows = frame.where(records.notna(), None).to_dict("records")
        for row in rows:
            row.update({name: _listed(v) for name, v in row.items() if type(v) not in _SINGLE})
        return cast("Iterable[Any]", rows)
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise PoolError(
            f"records are {type(records).__name__}. Give a list of dicts, a frame of polars or "
            "pandas, or one split of a data set (a file is read by load_pool)"
        )
    return records


def _listed(value: Any) -> Any:
    """A value of pandas with lists where it has arrays of numpy, as it reads them from Parquet."""
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    if type(value).__name__ == "ndarray":
        value = value.tolist()
    return [_listed(one) for one in value] if isinstance(value, list) else value
