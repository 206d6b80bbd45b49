"""`selectllm aa`: a pair against itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options, show
from selectllm.cli.option_words import example, option
from selectllm.cli.options import SUITE, Common


@click.command(epilog=example("aa suite.yaml --prompt short@1 --model gpt"))
@SUITE
@option("--prompt", show_default="the suite's only one")
@option("--model", show_default="the suite's only one")
@option(
    "--by",
    type=click.Choice(["orders", "repeats"]),
    default="orders",
    help="Compare the same clusters in other orders, or asked again in the same order.",
)
@evaluation_options(verdicts=False)
def aa(suite_file: Path, details: bool, common: Common, **told: Any) -> None:
    """Compare a prompt and model with themselves, on the clusters of SUITE.

    The same clusters are shown in other orders, or asked again. Any difference is then noise. The
    report says how large it is, how often each gate would raise a false alarm, and how small an
    effect these clusters can still show.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    session, evaluation = carried_out(comparing.aa, load_suite(suite_file), common, **told)
    show(session, evaluation, details=details)
