"""Selecting items of a pool, by a prompt and a model or by a strategy, and what that would ask."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Unpack

from selectllm.core.errors import EncoderError, ExtraMissing, PoolError, UsageError, blaming
from selectllm.core.types import Cluster, Decision, Pool
from selectllm.data.hub import located
from selectllm.data.pool import LoadedPool, load_pool
from selectllm.evaluation.runs.run import evaluated_before
from selectllm.jobs.batching import asked_in_batches, note_place
from selectllm.jobs.measuring import candidates_for, meter_for, note_equal_ballots, note_used_up
from selectllm.jobs.outputs import check_written
from selectllm.jobs.prefilter import check_models, left_of
from selectllm.jobs.selection import Selection
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.session import Session, opened, ticks
from selectllm.jobs.settings import SelectArguments, SelectRequest, divided
from selectllm.jobs.turns import turn
from selectllm.models.model import ModelSpec
from selectllm.prompting.prompt import Prompt
from selectllm.report.one_place import one_place_told
from selectllm.selection.by_model import (
    Chosen,
    RoundAhead,
    SelectSettings,
    by_worth,
    check_budget,
    questions_ahead,
    select_by_model,
)
from selectllm.selection.by_strategy import check_descending, chosen_by, reaching, strategy_decision
from selectllm.selection.clustering.cluster_pool import (
    ClusterSettings,
    cluster_pool,
    known_clusters,
)
from selectllm.selection.clustering.partition import find_partition, named
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.output import manifest_by_model, manifest_by_strategy
from selectllm.selection.overfilled import Filled
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.selection.strategies.own import held
from selectllm.selection.task import AskSettings, calls_per_decision, most_calls

Picked = tuple[Sequence[Chosen], Sequence[Decision]]
"""What was chosen, and the decisions behind it."""


async def select(
    pool: Pool | Path | str, *, session: Session | None = None, **arguments: Unpack[SelectArguments]
) -> Selection:
    """Select `budget` items of `pool`, by a prompt and a model or by a strategy.

    `pool`: a Pool, a pool file, or an `hf:` name. Nothing is written but the reply cache and, if it
    is given, `log`, from which the same call made again goes on.

    The other arguments are those of selectllm.jobs.settings.SelectRequest, where each is explained
    (budget, threshold, prompt, model, strategy, models, by, cluster_size, on_invalid, max_filled,
    reask, seed, columns, skip_bad, distinct, prefilter, sort, log), and the settings of a Session.

    Fewer items come back only if `on_invalid` is skip, more or fewer with a `threshold`. Raises
    UsageError for what cannot work, before anything is asked; SelectionOverFilled where more than
    the share `max_filled` of the picks would be random, or a `threshold` is asked for and nothing
    could be measured; ReplyMissing, BudgetReached or
    ProviderError where asking ends: what was paid for is in the reply cache, and in `log`.
    """
    request, settings = divided(arguments)
    async with opened(session, settings) as session:
        spent, began = session.ledger.spent, time.monotonic()

        async def pick(session: Session) -> tuple[LoadedPool, _Job, Picked]:
            loaded, job, way = await _opened(pool, request, session)
            if job.log is not None:
                note_place(session, job.log.with_name(f"{job.log.stem}.batches.json"))
            try:
                async with turn(job.log, "log"):
                    return loaded, job, await way.pick(job)
            finally:
                await way.close()

        loaded, job, (chosen, decisions) = await asked_in_batches(session, pick)
        different = {(choice.item.instruction, choice.item.input) for choice in chosen}
        if repeats := len(chosen) - len(different):
            session.note(
                f"Note: {repeats} of the {len(chosen)} selected items have the same text as "
                "another one. To leave such items out first, give `distinct` exact."
            )
        place = {item.id: position for position, item in enumerate(job.pool.items)}
        chosen = sorted(chosen, key=lambda choice: place[choice.item.id])
        return Selection(
            pool=job.pool,
            chosen=tuple(sorted(chosen, key=by_worth) if request.sort else chosen),
            budget=request.budget,
            spent_usd=session.ledger.spent - spent,
            decisions=tuple(decisions),
            rejected=loaded.rejected,
            seconds=time.monotonic() - began,
        )


async def ahead(
    pool: Pool | Path | str, *, session: Session | None = None, **arguments: Unpack[SelectArguments]
) -> SelectionPlan:
    """What `select` would ask. Nothing is sent, embedded or written; raises UsageError as it does.

    What `distinct` and `prefilter` would leave out is drawn at random where they have to measure.
    """
    request, settings = divided(arguments)
    async with opened(session, settings) as session:
        _, job, way = await _opened(pool, request, session, dry_run=True)
        try:
            return await way.plan(job)
        finally:
            await way.close()


@dataclass(frozen=True, slots=True)
class _Job:
    """One selection, its files read and its arguments checked.

    `pool`: what is left of it by `narrowing`, which took or would take `prefilter_calls`.
    """

    session: Session
    request: SelectRequest
    settings: SelectSettings
    pool: Pool
    narrowing: Mapping[str, str]
    prefilter_calls: int

    @property
    def log(self) -> Path | None:
        """Where the decisions go."""
        return None if self.request.log is None else self.session.path(self.request.log)


class _Way(Protocol):
    """How items are picked: by a model or by a strategy."""

    async def pick(self, job: _Job) -> Picked:
        """What is chosen."""
        ...

    async def plan(self, job: _Job) -> SelectionPlan:
        """What would be asked."""
        ...

    async def close(self) -> None:
        """Close what talks to a provider."""
        ...


async def _opened(
    pool: Pool | Path | str, request: SelectRequest, session: Session, *, dry_run: bool = False
) -> tuple[LoadedPool, _Job, _Way]:
    """The selection that is asked for, and how it is done; a prefilter asks what it has to."""
    loaded = _loaded(pool, request, session)
    _check_log(request, loaded.pool, session)
    # With a threshold, how many reach it is known only once the items are measured.
    budget = len(loaded.pool) if request.budget is None else request.budget
    check_budget(budget, loaded.pool)
    settings = SelectSettings(
        budget=budget,
        size=request.cluster_size,
        seed=request.seed,
        on_invalid=request.on_invalid,
        max_filled=request.max_filled,
        ask=AskSettings(concurrency=session.settings.concurrency, reask=request.reask),
    )
    session = session.of_pool(loaded)
    way: _Way
    if request.strategy is None:
        way = _by_model(request, session)
    else:
        way = _by_strategy(request.strategy, request, loaded.pool, settings, session)
    left = await left_of(session, loaded.pool, request, settings, dry_run=dry_run)
    if request.budget is None:
        settings = replace(settings, budget=len(left.pool))
    return loaded, _Job(session, request, settings, left.pool, left.by, left.calls), way


def _loaded(pool: Pool | Path | str, request: SelectRequest, session: Session) -> LoadedPool:
    """The pool, read if it is a file or an `hf:` name. Raises as `load_pool` does."""
    if isinstance(pool, Pool):
        return LoadedPool(pool)
    if not isinstance(pool, Path | str):
        raise PoolError(
            f"`pool` is {type(pool).__name__}, not a file. Make records a pool with "
            "Pool.from_records(...)",
            argument="pool",
        )
    path = Path(pool) if session.folder is None else located(session.folder, str(pool))
    with blaming("pool"):
        loaded = load_pool(path, columns=request.columns, skip_bad=request.skip_bad)
    session.note_pool(loaded.pool)
    return loaded


def _check_log(request: SelectRequest, pool: Pool, session: Session) -> None:
    """Raise UsageError for a log that would be written into a file that is read."""
    if request.log is None:
        return
    prompt = request.prompt
    named = prompt.path if isinstance(prompt, Prompt) else prompt and session.base / prompt
    read = (pool.source, named, session.settings.vectors, session.settings.env_file)
    log = session.path(request.log)
    check_written("log", log, None, [path for path in read if path], session.workspace)


# --- by a model


def _by_model(request: SelectRequest, session: Session) -> _ByModel:
    """The prompt and the model, ready to be asked. Raises UsageError for what cannot be."""
    prompt, model = request.prompt, request.model
    if not isinstance(prompt, Prompt):
        with blaming("prompt"):
            prompt = session.library.load(prompt or "", session.base)
    spec = model if isinstance(model, ModelSpec) else ModelSpec(name=model or "", id=model or "")
    with blaming("model"):
        selector = open_selector(prompt, spec, session.connections())
    with blaming("by"):
        find_partition(request.by, session.base)
        if request.by != "random":
            _check_encoder(session)
    note_equal_ballots(session, spec)
    return _ByModel(selector)


def _check_encoder(session: Session) -> None:
    """Raise ExtraMissing, before a prefilter asks anything, if the pool cannot be embedded."""
    try:
        session.check_encoder()
    except ExtraMissing as error:
        raise ExtraMissing(f"{error}. Or use `by` random, which needs no vectors") from None


@dataclass(frozen=True, slots=True)
class _ByModel:
    """A prompt and a model that is shown clusters of the pool."""

    selector: Selector

    async def pick(self, job: _Job) -> Picked:
        """What the model picks; what is in the log already is not asked again."""
        session, selector, request = job.session, self.selector, job.request
        rounds = questions_ahead(job.pool, selector, job.settings)
        self._note_unknown(job, rounds[-1])
        encoder = session.embedder().identity
        by = named(request.by, session.base)
        manifest = manifest_by_model(job.pool, selector, job.settings, by, encoder)
        calls = sum(this.calls for this in rounds) // calls_per_decision(selector.spec)
        with (
            DecisionLog(job.log, manifest | dict(job.narrowing), "log") as log,
            session.progress("deciding") as advance,
        ):
            tick = ticks(advance, calls)
            try:
                chosen = await select_by_model(
                    job.pool, selector, job.settings, _Dividing(job, selector.spec), log, tick
                )
            finally:
                decisions = log.decisions()
                note_used_up(session, [selector.spec], decisions)
            if told := one_place_told(decisions):
                session.note(told)
            return chosen, decisions

    def _note_unknown(self, job: _Job, last: RoundAhead) -> None:
        runs, selector = job.session.workspace.runs, self.selector
        if not evaluated_before(runs, selector, last.size, last.picks):
            job.session.note(
                "Note: The quality of these picks has not been measured. To measure it, run: "
                f"selectllm eval SUITE (with a suite that has the prompt {selector.prompt.ref} and "
                f"the model {selector.spec.name}, shows {last.size} candidates and picks "
                f"{last.picks})"
            )

    async def plan(self, job: _Job) -> SelectionPlan:
        """Every round's questions."""
        from selectllm.evaluation.planning.selection import forecast_selection, laid_out

        rounds, spec = questions_ahead(job.pool, self.selector, job.settings), self.selector.spec
        calls = sum(this.calls for this in rounds)
        session, known = job.session, _Dividing(job, spec).known
        asked, looked_up = await forecast_selection(
            *(job.pool, self.selector, job.settings, rounds, known, session.cache.get)
        )
        return SelectionPlan(
            items=len(job.pool),
            budget=job.request.budget,
            selector=spec.name,
            rounds=tuple(rounds),
            calls=calls,
            calls_at_most=calls // calls_per_decision(spec) * most_calls(spec, job.request.reask),
            prefilter_calls=job.prefilter_calls,
            tokens=sum(this.tokens for this in rounds),
            sent=laid_out(asked, looked_up, session.settings.concurrency),
        )

    async def close(self) -> None:
        """Close the model."""
        await self.selector.model.close()


