"""Text in columns (CSV, TSV) and in lines: encoding and delimiter are found out, not asked for.

A spreadsheet writes what its language and its menu say: commas, semicolons or tabs, UTF-8 with a
mark, UTF-16, or the code page of the machine. The first three are told apart by the file itself;
code pages are not, so their bytes are named rather than guessed at.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError
from selectllm.core.shown import capital
from selectllm.core.whole_text import is_whole
from selectllm.data.columns import ALIASES
from selectllm.data.readers.records import BadRow, opened
from selectllm.data.readers.table import Record, Table, check_names, table_of

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SAVE_AS_UTF8 = "save the file as UTF-8 (in a spreadsheet: as 'CSV UTF-8')"

_LONGEST_FIELD = 2**31 - 1  # the largest limit that every platform takes
_HEAD = 1 << 16  # bytes that show how a file is written
_SEEN = 20  # records of them that delimiters are compared by
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)  # how Excel is told, in the first line


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a file is written. `newline`: what ends its lines. `told`: its first line says so."""

    encoding: str
    newline: str
    delimiter: str = ","
    told: bool = False


def csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a CSV or TSV file as dicts, or the BadRow in its place."""
    with opened_table(path, ALIASES) as table:
        if not all(map(is_whole, table.header)):
            raise PoolError(
                f"{path}:{table.line}: the header is not UTF-8. {capital(SAVE_AS_UTF8)}"
            )
        check_names(path, table)
        for line, fields in table.rows:
            yield line, _row(table.header, fields)


def text_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The lines of a text that are not blank, each an instruction.

    Raises PoolError if all lines at its beginning hold equally many tabs: spreadsheets write
    tables so ('Text (tab delimited)', 'Unicode text'), and each row would pass for an instruction.
    """
    dialect, head, whole = _how_written(path)
    lines = [line for line in head.splitlines() if line.strip()]
    tabs = {line.count("\t") for line in (lines if whole else lines[:-1])[:_SEEN]}
    if len(lines) > 1 and len(tabs) == 1 and tabs != {0}:
        raise PoolError(
            f"{path} is a table whose columns are divided by tabs. Rename it to "
            f"{path.with_suffix('.tsv').name}. If every line is one instruction, replace the tabs "
            "in it by spaces"
        )
    with opened(path) as handle, _decoded(path, handle, dialect) as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield number, _row(("instruction",), [line.rstrip("\r\n")])


