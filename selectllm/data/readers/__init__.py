"""Pools as rows: JSON, delimited text, Excel, Parquet, `hf:`; text byte for byte.

One file a kind: json_rows, delimited (CSV, TSV, lines of text), excel, columnar (Parquet, hub),
partitioned (many Parquet files).
Tables of text, which people fill in, are table.py to all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError
from selectllm.data.hub import is_hub
from selectllm.data.readers.columnar import hub_dataset_rows, parquet_rows
from selectllm.data.readers.delimited import csv_rows, text_rows
from selectllm.data.readers.excel import excel_rows, other_sheets
from selectllm.data.readers.json_rows import array_notes, array_rows, jsonl_rows
from selectllm.data.readers.partitioned import is_partitioned, part_row, partitioned_rows
from selectllm.data.readers.records import BadRow, FileFormat, reading


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a pool with their numbers (from 1), in file order, read as they are needed.

    The number is the line in JSONL and delimited text (where a row begins), the element in a JSON
    array and the row in Excel, Parquet and `hf:`. Rows of JSON files may be any JSON value, all
    others are dicts; what JSON lacks arrives from Parquet and `hf:` as null (NaN) or text (dates,
    times, decimals). All cells of Excel and delimited files are text.
    Text is byte for byte as in the file, a byte order mark at its start is none.

    Raises PoolError, naming file and place, on whatever cannot be read.
    """
    for number, row in scan_rows(path):
        if isinstance(row, BadRow):
            raise row.at(place(path, number))
        yield number, row


def scan_rows(path: Path) -> Generator[tuple[int, Any]]:
    """`read_rows`, where a row that cannot be decoded arrives as a `BadRow` in its place.

    Raises PoolError only where the rest of the file is lost too.
    """
    kind = format_of(path)
    with contextlib.nullcontext() if kind is PARTS else reading(path):
        yield from kind.read(path)


def format_of(path: Path) -> FileFormat:
    """The format that the name of `path` tells. Raises PoolError on an unknown one."""
    if is_hub(path):
        return HUB
    if is_partitioned(path):
        return PARTS
    suffix = path.suffix.lower()
    if suffix != ".gz" and suffix in FORMATS:
        return FORMATS[suffix]
    inner = FORMATS.get(Path(path.stem).suffix.lower())
    if suffix == ".gz" and inner and inner.zippable:
        return inner
    zipped = [f"{name}.gz" for name, known in FORMATS.items() if known.zippable]
    raise PoolError(
        f"{path}: no pool format has the suffix {''.join(path.suffixes[-2:])!r}. There are: "
        f"{', '.join([*FORMATS, *zipped])}"
    )


def place(path: Path, number: int) -> str:
    """Where a row stands: `pool.csv:12`, `pool.json: element 12`, `hf:org/name:train row 12`."""
    if is_hub(path):
        return f"{path} row {number}"
    if is_partitioned(path):
        path, number = part_row(path, number)
    unit = format_of(path).unit
    return f"{path}:{number}" if unit == "line" else f"{path}: {unit} {number}"


FORMATS = {
    ".jsonl": FileFormat(jsonl_rows, "line"),
    ".json": FileFormat(array_rows, "element", notes=array_notes),
    ".csv": FileFormat(csv_rows, "line"),
    ".tsv": FileFormat(csv_rows, "line"),
    ".txt": FileFormat(text_rows, "line"),
    ".xlsx": FileFormat(excel_rows, "row", zippable=False, notes=other_sheets),
    ".parquet": FileFormat(parquet_rows, "row", zippable=False),
}
HUB = FileFormat(hub_dataset_rows, "row", zippable=False)
PARTS = FileFormat(partitioned_rows, "row", zippable=False)
