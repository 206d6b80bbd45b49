"""Every selector's set at every budget and seed, and what compares them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from selectllm.core.arrays import Vectors
from selectllm.core.errors import ExtraMissing, ReplyMissing, UnfitError, UsageError
from selectllm.core.names import unknown
from selectllm.core.progress import ticks
from selectllm.core.types import Cluster, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.hub import located
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.runs.coverage import check_unassisted
from selectllm.evaluation.runs.prepare import numbered
from selectllm.evaluation.sets.log import SelectedSet, SetLog
from selectllm.evaluation.sets.protocol import LeftOut, Maker, Protocol, arm_of, sets_entry
from selectllm.evaluation.sets.results import pool_facts, set_results
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.suite import Suite
from selectllm.jobs import tables
from selectllm.jobs.arguments import parted
from selectllm.jobs.batching import asked_in_batches, note_place
from selectllm.jobs.evaluating import open_run, suite_of
from selectllm.jobs.outputs import check_begun
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.jobs.turns import turn
from selectllm.selection.by_model import Divide
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from selectllm.selection.clustering.partition import find_partition
from selectllm.selection.scorers.item_scorer import ItemScorer, Measured
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.selection.strategies.controls import usual_controls

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class SetsRequest:
    """What is said instead of a suite's own words.

    `budgets`, `seeds`: instead of the suite's. `pool`: instead of the suite's, a copy or a part.
    `only`: the selectors that are wanted: a prompt, a model, PROMPT+MODEL or a strategy.
    """

    budgets: Sequence[int] = ()
    seeds: Sequence[int] = ()
    pool: Path | str | None = None
    only: Sequence[str] = ()

    def applied(self, suite: Suite, session: Session) -> Suite:
        """The suite with what was said instead. Raises SuiteError as sets_entry does."""
        suite, entry = numbered(suite, session.library), sets_entry(suite)
        changes: dict[str, Any] = {}
        if self.budgets:
            changes["budgets"] = tuple(dict.fromkeys(self.budgets))
        if self.seeds:
            changes["seeds"] = tuple(dict.fromkeys(self.seeds))
        suite = suite.model_copy(update={"sets": entry.model_copy(update=changes)})
        if self.pool is None:
            return suite
        return suite.model_copy(
            update={"pool": str(located(session.folder or Path.cwd(), str(self.pool)))}
        )


class SetsArguments(Settings, total=False):
    """A SetsRequest as keyword arguments, with the settings of a session."""

    budgets: Sequence[int]
    seeds: Sequence[int]
    pool: Path | str | None
    only: Sequence[str]


@dataclass(frozen=True, eq=False)
class Sets:
    """The sets of a suite, and their comparison.

    `sets`: of every selector, budget and seed. `results`: the content of sets.json. `folder`:
    where both are kept. `spent_usd`: what this call cost.
    """

    sets: tuple[SelectedSet, ...]
    results: SetsResults
    folder: Path
    spent_usd: float = 0.0

    def to_polars(self) -> pl.DataFrame:
        """One row for each selector and budget."""
        return tables.to_polars(row.to_json() for row in self.results.sets)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame. Raises UsageError if pandas is not installed."""
        return tables.to_pandas(row.to_json() for row in self.results.sets)

    def report(self, format: str = "terminal") -> str:
        """The tables as `terminal` (text), `markdown`, `json` or `html`."""
        from selectllm.jobs.reporting import rendered

        return rendered(self.results, format)

    def _repr_html_(self) -> str:
        from selectllm.jobs.reporting import in_a_notebook

        return in_a_notebook(self.results)


