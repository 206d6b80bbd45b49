"""Any report of a terminal as parts of a page: its tables, its labelled sentences, its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Figures:
    """A table. `head` is empty where its rows are a label and a sentence each."""

    title: str
    head: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str


def figures(report: RenderableType) -> Iterator[Figures | str]:
    """The tables and lines of `report`, made of what report/layout.py lays out."""
    if isinstance(report, Group):
        for part in report.renderables:
            yield from figures(part)
    elif isinstance(report, Table):
        yield _figures(report)
    elif isinstance(report, Text) and report.plain:
        yield report.plain


def _figures(table: Table) -> Figures:
    columns = table.columns
    return Figures(
        title=_text(table.title),
        head=tuple(_text(column.header) for column in columns) if table.show_header else (),
        right=tuple(column.justify == "right" for column in columns),
        rows=tuple(
            zip(*([_text(cell) for cell in column.cells] for column in columns), strict=True)
        ),
        caption=_text(table.caption),
    )


def _text(cell: RenderableType | None) -> str:
    return "" if cell is None else cell.plain if isinstance(cell, Text) else str(cell)
