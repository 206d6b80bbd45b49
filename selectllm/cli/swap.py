"""`selectllm swap`: can another model take this one's place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.comparing import finish, halves, narrowed
from selectllm.cli.evaluation import Call, Evaluating, carry_out, evaluating_options, open_run
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import load_suite


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """Which model is to take which one's place, and what it must keep."""

    from_: str
    to: str
    prompt: str | None
    retain: float


swap_options = grouped(
    "options",
    SwapOptions,
    click.option("--from", "from_", required=True, metavar="M1", help="The model in use."),
    click.option("--to", required=True, metavar="M2", help="The model to take its place."),
    click.option("--prompt", metavar="P", help="The prompt of both [the suite's only one]."),
    click.option(
        "--retain",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.9,
        show_default=True,
        help="Share of M1's lift over random picks that M2 must keep.",
    ),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@swap_options
@evaluating_options
@reports(RunResults)
@common_options
def swap(suite_file: Path, options: SwapOptions, evaluating: Evaluating, common: Common) -> None:
    """Say whether model M2 can safely replace M1, on the clusters of SUITE; what both cost.

    Exit code: 0 safe, 1 not safe, 3 inconclusive.
    """
    suite = evaluating.applied(load_suite(suite_file))
    base = suite_file.resolve().parent
    session = open_session(common, base)
    made_of = halves(session, suite, base).with_default(prompt=options.prompt, model=None)
    for option, model in (("--from", options.from_), ("--to", options.to)):
        if model not in made_of.models:
            raise UsageError(f"{option}: {unknown('model', model, made_of.models)} (in the suite)")
    if options.from_ == options.to:
        raise UsageError(f"--from and --to are both {options.to!r}; name two models of the suite")
    if made_of.prompt is None:
        raise UsageError(
            f"--prompt: the suite has {', '.join(suite.prompts)}; say which one both models get"
        )
    arms = (Arm(made_of.prompt, options.from_), Arm(made_of.prompt, options.to))
    suite = narrowed(session, suite, base, arms)
    told = ("--from", options.from_, "--to", options.to, "--prompt", made_of.prompt)
    call = Call(session, suite, base, evaluating, ("swap", str(suite_file), *told))
    run = open_run(session, suite, base, ComparisonDesign("swap", arms, retain=options.retain))
    finish(session, *carry_out(call, run))