async def sets(
    suite: Suite | Path | str,
    *,
    out: Path | str | None = None,
    session: Session | None = None,
    **arguments: Unpack[SetsArguments],
) -> Sets:
    """Select every set of `suite`: each selector's, at every budget and with every seed.

    Writes a folder with the sets (sets.jsonl) and what compares them (sets.json); run again, it
    goes on where it stopped. `out`: that folder, by default eval/runs/SUITE-sets-<hash> in the
    workspace. The other arguments are those of SetsRequest, and a session's.

    Raises UsageError for input that cannot work, before anything is asked; ReplyMissing,
    BudgetReached or ProviderError where asking ends, with what is finished kept in the folder.
    """
    request, settings = parted(SetsRequest, arguments)
    suite = suite_of(suite, session, settings)
    async with opened(session, settings, suite.folder) as session:
        spent = session.ledger.spent

        async def made(session: Session) -> Sets:
            return await _made(request, suite, out, session)

        done = await asked_in_batches(session, made)
        return replace(done, spent_usd=session.ledger.spent - spent)


async def _made(
    request: SetsRequest, suite: Suite, out: Path | str | None, session: Session
) -> Sets:
    """The sets, as far as they are not made already, and their comparison."""
    opening = open_protocol(session, request.applied(suite, session), request.only)
    protocol = opening.protocol
    default = session.workspace.runs / protocol.default_name
    folder = default if out is None else session.path(out)
    note_place(session, folder / "batches.json")
    async with turn(folder):
        check_begun(folder)
        with SetLog(folder / "sets.jsonl", protocol.manifest) as log:
            results = await _results(session, opening, log, folder)
            made = tuple(
                log[arm.name, *draw]
                for arm in protocol.arms
                for draw in protocol.draws
                if (arm.name, *draw) in log
            )
        results.write(folder / "sets.json")
    return Sets(made, results, folder)


@dataclass(frozen=True, slots=True)
class Opened:
    """A protocol, what it had to leave out, and whether leaving out is an error."""

    protocol: Protocol
    embedder: Embedder
    left_out: tuple[LeftOut, ...]
    strict: bool


def open_protocol(session: Session, suite: Suite, only: Sequence[str] = ()) -> Opened:
    """What `suite` describes, ready to be made; `only`: the selectors that are wanted.

    Strategies that cannot be measured on the pool are left out, unless `only` asks for them.
    """
    entry = sets_entry(suite)
    check_unassisted(suite, "sets", "what a set is worth needs a value for every item")
    # What opening divides only shows that the prompts fit; strategies are looked at one by one.
    by = suite.clusters.model_copy(update={"by": "random"})
    opening = {"strategies": (), "picks": 1, "clusters": by}
    run = replace(open_run(session, suite.model_copy(update=opening)), suite=suite)
    find_partition(suite.clusters.by, suite.folder)
    names = usual_controls(run.pool.items) if suite.strategies is None else suite.strategies
    strategies = [find_strategy(name, suite.folder) for name in names]
    wanted = _wanted(
        [*map(arm_of, run.selectors), *map(arm_of, strategies)],
        [*map(session.library.numbered, only)],
    )
    run = replace(run, selectors=tuple(s for s in run.selectors if arm_of(s) in wanted))
    able: list[Strategy] = []
    left_out: list[LeftOut] = []
    for strategy in (strategy for strategy in strategies if arm_of(strategy) in wanted):
        with _leaving_out(strategy, left_out, strict=bool(only)):
            strategy.check(run.pool.items, run.meter)
            able.append(strategy)
    if not (able or run.selectors):
        raise UnfitError(
            f"No selector of the suite can be used with this pool. {left_out[0].reason}"
        )
    embedder = session.embedder(named=suite.encoder_name).of_pool(run.pool)
    protocol = Protocol(run, entry, tuple(able), embedder.identity)
    return Opened(protocol, embedder, tuple(left_out), bool(only))


def _wanted(arms: Sequence[Arm], only: Sequence[str]) -> Sequence[Arm]:
    """The arms that `only` names, all without. Raises UsageError with the list for no match."""
    for text in only:
        if not any(text in _names(arm) for arm in arms):
            known = [arm.name for arm in arms]
            raise UsageError(f"`only`: {unknown('selector', text, known)}", argument="only")
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