@dataclass(frozen=True, slots=True)
class _Dividing:
    """Divides the pool of a job, or a part of it, for a model."""

    job: _Job
    spec: ModelSpec

    def __call__(self, part: Pool, size: int, seed: int) -> tuple[Cluster, ...]:
        """Clusters of about `size`."""
        session = self.job.session
        settings = ClusterSettings(self.job.request.by, size, seed, session.base)
        with session.computing("embedding") as advance:
            embedder = session.embedder(advance, asking=[self.spec])
            try:
                return cluster_pool(part, settings, embedder, session.clusters)
            except UsageError as error:
                if error.argument is None and not isinstance(error, EncoderError):
                    error.argument = "by"  # a partition of the user's own may give anything
                raise

    def known(self, part: Pool, size: int, seed: int) -> tuple[Cluster, ...] | None:
        """The same where nothing has to be embedded for it, None elsewhere."""
        session = self.job.session
        settings = ClusterSettings(self.job.request.by, size, seed, session.base)
        return known_clusters(part, settings, session.embedder(), session.clusters)


# --- by a strategy


def _by_strategy(
    strategy: str | Strategy,
    request: SelectRequest,
    pool: Pool,
    settings: SelectSettings,
    session: Session,
) -> _ByStrategy:
    """The strategy and what it measures with. Raises UsageError for what cannot be."""
    with blaming("strategy"):
        if isinstance(strategy, Strategy):
            strategy = held(strategy)
        else:
            strategy = find_strategy(session.library.numbered(strategy), session.base)
        check_models(session, strategy, request)
        meter = meter_for(session, pool, strategy, settings, request.models)
    if strategy.needs_vectors:
        session.check_encoder()
    if request.threshold is not None:
        check_descending(strategy)
    return _ByStrategy(strategy, meter)


