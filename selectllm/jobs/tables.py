"""Rows of results as data frames of polars or pandas, for whoever has one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Row = Mapping[str, Any]


def to_polars(rows: Iterable[Row]) -> pl.DataFrame:
    """A polars DataFrame, a column for each field. Raises UsageError if polars is not there."""
    library = _library("polars")
    return cast("pl.DataFrame", library.DataFrame(_flat(rows), infer_schema_length=None))


def to_pandas(rows: Iterable[Row]) -> pd.DataFrame:
    """A pandas DataFrame, a column for each field. Raises UsageError if pandas is not there."""
    return cast("pd.DataFrame", _library("pandas").DataFrame(_flat(rows)))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"{name} is not installed. Install it with: pip install {name}") from None


def _flat(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows that all have the same columns: `a.b` for what is nested, JSON for lists of objects."""
    flat = [dict(_fields(row)) for row in rows]
    columns = dict.fromkeys(name for row in flat for name in row)
    # Where another row has parts, an empty whole says no more than the parts that are missing.
    wholes = {name.rpartition(".")[0] for name in columns}
    kept = [name for name in columns if name not in wholes]
    nested = {name for row in flat for name, value in row.items() if _is_nested(value)}
    return [
        {name: _json(row.get(name)) if name in nested else row.get(name) for name in kept}
        for row in flat
    ]


def _fields(row: Row, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from _fields(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            yield prefix + name, list(value)
        else:
            yield prefix + name, value


def _is_nested(value: Any) -> bool:
    """Whether it is a list of more than text and numbers, or an empty mapping."""
    if isinstance(value, list):
        return not all(isinstance(each, str | int | float) for each in value)
    return isinstance(value, Mapping)


def _json(value: Any) -> str | None:
    return None if value is None else canonical_json(value)
