"""Files of rows that people and their programs hand back: CSV from spreadsheets, JSON lines.

CSV is written so that a spreadsheet runs nothing, and read whatever a spreadsheet made of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError, UtilityError
from selectllm.core.files import atomic_write
from selectllm.core.shown import capital, shortened
from selectllm.core.whole_text import is_whole
from selectllm.data.readers import place, scan_rows
from selectllm.data.readers.delimited import SAVE_AS_UTF8, not_utf8, opened_table
from selectllm.data.readers.excel import excel_table
from selectllm.data.readers.records import BadRow, reading
from selectllm.data.readers.table import Table

TABLES = (".csv", ".tsv", ".xlsx")

PlacedRow = tuple[str, Mapping[str, Any]]
"""A row, behind its file and line for messages."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The comments above a header, and the rows under it with the lines they begin on."""

    comments: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def disarmed(text: str) -> str:
    """`text`, behind an apostrophe if a spreadsheet would take it for a formula.

    Different texts stay different, and `rearmed` gets them back.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def rearmed(cell: str) -> str:
    """The text that `disarmed` made `cell` from; also if the apostrophe is gone."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_csv(
    path: Path, comments: Iterable[str], header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """A CSV file that spreadsheets open as UTF-8 (it has a byte order mark); cells disarmed."""
    with atomic_write(path) as handle:
        handle.write("\ufeff")
        writer = csv.writer(handle, lineterminator="\r\n")
        writer.writerows([f"# {comment}".rstrip()] for comment in comments)
        writer.writerow(header)
        writer.writerows([disarmed(cell) for cell in row] for row in rows)


def read_csv(path: Path, needed: Sequence[str]) -> Sheet:
    """A table with the columns `needed`, though a spreadsheet may have written it.

    Of a .csv or .tsv file (see `delimited`), or of the first filled sheet of an .xlsx file. The
    header is the first row that is no comment (a row whose first cell begins with #). Column names
    are taken in lower case. Blank rows are skipped, short rows lack their last columns. Cells are
    as written, apostrophes included.

    Raises UtilityError, naming file and line, on a file that cannot be read, is not UTF-8 or not
    CSV, lacks a needed column or has it twice, and on a row longer than the header.
    """
    try:
        with reading(path):
            if path.suffix.lower() == ".xlsx":
                return _read(path, excel_table(path, commented=True), needed)
            with opened_table(path, needed, commented=True) as table:
                return _read(path, table, needed)
    except PoolError as error:
        raise UtilityError(str(error)) from None


def _read(path: Path, table: Table, needed: Sequence[str]) -> Sheet:
    header = [name.strip().lower() for name in table.header]
    _check_whole(path, table.line, header)
    for name in needed:
        if header.count(name) != 1:
            has = ", ".join(map(repr, header)) or "nothing"
            found = f"{header.count(name)} columns" if name in header else "no column"
            fault = f"the header has {found} {name!r}. It holds: {has}"
            raise UtilityError(f"{path}:{table.line}: {fault}. Call one column {name!r}")
    rows = []
    for line, cells in table.rows:
        _check_whole(path, line, cells)
        if len(cells) > len(header):
            raise UtilityError(
                f"{path}:{line}: {len(cells)} cells where the header names {len(header)}. Put text "
                "that holds a delimiter in quotes"
            )
        rows.append((line, dict(zip(header, cells, strict=False))))
    return Sheet(table.comments, tuple(rows))


def _check_whole(path: Path, line: int, cells: Sequence[str]) -> None:
    if not all(map(is_whole, cells)):
        raise UtilityError(f"{path}:{line}: {not_utf8(cells)}. {capital(SAVE_AS_UTF8)}")


def read_placed(path: Path, needed: Sequence[str], what: str) -> Iterator[PlacedRow]:
    """The rows of a .jsonl file, or of a table (see `read_csv`) with the columns `needed`.

    `what`: what the rows are to messages. Raises UtilityError as `read_csv` and `read_objects`
    do, and for another suffix.
    """
    suffix = path.suffix.lower()
    if suffix in TABLES:
        for line, cells in read_csv(path, needed).rows:
            yield f"{path}:{line}", cells
    elif suffix == ".jsonl":
        yield from read_objects(path)
    else:
        raise UtilityError(
            f"{path}: {what} cannot be read from suffix {suffix!r}. Write .jsonl, .csv or .xlsx"
        )


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place for messages, object) for every row of a .jsonl file or element of a .json array.

    Raises UtilityError, naming file and place, on whatever cannot be read or is no object.
    """
    try:
        for number, row in scan_rows(path):
            where = place(path, number)
            if isinstance(row, BadRow):
                raise UtilityError(f"{where}: {row.reason}. {capital(row.fix)}")
            if not isinstance(row, dict):
                raise UtilityError(
                    f"{where}: {shortened(row)} is not an object. Write one object in each row"
                )
            yield where, row
    except PoolError as error:
        raise UtilityError(str(error)) from None
