"""Results as text, for a terminal, a file or a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.evaluation.comparison.schema import Verdict

if TYPE_CHECKING:
    from rich.console import Console

HTML = "html"
WIDTH = 100  # columns


def rendered(results: Document, format: str) -> str:
    """The results in one of report.formats.FORMATS that is for such, or in HTML.

    Raises UsageError for another.
    """
    from selectllm.report.formats import formats_of, report

    known = [*formats_of(type(results)), HTML]
    if format not in known:
        raise UsageError(f"`format`: {unknown('format', format, known)}", argument="format")
    return _html(results) if format == HTML else report(results, format)


def account(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as a terminal shows them, without colour."""
    from selectllm.report.verdict import render_verdict

    console = _console()
    with console.capture() as captured:
        for verdict in verdicts:
            console.print(render_verdict(verdict))
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def _html(results: Document) -> str:
    from selectllm.report.formats import RENDERED

    console = _console(record=True)
    console.print(RENDERED[type(results)](results))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _console(*, record: bool = False) -> Console:
    from rich.console import Console

    if not record:
        return Console(width=WIDTH, color_system=None)
    return Console(width=WIDTH, color_system="truecolor", record=True, file=StringIO())
