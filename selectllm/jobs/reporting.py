"""Results as text, for a terminal, a file or a notebook; those of a finished run, read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults
from selectllm.optimization.schema import read_optimize

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 100  # columns
HTML = "html"


def read_finished(folder: Path) -> tuple[Document, Path]:
    """What a command left in `folder`, and the file that holds it.

    Raises RunError if that is none of READERS, not finished, or damaged.
    """
    name = next((name for name in READERS if (folder / name).exists()), RUN)
    return READERS[name](folder / name), folder / name


RUN = "results.json"
READERS: Mapping[str, Callable[[Path], Document]] = {
    "optimize.json": read_optimize,
    "sets.json": lambda path: SetsResults.read(path, DAMAGED),
    "compare.json": lambda path: StudentsCompared.read(
        path, "not what student compare left ({why}); run it again"
    ),
    RUN: lambda path: RunResults.read(path, "not the results of a run ({why}); run eval again"),
}
"""By the file that a folder holds when it is finished."""


def rendered(results: Document, format: str) -> str:
    """The results in one of the formats of report/formats.py, or as HTML.

    Raises UsageError for another.
    """
    from selectllm.report.formats import FORMATS, report

    if format == HTML:
        return _html(results)
    if format not in FORMATS:
        known = unknown("format", format, [*FORMATS, HTML])
        raise UsageError(f"`format`: {known}", argument="format")
    return report(results, format)


def renderable(results: Document) -> RenderableType:
    """What a terminal shows of them."""
    from selectllm.report.formats import RENDERED

    return RENDERED[type(results)](results)


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
    from io import StringIO

    console = _console(record=True, file=StringIO())
    console.print(renderable(results))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(width=WIDTH, color_system="truecolor" if options else None, **options)
