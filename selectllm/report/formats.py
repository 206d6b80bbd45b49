"""One way to ask for a report: a typed result and the name of a format, to text.

A new format is an entry of FORMATS; a new kind of result is one of RENDERED, and then has every
format that is not for verdicts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from selectllm.core.codec import pretty_json
from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.downstream.outcomes.schema import ForetoldTable, OutcomeAgreement
from selectllm.downstream.student.schema import StudentScores
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.audit.schema import AuditPlan, AuditResults
from selectllm.evaluation.planning.schema import PlanResults
from selectllm.evaluation.planning.sets_schema import SetsPlanResults
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report import github, sets, students_compared, validation
from selectllm.report.as_markdown import as_markdown
from selectllm.report.audit import render_audit, render_audit_plan
from selectllm.report.audit_ci import audit_annotations, audit_junit
from selectllm.report.calibration import render_calibration
from selectllm.report.foretelling import render_foretold
from selectllm.report.grid import render_grid
from selectllm.report.html.evidence import RunEvidence
from selectllm.report.html.picks_evidence import PicksEvidence
from selectllm.report.junit import junit
from selectllm.report.layout import Visible
from selectllm.report.markdown import markdown
from selectllm.report.optimize import render_report
from selectllm.report.picks import render_selection
from selectllm.report.plan import render_plan
from selectllm.report.plan_sets import render_sets_plan
from selectllm.report.set_agreement import render_outcome_agreement
from selectllm.report.sets import markdown_sets, render_sets
from selectllm.report.student import render_scores
from selectllm.report.students_compared import render_trials
from selectllm.report.terminal import render_results
from selectllm.report.two_runs import render_two_runs
from selectllm.report.validation import render_validations
from selectllm.selection.schema import SelectionSummary
from selectllm.utility.schema import Calibration, Validations

WIDTH = 100  # columns of a report that is written to a file


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report will be read: the workspace that prompts lie in, and GitHub's checkout.

    `evidence`: of a run, the cases that a page lets one look into; of a selection, its picks.
    """

    workspace: Path | None = None
    checkout: Path | None = None
    evidence: RunEvidence | PicksEvidence | None = None


RENDERED: Mapping[type[Document], Callable[[Any], RenderableType]] = {
    RunResults: render_results,
    SetsResults: render_sets,
    SearchResults: render_report,
    GridResults: render_grid,
    PlanResults: render_plan,
    SetsPlanResults: render_sets_plan,
    OutcomeAgreement: render_outcome_agreement,
    ForetoldTable: render_foretold,
    StudentsCompared: render_trials,
    StudentScores: render_scores,
    SelectionSummary: render_selection,
    RunsCompared: render_two_runs,
    AuditResults: render_audit,
    AuditPlan: render_audit_plan,
    Calibration: render_calibration,
    Validations: lambda found: render_validations(found.validations),
}
"""What a terminal shows, by the kind of result."""

RESULTS: Mapping[str, type[Document]] = {kind.__name__: kind for kind in RENDERED}
"""The kinds of results by their names."""

MARKDOWN: Mapping[type[Document], Callable[[Any], str]] = {
    RunResults: markdown,
    SetsResults: markdown_sets,
}
"""Results that have a Markdown of their own; that of the others is what a terminal shows."""


JUDGED: tuple[type[Document], ...] = (RunResults, AuditResults)
"""Results in which something can be worse than it was."""

WIDTHS: Mapping[type[Document], int] = {
    SetsResults: sets.WIDTH,
    StudentsCompared: students_compared.WIDTH,
    Validations: validation.WIDTH,
}
"""Columns that wide tables take, where there is no terminal to limit them."""


@dataclass(frozen=True, slots=True)
class Format:
    """A form of report. `verdicts_alone`: it only makes sense where something can be worse."""

    text: Callable[[Document, Place], str]
    verdicts_alone: bool = False

    def takes(self, kind: type[Document]) -> bool:
        """Whether results of that kind can be told in it."""
        return kind in RENDERED and (not self.verdicts_alone or kind in JUDGED)


def _terminal(result: Document, place: Place) -> str:
    """As a terminal without colours shows it."""
    console = Console(width=WIDTHS.get(type(result), WIDTH), color_system=None)
    with console.capture() as captured:
        console.print(Visible(RENDERED[type(result)](result)))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _markdown(result: Document, place: Place) -> str:
    own = MARKDOWN.get(type(result))
    return as_markdown(RENDERED[type(result)](result)) if own is None else own(result)


def _junit(result: Document, place: Place) -> str:
    if isinstance(result, AuditResults):
        return audit_junit(result)
    assert isinstance(result, RunResults)
    return junit(result)


def _github(result: Document, place: Place) -> str:
    if isinstance(result, AuditResults):
        return audit_annotations(result)
    assert isinstance(result, RunResults)
    if place.workspace is not None:
        result = github.with_files(result, place.workspace)
    lines = github.annotations(result, place.checkout, place.workspace)
    return "".join(f"{line}\n" for line in lines)


def _json(result: Document, place: Place) -> str:
    return pretty_json(result.to_json())


def _html(result: Document, place: Place) -> str:
    from selectllm.report.html.page import page

    return page(result, RENDERED[type(result)](result), place.evidence)


FORMATS: Mapping[str, Format] = {
    "terminal": Format(_terminal),
    "markdown": Format(_markdown),
    "html": Format(_html),
    "junit": Format(_junit, verdicts_alone=True),
    "github": Format(_github, verdicts_alone=True),
    "json": Format(_json),
}


OF_VERDICTS = ("junit", "github")
"""Formats that tell nothing of a run without verdicts."""


def formats_of(*kinds: type[Document]) -> list[str]:
    """The formats that every one of `kinds` can be told in."""
    return [name for name, form in FORMATS.items() if all(map(form.takes, kinds))]


def check_format(name: str, *kinds: type[Document], verdicts: bool = True) -> None:
    """Raise UsageError unless there is a format called `name` for results of these kinds.

    `verdicts`: whether the results have any, where their kind can.
    """
    if name not in FORMATS:
        raise UsageError(unknown("format", name, FORMATS))
    possible = formats_of(*kinds)
    if not verdicts:
        possible = [each for each in possible if each not in OF_VERDICTS]
    if name not in possible:
        raise UsageError(
            f"{name} reports verdicts, and there are none here. Choose one of: "
            f"{', '.join(possible)}"
        )


def report(result: Document, name: str, place: Place | None = None) -> str:
    """`result` in the format called `name`. Raises UsageError as `check_format` does."""
    verdicts = not isinstance(result, RunResults) or bool(result.verdicts)
    check_format(name, type(result), verdicts=verdicts)
    return FORMATS[name].text(result, place or Place())
