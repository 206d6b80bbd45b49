"""What a result comes to, in one line: for lists of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from selectllm.core.document import Document
from selectllm.downstream.trials.schema import StudentsCompared
from selectllm.evaluation.audit.schema import AuditResults
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report.audit import audit_in_one_line
from selectllm.report.verdict_sentences import in_full
from selectllm.report.wording import counted, number, spread, subject


def in_one_line(result: Document) -> str:
    """The verdict where there is one, else the best figure or what there is of it."""
    return LINES[type(result)](result)


def _run(result: RunResults) -> str:
    if result.verdicts:
        return _verdict(result.verdicts[0], len(result.verdicts) - 1)
    if result.noise is not None:
        return f"noise of {result.noise.pair}"
    deciding = next((each.name for each in result.utilities), None)
    found = [
        (figures.captured.estimate, pair, figures.captured)
        for pair in result.pairs
        if deciding is not None
        and (figures := pair.agreement.get(deciding)) is not None
        and figures.captured is not None
    ]
    if not found:
        return f"{counted(len(result.pairs), 'pair')}, no utility yet"
    best, pair, interval = max(found, key=lambda each: each[0])
    return (
        f"best of {counted(len(found), 'pair')}: {pair.prompt} + {pair.model} captured "
        f"{number(best)} ({spread(interval)})"
    )


def _verdict(verdict: Verdict, others: int) -> str:
    more = f", and {counted(others, 'more verdict')}" if others else ""
    return f"{in_full(verdict, verdict.word)}: {subject(verdict)}{more}"


def _sets(result: SetsResults) -> str:
    budgets = ", ".join(f"{budget:,}" for budget in result.budgets)
    return f"{counted(len(result.sets), 'selector')} at a budget of {budgets}"


def _students(result: StudentsCompared) -> str:
    return f"{counted(len(result.sets), 'trained set')} of {result.budget:,} items each"


def _search(result: SearchResults | GridResults) -> str:
    what = f"search from {result.plan.parent} for {result.plan.model}"
    verdict = "nothing confirmed" if result.verdict is None else result.verdict.word
    return f"{what}: {verdict}"


LINES: Mapping[type[Document], Callable[[Any], str]] = {
    RunResults: _run,
    SetsResults: _sets,
    StudentsCompared: _students,
    SearchResults: _search,
    GridResults: _search,
    AuditResults: audit_in_one_line,
}
"""By the kinds of result that a folder is of."""