@dataclass(frozen=True, slots=True)
class _ByStrategy:
    """A strategy on the whole pool, measured first where it goes by a number."""

    strategy: Strategy
    meter: Meter

    async def pick(self, job: _Job) -> Picked:
        """What the strategy picks; what is in the log already is not measured again."""
        settings, threshold = job.settings, job.request.threshold
        with DecisionLog(job.log, self._manifest(job), "log") as log:
            if not log.decisions():
                with blaming("strategy"):  # one of the user's own may give anything
                    log.append(await self._decide(job))
            decision = log.decisions()[0]
        if threshold is not None:
            if not decision.picks:
                unmeasured = len(job.pool)
                filled = self._filled(decision, unmeasured, unmeasured)
                raise filled.nothing_reaches(threshold, log.path)
            settings = replace(settings, budget=len(decision.picks))
        chosen = chosen_by(decision, job.pool.items, settings)
        self._filled(decision, sum(choice.filled for choice in chosen), settings.budget).check(
            settings.max_filled, log.path
        )
        return chosen, (decision,)

    def _filled(self, decision: Decision, filled: int, picks: int) -> Filled:
        """How much of the selection is filled, and a reply that gave no value."""
        scorer, useless = self.strategy.scorer, None
        if scorer is not None:
            wrong = ((reply, scorer.problems(reply, self.meter)) for reply in decision.replies)
            useless = next((each for each in wrong if each[1]), None)
        return Filled(filled, picks, f"{self.strategy.name} has no value", *(useless or ()))

    def _manifest(self, job: _Job) -> dict[str, Any]:
        strategy, request = self.strategy, job.request
        manifest = manifest_by_strategy(job.pool, strategy, job.settings) | dict(job.narrowing)
        if request.threshold is not None:
            manifest |= {"budget": None, "threshold": request.threshold}
        if measure := strategy.describe(self.meter):
            manifest |= {"measure": measure, "reask": request.reask}
        if strategy.needs_vectors:
            manifest |= {"encoder": job.session.embedder().identity}
        return manifest

    async def _decide(self, job: _Job) -> Decision:
        """What the strategy decides, once what it goes by is measured."""
        candidates, measured = await candidates_for(
            job.session, job.pool, self.strategy, job.settings, self.meter
        )
        budget, threshold = job.settings.budget, job.request.threshold
        if threshold is not None:
            budget = reaching(candidates, self.strategy, threshold)
        attempts = [a for item in job.pool.items for a in measured.attempts.get(item.id, ())]
        return strategy_decision(candidates, self.strategy, budget, attempts)

    async def plan(self, job: _Job) -> SelectionPlan:
        """The calls that measure the items."""
        from selectllm.evaluation.planning.selection import laid_out
        from selectllm.evaluation.planning.sets import measure_forecast

        strategy, request, session = self.strategy, job.request, job.session
        sent = None
        if strategy.scorer is not None and strategy.calls_per_item:
            asked = await measure_forecast(
                *(self.meter, strategy.scorer, job.pool.items, job.settings.ask, session.cache.get)
            )
            sent = laid_out(asked, asked.decisions, session.settings.concurrency)
        calls = strategy.calls_per_item * len(job.pool)
        asks_again = strategy.scorer is not None and strategy.scorer.asks_again
        return SelectionPlan(
            items=len(job.pool),
            budget=request.budget,
            selector=strategy.name,
            calls=calls,
            calls_at_most=calls * (1 + request.reask) if asks_again else calls,
            prefilter_calls=job.prefilter_calls,
            sent=sent,
        )

    async def close(self) -> None:
        """What was asked is closed already."""
