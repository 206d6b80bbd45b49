"""`selectllm eval`: the matrix of a suite, into a run folder."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from selectllm.ask import AskSettings
from selectllm.cli.named_model import named_entry
from selectllm.cli.options import (
    DIRECTORY,
    FILE,
    Common,
    ModelOptions,
    common_options,
    grouped,
    model_options,
)
from selectllm.cli.session import Session, counter, open_session
from selectllm.codec import canonical_json, pretty_json
from selectllm.decisions import DecisionLog
from selectllm.errors import ReplyMissing, UsageError
from selectllm.files import write_text
from selectllm.matrix import context_needed, evaluate, tasks
from selectllm.pack import read_pack, write_pack
from selectllm.prepare import check_names, prepare, with_selectors
from selectllm.results import results
from selectllm.run import Run, check_folder, start_folder
from selectllm.suite import Suite, load_suite

OLLAMA = ("ollama", "ollama_chat")


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What `eval` is told besides the suite and the common options."""

    out: Path | None
    seed: int | None
    limit: int | None
    record: Path | None


eval_options = grouped(
    "options",
    EvalOptions,
    click.option("-o", "--out", type=DIRECTORY, help="Run folder [eval/runs/SUITE-<hash>]."),
    click.option("--seed", type=int, help="Instead of the suite's seed."),
    click.option("--limit", type=click.IntRange(1), help="Only the first clusters."),
    click.option("--record", type=FILE, help="Write the replies to FILE, for `replies:`."),
)


@click.command("eval")
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@eval_options
@model_options
@common_options
def eval_(
    suite_file: Path, options: EvalOptions, model_options: ModelOptions, common: Common
) -> None:
    """Evaluate the prompts x models and strategies of SUITE against its utilities.

    Writes a run folder and prints its tables. Run again, it goes on where it stopped; the same
    inputs and replies give a byte-identical results.json.
    """
    suite = _with_options(load_suite(suite_file), options, model_options)
    base = suite_file.resolve().parent
    session = open_session(common, base)
    run = open_run(session, suite, base)
    _warn_of_equal_repeats(session, suite)
    folder = options.out or session.workspace.runs / run.default_name
    check_folder(folder, run)
    settings = AskSettings(
        concurrency=common.concurrency,
        reask=suite.reask,
        structured=suite.structured == "auto",
    )
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        start_folder(folder, run)
        try:
            decisions = asyncio.run(_evaluate(session, run, settings, log))
        except ReplyMissing as error:
            command = _record_command(suite_file, suite, options)
            raise ReplyMissing(f"{error}. Record them: {command}") from None
    found = results(run, decisions)
    write_text(folder / "results.json", pretty_json(found))
    if options.record is not None:
        session.note(f"{write_pack(options.record, decisions)} replies in {options.record}")
    _print(session, found, folder)


def _warn_of_equal_repeats(session: Session, suite: Suite) -> None:
    cold = [spec.name for spec in suite.specs() if spec.temperature == 0]
    if suite.repeats > 1 and cold:
        session.note(
            f"note: repeats: {suite.repeats} at temperature 0 mostly repeat one reply "
            f"({', '.join(cold)}); set a temperature above 0, or repeats: 1"
        )


def _with_options(suite: Suite, options: EvalOptions, named: ModelOptions) -> Suite:
    """The suite with what the command line says instead."""
    if options.seed is not None:
        suite = suite.model_copy(update={"seed": options.seed})
    if options.limit is not None:
        clusters = suite.clusters.model_copy(update={"limit": options.limit})
        suite = suite.model_copy(update={"clusters": clusters})
    if named.api_base is None and not named.model_arg:
        return suite
    if len(suite.models) != 1:
        raise UsageError(
            f"--api-base and --model-arg are for the one model of a suite; this suite has "
            f"{len(suite.models)}: write them into its model entries"
        )
    return suite.model_copy(update={"models": (named_entry(suite.models[0], named),)})


def open_run(session: Session, suite: Suite, base: Path) -> Run:
    """The run that `suite` describes, with its models, ready to be evaluated."""
    check_names(suite, base, session.library)
    with session.progress("embedding") as advance:
        run = prepare(suite, base, session.embedder(advance), session.clusters)
    shared = session.connections(
        pack=read_pack(base / suite.replies) if suite.replies else None,
        utility=run.headline.values if run.headline else None,
    )
    run = with_selectors(run, base, session.library, shared)
    if any(selector.spec.provider in OLLAMA for selector in run.selectors):
        shared = replace(shared, num_ctx=context_needed(run))
        run = with_selectors(run, base, session.library, shared)
    return run


async def _evaluate(session: Session, run: Run, settings: AskSettings, log: DecisionLog) -> Any:
    embedder = session.embedder()
    with session.progress("deciding") as advance:
        tick = counter(advance, sum(not log.done(task.key) for task in tasks(run)))
        return await evaluate(run, embedder, settings, log, tick)


def _record_command(suite_file: Path, suite: Suite, options: EvalOptions) -> str:
    pack = suite_file.parent / suite.replies if suite.replies else "FILE"
    words = ["selectllm", "eval", str(suite_file), "--record", str(pack)]
    for name in ("seed", "limit"):
        if getattr(options, name) is not None:
            words += [f"--{name}", str(getattr(options, name))]
    return shlex.join(words)


def _print(session: Session, found: dict[str, Any], folder: Path) -> None:
    if session.common.as_json:
        click.echo(canonical_json(found))
        return
    from rich.console import Console

    from selectllm.report.terminal import print_results

    print_results(found, Console())
    unpriced = session.ledger.unpriced_calls
    note = f" ({unpriced} calls are not priced)" if unpriced else ""
    session.note(f"spent {session.ledger.spent:.4f} USD{note}; run folder: {folder}")
