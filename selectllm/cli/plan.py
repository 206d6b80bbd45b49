"""`selectllm plan`: what a suite will take and what it can show, before anything is spent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from selectllm.cli.ahead import show_ahead
from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    DIRECTORY,
    LIMIT,
    STRATEGY,
    SUITE_SEED,
    Common,
    OrOwn,
    common_options,
    grouped,
    map_option,
)
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import open_session
from selectllm.cli.terminal import flag
from selectllm.core.choices import RETAIN, Partition
from selectllm.core.errors import UsageError
from selectllm.core.verdict_words import KindName, VerdictKind
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import carried_out, columns_words

if TYPE_CHECKING:
    from selectllm.jobs.sets import SetsArguments

OF_SETS = ("pool", "budget", "only")
OF_POOLS = ("strategy", "by", "columns")
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
    strategy: str | None
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
    option(
        "--for",
        "kind",
        type=click.Choice(["eval", *get_args(VerdictKind), "sets"]),
        default="eval",
        show_default=True,
        help="The command to plan.",
    ),
    option("--a"),
    option("--b", multiple=True),
    option("--from", "from_"),
    option("--to"),
    option("--prompt"),
    option("--model"),
    STRATEGY,
    option(
        "--retain", type=click.FloatRange(0, 1, min_open=True), default=RETAIN[0], show_default=True
    ),
    option(
        "--pilot",
        type=DIRECTORY,
        help="A finished run that shows how much the arms differ and how long replies are.",
    ),
    option("--raters", type=click.IntRange(1), default=1, show_default=True),
    option(
        "--rating-cost", type=click.FloatRange(0), metavar="USD", help="The price of one rating."
    ),
    SUITE_SEED,
    LIMIT,
    option("--pool"),
    option("--budget", type=click.IntRange(1), multiple=True),
    option("--only", multiple=True),
    option("--by", type=OrOwn(sorted(get_args(Partition))), show_default="diverse"),
    map_option,
)


@click.command(
    epilog=example(
        "plan suite.yaml --for ab --a short@1 --b criteria@1 --model gpt --rating-cost 0.5",
        "plan pool.jsonl --budget 100 --prompt short@1 --model openai/gpt-4o-mini",
        "plan pool.jsonl --budget 100 --strategy rating:quality@1+openai/gpt-4o-mini",
    )
)
@click.argument("suite_file", metavar="SUITE|POOL", type=click.Path(path_type=Path))
@plan_options
@reports("PlanResults", "SetsPlanResults")
@common_options
def plan(suite_file: Path, options: PlanOptions, common: Common) -> None:
    """Report what SUITE will cost and what it can show. Nothing is sent.

    The plan has clusters, calls, tokens, USD, hours, ratings and their price. It also says how
    small a difference can be detected, and whether the suite can reach a verdict at all.

    --a and --b go with --for ab; --from, --to and --retain go with --for swap; --pool and --only go
    with --for sets. For a POOL, --budget with --prompt and --model, or with --strategy, say what to
    select, and --by, --map and --turns apply.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import planning

    if planning.is_pool(suite_file):
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
    if not common.as_json:
        session.note(carried_out(options.kind, suite_file, _given(options)))


def _given(options: PlanOptions) -> dict[str, object]:
    """What the command that is planned is given, by its flags."""
    if options.kind == "sets":
        given = {"--pool": options.pool, "--budget": options.budget, "--only": options.only}
        return {**given, "--seed": options.seed}
    if options.kind == "regress":
        return {"--baseline": "BASELINE.json", "--seed": options.seed, "--limit": options.limit}
    named = {"--prompt": options.prompt, "--model": options.model}
    arms: dict[str, object] = {}
    if options.kind == "ab":
        arms = {"--a": options.a, "--b": options.b, **named}
    elif options.kind == "swap":
        arms = {"--from": options.from_, "--to": options.to, "--prompt": options.prompt}
    elif options.kind != "eval":
        arms = {**named}
    return {**arms, "--seed": options.seed, "--limit": options.limit}


def _plan_pool(pool_file: Path, options: PlanOptions, common: Common) -> None:
    """Say what a selection from a pool will take."""
    from selectllm.jobs import selecting

    given = {name: value for name, value in asdict(options).items() if value}
    fitting = ("budget", "prompt", "model", "seed", *OF_POOLS, "kind", "retain", "raters")
    for name in given:
        if name not in fitting:
            raise UsageError(
                f"{flag(name)} goes with a suite, and {pool_file} is a pool. Leave it out."
            )
    by_model = bool(options.prompt and options.model)
    if len(options.budget) != 1 or not (by_model or options.strategy):
        raise UsageError(
            f"{pool_file} is a pool, not a suite (.yaml). To plan a selection from it, run: "
            f"selectllm plan {pool_file} --budget N --prompt NAME --model PROVIDER/MODEL (or "
            "--strategy NAME)."
        )
    session = open_session(common, Path.cwd())
    ahead = selecting.ahead(
        pool_file,
        session=session,
        budget=options.budget[0],
        prompt=options.prompt,
        model=options.model,
        strategy=options.strategy,
        by=options.by or "diverse",
        seed=options.seed or 0,
        columns=options.columns,
    )
    show_ahead(finished(ahead), as_json=common.as_json)
    if not common.as_json:
        given = {"--budget": options.budget, "--prompt": options.prompt, "--model": options.model}
        given |= {"--strategy": options.strategy, "--by": options.by, "--seed": options.seed}
        words = columns_words(options.columns)
        session.note(carried_out("select", pool_file, given, words))


def _of_sets(options: PlanOptions) -> SetsArguments:
    from selectllm.jobs.sets import SetsArguments

    return SetsArguments(
        pool=options.pool,
        budgets=options.budget,
        seeds=() if options.seed is None else (options.seed,),
        only=options.only,
    )


def _check(options: PlanOptions) -> None:
    """Raise UsageError for options of sets with another verb, and of others with sets."""
    from selectllm.jobs import planning

    for name in OF_POOLS:
        if getattr(options, name):
            raise UsageError(f"{flag(name)} goes with a pool. Write it into the suite instead.")
    is_sets = options.kind == "sets"
    for name in OF_OTHERS if is_sets else OF_SETS:
        if getattr(options, name):
            fits = "does not go with --for sets" if is_sets else "goes with --for sets"
            raise UsageError(f"{flag(name)} {fits}. Leave one of them out.")
    for kind, arms in planning.ARMS.items():
        for name in arms:
            if is_sets and getattr(options, name):
                raise UsageError(
                    f"{flag(name)} goes with --for {kind}, not with --for sets. Leave it out."
                )
