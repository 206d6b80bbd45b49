"""Pools in JSON: an object a line, or an array of objects; strict, and row by row."""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError
from selectllm.core.shown import shortened
from selectllm.core.whole_text import all_whole, is_whole
from selectllm.data.columns import CHATS
from selectllm.data.readers.records import BadRow, MendedRow, opened

_SPACE = re.compile(r"[ \t\n\r]*")
_SAVE_AS_UTF8 = "save the file as UTF-8"
MOST_DEPTH = 200
"""Of lists and objects in a row of JSON, which must be written again from deep inside a program."""
_TOO_DEEP = "the JSON is nested too deeply"
_HEAD = 4_096  # bytes that show whether a file is an object
_AT_ONCE = 1 << 16  # bytes of a JSONL file, which fit the cache of the processor with their rows
_FLAT = frozenset({str, int, float, bool, type(None)})
_LAST = itemgetter(slice(-1, None))
_WIDE = 1 << 63  # beyond it a number is read with care


def jsonl_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file that are not blank, with their numbers, without their ends."""
    with opened(path) as handle:
        for number, line in enumerate(handle, 1):
            data = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if data.strip():
                yield number, data.rstrip(b"\r\n")


def jsonl_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value on every line that is not blank, or the BadRow in its place."""
    decoder = StrictJson()
    number = 1
    with opened(path) as handle:
        while lines := handle.read(_AT_ONCE) + handle.readline():
            data = lines.removeprefix(codecs.BOM_UTF8) if number == 1 else lines
            if (rows := decoder.rows(data)) is not None:
                yield from enumerate(rows, number)
            else:
                for at, line in enumerate(data.split(b"\n"), number):
                    if line.strip():
                        yield at, decoder.row(line.rstrip(b"\r"))
            number += lines.count(b"\n")


def array_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The elements of one array, likewise; it may be the only list of objects of an object.

    Raises PoolError where the file is neither.
    """
    text = _text_of(path)
    name, at = _rows_inside(text, path)
    decoder = StrictJson()
    try:
        for number, (start, end) in enumerate(_elements(text, at, alone=name is None), 1):
            yield number, decoder.row(text[start:end].encode("latin-1"))
    except json.JSONDecodeError as error:
        before, behind = (
            part.encode("latin-1").decode("utf-8", "replace")
            for part in (text[: error.pos], text[error.pos :][:100])
        )
        error = json.JSONDecodeError(error.msg, before + behind, len(before))
        if error.msg == _TOO_DEEP:
            raise PoolError(f"{path}:{error.lineno}: {_TOO_DEEP}. Flatten it") from None
        raise PoolError(
            f"{path}:{error.lineno}: {_fault(error)}. A .json pool is one array of objects. "
            "Correct it, or call the file .jsonl if it holds one object in each line"
        ) from None


def array_notes(path: Path) -> tuple[str, ...]:
    """What is said of a file that is an object: which list of it was read."""
    with opened(path) as handle:
        head = handle.read(_HEAD).removeprefix(codecs.BOM_UTF8)
    if not head.lstrip().startswith(b"{"):
        return ()
    text = _text_of(path)
    name, _ = _rows_inside(text, path)
    others = [shortened(_utf8(other)) for other, _ in _members(text) if other != name]
    left = f", and its other values are not read: {', '.join(others)}" if others else ""
    return (f"its rows are the list {shortened(_utf8(name or ''))}{left}",)


def _text_of(path: Path) -> str:
    """A file with one character a byte.

    Rows end where they end in the decoded text, a byte that is not UTF-8 spoils its own row only,
    and no emoji quadruples the memory of the whole file.
    """
    with opened(path) as handle:
        return handle.read().removeprefix(codecs.BOM_UTF8).decode("latin-1")


def _utf8(text: str) -> str:
    """What `_text_of` read, as it is written."""
    return text.encode("latin-1").decode("utf-8", "replace")


def _rows_inside(text: str, path: Path) -> tuple[str | None, int]:
    """The name of the list that holds the rows, and where it begins; None, 0 for the whole file.

    Raises PoolError for an object that has several.
    """
    if _ahead(text, 0)[0] != "{":
        return None, 0
    try:
        members = list(_members(text))
    except (json.JSONDecodeError, RecursionError):
        return None, 0  # which is told as that of an array
    lists = [(name, at) for name, at in members if _holds_objects(text, at)]
    if len(lists) < 2:
        # One item's turns are no rows.
        return lists[0] if lists and lists[0][0] not in CHATS else (None, 0)
    names = [_utf8(name) for name, _ in lists]
    raise PoolError(
        f"{path}: it is an object with several lists of objects: "
        f"{', '.join(map(shortened, names))}. Write one of them to a file of its own: "
        f"jq -c '.[{json.dumps(names[0], ensure_ascii=False)}][]' {path} > {path.stem}.jsonl"
    )


def _holds_objects(text: str, at: int) -> bool:
    mark, start = _ahead(text, at)
    return mark == "[" and _ahead(text, start + 1)[0] == "{"


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The names in the object that a text is, each with where its value begins.

    Raises json.JSONDecodeError for anything else.
    """
    value_of = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
    at = _pass("{", text, 0)
    more = _ahead(text, at)[0] != "}"
    while more:
        name, at = value_of(text, _ahead(text, at)[1])
        start = _ahead(text, _pass(":", text, at))[1]
        yield str(name), start
        _, at = value_of(text, start)
        more = _ahead(text, at)[0] != "}"
        if more:
            at = _pass(",", text, at)
    if _ahead(text, _pass("}", text, at))[0]:
        raise json.JSONDecodeError("text behind the object", text, at)


