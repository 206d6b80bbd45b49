"""`selectllm sets`: every selector's set at every budget and seed, and one table of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from selectllm.cli.options import DIRECTORY, FILE, Common, common_options, grouped
from selectllm.cli.reports import reports, write_reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing, UnfitError, UsageError
from selectllm.core.files import write_text
from selectllm.core.names import unknown
from selectllm.core.types import Cluster, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.hub import located
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.sets.log import SetLog
from selectllm.evaluation.sets.protocol import LeftOut, Maker, Protocol, arm_of, sets_entry
from selectllm.evaluation.sets.results import pool_facts, set_results
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.jobs.evaluating import open_run
from selectllm.jobs.session import ticks
from selectllm.selection.by_model import Divide
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from selectllm.selection.clustering.partition import find_partition
from selectllm.selection.scorers.item_scorer import ItemScorer, Measured
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.selection.strategies.controls import usual_controls


@dataclass(frozen=True, slots=True)
class SetsOptions:
    """What replaces the suite's own words, and where results go."""

    out: Path | None = None
    pool: str | None = None
    budget: tuple[int, ...] = ()
    seed: tuple[int, ...] = ()
    only: tuple[str, ...] = ()
    markdown: Path | None = None


sets_options = grouped(
    "options",
    SetsOptions,
    click.option("-o", "--out", type=DIRECTORY, help="Folder [eval/runs/SUITE-sets-<hash>]."),
    click.option("--pool", metavar="FILE", help="Instead of the suite's pool: a copy or a part."),
    click.option(
        "--budget",
        type=click.IntRange(1),
        multiple=True,
        help="Instead of the suite's; repeatable.",
    ),
    click.option("--seed", type=int, multiple=True, help="Instead of the suite's; repeatable."),
    click.option(
        "--only",
        multiple=True,
        metavar="SELECTOR",
        help="A prompt, a model, PROMPT+MODEL or a strategy of the suite; repeatable.",
    ),
    click.option("--markdown", type=FILE, help="Write the tables to FILE, with all overlaps."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@sets_options
@reports(SetsResults)
@common_options
def sets(suite_file: Path, options: SetsOptions, common: Common) -> None:
    """Select every set of SUITE: each selector's, at every budget and with every seed.

    Writes a folder with the sets (sets.jsonl) and what compares them (sets.json), and prints one
    table for each budget. Run again, it goes on where it stopped.
    """
    suite = applied(load_suite(suite_file), options)
    session = open_session(common, suite.folder)
    opened = open_protocol(session, suite, options.only)
    folder = options.out or session.workspace.runs / opened.protocol.default_name
    with SetLog(folder / "sets.jsonl", opened.protocol.manifest) as log:
        found = _results(session, opened, log, folder)
    found.write(folder / "sets.json")
    if options.markdown is not None:
        from selectllm.report.sets import markdown_sets

        write_text(options.markdown, markdown_sets(found))
    _show(session, found, folder)


def applied(suite: Suite, options: SetsOptions) -> Suite:
    """The suite with what the command line says instead. Raises SuiteError as sets_entry does."""
    entry = sets_entry(suite)
    changes: dict[str, Any] = {}
    if options.budget:
        changes["budgets"] = tuple(dict.fromkeys(options.budget))
    if options.seed:
        changes["seeds"] = tuple(dict.fromkeys(options.seed))
    suite = suite.model_copy(update={"sets": entry.model_copy(update=changes)})
    if options.pool is None:
        return suite
    return suite.model_copy(update={"pool": str(located(Path.cwd(), options.pool))})


@dataclass(frozen=True, slots=True)
class Opened:
    """A protocol, what it had to leave out, and whether leaving out is an error."""

    protocol: Protocol
    embedder: Embedder
    left_out: tuple[LeftOut, ...]
    strict: bool


def open_protocol(session: CommandSession, suite: Suite, only: Sequence[str] = ()) -> Opened:
    """What `suite` describes, ready to be made; `only`: the selectors that are wanted.

    Strategies that cannot be measured on the pool are left out, unless `only` asks for them.
    """
    entry = sets_entry(suite)
    # What opening divides only shows that the prompts fit; strategies are looked at one by one.
    by = suite.clusters.model_copy(update={"by": "random"})
    opening = {"strategies": (), "picks": 1, "clusters": by}
    run = replace(open_run(session, suite.model_copy(update=opening)), suite=suite)
    find_partition(suite.clusters.by, suite.folder)
    strategies = [find_strategy(name, suite.folder) for name in _strategy_names(suite, run.pool)]
    wanted = _wanted([*map(arm_of, run.selectors), *map(arm_of, strategies)], only)
    run = replace(run, selectors=tuple(each for each in run.selectors if arm_of(each) in wanted))
    able: list[Strategy] = []
    left_out: list[LeftOut] = []
    for strategy in (each for each in strategies if arm_of(each) in wanted):
        with _leaving_out(strategy, left_out, strict=bool(only)):
            strategy.check(run.pool.items, run.meter)
            able.append(strategy)
    if not (able or run.selectors):
        raise UnfitError(f"no selector of the suite can do with this pool: {left_out[0].reason}")
    embedder = session.embedder().of_pool(run.pool)
    protocol = Protocol(run, entry, tuple(able), embedder.identity)
    return Opened(protocol, embedder, tuple(left_out), bool(only))


def _strategy_names(suite: Suite, pool: Pool) -> Sequence[str]:
    """The suite's, else the usual controls."""
    if suite.strategies is not None:
        return suite.strategies
    return usual_controls(pool.items)


def _wanted(arms: Sequence[Arm], only: Sequence[str]) -> Sequence[Arm]:
    """The arms that `only` names, all without. Raises UsageError with the list for no match."""
    for text in only:
        if not any(text in _names(arm) for arm in arms):
            raise UsageError(f"--only: {unknown('selector', text, [arm.name for arm in arms])}")
    return [arm for arm in arms if not only or set(only) & _names(arm)]


def _names(arm: Arm) -> set[str | None]:
    """What may stand for an arm: either half, both, or the strategy with or without its prefix."""
    bare = arm.prompt and arm.prompt.partition("@")[0]
    pair = f"{arm.prompt}+{arm.model}"
    return {arm.name, pair, arm.prompt, bare, arm.model, arm.strategy} - {None}


@contextlib.contextmanager
def _leaving_out(strategy: Strategy, left_out: list[LeftOut], *, strict: bool) -> Iterator[None]:
    """Note a strategy that cannot be used on the pool, with the reason; `strict`: raise it."""
    try:
        yield
    except UnfitError as error:
        if strict:
            raise
        left_out.append(LeftOut(arm_of(strategy), str(error)))


def _results(session: CommandSession, opened: Opened, log: SetLog, folder: Path) -> SetsResults:
    """Make what the log lacks, then measure and compare all of it."""
    protocol = opened.protocol
    with session.progress("embedding") as advance:
        embedder = session.embedder(advance).of_pool(protocol.pool)
        vectors = embedder.of(protocol.pool.items)
    facts, notes = pool_facts(protocol, vectors)
    maker = Maker(
        protocol=protocol,
        vectors=vectors,
        divide=_division(session, protocol, opened.embedder),
        ask=protocol.run.settings,
        log=log,
        decisions=folder / "decisions",
    )
    left_out = [*opened.left_out]
    try:
        _by_strategies(session, maker, left_out, strict=opened.strict)
        for each in left_out:  # said before anything is asked
            session.note(f"left out: {each.arm.strategy}: {each.reason}")
        _by_models(session, maker)
    except ReplyMissing as error:
        raise ReplyMissing(f"{error}. Record them by the same call without --offline") from None
    return set_results(protocol, facts, log, left_out, notes)


def _division(session: CommandSession, protocol: Protocol, embedder: Embedder) -> Divide:
    by = protocol.run.suite.clusters.by

    def division(part: Pool, size: int, seed: int) -> tuple[Cluster, ...]:
        return cluster_pool(part, ClusterSettings(by, size, seed), embedder, session.clusters)

    return division


def _by_strategies(
    session: CommandSession, maker: Maker, left_out: list[LeftOut], *, strict: bool
) -> None:
    """The sets of all strategies; what needs no measuring first, since it costs nothing."""
    strategies = sorted(maker.protocol.strategies, key=lambda each: each.scorer is not None)
    with session.progress("selecting") as advance:
        for done, strategy in enumerate(each for each in strategies if each.scorer is None):
            with _leaving_out(strategy, left_out, strict=strict):
                maker.by_strategy(strategy)
            if advance:
                advance(done + 1, len(strategies))
    measured: dict[ItemScorer, Measured] = {}
    for strategy in strategies:
        if strategy.scorer is None or not maker.missing(arm_of(strategy)):
            continue
        with _leaving_out(strategy, left_out, strict=strict):
            if strategy.scorer not in measured:
                measured[strategy.scorer] = _measured(session, maker.protocol, strategy.scorer)
            maker.by_strategy(strategy, measured[strategy.scorer])


def _measured(session: CommandSession, protocol: Protocol, scorer: ItemScorer) -> Measured:
    meter = protocol.run.meter
    with session.progress(f"measuring {scorer.name}") as advance:
        return asyncio.run(scorer.score(protocol.pool.items, replace(meter, progress=advance)))


def _by_models(session: CommandSession, maker: Maker) -> None:
    """The sets of all pairs."""
    with session.progress("deciding") as advance:
        tick = ticks(advance, maker.calls_ahead())
        for selector in maker.protocol.run.selectors:
            if maker.missing(arm_of(selector)):
                asyncio.run(maker.by_model(selector, tick))


def _show(session: CommandSession, found: SetsResults, folder: Path) -> None:
    """Write the reports that were asked for, and print the comparison.

    As JSON alone, or as tables with what was spent.
    """
    if write_reports(found, session.workspace.root):
        return
    if session.common.as_json:
        click.echo(canonical_json(found.to_json()))
        return
    from rich.console import Console

    from selectllm.report.sets import WIDTH, print_sets

    console = Console()
    if not console.is_terminal:  # a file or a pipe has all the room that it takes
        console.width = max(console.width, WIDTH)
    print_sets(found, console)
    unpriced = session.ledger.unpriced_calls
    note = f" ({unpriced} calls are not priced)" if unpriced else ""
    session.note(f"spent {session.ledger.spent:.4f} USD{note}; folder: {folder}")
