"""Pools as rows: JSONL, JSON array, CSV (each also .gz), Parquet, `hf:`; text byte for byte."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from selectllm.core.errors import PoolError
from selectllm.core.shown import shortened as shortened
from selectllm.core.whole_text import all_whole, is_whole
from selectllm.data.hub import hub_rows, is_hub

if TYPE_CHECKING:
    import polars as pl

_LONGEST_FIELD = 2**31 - 1  # of a CSV file; the largest limit that every platform takes
_SLICE = 50_000  # rows of a Parquet file in memory at a time
_PLAIN_TYPES = ("String", "Boolean", "Int64", "Int32")  # of Parquet; the same in JSON
_SPACE = re.compile(r"[ \t\n\r]*")
_SAVE_AS_UTF8 = "save the file as UTF-8"
MOST_DEPTH = 200
"""Of lists and objects in a row of JSON, which must be written again from deep inside a program."""
_TOO_DEEP = "the JSON is nested too deeply"


class MendedRow(dict[str, Any]):
    """A row in which U+FFFD stands for each half of a surrogate pair that its file had."""


class BadRow(Exception):
    """One row that cannot be used, though the rows after it can.

    `reason` says what is wrong and with which value, `fix` what to do about it; `text` is the
    row as read, or None where the row could be decoded.
    """

    def __init__(self, reason: str, fix: str, text: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.text = text

    def at(self, place: str, *, of_file: bool = True) -> PoolError:
        """The error to raise when bad rows are not to be skipped; only those of a file can be."""
        how = " (select: `skip_bad`)" if of_file else ""
        return PoolError(f"{place}: {self.reason}; {self.fix} or leave the row out{how}")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a kind of file is read, what its rows are counted in, and whether `.gz` may follow."""

    read: Callable[[Path], Iterator[tuple[int, Any]]]
    unit: str
    zippable: bool = True


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a pool with their numbers (from 1), in file order, read as they are needed.

    The number is the line in JSONL and CSV (where a row begins), the element in a JSON array and
    the row in Parquet and `hf:`. Rows of JSON files may be any JSON value, all others are dicts;
    what JSON lacks arrives from Parquet and `hf:` as null (NaN) or text (dates, times, decimals).
    Text is byte for byte as in the file, a byte order mark at its start is none.

    Raises PoolError, naming file and place, on whatever cannot be read.
    """
    for number, row in scan_rows(path):
        if isinstance(row, BadRow):
            raise row.at(place(path, number))
        yield number, row


def scan_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """`read_rows`, where a row that cannot be decoded arrives as a `BadRow` in its place.

    Raises PoolError only where the rest of the file is lost too.
    """
    read = format_of(path).read
    if path.is_dir():
        raise PoolError(f"{path}: is a folder; name the pool file in it")
    try:
        yield from read(path)
    except FileNotFoundError:
        raise PoolError(f"{path}: no such file; check the path") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise PoolError(f"{path}: broken gzip ({error}); compress the file again") from None
    except OSError as error:
        reason = error.strerror or error
        raise PoolError(f"{path}: cannot be read ({reason}); check the file's rights") from None


def format_of(path: Path) -> FileFormat:
    """The format that the name of `path` tells. Raises PoolError on an unknown one."""
    if is_hub(path):
        return HUB
    suffix = path.suffix.lower()
    if suffix != ".gz" and suffix in FORMATS:
        return FORMATS[suffix]
    inner = FORMATS.get(Path(path.stem).suffix.lower())
    if suffix == ".gz" and inner and inner.zippable:
        return inner
    zipped = [f"{name}.gz" for name, known in FORMATS.items() if known.zippable]
    raise PoolError(
        f"{path}: no pool format has the suffix {''.join(path.suffixes[-2:])!r}; "
        f"there are: {', '.join([*FORMATS, *zipped])}"
    )


def place(path: Path, number: int) -> str:
    """Where a row stands: `pool.csv:12`, `pool.json: element 12`, `hf:org/name:train row 12`."""
    if is_hub(path):
        return f"{path} row {number}"
    unit = format_of(path).unit
    return f"{path}:{number}" if unit == "line" else f"{path}: {unit} {number}"


def _open(path: Path) -> IO[bytes]:
    zipped = path.suffix.lower() == ".gz"
    return cast("IO[bytes]", gzip.open(path, "rb") if zipped else path.open("rb"))


def jsonl_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file that are not blank, with their numbers, without their ends."""
    with _open(path) as handle:
        for number, line in enumerate(handle, 1):
            data = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if data.strip():
                yield number, data.rstrip(b"\r\n")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Any]]:
    decoder = _StrictJson()
    return ((number, decoder.row(data)) for number, data in jsonl_lines(path))


