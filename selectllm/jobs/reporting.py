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
from selectllm.evaluation.sets.schema import SetsResults

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Results = RunResults | SetsResults | dict[str, Any]
WIDTH = 100  # columns


def read_results(folder: Path) -> RunResults:
    """The results of the run in `folder`. Raises RunError if that is none, or not finished."""
    otherwise = "not the results of a run ({why}); run eval again"
    return RunResults.read(folder / "results.json", otherwise)


def rendered(results: Results, format: str) -> str:
    """The results in one of FORMATS that is for such. Raises UsageError for another."""
    known = [name for name in FORMATS if (name, type(results)) not in WITHOUT]
    if format not in known:
        raise UsageError(f"`format`: {unknown('format', format, known)}", argument="format")
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


def renderable(results: Results) -> RenderableType:
    """What a terminal shows of the results."""
    if isinstance(results, RunResults):
        from selectllm.report.terminal import render_results

        return render_results(results)
    if isinstance(results, SetsResults):
        from selectllm.report.sets import render_sets

        return render_sets(results)
    from selectllm.report.plan import render_plan
    from selectllm.report.plan_sets import render_sets_plan

    return (render_sets_plan if results["for"] == "sets" else render_plan)(results)


def _terminal(results: Results) -> str:
    console = _console()
    with console.capture() as captured:
        console.print(renderable(results))
    return captured.get()


def _html(results: Results) -> str:
    from io import StringIO

    console = _console(record=True, file=StringIO())
    console.print(renderable(results))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _json(results: Results) -> str:
    return pretty_json(results if isinstance(results, dict) else results.to_json())


def _markdown(results: Results) -> str:
    from selectllm.report.markdown import markdown
    from selectllm.report.sets import markdown_sets

    if isinstance(results, SetsResults):
        return markdown_sets(results)
    assert isinstance(results, RunResults)
    return markdown(results)


def _junit(results: Results) -> str:
    from selectllm.report.junit import junit

    assert isinstance(results, RunResults)
    return junit(results)


def _console(**options: Any) -> Console:
    from rich.console import Console

    return Console(width=WIDTH, color_system="truecolor" if options else None, **options)


FORMATS: Mapping[str, Callable[[Results], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "junit": _junit,
    "json": _json,
    "html": _html,
}
WITHOUT = {("junit", SetsResults), ("junit", dict), ("markdown", dict)}
"""Formats that there are not for results of a kind; plans are dicts."""
