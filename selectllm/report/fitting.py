"""Tables that lose nothing on a narrow terminal: columns move to a further table, names shorten.

A figure is never folded, and a name only between words or after a sign such as / or -. What is too
long even so is shortened in the middle, and stands in full below the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

LONGEST = 24  # columns that a cell of figures takes before it is wrapped between words
LEAST = 16  # columns that names get at least, if they are so long
_PIECE = re.compile(r"[^+/:@_=,\[-]*[+/:@_=,\[-]+\s*|[^+/:@_=,\[-]+")


class FittedTable(Table):
    """A table whose columns share out the width that there is.

    Its first columns, up to the first of figures (which are set to the right), name the row: they
    begin every further table. Title and caption take the whole width.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One table, or several under one title."""
        names = self._names()
        figures = self.columns[len(names) :]
        room = options.max_width - self._taken([_least(each) for each in names])
        limit = None if self._fits(figures, room, None) else LONGEST
        full: dict[str, str] = {}
        if self.title:
            yield _text(self.title)
        for number, part in enumerate(self._parts(figures, room, limit)):
            if number:
                yield Text()
            widths = [_needs(each, limit) for each in part]
            spare = options.max_width - self._taken([0] * len(names) + widths)
            shares = _shares(names, spare)
            cells: list[list[Any]] = [
                [_name(cell, share, full) for cell in each.cells]
                for each, share in zip(names, shares, strict=True)
            ]
            cells += [[*each.cells] for each in part]
            yield self._made([*names, *part], [*shares, *widths], cells)
        if self.caption:
            yield _text(self.caption)
        for short, name in full.items():
            yield Text(f"{short} stands for {name}")

    def _names(self) -> list[Column]:
        """The columns before the first of figures; a number of the row goes with its name."""
        for at, column in enumerate(self.columns):
            if column.no_wrap or (column.justify == "right" and str(column.header) != "#"):
                return self.columns[:at]
        return self.columns

    def _taken(self, widths: Sequence[int]) -> int:
        """What columns of these widths take, with the blanks between and around them."""
        between = 1 + self.padding[1] + self.padding[3]
        return sum(widths) + between * (len(widths) - 1) + 2

    def _fits(self, figures: Sequence[Column], room: int, limit: int | None) -> bool:
        return len(self._parts(figures, room, limit)) == 1

    def _parts(self, figures: Sequence[Column], room: int, limit: int | None) -> list[list[Column]]:
        """The figures, divided so that each part fits `room`."""
        parts: list[list[Column]] = [[]]
        left = room
        for column in figures:
            needs = self._taken([0, _needs(column, limit)]) - 2
            if needs > left and parts[-1]:
                parts.append([])
                left = room
            parts[-1].append(column)
            left -= needs
        return parts

    def _made(
        self, columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[Any]]
    ) -> Table:
        made = Table(box=self.box, pad_edge=self.pad_edge, padding=self.padding)
        for column, width in zip(columns, widths, strict=True):
            made.add_column(column.header, justify=column.justify, overflow="fold", width=width)
        for row in zip(*cells, strict=True):
            made.add_row(*row)
        return made


def _shares(names: Sequence[Column], spare: int) -> list[int]:
    """The width of each column of names: what it needs, or its share of `spare`."""
    shares: list[int] = []
    for at, column in enumerate(names):
        wanted = max(map(len, _texts(column)))
        others = sum(map(_least, names[at + 1 :]))
        shares.append(max(min(wanted, spare - others), 1))
        spare -= shares[-1]
    return shares


def _texts(column: Column) -> Iterator[str]:
    """The header and the cells, as plain text."""
    return (_text(cell).plain for cell in (column.header, *column.cells))


def _text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


def _needs(column: Column, limit: int | None) -> int:
    """The width that a column of figures takes: its cells whole, its heading between words.

    `limit`: cells that are longer are wrapped between words.
    """
    header, *cells = _texts(column)
    if limit is None:
        return max(map(len, (header, *cells)))
    words = [len(word) for text in (header, *cells) for word in text.split()]
    return max(1, *words, *(min(len(cell), limit) for cell in cells))


def _least(column: Column) -> int:
    """The width that a column of names takes at least."""
    texts = [*_texts(column)]
    return min(max(map(len, texts)), max(LEAST, *map(len, texts[0].split())))


def _name(cell: object, room: int, full: dict[str, str]) -> Text:
    """A name in lines of at most `room`: broken between words, then after signs, else shortened."""
    lines = [""]
    for word in re.findall(r"\S+\s*", _text(cell).plain):
        whole = len(word.rstrip()) <= room
        for piece in [word] if whole else _PIECE.findall(word):
            bare = piece.rstrip()
            if len(bare) > room:
                full[shortened(bare, room)] = bare
                piece = bare = shortened(bare, room)
            if len(lines[-1]) + len(bare) > room and lines[-1]:
                lines.append("")
            lines[-1] += piece
    return Text("\n".join(line.rstrip() for line in lines))


def shortened(text: str, most: int) -> str:
    """`text`, or its beginning and its end around three dots; at most `most` characters."""
    if len(text) <= most or most < 5:
        return text[:most]
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}\u2026{text[-end:]}"
