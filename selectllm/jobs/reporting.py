"""Results as text, for a terminal, a file or a notebook; those of a finished run, read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.codec import pretty_json
from selectllm.core.errors import RunError, UsageError
from selectllm.core.files import read_json
from selectllm.core.names import unknown

if TYPE_CHECKING:
    from rich.console import Console

Results = Mapping[str, Any]
WIDTH = 100  # columns


def read_results(folder: Path) -> dict[str, Any]:
    """The results of the run in `folder`. Raises RunError if that is none, or not finished."""
    from selectllm.report.schemas import schema

    path = folder / "results.json"
    content = read_json(path)
    if missing := sorted({*schema("results")["required"]} - {"noise"} - content.keys()):
        raise RunError(f"{path}: not the results of a run (no {missing[0]}); run eval again")
    return content


def rendered(results: Results, format: str) -> str:
    """The results in one of FORMATS. Raises UsageError for another."""
    if format not in FORMATS:
        raise UsageError(f"`format`: {unknown('format', format, list(FORMATS))}", argument="format")
    return FORMATS[format](results)


def account(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Verdicts as a terminal shows them, without colour."""
    from selectllm.report.verdict import render_verdict

    console = _console()
    with console.capture() as captured:
        for verdict in verdicts:
            console.print(render_verdict(verdict))
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def _terminal(results: Results) -> str:
    from selectllm.report.terminal import render_results

    console = _console()
    with console.capture() as captured:
        console.print(render_results(results))
    return captured.get()


def _html(results: Results) -> str:
    from io import StringIO

    from selectllm.report.terminal import render_results

    console = _console(record=True, file=StringIO())
    console.print(render_results(results))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _markdown(results: Results) -> str:
    from selectllm.report.markdown import markdown

    return markdown(results)


def _junit(results: Results) -> str:
    from selectllm.report.junit import junit

    return junit(results)


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(width=WIDTH, color_system="truecolor" if options else None, **options)


FORMATS: Mapping[str, Callable[[Results], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "junit": _junit,
    "json": pretty_json,
    "html": _html,
}
