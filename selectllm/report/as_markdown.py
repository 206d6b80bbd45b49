"""Any report of a terminal as Markdown: its tables, its labelled sentences, its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.shown import visible

# What Markdown, HTML or a table cell could take for structure; as references they are only text.
SPECIAL = str.maketrans({char: f"&#{ord(char)};" for char in "&<>|`\\*_[]~$"})

LEFT, RIGHT = "---", "---:"  # of a column: its names, its figures


def as_markdown(report: RenderableType) -> str:
    """`report`, made of what report/layout.py lays out, as a Markdown document."""
    return "\n\n".join(part for part in _parts(report) if part) + "\n"


def plain(text: str) -> str:
    """Text that stays text, on one line."""
    return visible(" ".join(text.split())).translate(SPECIAL)


def grid(head: Iterable[str], rule: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; `rule`: for each column LEFT or RIGHT."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _parts(report: RenderableType) -> Iterator[str]:
    if isinstance(report, Group):
        for part in report.renderables:
            yield from _parts(part)
    elif isinstance(report, Table):
        yield from _table(report) if report.show_header else [_labelled(report)]
    elif isinstance(report, Text):
        yield plain(report.plain)
    else:
        raise TypeError(f"{type(report).__name__}: cannot be told in Markdown")


def _table(table: Table) -> Iterator[str]:
    rule = [RIGHT if column.justify == "right" else LEFT for column in table.columns]
    yield f"### {_cell(table.title)}" if table.title else ""
    yield grid((_cell(column.header) for column in table.columns), rule, _rows(table))
    yield _cell(table.caption) if table.caption else ""


def _labelled(table: Table) -> str:
    return "\n".join(f"- **{label}**: {text}" for label, text in _rows(table))


def _rows(table: Table) -> Iterator[tuple[str, ...]]:
    return zip(*(map(_cell, column.cells) for column in table.columns), strict=True)


def _cell(cell: RenderableType) -> str:
    return plain(cell.plain if isinstance(cell, Text) else str(cell))
