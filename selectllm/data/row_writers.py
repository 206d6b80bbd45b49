"""Rows to a file, by its suffix, or to a folder of files: JSON lines or Parquet.

They are written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from selectllm.core.errors import UsageError
from selectllm.core.files import atomic_write, replacing, replacing_folder
from selectllm.core.shown import shortened

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]

PART_ROWS = 100_000  # of one file in a folder, at most


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows`, JSON objects, in their order; `path`: with a suffix of WRITERS.

    Without a suffix it is a folder of Parquet files that have the same columns, as a pool may be.
    Parquet has a column for every name. A row that lacks one has null there, and whole numbers
    beside fractions are written as such. Raises UsageError for a column whose values Parquet
    cannot hold together, such as texts and numbers; nothing is written then.
    """
    WRITERS.get(path.suffix.lower(), _write_parts)(path, rows)


def cannot_write(path: Path) -> str | None:
    """Why rows are not written under that name, as a sentence; None: they are."""
    if path.suffix.lower() in WRITERS or as_parts(path):
        return None
    return (
        f"Rows are written as JSON lines or Parquet. End the name in {' or '.join(WRITERS)}. A "
        "name without an ending is a new folder of Parquet files."
    )


def as_parts(path: Path) -> bool:
    """Whether rows are written there as several files in a folder."""
    return not path.suffix and path.name not in ("", "..")


def part_in(folder: Path, number: int = 0) -> Path:
    """The file of that number in a folder of rows."""
    return folder / f"part-{number:05}.parquet"


def _write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    with atomic_write(path) as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    frame = _frame(path, rows)
    with replacing(path) as descriptor, open(descriptor, "wb") as handle:
        _write_frame(handle, frame)


def _write_parts(path: Path, rows: Sequence[Row]) -> None:
    frame = _frame(path, rows)
    with replacing_folder(path) as folder:
        for number, start in enumerate(range(0, max(1, len(frame)), PART_ROWS)):
            with part_in(folder, number).open("wb") as handle:
                _write_frame(handle, frame.slice(start, PART_ROWS))


def _frame(path: Path, rows: Sequence[Row]) -> pl.DataFrame:
    import polars as pl

    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({name: _column(name, rows, path) for name in names})


def _write_frame(handle: IO[bytes], frame: pl.DataFrame) -> None:
    frame.write_parquet(handle)
    handle.flush()
    os.fsync(handle.fileno())


def _column(name: str, rows: Sequence[Row], path: Path) -> pl.Series:
    import polars as pl

    given = [row.get(name) for row in rows]
    try:
        column = pl.from_dicts([{name: value} for value in given], infer_schema_length=None)[name]
        _check_storable(column.dtype)
        kept = column.to_list()
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise _unfit(path, name, f"Parquet says: {reason}") from None
    for before, after in zip(given, kept, strict=True):
        if not _same(before, after):
            raise _unfit(path, name, f"{shortened(before)} would become {shortened(after)}")
    return column


def _check_storable(kind: pl.DataType) -> None:
    """Raise ValueError for objects that are empty in every row: Parquet has none without names."""
    import polars as pl

    if isinstance(kind, pl.List):
        _check_storable(kind.inner)  # type: ignore[arg-type]
    elif isinstance(kind, pl.Struct):
        if not kind.fields:
            raise ValueError("an object without any name")
        for field in kind.fields:
            _check_storable(field.dtype)  # type: ignore[arg-type]


def _same(before: Any, after: Any) -> bool:
    """Whether a value is still what it was, but for names that it lacked and that are null now."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() <= after.keys() and all(
            _same(before.get(name), value) for name, value in after.items()
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return before == after and isinstance(before, bool) == isinstance(after, bool)


def _unfit(path: Path, name: str, reason: str) -> UsageError:
    return UsageError(
        f"`out` {path}: The values of column {name!r} do not go into one column of Parquet "
        f"({reason}). Write JSON lines: end the name in .jsonl",
        argument="out",
    )


WRITERS: Mapping[str, Callable[[Path, Sequence[Row]], None]] = {
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
"""By suffix."""
