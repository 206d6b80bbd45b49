"""Evaluate a suite: open the run, ask what is not decided yet, write the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from selectllm.core.errors import ReplyMissing, UtilityError, blaming
from selectllm.core.files import real
from selectllm.core.progress import ticks
from selectllm.core.shown import counted
from selectllm.core.types import Decision, Reply
from selectllm.evaluation.comparison.baseline import Baseline
from selectllm.evaluation.comparison.rated_differences import ASK
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.execute import decision_keys
from selectllm.evaluation.runs.execute import evaluate as decide
from selectllm.evaluation.runs.prepare import (
    SelectorSources,
    Sources,
    load_prompts,
    newer_versions,
    numbered,
    prepare,
)
from selectllm.evaluation.runs.results import results
from selectllm.evaluation.runs.run import Run, check_folder, start_folder
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.jobs.arguments import parted
from selectllm.jobs.batching import asked_in_batches, note_place
from selectllm.jobs.contents import PACK
from selectllm.jobs.evaluation import Evaluation
from selectllm.jobs.measuring import note_equal_ballots, note_used_up
from selectllm.jobs.options import Evaluating
from selectllm.jobs.outputs import check_begun, check_written, nearby, read_by
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.jobs.turns import turn
from selectllm.models.connect import settled
from selectllm.models.model import ModelSpec
from selectllm.models.wrappers.recorded import read_pack, write_pack
from selectllm.prompting.prompt import Prompt
from selectllm.selection.decision_log import DecisionLog


class EvaluatingArguments(Settings, total=False):
    """The same as keyword arguments, with the settings of a session."""

    out: Path | str | None
    seed: int | None
    limit: int | None
    record: Path | str | None


async def evaluate(
    suite: Suite | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[EvaluatingArguments],
) -> Evaluation:
    """Evaluate the prompts x models and strategies of `suite` against its utilities.

    Writes a run folder. If the call was stopped, make it again to continue. The same inputs and
    replies always give a byte-identical results.json. `out`: the run folder, by default
    eval/runs/SUITE-<hash> in the workspace. `seed`, `limit`: replace the suite's seed and number of
    clusters. `record`: a file to write the replies to. The other arguments are those of a Session.

    Raises UsageError for input that cannot work, before a model is asked; ReplyMissing,
    BudgetReached or ProviderError if asking a model fails. What succeeded is kept in the folder.
    """
    evaluating, settings = parted(Evaluating, arguments)
    suite = evaluating.applied(suite_of(suite, session, settings))
    async with opened(session, settings, suite.folder) as session:

        async def job(session: Session) -> Evaluation:
            run = open_run(session, suite, record=evaluating.record)
            return await carry_out(session, run, evaluating)

        return await asked_in_batches(session, job)


def suite_of(
    suite: Suite | Path | str, session: Session | None, settings: Mapping[str, object]
) -> Suite:
    """`suite`, loaded if it is a path. Raises SuiteError.

    A relative one is in the `folder` of the session, or, without a session, of the `settings` of
    the one that is opened for the job.
    """
    if isinstance(suite, Suite):
        return suite
    folder = settings.get("folder") if session is None else session.folder
    with blaming("suite"):
        return load_suite(Path(folder, suite) if isinstance(folder, str | Path) else Path(suite))


def open_run(
    session: Session,
    suite: Suite,
    comparison: ComparisonDesign | None = None,
    *,
    prompts: Mapping[str, Prompt] | None = None,
    baseline: Baseline | None = None,
    record: Path | str | None = None,
) -> Run:
    """The run that `suite` describes, with its models, ready to be evaluated.

    `prompts`: those of the suite, if they are loaded already. `record`: where its replies will
    be written; the suite's own `replies` need not exist then.
    """
    check_record(session, suite, record)
    if prompts is None:
        prompts = load_prompts(suite, session.library)
    for newer in newer_versions(suite, prompts, session.library):
        session.note(f"Note: {newer}")
    suite = numbered(suite, session.library)
    for spec in suite.specs():
        settled(spec, suite.folder)
    _warn_of_equal_repeats(session, suite)
    partial = comparison is not None and comparison.differing
    pack = recorded_replies(session, suite, record)
    shared = session.connections(pack=pack, budget=suite.budget)
    if baseline is not None:
        shared = replace(shared, recorded=baseline.endpoints)
    asking = SelectorSources(prompts, session.library, shared, session.settings.concurrency)
    asked = () if suite.replies is not None else _asked(suite, comparison)
    with session.computing("embedding") as progress:
        embedder = session.embedder(progress, suite.encoder_name, asked)
        sources = Sources(embedder, session.clusters, baseline, partial)
        run = prepare(suite, sources, asking, comparison)
    session.note_pool(run.pool)
    return run


def _asked(suite: Suite, comparison: ComparisonDesign | None) -> list[ModelSpec]:
    """The models of the suite, or those of the arms, which are asked once the pool is divided."""
    arms = {arm.model for arm in comparison.arms} if comparison and comparison.arms else None
    return [spec for spec in suite.specs() if arms is None or spec.name in arms]


def check_record(session: Session, suite: Suite, record: Path | str | None) -> None:
    """Raise UsageError for replies that would replace what the suite reads, but for its pack."""
    if record is None:
        return
    pack = set() if suite.replies is None else {real(suite.at(suite.replies))}
    read = read_by(suite) - pack
    check_written("record", session.path(record), PACK, read, session.workspace)


def _warn_of_equal_repeats(session: Session, suite: Suite) -> None:
    cold = [spec.name for spec in suite.specs() if spec.temperature == 0]
    if suite.repeats > 1 and cold:
        session.note(
            f"Note: repeats: {suite.repeats} at temperature 0 mostly repeat one reply "
            f"({', '.join(cold)}). Set a temperature above 0, or repeats: 1"
        )
    for spec in suite.specs():
        note_equal_ballots(session, spec)


def recorded_replies(
    session: Session, suite: Suite, record: Path | str | None
) -> Mapping[str, Reply] | None:
    """The replies of the suite's pack; None without one, or where it is about to be written."""
    if suite.replies is None:
        return None
    path = suite.at(suite.replies)
    if record is not None and real(session.path(record)) == real(path):
        return read_pack(path) if path.exists() else None
    return read_pack(path)


