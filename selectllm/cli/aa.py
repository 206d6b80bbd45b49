"""`selectllm aa`: a pair against itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.comparing import halves, narrowed
from selectllm.cli.evaluation import (
    Call,
    Evaluating,
    carry_out,
    evaluating_options,
    open_run,
    show,
)
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.core.errors import UsageError
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import load_suite

LEAST = 2  # orders or repeats that a pair needs to be held against itself


@dataclass(frozen=True, slots=True)
class AaOptions:
    """Which pair, and what is varied."""

    prompt: str | None
    model: str | None
    by: str


aa_options = grouped(
    "options",
    AaOptions,
    click.option("--prompt", metavar="P", help="The prompt [the suite's only one]."),
    click.option("--model", metavar="M", help="The model [the suite's only one]."),
    click.option(
        "--by",
        type=click.Choice(["orders", "repeats"]),
        default="orders",
        show_default=True,
        help="What is varied; at least two of them are asked.",
    ),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@aa_options
@evaluating_options
@reports(RunResults)
@common_options
def aa(suite_file: Path, options: AaOptions, evaluating: Evaluating, common: Common) -> None:
    """Hold a pair against itself, shown in other orders or asked again, on the clusters of SUITE.

    What differs then is noise: its size, how often each gate would raise a false alarm, and the
    least effect that these clusters can show.
    """
    suite = evaluating.applied(load_suite(suite_file))
    base = suite_file.resolve().parent
    session = open_session(common, base)
    made_of = halves(session, suite, base).with_default(prompt=options.prompt, model=options.model)
    if made_of.prompt is None or made_of.model is None:
        lacking = "--prompt" if made_of.prompt is None else "--model"
        names = set(made_of.prompts.values()) if lacking == "--prompt" else made_of.models
        several = f"several: {', '.join(sorted(names))}; say which one" if names else "none"
        raise UsageError(f"{lacking}: the suite has {several}")
    arm = Arm(made_of.prompt, made_of.model)
    suite = narrowed(session, suite, base, [arm])
    suite = suite.model_copy(update={options.by: max(LEAST, getattr(suite, options.by))})
    comparison = ComparisonDesign(
        "aa", (arm,), by="orders" if options.by == "orders" else "repeats"
    )
    told = ("--prompt", made_of.prompt, "--model", made_of.model, "--by", options.by)
    call = Call(session, suite, base, evaluating, ("aa", str(suite_file), *told))
    show(session, *carry_out(call, open_run(session, suite, base, comparison)))
