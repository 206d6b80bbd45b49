"""Results as text, for a terminal, a file or a notebook; those of a finished run, read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.codec import pretty_json
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100  # columns


def read_results(folder: Path) -> RunResults:
    """The results of the run in `folder`. Raises RunError if that is none, or not finished."""
    otherwise = "not the results of a run ({why}); run eval again"
    return RunResults.read(folder / "results.json", otherwise)


def rendered(results: RunResults, format: str) -> str:
    """The results in one of FORMATS. Raises UsageError for another."""
    if format not in FORMATS:
        raise UsageError(f"`format`: {unknown('format', format, list(FORMATS))}", argument="format")
    return FORMATS[format](results)


def account(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as a terminal shows them, without colour."""
    from selectllm.report.verdict import render_verdict

    console = _console()
    with console.capture() as captured:
        for verdict in verdicts:
            console.print(render_verdict(verdict))
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def _terminal(results: RunResults) -> str:
    from selectllm.report.terminal import render_results

    console = _console()
    with console.capture() as captured:
        console.print(render_results(results))
    return captured.get()


def _html(results: RunResults) -> str:
    from io import StringIO

    from selectllm.report.terminal import render_results

    console = _console(record=True, file=StringIO())
    console.print(render_results(results))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _json(results: RunResults) -> str:
    return pretty_json(results.to_json())


def _markdown(results: RunResults) -> str:
    from selectllm.report.markdown import markdown

    return markdown(results)


def _junit(results: RunResults) -> str:
    from selectllm.report.junit import junit

    return junit(results)


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(width=WIDTH, color_system="truecolor" if options else None, **options)


FORMATS: Mapping[str, Callable[[RunResults], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "junit": _junit,
    "json": _json,
    "html": _html,
}