def folder_of(session: Session, run: Run, evaluating: Evaluating) -> Path:
    """The run's folder: as named, or in the workspace."""
    if evaluating.out is not None:
        return session.path(evaluating.out)
    return session.workspace.runs / run.default_name


async def carry_out(session: Session, run: Run, evaluating: Evaluating) -> Evaluation:
    """Ask what is not decided yet, and write the run folder; one job at a time does."""
    folder = folder_of(session, run, evaluating)
    note_place(session, folder / "batches.json")
    async with turn(folder):
        return await _carried_out(session, run, evaluating, folder)


async def _carried_out(
    session: Session, run: Run, evaluating: Evaluating, folder: Path
) -> Evaluation:
    check_folder(folder, run)
    check_begun(folder)
    before = session.ledger.spent
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        start_folder(folder, run)
        try:
            decisions = await _decisions(session, run, log)
        except ReplyMissing as error:
            pack = run.suite.replies and run.suite.at(run.suite.replies)
            raise ReplyMissing(str(error), pack=pack or None) from None
    specs = {selector.spec.name: selector.spec for selector in run.selectors}
    note_used_up(session, specs.values(), decisions)
    try:
        content = results(run.inputs, decisions)
    except UtilityError as error:
        ask = ASK.replace("RUN", shlex.quote(str(nearby(folder))))
        raise UtilityError(str(error).replace(ASK, ask)) from None
    content.write(folder / "results.json")
    if evaluating.record is not None:
        write_record(session, run.suite, session.path(evaluating.record), decisions)
    return Evaluation(
        run=run,
        decisions=tuple(decisions),
        results=content,
        folder=folder,
        spent_usd=session.ledger.spent - before,
    )


async def _decisions(session: Session, run: Run, log: DecisionLog) -> Sequence[Decision]:
    embedder = session.embedder(named=run.suite.encoder_name).of_pool(run.pool)
    with session.progress("deciding") as progress:
        tick = ticks(progress, sum(not log.done(key) for key in decision_keys(run)))
        watched = replace(run, meter=replace(run.meter, progress=progress))
        return await decide(watched, embedder, run.settings, log, tick)


def write_record(session: Session, suite: Suite, path: Path, decisions: Sequence[Decision]) -> None:
    """Write the replies; beside those of other calls that the suite's own pack holds."""
    own = suite.replies
    keep = own is not None and real(suite.at(own)) == real(path)
    count = write_pack(path, decisions, keep=keep)
    session.note(f"Wrote {counted(count, 'reply')} to {path}.")
