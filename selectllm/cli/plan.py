"""`selectllm plan`: what a suite will take and what it can show, before anything is spent."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click

from selectllm.cli.options import DIRECTORY, Common, common_options, grouped
from selectllm.cli.reports import reports, write_reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.cli.sets import SetsOptions, applied, open_protocol
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.types import Reply
from selectllm.core.verdict_words import KindName
from selectllm.evaluation.comparison.arms import Arm, Halves
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.planning.forecast import Forecast, Recall, forecast
from selectllm.evaluation.planning.pilot import read_pilot
from selectllm.evaluation.planning.plan import Aim, Plan
from selectllm.evaluation.planning.plan_json import plan_json
from selectllm.evaluation.planning.reach import RETAIN
from selectllm.evaluation.planning.schema import PlanResults, SetsPlanResults
from selectllm.evaluation.planning.sets import measure_forecast, plan_sets
from selectllm.evaluation.planning.sets_json import sets_plan_json
from selectllm.evaluation.runs.execute import tasks
from selectllm.evaluation.runs.prepare import Asking, Sources, load_prompts, prepare
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.jobs.comparing import halves, narrowed
from selectllm.jobs.evaluating import Evaluating
from selectllm.models.connect import settled
from selectllm.models.wrappers.recorded import read_pack
from selectllm.prompting.prompt import Prompt
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.selection.strategies import find_strategy


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What `plan` is told besides the suite and the common options."""

    kind: KindName | Literal["sets"]
    a: str | None
    b: tuple[str, ...]
    from_: str | None
    to: str | None
    prompt: str | None
    model: str | None
    retain: float
    pilot: Path | None
    raters: int
    rating_cost: float | None
    seed: int | None
    limit: int | None
    pool: str | None
    budget: tuple[int, ...]
    only: tuple[str, ...]