def _elements(text: str, at: int, *, alone: bool = True) -> Iterator[tuple[int, int]]:
    """Where each element of the JSON array at `at` begins and ends. Raises json.JSONDecodeError.

    `alone`: nothing comes behind it.
    """
    # Numbers stay text: only their ends are wanted.
    end_of = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
    if not _ahead(text, 0)[0]:
        return  # an empty pool, as an empty file is in the other formats
    at = _pass("[", text, at)
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
    if alone and _ahead(text, at)[0]:
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


class StrictJson:
    """Decodes rows of JSON and refuses what the json module lets pass.

    That is repeated keys, NaN and Infinity, numbers that overflow a float and values nested more
    than MOST_DEPTH deep. Halves of surrogate pairs become U+FFFD, in a MendedRow. Keys are
    interned: a million rows share theirs.
    """

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
        from pydantic_core import from_json

        self._fast = partial(from_json, allow_inf_nan=False, cache_strings="keys")

    def row(self, data: bytes) -> Any:
        """The one JSON value that `data` holds, or the BadRow that it is."""
        flat = self.rows(data)
        return self._any(data) if flat is None else flat[0]

    def rows(self, lines: bytes) -> list[dict[str, Any]] | None:
        """The rows of whole lines, each a flat object; None where one of them needs care.

        Flat objects hold texts, numbers, truth values and nulls, as nearly all rows do, and are
        read in a fraction of the time. No line break is inside of a text, and one that comes
        behind a brace is behind an object: so there are as many rows as lines only if each line is
        one. A key that is written twice is in its object once: then there are more quotation marks
        than keys and texts have.
        """
        each = lines.removesuffix(b"\n").split(b"\n")
        if {*map(_LAST, each)} != {b"}"}:
            return None
        try:
            rows = self._fast(b"[%b]" % b"\n,".join(each))
        except ValueError:
            return None
        if len(rows) != len(each) or {*map(type, rows)} != {dict}:
            return None
        values = [*chain.from_iterable(map(dict.values, rows))]
        kinds = [*map(type, values)]
        if not _FLAT.issuperset(kinds):
            return None
        texts = kinds.count(str)
        if texts < len(kinds):
            numbers = [one for one in values if type(one) is int or type(one) is float]
            if numbers and not -_WIDE < min(numbers) <= max(numbers) < _WIDE:
                return None
        return rows if _marks(lines) == 2 * (len(values) + texts) else None

    def _any(self, data: bytes) -> Any:
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
        if text.count("[") + text.count("{") > MOST_DEPTH and is_deep(row):
            return BadRow(_TOO_DEEP, "flatten it", text)
        # Text that was UTF-8 can only have got half a pair from an escape.
        if ("\\ud" in text or "\\uD" in text) and not is_whole(json.dumps(row, ensure_ascii=False)):
            made = all_whole(row)
            return MendedRow(made) if isinstance(made, dict) else made
        return row


def is_deep(value: Any) -> bool:
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


def _marks(data: bytes) -> int:
    """How many quotation marks stand in an object of JSON but those that are escaped."""
    import numpy as np

    codes = np.frombuffer(data, dtype=np.uint8)
    marks = codes == ord('"')
    if b"\\" in data:
        slashes = codes == ord("\\")
        if (slashes[1:] & slashes[:-1]).any():  # one of them escapes the other
            return _marks(data.replace(rb"\\", b""))
        marks[1:] &= ~slashes[:-1]
    return int(np.count_nonzero(marks))


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
