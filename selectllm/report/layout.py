"""How tables and labelled sentences are laid out on a terminal.

Names are wrapped in `Text`, so that square brackets in a path are not read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from selectllm.core.shown import visible
from selectllm.report.fitting import FittedTable


@dataclass(frozen=True, slots=True)
class Visible:
    """What is shown, with the control characters in its text as visible ones."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The same pieces with the same colours."""
        for piece in console.render(self.shown, options):
            text = piece.text if piece.is_control else visible(piece.text)
            yield Segment(text, piece.style, piece.control)


def table(
    title: str, caption: str, names: Sequence[str] = (), figures: Sequence[str] = ()
) -> Table:
    """An empty table: columns `names` say what a row is of; columns `figures` are never folded."""
    made = FittedTable(
        title=Text(title, style="bold"),
        title_justify="left",
        caption=Text(caption, style="table.caption"),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in names:
        made.add_column(name, overflow="fold", min_width=16)
    for figure in figures:
        made.add_column(figure, justify="right", overflow="fold")
    return made


def add_row(made: Table, *cells: str) -> None:
    """A row of plain text."""
    made.add_row(*(Text(cell) for cell in cells))


def labelled(facts: Iterable[tuple[str, str]]) -> Table:
    """Labels on the left, their sentences beside them, wrapped with a hanging indent."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in facts:
        grid.add_row(Text(label, style="bold"), Text(text))
    return grid
