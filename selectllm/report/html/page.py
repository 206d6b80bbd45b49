"""Results as one HTML page: what each says, its charts, its cases, all in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import RenderableType

from selectllm.core.document import Document
from selectllm.evaluation.audit.schema import AuditResults
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.report.audit import COMPARED, SCORE_CARD
from selectllm.report.html.audit_opening import audit_opening
from selectllm.report.html.chart import Chart
from selectllm.report.html.charts.every import charts
from selectllm.report.html.evidence import Provenance, RunEvidence
from selectllm.report.html.figures import Figures, figures
from selectllm.report.html.made import made
from selectllm.report.html.matrix import Matrix, matrices
from selectllm.report.html.opening import Opening, opening
from selectllm.report.html.picks_evidence import PicksEvidence
from selectllm.report.html.shell import OF_PICKS, filled

PACKED = 2_000  # decisions, or picks, from which on they are one compressed block
Evidence = RunEvidence | PicksEvidence


@dataclass(frozen=True, slots=True)
class ShownResult:
    """A result with what a terminal shows of it, and its cases. `name`: among others."""

    result: Document
    report: RenderableType
    evidence: Evidence | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A result as a part of a page. `anchor`: before the names of its charts, to tell them apart.

    `tables`: those that are open; `figures`: all of them, folded away.
    """

    anchor: str
    name: str
    opening: Opening
    matrices: tuple[Matrix, ...]
    tables: tuple[Figures, ...]
    charts: tuple[Chart, ...]
    figures: tuple[Figures | str, ...]
    notes: tuple[str, ...]
    provenance: Provenance | None

    @property
    def first(self) -> str:
        """What it says first of all."""
        return self.opening.sentences[0].text


def page(result: Document, report: RenderableType, evidence: Evidence | None = None) -> str:
    """`result` as a page. `report`: what a terminal shows of it. `evidence`: its cases or picks."""
    section = _section(ShownResult(result, report, evidence))
    if isinstance(evidence, PicksEvidence):
        return _of_picks(section, evidence)
    return _whole([section], [] if evidence is None else [("", evidence)])


def _of_picks(section: Section, evidence: PicksEvidence) -> str:
    """The page of a selection, with the scripts that list its picks."""
    return filled(
        "page.html.jinja",
        section.charts,
        evidence.to_json(),
        packed=len(evidence.picks) > PACKED,
        scripts=OF_PICKS,
        sections=[section],
        title=f"{section.opening.title}: {section.first}",
        cases=True,
        listed="picks",
    )


def page_of_several(results: Sequence[ShownResult]) -> str:
    """Several results one below the other, on one page; their cases are looked into by turns."""
    sections = [_section(each, f"run-{nth}-") for nth, each in enumerate(results, start=1)]
    cases = [
        (each.name, each.evidence) for each in results if isinstance(each.evidence, RunEvidence)
    ]
    return _whole(sections, cases)


def _whole(sections: Sequence[Section], cases: Sequence[tuple[str, RunEvidence]]) -> str:
    """The page. A single result is its whole; several have a list of contents."""
    return filled(
        "page.html.jinja",
        tuple(chart for section in sections for chart in section.charts),
        {"runs": [each.to_json() | {"name": name} for name, each in cases]} if cases else None,
        packed=sum(len(each.choices) for _, each in cases) > PACKED,
        sections=sections,
        title=f"{sections[0].opening.title}: {sections[0].first}"
        if len(sections) == 1
        else ", ".join(section.name for section in sections),
        cases=bool(cases),
        listed="cases",
    )


def _section(shown: ShownResult, anchor: str = "") -> Section:
    result, evidence = shown.result, shown.evidence
    of_run = evidence if isinstance(evidence, RunEvidence) else None
    deciding = _deciding(result, of_run) if isinstance(result, RunResults) else None
    parts = tuple(figures(shown.report))
    if isinstance(result, AuditResults):
        first = audit_opening(result)
    else:
        first = opening(result, next((part for part in parts if isinstance(part, str)), ""))
    return Section(
        anchor=anchor,
        name=shown.name,
        opening=replace(first, below=(*first.below, *_simulated(of_run))),
        matrices=matrices(result, deciding) if isinstance(result, RunResults) else (),
        tables=tuple(_open_tables(result, parts)),
        charts=tuple(
            replace(chart, name=f"{anchor}{chart.name}")
            for chart in charts(result, of_run, deciding)
        ),
        figures=parts,
        notes=() if evidence is None else evidence.notes,
        provenance=made(result) if evidence is None else evidence.provenance,
    )


def _simulated(evidence: RunEvidence | None) -> Iterator[str]:
    """That nobody was asked, where the models are scripts."""
    if evidence is not None and evidence.simulated:
        names = ", ".join(evidence.simulated)
        are = "is" if len(evidence.simulated) == 1 else "are"
        yield f"{names} {are} simulated: a script picks, and no model was asked."


def _open_tables(result: Document, parts: Sequence[Figures | str]) -> Iterator[Figures]:
    """The tables that stand before the cases: of two runs those of their pairs.

    Of an audit its score card, after the comparison with a recorded one.
    """
    tables = [part for part in parts if isinstance(part, Figures) and part.head]
    if isinstance(result, RunsCompared):
        yield from tables[:2]
    if isinstance(result, AuditResults):
        yield from (table for table in tables if table.title in (COMPARED, SCORE_CARD))


def _deciding(result: RunResults, evidence: RunEvidence | None) -> str | None:
    """The utility that is shown first: the one that decides, else the first."""
    decides = [verdict.utility.name for verdict in result.verdicts if verdict.utility is not None]
    covered = [utility.name for utility in result.utilities]
    known = [*decides, *([] if evidence is None else [evidence.deciding]), *covered]
    return next((name for name in known if name in covered), None)
