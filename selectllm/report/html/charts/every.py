"""Which charts a result has, in the order of its page."""

from __future__ import annotations

from collections.abc import Iterator

from selectllm.core.document import Document
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.audit.schema import AuditResults
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report.html.chart import Chart
from selectllm.report.html.charts.audits import audit_charts
from selectllm.report.html.charts.by_pair import by_pair
from selectllm.report.html.charts.ceiling import ceiling
from selectllm.report.html.charts.cost import cost
from selectllm.report.html.charts.differences import differences, looks
from selectllm.report.html.charts.forest import forest
from selectllm.report.html.charts.kept import kept
from selectllm.report.html.charts.lengths import lengths
from selectllm.report.html.charts.optimism import optimism
from selectllm.report.html.charts.picks import picks_charts
from selectllm.report.html.charts.sets import set_charts
from selectllm.report.html.charts.slots import slot_charts
from selectllm.report.html.charts.students import students
from selectllm.report.html.evidence import RunEvidence
from selectllm.selection.schema import SelectionSummary


def charts(result: Document, evidence: RunEvidence | None, deciding: str | None) -> Iterator[Chart]:
    """The charts of `result`; of a run by the utility `deciding`, the forest plot first."""
    made: Iterator[Chart | None] = iter(())
    if isinstance(result, RunResults):
        made = _of_run(result, evidence, deciding)
    elif isinstance(result, SetsResults):
        made = set_charts(result)
    elif isinstance(result, StudentsCompared):
        made = iter((students(result),))
    elif isinstance(result, RunsCompared):
        made = _of_two_runs(result, evidence)
    elif isinstance(result, SearchResults | GridResults):
        made = iter((optimism(result),))
    elif isinstance(result, SelectionSummary):
        made = picks_charts(result)
    elif isinstance(result, AuditResults):
        made = audit_charts(result)
    yield from (each for each in made if each is not None)


def _of_two_runs(result: RunsCompared, evidence: RunEvidence | None) -> Iterator[Chart | None]:
    yield by_pair(result)
    if evidence is not None and result.utility is not None:
        arms = evidence.arms
        yield differences(arms[evidence.reference].name, arms[evidence.judged].name, evidence, 1)
    if evidence is not None:
        yield lengths(evidence)


def _of_run(
    result: RunResults, evidence: RunEvidence | None, deciding: str | None
) -> Iterator[Chart | None]:
    utility = next((each for each in result.utilities if each.name == deciding), None)
    if utility is not None:
        yield forest(result, utility)
    for nth, verdict in enumerate(result.verdicts, start=1):
        yield kept(verdict, nth)
        yield looks(verdict, nth)
        yield None if evidence is None else differences(verdict.a, verdict.b, evidence, nth)
    if utility is not None:
        yield cost(result, utility.name)
    yield from slot_charts(result)
    if evidence is not None:
        yield lengths(evidence)
    yield ceiling(result)