@contextlib.contextmanager
def opened_table(path: Path, known: Collection[str], *, commented: bool = False) -> Iterator[Table]:
    """A file of columns as a table, open while it is read.

    `known`: names of columns that tell the right delimiter from others. `commented`: see
    `table_of`. Bytes that are not UTF-8 are halves of surrogate pairs in the cells.
    Raises PoolError where two delimiters fit equally well, and, also from the rows, where quoting
    is broken.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    dialect = _how_divided(path, known, commented)
    with opened(path) as handle, _decoded(path, handle, dialect) as text:
        skipped = 1 if dialect.told and text.readline() else 0
        yield table_of(_records(text, path, dialect, skipped), commented=commented)


def not_utf8(fields: Collection[str]) -> str:
    """Which byte of a row is not UTF-8, and what it is likely to be."""
    byte = next(ord(char) - 0xDC00 for char in "".join(fields) if not is_whole(char))
    likely = bytes([byte]).decode("cp1252", "replace")
    return f"byte {byte:#04x} is not UTF-8 (in Windows-1252 it is {likely!r})"


@contextlib.contextmanager
def _decoded(path: Path, handle: Any, dialect: _Dialect) -> Iterator[io.TextIOWrapper]:
    # Bytes that are not UTF-8 become halves of surrogate pairs, which UTF-8 never yields: they
    # are told when the end of their row is known.
    errors = "surrogateescape" if dialect.encoding == "utf-8-sig" else "strict"
    try:
        yield io.TextIOWrapper(handle, dialect.encoding, errors, newline=dialect.newline)
    except UnicodeError as error:
        raise PoolError(f"{path} is broken UTF-16 ({error}). {capital(SAVE_AS_UTF8)}") from None


def _how_written(path: Path) -> tuple[_Dialect, str, bool]:
    """Encoding and line ends; the text that shows them, and whether it is all there is."""
    with opened(path) as handle:
        head = handle.read(_HEAD)
    encoding = _encoding(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    first = re.search(r"\r\n|\r|\n", text)
    newline = "\r" if first and first[0] == "\r" else "\n"
    return _Dialect(encoding, newline), text, len(head) < _HEAD


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    even, odd = head[::2], head[1::2]
    for name, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if pairs > 1 and high.count(0) > pairs // 2 and low.count(0) < pairs // 8 + 1:
            return name
    return "utf-8-sig"


def _how_divided(path: Path, known: Collection[str], commented: bool) -> _Dialect:
    """The same with the delimiter that makes the best table of the beginning."""
    written, text, whole = _how_written(path)
    if told := _SEPARATOR.match(text):
        return replace(written, delimiter=told[1], told=True)
    scores = {
        mark: score
        for mark in DELIMITERS
        if (score := _score(text, mark, known, commented, whole)) is not None
    }
    preferred = "\t" if ".tsv" in path.suffixes[-2:] else ","
    if not scores:
        return replace(written, delimiter=preferred)
    best = [mark for mark, score in scores.items() if score == max(scores.values())]
    if len(best) > 1 and "\t" in best and preferred == "\t":
        best = ["\t"]
    if len(best) > 1:
        raise PoolError(
            f"{path}: {' and '.join(DELIMITERS[mark] for mark in best)} divide it into columns "
            f"equally well. Add a first line with only sep={best[0]} or sep={best[1]}"
        )
    return replace(written, delimiter=best[0])


def _score(
    text: str, delimiter: str, known: Collection[str], commented: bool, whole: bool
) -> tuple[int, float] | None:
    """How well a delimiter divides the beginning of a file; None if it divides no header.

    Known names in the header, then the share of rows that are as wide as it is.
    """
    lines = io.StringIO(text, newline="")
    with contextlib.suppress(csv.Error):  # of this delimiter; the right one is read strictly
        records = enumerate(csv.reader(lines, delimiter=delimiter), 1)
        table = table_of(records, commented=commented)
        if len(table.header) < 2:
            return None
        names = {name.strip().lower() for name in table.header}
        rows = [fields for _, fields in islice(table.rows, _SEEN)]
        if not whole:
            rows = rows[:-1]  # which the end of the beginning may have cut
        wide = sum(len(fields) == len(table.header) for fields in rows)
        return len(names.intersection(known)), wide / len(rows) if rows else 1.0
    return None


def _records(
    text: io.TextIOWrapper, path: Path, dialect: _Dialect, skipped: int
) -> Iterator[Record]:
    """The records that are not blank, each with the line it begins on."""
    reader = csv.reader(text, delimiter=dialect.delimiter, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where quoting is broken, nobody can say where the next record begins.
            raise PoolError(
                f"{path}:{line}: broken CSV ({error}). Put fields that hold "
                f"{DELIMITERS.get(dialect.delimiter, 'delimiters')}, quotes or line ends in "
                'quotes, and write a quote inside them as ""'
            ) from None
        if fields:
            yield line, fields


def _row(header: tuple[str, ...], fields: list[str]) -> Any:
    if len(fields) == len(header) and all(map(is_whole, fields)):
        return dict(zip(header, fields, strict=True))
    read = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogateescape")
    text = read.decode("utf-8", "backslashreplace")
    if len(fields) == len(header):
        return BadRow(not_utf8(fields), SAVE_AS_UTF8, text)
    reason = f"{len(fields)} fields where the header names {len(header)}"
    return BadRow(reason, "put fields that hold the delimiter in quotes", text)