def _array_rows(path: Path) -> Iterator[tuple[int, Any]]:
    with _open(path) as handle:
        # One character a byte: rows end where they end in the decoded text, a byte that is not
        # UTF-8 spoils its own row only, and no emoji quadruples the memory of the whole file.
        text = handle.read().removeprefix(codecs.BOM_UTF8).decode("latin-1")
    decoder = _StrictJson()
    try:
        for number, (start, end) in enumerate(_elements(text), 1):
            yield number, decoder.row(text[start:end].encode("latin-1"))
    except json.JSONDecodeError as error:
        before, behind = (
            part.encode("latin-1").decode("utf-8", "replace")
            for part in (text[: error.pos], text[error.pos :][:100])
        )
        error = json.JSONDecodeError(error.msg, before + behind, len(before))
        if error.msg == _TOO_DEEP:
            raise PoolError(f"{path}:{error.lineno}: {_TOO_DEEP}; flatten it") from None
        raise PoolError(
            f"{path}:{error.lineno}: {_fault(error)}; a .json pool is one array of objects: "
            "correct it, or name the file .jsonl if it holds one object a line"
        ) from None


def _elements(text: str) -> Iterator[tuple[int, int]]:
    """Where each element of a JSON array begins and ends. Raises json.JSONDecodeError."""
    # Numbers stay text: only their ends are wanted.
    end_of = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
    if not _ahead(text, 0)[0]:
        return  # an empty pool, as an empty file is in the other formats
    at = _pass("[", text, 0)
    if _ahead(text, at)[0] != "]":
        while True:
            start = _ahead(text, at)[1]
            try:
                _, end = end_of(text, start)
            except RecursionError:
                raise json.JSONDecodeError(_TOO_DEEP, text, start) from None
            yield start, end
            if _ahead(text, end)[0] == "]":
                at = end
                break
            at = _pass(",", text, end)
    at = _pass("]", text, at)
    if _ahead(text, at)[0]:
        raise json.JSONDecodeError("text behind the array", text, at)


def _ahead(text: str, at: int) -> tuple[str, int]:
    """The first character from `at` on that is not white space ("" at the end), and its place."""
    spaces = _SPACE.match(text, at)
    at = spaces.end() if spaces else at
    return text[at : at + 1], at


def _pass(mark: str, text: str, at: int) -> int:
    """The place behind the next character, which must be `mark`."""
    char, at = _ahead(text, at)
    if char != mark:
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    return at + 1


def _fault(error: json.JSONDecodeError) -> str:
    near = shortened(error.doc[max(0, error.pos - 10) : error.pos + 30])
    return f"not JSON at column {error.colno} ({error.msg}), near {near}"


