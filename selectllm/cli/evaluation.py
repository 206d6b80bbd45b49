"""What every verb that evaluates a suite does: open the run, ask, write the folder, print."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from selectllm.cli.options import DIRECTORY, FILE, grouped
from selectllm.cli.reports import write_reports
from selectllm.cli.session import CommandSession
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing
from selectllm.core.types import Decision, Reply
from selectllm.evaluation.comparison.baseline import Baseline
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.execute import context_needed, evaluate, tasks
from selectllm.evaluation.runs.prepare import Sources, check_names, prepare, with_selectors
from selectllm.evaluation.runs.results import results
from selectllm.evaluation.runs.run import Run, check_folder, start_folder
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import Suite
from selectllm.jobs.session import ticks
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.models.wrappers.recorded import read_pack, write_pack
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.task import AskSettings


@dataclass(frozen=True, slots=True)
class Evaluating:
    """What a verb that evaluates is told besides its suite and the common options."""

    out: Path | None = None
    seed: int | None = None
    limit: int | None = None
    record: Path | None = None

    def applied(self, suite: Suite) -> Suite:
        """The suite with what the command line says instead."""
        if self.seed is not None:
            suite = suite.model_copy(update={"seed": self.seed})
        if self.limit is not None:
            clusters = suite.clusters.model_copy(update={"limit": self.limit})
            suite = suite.model_copy(update={"clusters": clusters})
        return suite


evaluating_options = grouped(
    "evaluating",
    Evaluating,
    click.option("-o", "--out", type=DIRECTORY, help="Run folder [eval/runs/SUITE-<hash>]."),
    click.option("--seed", type=int, help="Instead of the suite's seed."),
    click.option("--limit", type=click.IntRange(1), help="Only the first clusters."),
    click.option("--record", type=FILE, help="Write the replies to FILE, for `replies:`."),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of such a verb. `words`: what records missing replies, without --record."""

    session: CommandSession
    suite: Suite
    base: Path
    evaluating: Evaluating
    words: tuple[str, ...]

    @property
    def settings(self) -> AskSettings:
        """How its questions are asked."""
        return asking(self.session, self.suite)


def asking(session: CommandSession, suite: Suite) -> AskSettings:
    """How the questions of `suite` are asked."""
    return AskSettings(
        concurrency=session.common.concurrency,
        reask=suite.reask,
        structured=suite.structured == "auto",
    )


def open_run(
    session: CommandSession,
    suite: Suite,
    base: Path,
    comparison: ComparisonDesign | None = None,
    baseline: Baseline | None = None,
    record: Path | None = None,
) -> Run:
    """The run that `suite` describes, with its models, ready to be evaluated.

    `record`: where its replies will be written; the suite's own `replies` need not exist then.
    """
    check_names(suite, base, session.library)
    _warn_of_equal_repeats(session, suite)
    with session.progress("embedding") as advance:
        partial = comparison is not None and comparison.differing
        sources = Sources(base, session.embedder(advance), session.clusters, baseline, partial)
        run = prepare(suite, sources, comparison)
    shared = session.connections(
        pack=_recorded(suite, base, record),
        utility=run.headline.values if run.headline else None,
    )
    run = with_selectors(run, base, session.library, shared)
    if needs_num_ctx(selector.spec for selector in run.selectors):
        shared = replace(shared, num_ctx=context_needed(run))
        run = with_selectors(run, base, session.library, shared)
    return with_meter(session, run, base, shared)


def _warn_of_equal_repeats(session: CommandSession, suite: Suite) -> None:
    cold = [spec.name for spec in suite.specs() if spec.temperature == 0]
    if suite.repeats > 1 and cold:
        session.note(
            f"note: repeats: {suite.repeats} at temperature 0 mostly repeat one reply "
            f"({', '.join(cold)}); set a temperature above 0, or repeats: 1"
        )
    for spec in suite.specs():
        warn_of_equal_ballots(session, spec)


