"""Files of rows that people and their programs hand back: CSV from spreadsheets, JSON lines.

CSV is written so that a spreadsheet runs nothing, and read whatever a spreadsheet made of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError, UtilityError
from selectllm.core.files import atomic_write
from selectllm.data.readers import BadRow, place, scan_rows, shortened

DELIMITERS = (",", ";", "\t")  # Excel writes the second in many locales

PlacedRow = tuple[str, Mapping[str, Any]]
"""A row, behind its file and line for messages."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_LONGEST_CELL = 2**31 - 1  # the largest limit that every platform takes


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: the comments above its header, and its rows with the lines they begin on."""

    comments: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


@dataclass(frozen=True, slots=True)
class _Opening:
    """A file up to its header, as one delimiter divides it. `lines`: how many it takes."""

    delimiter: str
    comments: tuple[str, ...]
    header: tuple[str, ...]
    lines: int


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


def read_csv(path: Path, needed: Sequence[str]) -> Table:
    """A CSV file that has the columns `needed`, though a spreadsheet may have written it.

    The delimiter is whichever of DELIMITERS makes a header of the first row that is no comment
    (a row whose first cell begins with #). Column names are taken in lower case. Blank rows are
    skipped, short rows lack their last columns. Cells are as written, apostrophes included.

    Raises UtilityError, naming file and line, on a file that cannot be read, is not UTF-8 or not
    CSV, lacks a needed column or has it twice, and on a row longer than the header.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = io.StringIO(_decoded(path), newline="").readlines()
    openings = [_opening(lines, delimiter) for delimiter in DELIMITERS]
    best = max(openings, key=lambda opening: len(set(needed).intersection(opening.header)))
    for name in needed:
        count = best.header.count(name)
        if count != 1:
            has = ", ".join(repr(each) for each in best.header) or "nothing"
            found = f"{count} columns" if count else "no column"
            fault = f"the header has {found} {name!r}; it holds: {has}"
            raise UtilityError(f"{path}:{max(best.lines, 1)}: {fault}; name one column {name!r}")
    return Table(best.comments, tuple(_rows(path, lines, best)))


def read_placed(path: Path, needed: Sequence[str], what: str) -> Iterator[PlacedRow]:
    """The rows of a .csv or .jsonl file, of a .csv with the columns `needed`.

    `what`: what the rows are to messages. Raises UtilityError as `read_csv` and `read_objects`
    do, and for another suffix.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        for line, cells in read_csv(path, needed).rows:
            yield f"{path}:{line}", cells
    elif suffix == ".jsonl":
        yield from read_objects(path)
    else:
        raise UtilityError(
            f"{path}: {what} cannot be read from suffix {suffix!r}; write .jsonl or .csv"
        )


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place for messages, object) for every row of a .jsonl file or element of a .json array.

    Raises UtilityError, naming file and place, on whatever cannot be read or is no object.
    """
    try:
        for number, row in scan_rows(path):
            where = place(path, number)
            if isinstance(row, BadRow):
                raise UtilityError(f"{where}: {row.reason}; {row.fix}")
            if not isinstance(row, dict):
                raise UtilityError(f"{where}: {shortened(row)} is no object; write one a row")
            yield where, row
    except PoolError as error:
        raise UtilityError(str(error)) from None


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UtilityError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UtilityError(
            f"{path}: cannot be read ({error.strerror}); check the path and the file's rights"
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UtilityError(
            f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8; "
            "save the file as 'CSV UTF-8' in the spreadsheet"
        ) from None


def _opening(lines: list[str], delimiter: str) -> _Opening:
    comments: list[str] = []
    reader = csv.reader(lines, delimiter=delimiter)
    for fields in reader:
        if not any(field.strip() for field in fields):
            continue
        if not fields[0].lstrip().startswith("#"):
            header = tuple(field.strip().lower() for field in fields)
            return _Opening(delimiter, tuple(comments), header, reader.line_num)
        comments.append(fields[0].strip())
    return _Opening(delimiter, tuple(comments), (), reader.line_num)


def _rows(path: Path, lines: list[str], opening: _Opening) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(lines[opening.lines :], delimiter=opening.delimiter, strict=True)
    width = len(opening.header)
    while True:
        line = opening.lines + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where quoting is broken, nobody can say where the next row begins.
            raise UtilityError(
                f"{path}:{line}: broken CSV ({error}); save the file again in a spreadsheet"
            ) from None
        if any(field.strip() for field in fields[width:]):
            raise UtilityError(
                f"{path}:{line}: {len(fields)} cells where the header names {width}; "
                "put text that holds a delimiter in quotes"
            )
        if any(field.strip() for field in fields):
            yield line, dict(zip(opening.header, fields, strict=False))
