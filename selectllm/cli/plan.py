"""`selectllm plan`: what a suite will take and what it can show, before anything is spent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from selectllm.cli.ahead import show_ahead
from selectllm.cli.options import DIRECTORY, Common, OrOwn, common_options, grouped, map_option
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import open_session
from selectllm.cli.terminal import flag
from selectllm.core.errors import UsageError
from selectllm.core.verdict_words import KindName
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.planning.reach import RETAIN
from selectllm.evaluation.planning.schema import PlanResults, SetsPlanResults
from selectllm.evaluation.suite import load_suite
from selectllm.jobs import planning, selecting
from selectllm.jobs.sets import SetsArguments
from selectllm.jobs.sync import finished
from selectllm.selection.clustering.partition import PARTITIONS

OF_SETS = ("pool", "budget", "only")
OF_POOLS = ("by", "columns")
OF_OTHERS = ("limit", "pilot", "prompt", "model", "rating_cost")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What `plan` is told besides the suite or pool and the common options."""

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
    by: str | None
    columns: dict[str, str]


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
        "--budget",
        type=click.IntRange(1),
        multiple=True,
        help="Of a pool: how many items are selected. For sets: instead of the suite's.",
    ),
    click.option("--only", multiple=True, metavar="SELECTOR", help="For sets: only this one."),
    click.option(
        "--by", type=OrOwn(sorted(PARTITIONS)), help="Of a pool: how it is divided [diverse]."
    ),
    map_option("Of a pool: read NAME from the column COL."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE|POOL", type=click.Path(path_type=Path))
@plan_options
@reports(PlanResults, SetsPlanResults)
@common_options
def plan(suite_file: Path, options: PlanOptions, common: Common) -> None:
    """Say what SUITE will take and what it can show, before anything is spent.

    Clusters, calls, tokens, USD, hours, ratings and their price; the least difference that can be
    detected, and whether the suite can reach a pass at all. Nothing is sent. Of a POOL: what
    `select POOL --budget N --prompt P --model M` will take.
    """
    if suite_file.suffix.lower() not in ("", ".yaml", ".yml"):
        _plan_pool(suite_file, options, common)
        return
    _check(options)
    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    if options.kind == "sets":
        job = planning.plan_sets(suite, session=session, **_of_sets(options))
    else:
        others = {*OF_SETS, *OF_POOLS}
        given = {name: value for name, value in asdict(options).items() if name not in others}
        job = planning.plan(suite, session=session, **given)
    planned = finished(job)
    if not write_reports(planned.results, session.workspace):
        show(planned.results, as_json=common.as_json)


def _plan_pool(pool_file: Path, options: PlanOptions, common: Common) -> None:
    """Say what a selection from a pool will take."""
    given = {name: value for name, value in asdict(options).items() if value}
    fitting = ("budget", "prompt", "model", "seed", *OF_POOLS, "kind", "retain", "raters")
    for name in given:
        if name not in fitting:
            raise UsageError(f"{flag(name)} goes with a suite, and {pool_file} is a pool")
    if len(options.budget) != 1 or not (options.prompt and options.model):
        raise UsageError(
            f"{pool_file} is a pool, not a suite (.yaml); say what is to be selected from it with "
            "one --budget N, --prompt NAME and --model PROVIDER/MODEL"
        )
    ahead = selecting.ahead(
        pool_file,
        session=open_session(common, Path.cwd()),
        budget=options.budget[0],
        prompt=options.prompt,
        model=options.model,
        by=options.by or "diverse",
        seed=options.seed or 0,
        columns=options.columns,
    )
    show_ahead(finished(ahead), as_json=common.as_json)


def _of_sets(options: PlanOptions) -> SetsArguments:
    return SetsArguments(
        pool=options.pool,
        budgets=options.budget,
        seeds=() if options.seed is None else (options.seed,),
        only=options.only,
    )


def _check(options: PlanOptions) -> None:
    """Raise UsageError for options of sets with another verb, and of others with sets."""
    for name in OF_POOLS:
        if getattr(options, name):
            raise UsageError(f"{flag(name)} goes with a pool; a suite says so itself")
    is_sets = options.kind == "sets"
    for name in OF_OTHERS if is_sets else OF_SETS:
        if getattr(options, name):
            fits = "does not go with --for sets" if is_sets else "goes with --for sets"
            raise UsageError(f"{flag(name)} {fits}; leave one of them out")
    for kind, arms in planning.ARMS.items():
        for name in arms:
            if is_sets and getattr(options, name):
                raise UsageError(f"{flag(name)} goes with --for {kind}, not --for sets")
