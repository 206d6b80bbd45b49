"""How far utilities order selectors as results of training do: what `utility agree` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError, UtilityError
from selectllm.downstream.outcomes.agreement import agreement_by_utility
from selectllm.downstream.outcomes.exported import (
    check_held,
    check_pool,
    check_source,
    read_exported,
)
from selectllm.downstream.outcomes.foretelling import foretold
from selectllm.downstream.outcomes.result_table import read_result_table
from selectllm.downstream.outcomes.results import ResultsFile, read_results
from selectllm.downstream.outcomes.schema import ForetoldTable, OutcomeAgreement, TestsCounted
from selectllm.downstream.outcomes.scores import (
    ArmScores,
    arm_scores,
    tokens_by_arm,
    tokens_of_sets,
)
from selectllm.downstream.outcomes.untrained import beside_untrained, with_untrained
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults
from selectllm.jobs.options import AgreeSettings, TableSettings

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


async def agree_either(
    sets_folder: Path | None, settings: AgreeSettings, table: TableSettings, *, session: Session
) -> OutcomeAgreement | ForetoldTable:
    """`agree` of a folder of sets, or `agree_table`, whichever is named.

    Raises UsageError if neither or both are, and for settings of the other one.
    """
    if (sets_folder is None) == (table.table is None):
        raise UsageError("Name either the folder of the sets or a table of results with `table`")
    if sets_folder is None:
        if settings != AgreeSettings():
            raise UsageError(
                "`results`, `metric`, `budget`, `benchmark`, `untrained_results`, the utility and "
                "the export apply to the folder of sets. Leave them out"
            )
        return await agree_table(table, session=session)
    if table != TableSettings():
        raise UsageError("`roles`, `outcome`, `lower` and `untrained` apply to `table`")
    return await agree(sets_folder, settings, session=session)


async def agree_table(settings: TableSettings, *, session: Session) -> ForetoldTable:
    """Which measures of a table of published results foretell its outcome, within strata.

    Raises UsageError without a table, UtilityError for one that cannot be used.
    """
    if settings.table is None:
        raise UsageError("`table` is missing. Name a table of results", argument="table")
    rows = read_result_table(session.path(settings.table), settings.roles)
    return foretold(rows, settings.outcome, settings.lower, settings.untrained)


async def agree(
    sets_folder: Path, settings: AgreeSettings, *, session: Session
) -> OutcomeAgreement:
    """How far the utilities of sets order their selectors as results from elsewhere do.

    For each utility the agreement of what the sets capture of it with what training on them was
    worth: rank correlations over selectors, what length alone would have foretold, and how far
    that can be trusted.
    """
    if settings.results is None:
        raise UsageError(
            "`results` is missing. Name the file that selectllm utility import --export wrote",
            argument="results",
        )
    folder = session.path(sets_folder)
    compared = _compared(folder)
    content = read_results(session.path(settings.results))
    check_source(content, str(settings.results), compared, str(sets_folder))
    before = settings.untrained_results
    results = content.results
    if before is not None:
        results = with_untrained(results, session.path(before), settings.budget)
    scores = arm_scores(results, settings.metric, settings.budget, settings.benchmark)
    scores, untrained = beside_untrained(scores)
    check_held(scores.sets, compared, str(sets_folder))
    export = None if settings.export is None else session.path(settings.export)
    tokens = _tokens(compared, content, scores, export)
    rows = agreement_by_utility(compared, scores.runs, scores.budget, tokens, settings.utility)
    return OutcomeAgreement(
        suite=compared.suite,
        pool_sha256=content.pool_sha256,
        metric=scores.metric,
        budget=scores.budget,
        benchmarks=tuple(scores.benchmarks),
        scores=scores.runs,
        tests=TestsCounted(shared=scores.tests, left_out=scores.left_out),
        agreement=tuple(rows),
        untrained=untrained,
    )


def _compared(folder: Path) -> SetsResults:
    """The content of sets.json. Raises RunError if it is not there, or has no utilities."""
    path = folder / "sets.json"
    compared = SetsResults.read(path, DAMAGED)
    if not compared.utilities:
        raise UsageError(f"{path} has no utilities. Name some in the suite and run `sets` again")
    return compared


def _tokens(
    compared: SetsResults, content: ResultsFile, scores: ArmScores, export: Path | None
) -> dict[str, float] | None:
    """Of each arm's sets: as exported, else as sets.json has them."""
    if export is None:
        return tokens_of_sets(compared, scores.budget)
    exported = read_exported(export)
    check_pool(exported, content.pool_sha256, "`results`")
    if exported.sha256 != content.export_sha256:
        raise UtilityError(
            f"`export` {export}: the results are of another export. Name that one",
            argument="export",
        )
    return tokens_by_arm(exported, scores.budget)
