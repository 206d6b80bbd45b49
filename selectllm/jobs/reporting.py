"""Results as text, for a terminal, a file or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.document import Document
from selectllm.core.errors import RunError, UsageError
from selectllm.core.files import read_json
from selectllm.core.names import closest, unknown
from selectllm.downstream.outcomes.schema import OutcomeAgreement
from selectllm.downstream.student.schema import StudentScores
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.audit.schema import AuditPlan, AuditResults
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.planning.schema import PlanResults
from selectllm.evaluation.planning.sets_schema import SetsPlanResults
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.jobs.outputs import nearby
from selectllm.jobs.pool_of_picks import PoolOfPicks, is_selection
from selectllm.jobs.workspace import find_workspace
from selectllm.optimization.schema import GridResults, SearchResults, read_optimize
from selectllm.selection.schema import SelectionSummary
from selectllm.utility.schema import Calibration, Validations

if TYPE_CHECKING:
    from rich.console import Console

    from selectllm.report.formats import Place

WIDTH = 100  # columns
RUN = "results.json"
READERS: Mapping[str, Callable[[Path], Document]] = {
    "optimize.json": read_optimize,
    "sets.json": lambda path: SetsResults.read(path, DAMAGED),
    "compare.json": lambda path: StudentsCompared.read(
        path, "not the result of student compare ({why}). Run it again"
    ),
    "audit.json": lambda path: AuditResults.read(
        path, "not the result of an audit ({why}). Run it again"
    ),
    RUN: lambda path: RunResults.read(path, "not the results of a run ({why}). Run eval again"),
}
"""By the file that a folder holds when it is finished."""
BY_KEYS: Sequence[tuple[frozenset[str], type[Document]]] = (
    (frozenset({"suite", "pairs", "verdicts"}), RunResults),
    (frozenset({"suite", "for"}), PlanResults),
    (frozenset({"suite", "sets", "overlaps"}), SetsResults),
    (frozenset({"suite", "student", "agreement"}), StudentsCompared),
    (frozenset({"suite", "metric", "agreement"}), OutcomeAgreement),
    (frozenset({"kind", "plan", "splits"}), SearchResults),
    (frozenset({"student", "losses", "bands"}), StudentScores),
    (frozenset({"validations"}), Validations),
    (frozenset({"selection", "pool_items", "filled"}), SelectionSummary),
    (frozenset({"a", "b", "compared"}), RunsCompared),
    (frozenset({"kind", "measures", "costs"}), AuditResults),
    (frozenset({"kind", "probes", "total"}), AuditPlan),
    (frozenset({"suite", "human", "judge", "disagreements"}), Calibration),
)
"""What a file of JSON holds, by the keys that only it has."""


def read_reported(
    place: Path, pool: PoolOfPicks
) -> tuple[Document, Place | None, Mapping[str, Any]]:
    """What `report` tells of: a finished folder, its file, or a selection.

    Of a selection also where its page is read, with its picks; last what --json prints. Raises as
    `read_finished` and `read_picks` do, and UsageError for a `pool` of what is no selection.
    """
    if is_selection(place):
        from selectllm.jobs.picks import read_picks
        from selectllm.report.formats import Place

        workspace = find_workspace(place.parent)
        summary, evidence = read_picks(place, workspace, pool)
        return summary, Place(workspace.root, evidence=evidence), summary.to_json()
    if pool != PoolOfPicks():
        raise UsageError(
            f"`pool` and `columns` are for a selection, which {place} is not. Leave them out",
            argument="pool",
        )
    result, path = read_finished(place)
    return result, None, read_json(path)


def read_finished(place: Path) -> tuple[Document, Path]:
    """What a command left in the folder `place`, and the file that holds it.

    `place` may also be such a file, or a result that was written with --report json=FILE, as of
    a plan. Raises RunError if it is none of these, not finished, or damaged.
    """
    if place.is_file():
        return _read_file(place), place
    name = next((name for name in READERS if (place / name).exists()), None)
    if name is None:
        raise RunError(_no_result(place))
    return READERS[name](place / name), place / name


def _no_result(place: Path) -> str:
    """What is said of a folder without results: which runs were meant, perhaps, and what to do."""
    if place.is_dir() and not place.joinpath("run.json").exists():
        runs = sorted(path.parent.name for name in READERS for path in place.glob(f"*/{name}"))
        if runs:
            return (
                f"{place} is a folder of runs, not one of them. Name one, such as "
                f"{place / runs[0]}. To list them, run: selectllm runs {place}"
            )
    if place.is_dir():
        return (
            f"{place} holds no results (such as results.json). If a command was stopped there, "
            "run it again to finish it. To list the runs that there are, run: selectllm runs"
        )
    kept = nearby(find_workspace(Path.cwd()).runs)
    folders = (kept, place.parent) if place.parent == Path() else (place.parent,)
    known = {path.name: path for each in folders if each.is_dir() for path in each.iterdir()}
    near = closest(place.name, sorted(name for name in known if known[name].is_dir()))
    guess = f" Did you mean {known[near]}?" if near else ""
    return f"{place} does not exist.{guess} To list the runs that there are, run: selectllm runs"


def _read_file(path: Path) -> Document:
    if path.name in READERS:
        return READERS[path.name](path)
    content = read_json(path)
    keys = content.keys() if isinstance(content, Mapping) else frozenset()
    kind = next((kind for marks, kind in BY_KEYS if marks <= keys), None)
    if kind is None:
        raise RunError(
            f"{path} is not a result that selectllm wrote. Name the folder of a run, or a file "
            "that was written with --report json=FILE"
        )
    if kind is PlanResults and content["for"] == "sets":
        kind = SetsPlanResults
    if kind is SearchResults and content["kind"] == "grid":
        kind = GridResults
    return kind.read(path, "not a whole result ({why}). Write it again")


def rendered(results: Document, format: str, place: Place | None = None) -> str:
    """The results in one of report.formats.FORMATS that is for such.

    Raises UsageError for another.
    """
    from selectllm.report.formats import formats_of, report

    known = formats_of(type(results))
    if format not in known:
        raise UsageError(f"`format`: {unknown('format', format, known)}", argument="format")
    return report(results, format, place)


def account(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as a terminal shows them, without colour."""
    from selectllm.report.layout import Visible
    from selectllm.report.verdict import render_verdict

    console = _console()
    with console.capture() as captured:
        for verdict in verdicts:
            console.print(Visible(render_verdict(verdict)))
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def in_a_notebook(results: Document) -> str:
    """The results as a terminal shows them, as HTML that stands within another page."""
    from selectllm.report.formats import RENDERED
    from selectllm.report.layout import Visible

    console = _console(record=True)
    console.print(Visible(RENDERED[type(results)](results)))
    code = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _console(*, record: bool = False) -> Console:
    from rich.console import Console

    if not record:
        return Console(width=WIDTH, color_system=None)
    return Console(width=WIDTH, color_system="truecolor", record=True, file=StringIO())
