"""Tables of text as spreadsheets write them: comments, a header, rows, and empty margins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.errors import PoolError

Record = tuple[int, list[str]]
"""The cells of a row, behind the number of the line or row where it begins."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header and the rows under it.

    `comments`: first cells of the rows above it that begin with #. `line`: where it stands.
    `rows`: read as they are needed, the empty ones left out; cells beyond the header that are
    empty are left out too, so a row is as wide as the header unless something is wrong with it.
    """

    comments: tuple[str, ...]
    header: tuple[str, ...]
    line: int
    rows: Iterator[Record]


def table_of(records: Iterable[Record], *, commented: bool = False) -> Table:
    """The table that `records` are; `commented`: rows of comments may stand above the header."""
    filled = ((line, fields) for line, fields in records if any(map(_is_filled, fields)))
    comments: list[str] = []
    for line, fields in filled:
        if not (commented and fields[0].lstrip().startswith("#")):
            header = tuple(_trimmed(fields, 0))
            rows = ((line, _trimmed(fields, len(header))) for line, fields in filled)
            return Table(tuple(comments), header, line, rows)
        comments.append(fields[0].strip())
    return Table(tuple(comments), (), 1, iter(()))


def check_names(path: Path, table: Table) -> None:
    """Raise PoolError if two columns have one name."""
    header = table.header
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise PoolError(f"{path}:{table.line}: two columns are named {twice!r}. Rename one")


def _trimmed(fields: list[str], width: int) -> list[str]:
    """`fields` without the empty ones at the end, as far as they are beyond `width`."""
    end = len(fields)
    while end > width and not _is_filled(fields[end - 1]):
        end -= 1
    return fields[:end]


def _is_filled(field: str) -> bool:
    return bool(field) and not field.isspace()
