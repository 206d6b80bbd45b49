"""Rows of results as data frames of polars or pandas, for whoever has one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

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
        raise UsageError(f"{name} is not installed; install it with: pip install {name}") from None


def _flat(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows that all have the same columns: `a.b` for what is nested, JSON for lists of objects."""
    flat = [dict(_fields(row)) for row in rows]
    columns = dict.fromkeys(name for row in flat for name in row)
    # Where another row has parts, an empty whole says no more than the parts that are missing.
    wholes = {name.rpartition(".")[0] for name in columns}
    kept = [name for name in columns if name not in wholes]
    return [{name: row.get(name) for name in kept} for row in flat]


def _fields(row: Row, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            yield from _fields(value, f"{prefix}{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield prefix + name, _listed(value)
        else:
            yield prefix + name, value


def _listed(values: Sequence[Any]) -> Any:
    plain = all(isinstance(value, str | int | float) for value in values)
    return list(values) if plain else json.dumps(values, ensure_ascii=False)