def warn_of_equal_ballots(session: CommandSession, spec: ModelSpec) -> None:
    """Note a vote of repeats that come out alike."""
    if spec.vote and spec.vote.repeats > 1 and (spec.temperature == 0 or spec.answer != "text"):
        session.note(
            f"note: {spec.name}: vote.repeats: {spec.vote.repeats} mostly repeat one reply; "
            "set a temperature above 0, or let it vote by orders"
        )


def with_meter(session: CommandSession, run: Run, base: Path, shared: Connections) -> Run:
    """The run with what measures items for its strategies, which was checked on its items."""
    meter = Meter(
        library=session.library,
        base=base,
        shared=shared,
        folder=session.workspace.cache,
        specs={spec.name: spec for spec in run.suite.specs()},
        utilities={utility.name: utility.values for utility in run.utilities},
        settings=asking(session, run.suite),
        seed=run.suite.seed,
    )
    items = [run.pool.by_id[member] for member in run.members]
    for strategy in run.strategies:
        strategy.check(items, meter)
    return replace(run, meter=meter)


def _recorded(suite: Suite, base: Path, record: Path | None) -> dict[str, Reply] | None:
    if suite.replies is None:
        return None
    path = base / suite.replies
    if record is not None and record.resolve() == path.resolve() and not path.exists():
        return None
    return read_pack(path)


def folder_of(call: Call, run: Run) -> Path:
    """The run's folder: as named, or in the workspace."""
    return call.evaluating.out or call.session.workspace.runs / run.default_name


def carry_out(call: Call, run: Run) -> tuple[RunResults, Path]:
    """Ask what is not decided yet, write the run folder; its results and where they are."""
    folder = folder_of(call, run)
    check_folder(folder, run)
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        start_folder(folder, run)
        try:
            decisions = asyncio.run(_evaluate(call, run, log))
        except ReplyMissing as error:
            raise ReplyMissing(f"{error}. Record them: {_record_command(call)}") from None
    found = results(run.inputs, decisions)
    found.write(folder / "results.json")
    if call.evaluating.record is not None:
        count = write_pack(call.evaluating.record, decisions, keep=_own_pack(call))
        call.session.note(f"{count} replies in {call.evaluating.record}")
    return found, folder


async def _evaluate(call: Call, run: Run, log: DecisionLog) -> Sequence[Decision]:
    embedder = call.session.embedder().of_pool(run.pool)
    with call.session.progress("deciding") as advance:
        tick = ticks(advance, sum(not log.done(task.key) for task in tasks(run)))
        if run.meter is not None:
            run = replace(run, meter=replace(run.meter, progress=advance))
        return await evaluate(run, embedder, call.settings, log, tick)


def _own_pack(call: Call) -> bool:
    """Whether the replies go to the suite's own pack, which holds those of other calls too."""
    record, own = call.evaluating.record, call.suite.replies
    return (
        record is not None and own is not None and (call.base / own).resolve() == record.resolve()
    )


def _record_command(call: Call) -> str:
    pack = call.base / call.suite.replies if call.suite.replies else Path("FILE")
    words = ["selectllm", *call.words, "--record", str(shorter(pack))]
    for name in ("seed", "limit"):
        if getattr(call.evaluating, name) is not None:
            words += [f"--{name}", str(getattr(call.evaluating, name))]
    return shlex.join(words)


def shorter(path: Path) -> Path:
    """`path` from the current folder where it lies below it."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def show(session: CommandSession, found: RunResults, folder: Path) -> None:
    """Write the reports that were asked for, and print the results.

    As JSON alone, or as tables with what was spent.
    """
    if write_reports(found, session.workspace.root):
        return
    if session.common.as_json:
        click.echo(canonical_json(found.to_json()))
        return
    from rich.console import Console

    from selectllm.report.terminal import print_results

    print_results(found, Console())
    unpriced = session.ledger.unpriced_calls
    note = f" ({unpriced} calls are not priced)" if unpriced else ""
    session.note(f"spent {session.ledger.spent:.4f} USD{note}; run folder: {folder}")