class _StrictJson:
    """Decodes rows of JSON and refuses what the json module lets pass.

    That is repeated keys, NaN and Infinity, numbers that overflow a float and values nested more
    than MOST_DEPTH deep. Halves of surrogate pairs become U+FFFD, in a MendedRow. Keys are
    interned: a million rows share theirs.
    """

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )

    def row(self, data: bytes) -> Any:
        """The one JSON value that `data` holds, or the BadRow that it is."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"byte {error.start + 1} ({data[error.start]:#04x}) is not UTF-8"
            return BadRow(reason, _SAVE_AS_UTF8, data.decode("utf-8", "backslashreplace"))
        try:
            row = self._decoder.decode(text)
        except BadRow as bad:
            return BadRow(bad.reason, bad.fix, text)
        except json.JSONDecodeError as error:
            return BadRow(_fault(error), "write one JSON object there", text)
        except RecursionError:
            return BadRow(_TOO_DEEP, "flatten it", text)
        except ValueError:  # the interpreter's limit on turning text into int
            return BadRow("a number has too many digits", "write it as text", text)
        if text.count("[") + text.count("{") > MOST_DEPTH and _is_deep(row):
            return BadRow(_TOO_DEEP, "flatten it", text)
        # Text that was UTF-8 can only have got half a pair from an escape.
        if ("\\ud" in text or "\\uD" in text) and not is_whole(json.dumps(row, ensure_ascii=False)):
            made = all_whole(row)
            return MendedRow(made) if isinstance(made, dict) else made
        return row


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than MOST_DEPTH deep in `value`."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = {sys.intern(key): value for key, value in pairs}
    if len(row) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in row if keys.count(key) > 1)
        raise BadRow(f"key {shortened(twice)} appears twice in one object", "remove one of them")
    return row


def _constant(name: str) -> None:
    raise BadRow(f"{name} is not JSON", "write null")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BadRow(f"number {shortened(digits)} is too large", "write it as text")
    return number


def _csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(_LONGEST_FIELD)
    with _open(path) as handle:
        # Bytes that are not UTF-8 become halves of surrogate pairs, which UTF-8 never yields:
        # they are told when the end of their row is known.
        text = io.TextIOWrapper(
            handle, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )
        records = _csv_records(text, path)
        line, header = next(records, (1, []))
        if not all(map(is_whole, header)):
            raise PoolError(f"{path}:{line}: the header is not UTF-8; {_SAVE_AS_UTF8}")
        if twice := next((name for name in header if header.count(name) > 1), None):
            raise PoolError(f"{path}:{line}: two columns are named {twice!r}; rename one")
        for line, fields in records:
            yield line, _csv_row(header, fields)


def _csv_records(text: io.TextIOWrapper, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line it begins on."""
    reader = csv.reader(text, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where quoting is broken, nobody can say where the next record begins.
            raise PoolError(
                f"{path}:{line}: broken CSV ({error}); put fields that hold commas, quotes or "
                'line ends in quotes, and write a quote inside them as ""'
            ) from None
        if fields:
            yield line, fields


def _csv_row(header: list[str], fields: list[str]) -> Any:
    if len(fields) == len(header) and all(map(is_whole, fields)):
        return dict(zip(header, fields, strict=True))
    read = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogateescape")
    text = read.decode("utf-8", "backslashreplace")
    if len(fields) == len(header):
        return BadRow("a byte is not UTF-8", _SAVE_AS_UTF8, text)
    reason = f"{len(fields)} fields where the header names {len(header)}"
    return BadRow(reason, "put fields that hold commas in quotes", text)


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    import polars as pl

    table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    number = 0
    while True:
        try:
            frame = table.slice(number, _SLICE).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).partition("\n")[0]
            raise PoolError(f"{path}: broken Parquet ({reason}); write the file again") from None
        if not frame.height:
            return
        for row in _frame_rows(frame):
            number += 1
            yield number, row


def _hub_rows(path: Path) -> Iterator[tuple[int, Any]]:
    for number, row in enumerate(hub_rows(path), 1):
        try:
            yield number, {name: _json_value(value) for name, value in row.items()}
        except BadRow as bad:
            yield number, bad


def _frame_rows(frame: pl.DataFrame) -> Iterator[Any]:
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


FORMATS = {
    ".jsonl": FileFormat(_jsonl_rows, "line"),
    ".json": FileFormat(_array_rows, "element"),
    ".csv": FileFormat(_csv_rows, "line"),
    ".parquet": FileFormat(_parquet_rows, "row", zippable=False),
}
HUB = FileFormat(_hub_rows, "row", zippable=False)