plan_options = grouped(
    "options",
    PlanOptions,
    click.option(
        "--for",
        "kind",
        type=click.Choice([*(kind.name for kind in KINDS.values() if kind.is_planned), "sets"]),
        default="eval",
        show_default=True,
        help="The verb that is planned.",
    ),
    click.option("--a", metavar="ARM", help="For ab: the arm to be compared with."),
    click.option("--b", multiple=True, metavar="ARM", help="For ab: an arm to be judged."),
    click.option("--from", "from_", metavar="M1", help="For swap: the model in use."),
    click.option("--to", metavar="M2", help="For swap: the model to take its place."),
    click.option("--prompt", metavar="P", help="Prompt of arms that name only a model."),
    click.option("--model", metavar="M", help="Model of arms that name only a prompt."),
    click.option(
        "--retain",
        type=click.FloatRange(0, 1, min_open=True),
        default=RETAIN[0],
        show_default=True,
        help="For swap: share of M1's lift that M2 must keep.",
    ),
    click.option(
        "--pilot", type=DIRECTORY, help="A finished run that shows how arms differ and reply."
    ),
    click.option("--raters", type=click.IntRange(1), default=1, help="Ratings per item [1]."),
    click.option(
        "--rating-cost", type=click.FloatRange(0), metavar="USD", help="Price of one rating."
    ),
    click.option("--seed", type=int, help="Instead of the suite's seed."),
    click.option("--limit", type=click.IntRange(1), help="Only the first clusters."),
    click.option("--pool", metavar="FILE", help="For sets: instead of the suite's pool."),
    click.option(
        "--budget", type=click.IntRange(1), multiple=True, help="For sets: instead of the suite's."
    ),
    click.option("--only", multiple=True, metavar="SELECTOR", help="For sets: only this one."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@plan_options
@reports(PlanResults, SetsPlanResults)
@common_options
def plan(suite_file: Path, options: PlanOptions, common: Common) -> None:
    """Say what SUITE will take and what it can show, before anything is spent.

    Clusters, calls, tokens, USD, hours, ratings and their price; the least difference that can be
    detected, and whether the suite can reach a pass at all. Nothing is sent.
    """
    _check(options)
    if options.kind == "sets":
        _plan_sets(suite_file, options, common)
        return
    suite = Evaluating(seed=options.seed, limit=options.limit).applied(load_suite(suite_file))
    session = open_session(common, suite.folder)
    prompts = load_prompts(suite, session.library)
    arms = _arms(halves(suite, prompts), options)
    if arms:
        suite = narrowed(suite, prompts, arms)
    run = _open(session, suite, prompts, arms)
    utility = run.headline.name if run.headline else None
    aim = Aim(
        kind=KINDS[options.kind],
        arms=arms,
        retain=options.retain,
        raters=options.raters,
        rating_cost=options.rating_cost,
        concurrency=common.concurrency,
    )
    recall = _recall(session, suite)
    planned = Plan(
        run=run,
        aim=aim,
        forecasts=asyncio.run(_forecasts(session, run, recall)),
        measuring=asyncio.run(_measuring(session, run, recall)),
        pool_clusters=_pool_clusters(run),
        pilot=read_pilot(options.pilot, arms, utility) if options.pilot else None,
    )
    _print(session, plan_json(planned))


def _check(options: PlanOptions) -> None:
    """Raise UsageError for arms that are incomplete or of another verb."""
    named: dict[str, dict[str, object]] = {
        "ab": {"--a": options.a, "--b": options.b},
        "swap": {"--from": options.from_, "--to": options.to},
    }
    _check_sets(options)
    for kind, given in named.items():
        present = [option for option, value in given.items() if value]
        if present and options.kind != kind:
            raise UsageError(f"{present[0]} goes with --for {kind}, not --for {options.kind}")
        if len(present) == 1:
            lacking = next(option for option in given if option not in present)
            raise UsageError(f"{present[0]} needs {lacking}: name both arms, or neither")
    if options.rating_cost is not None and not math.isfinite(options.rating_cost):
        raise UsageError(f"--rating-cost {options.rating_cost}: is no amount; name one in USD")


def _check_sets(options: PlanOptions) -> None:
    """Raise UsageError for options of sets with another verb, and of others with sets."""
    of_sets = {"--pool": options.pool, "--budget": options.budget, "--only": options.only}
    of_others = {
        "--limit": options.limit,
        "--pilot": options.pilot,
        "--prompt": options.prompt,
        "--model": options.model,
        "--rating-cost": options.rating_cost,
    }
    is_sets = options.kind == "sets"
    for option, value in (of_others if is_sets else of_sets).items():
        if value:
            fits = "does not go with --for sets" if is_sets else "goes with --for sets"
            raise UsageError(f"{option} {fits}; leave one of them out")


def _plan_sets(suite_file: Path, options: PlanOptions, common: Common) -> None:
    """The plan of `selectllm sets`, which is made of other things than a comparison's."""
    seeds = () if options.seed is None else (options.seed,)
    replaced = SetsOptions(pool=options.pool, budget=options.budget, seed=seeds)
    suite = applied(load_suite(suite_file), replaced)
    session = open_session(common, suite.folder)
    opened = open_protocol(session, suite, options.only)
    asked = asyncio.run(plan_sets(opened.protocol, opened.protocol.run.settings))
    found = sets_plan_json(opened.protocol, asked, opened.left_out, common.concurrency)
    if write_reports(found, session.workspace.root):
        return
    if common.as_json:
        click.echo(canonical_json(found.to_json()))
        return
    from rich.console import Console

    from selectllm.report.plan_sets import print_sets_plan

    print_sets_plan(found, Console())


def _arms(made_of: Halves, options: PlanOptions) -> tuple[Arm, ...]:
    """The arms that are named, the reference first; none: every pair of the suite."""
    if not (options.a or options.from_):
        return ()
    made_of = made_of.with_default(prompt=options.prompt, model=options.model)
    if options.a:
        arms = (made_of.arm("a", options.a), *(made_of.arm("b", name) for name in options.b))
    else:
        arms = made_of.swapped(options.from_ or "", options.to or "")
    if len(set(arms)) < len(arms):
        names = ", ".join(arm.name for arm in arms)
        raise UsageError(f"the arms {names} have one twice; name different ones")
    return arms


def _open(
    session: CommandSession, suite: Suite, prompts: Mapping[str, Prompt], arms: tuple[Arm, ...]
) -> Run:
    """The run of the suite, with the pairs of `arms` or all; items may still lack ratings."""
    for spec in suite.specs():
        settled(spec, suite.folder)
    shared = session.connections(utility={})
    asking = Asking(prompts, session.library, shared, session.settings.concurrency)
    with session.progress("embedding") as progress:
        sources = Sources(session.embedder(progress), session.clusters)
        run = prepare(suite, sources, asking, ComparisonDesign("ab", arms, differing=True))
    if arms:
        return run
    named = (find_strategy(name, suite.folder) for name in suite.strategies or ())
    strategies = tuple(named)  # else those of the arms
    items = [run.pool.by_id[member] for member in run.members]
    for strategy in strategies:
        strategy.check(items, run.meter)
    return replace(run, strategies=strategies)


async def _forecasts(session: CommandSession, run: Run, recall: Recall) -> Sequence[Forecast]:
    """What every pair will ask."""
    settings = run.settings
    asked = list(tasks(run))
    return [
        await forecast(
            selector, [task for task in asked if task.selector is selector], settings, recall
        )
        for selector in run.selectors
    ]


async def _measuring(session: CommandSession, run: Run, recall: Recall) -> dict[str, Forecast]:
    """What every strategy will ask that asks a model about the items of the clusters."""
    clusters = (c.members for c in run.clusters if len(c.members) > run.suite.picks)
    items = [run.pool.by_id[member] for members in clusters for member in members]
    settings = run.settings
    return {
        strategy.name: await measure_forecast(run.meter, strategy.scorer, items, settings, recall)
        for strategy in run.strategies
        if strategy.scorer is not None and strategy.calls_per_item
    }


def _recall(session: CommandSession, suite: Suite) -> Recall:
    """The recorded or cached reply to a request, by its key."""
    pack: Mapping[str, Reply] = read_pack(suite.at(suite.replies)) if suite.replies else {}
    return lambda key: pack.get(key) or session.cache.get(key)


def _pool_clusters(run: Run) -> int:
    """The clusters that the whole pool gives, without `clusters.limit`."""
    entry = run.suite.clusters
    if entry.file is not None:
        return len(read_clusters(run.suite.at(entry.file), run.pool))
    groups = Counter(str(item.row[entry.group]) if entry.group else "" for item in run.pool.items)
    return sum(math.ceil(count / entry.size) for count in groups.values())


def _print(session: CommandSession, found: PlanResults) -> None:
    if write_reports(found, session.workspace.root):
        return
    if session.common.as_json:
        click.echo(canonical_json(found.to_json()))
        return
    from rich.console import Console

    from selectllm.report.plan import print_plan

    print_plan(found, Console())
