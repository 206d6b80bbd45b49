"""`selectllm plan`: what a suite will take and what it can show, before anything is spent."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, get_args

import click

from selectllm.cli.evaluation import given_options, same_command
from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    BY,
    DIRECTORY,
    LIMIT,
    RETAINED,
    STRATEGY,
    SUITE_SEED,
    Common,
    common_options,
    map_option,
)
from selectllm.cli.reports import reports, tell
from selectllm.cli.session import open_session, real
from selectllm.cli.terminal import say
from selectllm.core.verdict_words import VerdictKind
from selectllm.jobs.sync import finished

LEFT_OUT = ("kind", "pilot", "raters", "rating_cost")
"""What says how a plan is made, and is no option of what is planned."""


@click.command(
    epilog=example(
        "plan suite.yaml --for ab --a short@1 --b criteria@1 --model gpt --rating-cost 0.5",
        "plan pool.jsonl --budget 100 --prompt short@1 --model openai/gpt-4o-mini",
        "plan pool.jsonl --budget 100 --strategy rating:quality@1+openai/gpt-4o-mini",
    )
)
@click.argument("suite_file", metavar="SUITE|POOL", type=click.Path(path_type=Path))
@option(
    "--for",
    "kind",
    type=click.Choice(["eval", *get_args(VerdictKind), "sets"]),
    default="eval",
    help="The command to plan.",
)
@option("--a")
@option("--b", multiple=True)
@option("--from", "from_")
@option("--to")
@option("--prompt")
@option("--model")
@STRATEGY
@RETAINED
@option(
    "--pilot",
    type=DIRECTORY,
    help="A finished run that shows how much the arms differ and how long replies are.",
)
@option("--raters", type=click.IntRange(1), default=1)
@option("--rating-cost", type=click.FloatRange(0), metavar="USD", help="The price of one rating.")
@SUITE_SEED
@LIMIT
@option("--pool")
@option("--budget", type=click.IntRange(1), multiple=True)
@option("--only", multiple=True)
@BY
@map_option
@reports("PlanResults", "SetsPlanResults")
@common_options
def plan(suite_file: Path, kind: str, common: Common, **asked: Any) -> None:
    """Report what SUITE will cost and what it can show. Nothing is sent.

    The plan has clusters, calls, tokens, USD, hours, ratings and their price. It also says how
    small a difference can be detected, and whether the suite can reach a verdict at all.

    --a and --b go with --for ab; --from, --to and --retain go with --for swap; --pool and --only go
    with --for sets. For a POOL, --budget with --prompt and --model, or with --strategy, say what to
    select, and --by, --map and --turns apply.
    """
    from selectllm.jobs.plan_choice import UNUSED, plan_either
    from selectllm.jobs.planning import SuitePlan, is_pool

    of_pool = is_pool(suite_file)
    session = open_session(common, Path.cwd() if of_pool else real(suite_file).parent)
    given = {name: value for name, value in given_options().items() if name in asked}
    planned = finished(plan_either(suite_file, kind, session=session, **given))
    if isinstance(planned, SuitePlan):
        tell(planned.results, session)
    else:
        say(planned, as_json=common.as_json)
    if not common.as_json:
        verb = "select" if of_pool else kind
        words = same_command(*LEFT_OUT, *UNUSED.get(verb, ()), verb=verb)
        words += ["--baseline", "BASELINE.json"] if verb == "regress" else []
        session.note(f"To carry it out, run: {shlex.join(words)}")
