"""How the items of a selection are picked: by a model that is shown clusters, or by a strategy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from selectllm.core.errors import EncoderError, ExtraMissing, UsageError, blaming
from selectllm.core.progress import ticks
from selectllm.core.types import Cluster, Decision, Pool
from selectllm.data.stored_items import ids_of, spilled_to
from selectllm.evaluation.runs.run import evaluated_before
from selectllm.jobs.beside import Beside
from selectllm.jobs.budgets import budgets_left
from selectllm.jobs.measuring import candidates_for, meter_for, note_equal_ballots, note_used_up
from selectllm.jobs.prefilter import Narrowed, check_models
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectRequest
from selectllm.models.model import ModelSpec
from selectllm.prompting.prompt import Prompt
from selectllm.report.one_place import one_place_told
from selectllm.selection.by_model import (
    Chosen,
    RoundAhead,
    SelectSettings,
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
from selectllm.selection.strategies.quota import per_column
from selectllm.selection.ways.following import most_calls_at

Picked = tuple[Sequence[Chosen], Sequence[Decision]]
"""What was chosen, and the decisions behind it."""


@dataclass(frozen=True, slots=True)
class SelectionJob:
    """One selection, its files read and its arguments checked.

    `left`: what is left of the pool before anything is selected. `beside`: what is annotated
    already.
    """

    session: Session
    request: SelectRequest
    settings: SelectSettings
    left: Narrowed
    beside: Beside

    @property
    def pool(self) -> Pool:
        """What is selected from."""
        return self.left.pool

    @property
    def log(self) -> Path | None:
        """Where the decisions go."""
        return None if self.request.log is None else self.session.path(self.request.log)


class Way(Protocol):
    """How items are picked: by a model or by a strategy."""

    async def pick(self, job: SelectionJob) -> Picked:
        """What is chosen."""
        ...

    def embeds(self, job: SelectionJob) -> bool:
        """Whether that takes vectors of the items."""
        ...

    async def plan(self, job: SelectionJob) -> SelectionPlan:
        """What would be asked."""
        ...

    async def close(self) -> None:
        """Close what talks to a provider."""
        ...


# --- by a model


def by_model(request: SelectRequest, session: Session, found: Beside) -> _ByModel:
    """The prompt and the model, ready to be asked. Raises UsageError for what cannot be."""
    prompt, model = request.prompt, request.model
    if not isinstance(prompt, Prompt):
        with blaming("prompt"):
            prompt = session.library.load(prompt or "", session.base)
    spec = model if isinstance(model, ModelSpec) else ModelSpec(name=model or "", id=model or "")
    with blaming("model"):
        prompt = replace(prompt, annotated=found.shown(request.seed))
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

    async def pick(self, job: SelectionJob) -> Picked:
        """What the model picks; what is in the log already is not asked again."""
        session, selector, request = job.session, self.selector, job.request
        rounds = questions_ahead(job.pool, selector, job.settings)
        self._note_unknown(job, rounds[-1])
        encoder = session.embedder().identity
        by = named(request.by, session.base)
        manifest = manifest_by_model(job.pool, selector, job.settings, by, encoder)
        decisions_ahead = sum(this.clusters for this in rounds if this.calls)
        manifest, folder = manifest | dict(job.left.by), spilled_to(job.pool.items)
        with (
            DecisionLog(job.log, manifest, "log", folder) as log,
            session.progress("deciding") as advance,
        ):
            tick = ticks(advance, decisions_ahead)
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

    def embeds(self, job: SelectionJob) -> bool:
        """Whether clusters are divided by vectors."""
        return job.request.by != "random"

    def _note_unknown(self, job: SelectionJob, last: RoundAhead) -> None:
        runs, selector = job.session.workspace.runs, self.selector
        if not evaluated_before(runs, selector, last.size, last.picks):
            job.session.note(
                "Note: The quality of these picks has not been measured. To measure it, run: "
                f"selectllm eval SUITE (with a suite that has the prompt {selector.prompt.ref} and "
                f"the model {selector.spec.name}, shows {last.size} candidates and picks "
                f"{last.picks})"
            )

    async def plan(self, job: SelectionJob) -> SelectionPlan:
        """Every round's questions."""
        from selectllm.evaluation.planning.destinations import destinations
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
            calls_at_most=sum(
                this.clusters
                * most_calls_at(self.selector, this.size, this.picks, job.request.reask)
                for this in rounds
                if this.calls
            ),
            prefilter_calls=job.left.calls,
            tokens=sum(this.tokens for this in rounds),
            sent=laid_out(asked, looked_up, session.settings.concurrency),
            destinations=destinations([(self.selector.prompt, spec)], job.left.ahead, os.environ),
            shared_budgets=budgets_left(session.ledger, session.shared),
        )

    async def close(self) -> None:
        """Close the model."""
        await self.selector.model.close()


