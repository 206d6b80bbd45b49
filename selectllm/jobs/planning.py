"""What a suite will take and what it can show, before anything is spent."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast, get_type_hints, overload

from selectllm.core.errors import UsageError
from selectllm.core.types import Pool, Reply
from selectllm.data.hub import is_hub
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.planning.destinations import destinations, measured_by
from selectllm.evaluation.planning.forecast import Forecast, Recall, forecast
from selectllm.evaluation.planning.pilot import read_pilot
from selectllm.evaluation.planning.plan import Aim, EvaluationPlan
from selectllm.evaluation.planning.plan_json import plan_json
from selectllm.evaluation.planning.prices import usd_in_batches
from selectllm.evaluation.planning.schema import PlanResults
from selectllm.evaluation.planning.sets import measure_forecast
from selectllm.evaluation.planning.sets import plan_sets as forecast_sets
from selectllm.evaluation.planning.sets_json import sets_plan_json
from selectllm.evaluation.planning.sets_schema import SetsPlanResults
from selectllm.evaluation.runs.coverage import check_unassisted
from selectllm.evaluation.runs.execute import tasks
from selectllm.evaluation.runs.prepare import (
    SelectorSources,
    Sources,
    load_prompts,
    numbered,
    prepare,
)
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite
from selectllm.jobs import tables
from selectllm.jobs.arguments import OF_A_SESSION, parted
from selectllm.jobs.budgets import budgets_left
from selectllm.jobs.comparing import halves, narrowed
from selectllm.jobs.evaluating import suite_of
from selectllm.jobs.options import Evaluating
from selectllm.jobs.outputs import nearby
from selectllm.jobs.plan_request import EitherArguments, PlanRequest
from selectllm.jobs.plan_request import PlanArguments as PlanArguments
from selectllm.jobs.selecting import ahead
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.session import Session, opened
from selectllm.jobs.sets import SetsArguments, SetsRequest, open_protocol
from selectllm.jobs.settings import SelectArguments
from selectllm.models.connect import settled
from selectllm.models.wrappers.recorded import read_pack
from selectllm.prompting.prompt import Prompt
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.selection.strategies import find_strategy

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

SUITES = ("", ".yaml", ".yml")
"""Suffixes of what is planned as a suite; every other file is a pool."""


@dataclass(frozen=True, eq=False)
class SuitePlan:
    """A plan; nothing was sent.

    `results`: all of its figures, and what they take for granted (report/schemas/plan.json).
    """

    results: PlanResults | SetsPlanResults

    @property
    def calls(self) -> int:
        """Calls that are not recorded or cached yet, if every reply is valid."""
        return self.results.total.calls

    @property
    def usd(self) -> float | None:
        """What they cost; None if a model is not priced."""
        return self.results.total.usd

    def report(self, format: str = "terminal") -> str:
        """The plan as `terminal` (text), `markdown`, `json` or `html`."""
        from selectllm.jobs.reporting import rendered

        return rendered(self.results, format)

    def to_polars(self) -> pl.DataFrame:
        """One row for each pair, strategy or selector of sets: its calls, tokens and price."""
        return tables.to_polars(self._rows())

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return tables.to_pandas(self._rows())

    def _rows(self) -> list[Mapping[str, Any]]:
        if isinstance(self.results, SetsPlanResults):
            return [row.to_json() for row in self.results.asking]
        return [row.to_json() for row in (*self.results.pairs, *self.results.strategies)]

    def _repr_html_(self) -> str:
        from selectllm.jobs.reporting import in_a_notebook

        return in_a_notebook(self.results)


@overload
async def plan(  # type: ignore[overload-overlap]  # without an argument of a selection: a suite
    suite: Suite | Path | str, *, session: Session | None = None, **arguments: Unpack[PlanArguments]
) -> SuitePlan: ...


@overload
async def plan(
    suite: Pool | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[SelectArguments],
) -> SelectionPlan: ...


async def plan(
    suite: Suite | Pool | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[EitherArguments],
) -> SuitePlan | SelectionPlan:
    """Estimate what a suite, or a selection from a pool, will cost. Nothing is sent or written.

    For a suite (a .yaml file): clusters, calls, tokens, USD, hours, ratings and their price, the
    smallest difference that can be detected, and whether the suite can reach a verdict at all. The
    arguments are those of PlanRequest, where each is explained (kind, a, b, from_, to, prompt,
    model, retain, pilot, raters, rating_cost, seed, limit), and the settings of a Session.

    For a pool (a Pool, any other file, or an `hf:` name): rounds, calls, tokens and USD of `select`
    with the same arguments, which are those of SelectRequest. If `distinct` and `prefilter` would
    have to measure items, the items that they leave out are chosen at random for the estimate.

    Raises UsageError for what cannot be planned, and for arguments of a pool with a suite or the
    other way round.
    """
    if is_pool(suite):
        check_fitting(arguments, SelectArguments, "a suite", f"{_called(suite)} is a pool")
        selecting = cast(SelectArguments, arguments)
        return await ahead(cast("Pool | Path | str", suite), session=session, **selecting)
    check_fitting(arguments, PlanArguments, "a pool", f"{_called(suite)} is a suite (.yaml)")
    planning = cast(PlanArguments, arguments)
    return await _plan_suite(cast("Suite | Path | str", suite), session, planning)


def is_pool(planned: Suite | Pool | Path | str) -> bool:
    """Whether a selection from a pool is planned rather than a suite."""
    if not isinstance(planned, Path | str):
        return isinstance(planned, Pool)
    return is_hub(planned) or Path(planned).suffix.lower() not in SUITES


def _called(planned: Suite | Pool | Path | str) -> str:
    if isinstance(planned, Pool):
        return planned.source or "what is planned"
    return planned.name if isinstance(planned, Suite) else str(planned)


def check_fitting(arguments: Mapping[str, Any], kind: type[Any], other: str, this: str) -> None:
    """Raise UsageError for the first argument that plans of this `kind` do not have."""
    known = {*get_type_hints(kind), *OF_A_SESSION}
    for name in arguments:
        if name not in known:
            raise UsageError(f"`{name}` goes with {other}, and {this}. Leave it out", argument=name)


async def _plan_suite(
    suite: Suite | Path | str, session: Session | None, arguments: PlanArguments
) -> SuitePlan:
    request, settings = parted(PlanRequest, arguments)
    request.check()
    suite = suite_of(suite, session, settings)
    suite = Evaluating(seed=request.seed, limit=request.limit).applied(suite)
    if (why := KINDS[request.kind].unassisted) is not None:
        check_unassisted(suite, request.kind, why)
    async with opened(session, settings, suite.folder, reading=True) as session:
        prompts = load_prompts(suite, session.library)
        suite = numbered(suite, session.library)
        arms = request.arms(halves(suite, prompts, session.library))
        if arms:
            suite = narrowed(suite, prompts, arms)
        run = open_planned(session, suite, prompts, arms)
        planned = plan_json(await _planned(session, run, request, arms))
        ledger = session.connections(budget=suite.budget).ledger
        left = budgets_left(ledger, session.shared)
        planned = planned.model_copy(update={"shared_budgets": left})
        _note_batches(session, suite, planned)
        return SuitePlan(planned)


def _note_batches(session: Session, suite: Suite, planned: PlanResults) -> None:
    """Tell what would be paid in batches, if any model that is asked takes them at a price."""
    specs = {spec.name: spec for spec in suite.specs()}
    usual = less = 0.0
    for asking in (*planned.pairs, *planned.strategies):
        spec = specs.get(asking.model)
        if spec is None or not asking.usd:
            continue
        usd = usd_in_batches(spec, asking.tokens_in, asking.tokens_out)
        usual += asking.usd
        less += asking.usd if usd is None else usd
    if less < usual:
        session.note(
            f"Asked with `batch`, whose answers may take a day, it would cost about {less:.4f} USD "
            f"instead of {usual:.4f}."
        )


async def plan_sets(
    suite: Suite | Path | str, *, session: Session | None = None, **arguments: Unpack[SetsArguments]
) -> SuitePlan:
    """Say what the job `sets` will take on `suite`. Nothing is sent or written.

    The arguments are those of `sets` without `out`. Raises UsageError as it does.
    """
    request, settings = parted(SetsRequest, arguments)
    suite = suite_of(suite, session, settings)
    async with opened(session, settings, suite.folder, reading=True) as session:
        opening = open_protocol(session, request.applied(suite, session), request.only)
        asked = await forecast_sets(opening.protocol, opening.protocol.run.settings)
        concurrency = session.settings.concurrency
        protocol = opening.protocol
        seen_by = destinations(
            [(selector.prompt, selector.spec) for selector in protocol.run.selectors],
            measured_by(protocol.strategies, protocol.run.meter),
            os.environ,
            protocol.strategies,
        )
        return SuitePlan(sets_plan_json(protocol, asked, opening.left_out, concurrency, seen_by))


async def _planned(
    session: Session, run: Run, request: PlanRequest, arms: tuple[Arm, ...]
) -> EvaluationPlan:
    """The plan of a run that is open."""
    recall = _recall(session, run.suite)
    utility = run.headline.name if run.headline else None
    pilot = None if request.pilot is None else session.path(request.pilot)
    counted_keys: set[str] = set()
    return EvaluationPlan(
        run=run,
        aim=Aim(
            kind=KINDS[request.kind],
            arms=arms,
            retain=request.retain,
            raters=request.raters,
            rating_cost=request.rating_cost,
            concurrency=session.settings.concurrency,
        ),
        forecasts=await _forecasts(run, recall, counted_keys),
        measuring=await _measuring(run, recall, counted_keys),
        destinations=destinations(
            [(selector.prompt, selector.spec) for selector in run.selectors],
            measured_by(run.strategies, run.meter),
            os.environ,
            run.strategies,
        ),
        pool_clusters=_pool_clusters(run),
        pilot=None if pilot is None else read_pilot(pilot, arms, utility),
    )


def open_planned(
    session: Session, suite: Suite, prompts: Mapping[str, Prompt], arms: tuple[Arm, ...]
) -> Run:
    """The run of the suite, with the pairs of `arms` or all; items may still lack ratings."""
    for spec in suite.specs():
        settled(spec, suite.folder)
    shared = session.connections(utility={})
    asking = SelectorSources(prompts, session.library, shared, session.settings.concurrency)
    with session.computing("embedding") as advance:
        embedder = session.embedder(advance, suite.encoder_name)
        sources = Sources(embedder, session.clusters, partial=True)
        run = prepare(suite, sources, asking, ComparisonDesign("ab", arms))
    session.note_pool(run.pool)
    if arms:
        return run
    # else those of the arms
    strategies = tuple(find_strategy(name, suite.folder) for name in suite.strategies or ())
    items = [*run.by_id.values()]
    for strategy in strategies:
        strategy.check(items, run.meter)
    return replace(run, strategies=strategies)


async def _forecasts(run: Run, recall: Recall, counted_keys: set[str]) -> Sequence[Forecast]:
    """What every pair will ask; `counted_keys`: see forecast."""
    asked = list(tasks(run))
    return [
        await forecast(
            selector,
            [task for task in asked if task.selector is selector],
            run.settings,
            recall,
            counted_keys,
        )
        for selector in run.selectors
    ]


async def _measuring(run: Run, recall: Recall, counted_keys: set[str]) -> dict[str, Forecast]:
    """What every strategy will ask that asks a model about the items of the clusters."""
    clusters = (c.members for c in run.clusters if len(c.members) > run.suite.picks)
    items = [run.by_id[member] for members in clusters for member in members]
    return {
        strategy.name: await measure_forecast(
            run.meter, strategy.scorer, items, run.settings, recall, counted_keys
        )
        for strategy in run.strategies
        if strategy.scorer is not None and strategy.calls_per_item
    }


def _recall(session: Session, suite: Suite) -> Recall:
    """The recorded or cached reply to a request, by its key."""
    pack: Mapping[str, Reply] = {}
    if suite.replies:
        path = suite.at(suite.replies)
        if path.exists():
            pack = read_pack(path)
        else:  # a plan comes before they are recorded
            session.note(f"Note: No replies are recorded yet in {nearby(path)}")
    return lambda key: pack.get(key) or session.cache.get(key)


def _pool_clusters(run: Run) -> int:
    """The clusters that the whole pool gives, without `clusters.limit`."""
    entry = run.suite.clusters
    if entry.file is not None:
        return len(read_clusters(run.suite.at(entry.file), run.pool))
    groups = Counter(str(item.row[entry.group]) if entry.group else "" for item in run.pool.items)
    return sum(math.ceil(count / entry.size) for count in groups.values())