async def _results(session: Session, opening: Opened, log: SetLog, folder: Path) -> SetsResults:
    """Make what the log lacks, then measure and compare all of it."""
    protocol = opening.protocol
    vectors, unmeasured = _vectors(session, protocol)
    facts, notes = pool_facts(protocol, vectors)
    maker = Maker(
        protocol=protocol,
        vectors=vectors,
        divide=_division(session, protocol, opening.embedder),
        ask=protocol.run.settings,
        log=log,
        decisions=folder / "decisions",
        workers=session.engine,
    )
    left_out = [*opening.left_out]
    await _by_strategies(session, maker, left_out, strict=opening.strict)
    for one in left_out:  # said before anything is asked
        session.note(f"The strategy {one.arm.strategy} was left out: {one.reason}")
    await _by_models(session, maker)
    return set_results(protocol, facts, log, left_out, [*unmeasured, *notes])


def _vectors(session: Session, protocol: Protocol) -> tuple[Vectors | None, list[str]]:
    """The pool's vectors; None and a note where they can be done without, and cannot be made here.

    Raises ExtraMissing if a selector needs them.
    """
    by = protocol.run.suite.clusters.by
    needed = any(strategy.needs_vectors for strategy in protocol.strategies)
    try:
        session.check_encoder()
    except ExtraMissing as error:
        if needed or (protocol.run.selectors and by != "random"):
            raise
        return None, [f"The diversity of the sets is not measured. {error}"]
    with session.computing("embedding") as advance:
        embedder = session.embedder(advance, protocol.run.suite.encoder_name)
        return embedder.of_pool(protocol.pool).of(protocol.pool.items), []


def _division(session: Session, protocol: Protocol, embedder: Embedder) -> Divide:
    suite = protocol.run.suite

    def division(part: Pool, size: int, seed: int) -> Sequence[Cluster]:
        settings = ClusterSettings(suite.clusters.by, size, seed, suite.folder)
        return cluster_pool(part, settings, embedder, session.clusters)

    return division


async def _by_strategies(
    session: Session, maker: Maker, left_out: list[LeftOut], *, strict: bool
) -> None:
    """The sets of all strategies; what needs no measuring first, since it costs nothing."""
    strategies = sorted(maker.protocol.strategies, key=lambda one: one.scorer is not None)
    with session.computing("selecting") as advance:
        for done, strategy in enumerate(one for one in strategies if one.scorer is None):
            with _leaving_out(strategy, left_out, strict=strict):
                maker.by_strategy(strategy)
            if advance:
                advance(done + 1, len(strategies))
    measured: dict[ItemScorer, Measured] = {}
    for strategy in strategies:
        scorer = strategy.scorer
        if scorer is None or not maker.missing(arm_of(strategy)):
            continue
        with _leaving_out(strategy, left_out, strict=strict):
            if scorer not in measured:
                measured[scorer] = await _measured(session, maker.protocol, scorer)
            maker.by_strategy(strategy, measured[scorer])


async def _measured(session: Session, protocol: Protocol, scorer: ItemScorer) -> Measured:
    with session.progress(f"measuring {scorer.name}") as advance:
        meter = replace(protocol.run.meter, progress=advance)
        return await scorer.score(protocol.pool.items, meter)


async def _by_models(session: Session, maker: Maker) -> None:
    """The sets of all pairs.

    Offline and in batches, all pairs are gone through before ReplyMissing is raised: a batch then
    holds the questions of all.
    """
    missing: ReplyMissing | None = None
    with session.progress("deciding") as advance:
        tick = ticks(advance, maker.calls_ahead())
        for selector in maker.protocol.run.selectors:
            if maker.missing(arm_of(selector)):
                try:
                    await maker.by_model(selector, tick)
                except ReplyMissing as error:
                    missing = missing or error
    if missing is not None:
        raise missing