@dataclass(frozen=True, slots=True)
class _Dividing:
    """Divides the pool of a job, or a part of it, for a model."""

    job: SelectionJob
    spec: ModelSpec

    def __call__(self, part: Pool, size: int, seed: int) -> Sequence[Cluster]:
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

    def known(self, part: Pool, size: int, seed: int) -> Sequence[Cluster] | None:
        """The same where nothing has to be embedded for it, None elsewhere."""
        session = self.job.session
        settings = ClusterSettings(self.job.request.by, size, seed, session.base)
        return known_clusters(part, settings, session.embedder(), session.clusters)


# --- by a strategy


def by_strategy(
    strategy: str | Strategy,
    request: SelectRequest,
    found: Beside,
    settings: SelectSettings,
    session: Session,
) -> _ByStrategy:
    """The strategy and what it measures with. Raises UsageError for what cannot be."""
    with blaming("strategy"):
        if isinstance(strategy, Strategy):
            strategy = held(strategy)
        else:
            strategy = find_strategy(session.library.numbered(strategy), session.base)
        if request.per is not None:
            name = f"per:{request.per}:{strategy.name}"
            strategy = per_column(strategy, request.per, name)
        check_models(session, strategy, request)
        meter = meter_for(session, found.pool, strategy, settings, request.models)
    if strategy.needs_vectors:
        session.check_encoder()
    if request.threshold is not None:
        check_descending(strategy)
    if strategy.blind and found.items:
        session.note(
            f"Note: {strategy.name} compares the items that are left with each other alone, so it "
            "may pick items near annotated ones. To keep a distance to them, use k-center, "
            "k-means, facility-location or d-optimal, or leave near ones out with `distinct`."
        )
    return _ByStrategy(strategy, meter)


@dataclass(frozen=True, slots=True)
class _ByStrategy:
    """A strategy on the whole pool, measured first where it goes by a number."""

    strategy: Strategy
    meter: Meter

    async def pick(self, job: SelectionJob) -> Picked:
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

    def embeds(self, job: SelectionJob) -> bool:
        """Whether the strategy needs vectors."""
        return self.strategy.needs_vectors

    def _filled(self, decision: Decision, filled: int, picks: int) -> Filled:
        """How much of the selection is filled, and a reply that gave no value."""
        scorer, useless = self.strategy.scorer, None
        if scorer is not None:
            wrong = ((reply, scorer.problems(reply, self.meter)) for reply in decision.replies)
            useless = next((each for each in wrong if each[1]), None)
        return Filled(filled, picks, f"{self.strategy.name} has no value", *(useless or ()))

    def _manifest(self, job: SelectionJob) -> dict[str, Any]:
        strategy, request = self.strategy, job.request
        manifest = manifest_by_strategy(job.pool, strategy, job.settings) | dict(job.left.by)
        if request.threshold is not None:
            manifest |= {"budget": None, "threshold": request.threshold}
        if measure := strategy.describe(self.meter):
            manifest |= {"measure": measure, "reask": request.reask}
        if strategy.needs_vectors:
            manifest |= {"encoder": job.session.embedder().identity}
        return manifest

    async def _decide(self, job: SelectionJob) -> Decision:
        """What the strategy decides, once what it goes by is measured."""
        candidates, measured = await candidates_for(
            job.session, job.pool, self.strategy, job.settings, self.meter, job.beside
        )
        budget, threshold = job.settings.budget, job.request.threshold
        if threshold is not None:
            budget = reaching(candidates, self.strategy, threshold)
        if self.strategy.told is not None:
            for sentence in self.strategy.told(candidates, budget):
                job.session.note(sentence)
        attempts = [a for id in ids_of(job.pool.items) for a in measured.attempts.get(id, ())]
        return strategy_decision(candidates, self.strategy, budget, attempts)

    async def plan(self, job: SelectionJob) -> SelectionPlan:
        """The calls that measure the items."""
        from selectllm.evaluation.planning.destinations import destinations, measured_by
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
            prefilter_calls=job.left.calls,
            sent=sent,
            destinations=destinations(
                [],
                [*job.left.ahead, *measured_by([strategy], self.meter)],
                os.environ,
                [strategy],
            ),
            shared_budgets=budgets_left(session.ledger, session.shared),
        )

    async def close(self) -> None:
        """What was asked is closed already."""
