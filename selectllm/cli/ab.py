"""`selectllm ab`: is one prompt or model better than another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options, finish
from selectllm.cli.option_words import example, option
from selectllm.cli.options import SUITE, Common, engine_options


@click.command(epilog=example("ab suite.yaml --a short@1 --b criteria@1 --model gpt"))
@SUITE
@option("--a", required=True)
@option("--b", required=True, multiple=True)
@option("--prompt")
@option("--model")
@option(
    "--design",
    type=click.Choice(["fixed", "sequential"]),
    default="fixed",
    help="fixed: ask all clusters, then decide. sequential: check after each batch and stop "
    "as soon as the result is clear.",
)
@option(
    "--differing",
    is_flag=True,
    help="Compare using ratings only for items that one arm picked and the other did not.",
)
@engine_options
@evaluation_options()
def ab(suite_file: Path, details: bool, common: Common, **told: Any) -> None:
    """Find out whether arm B selects better than arm A, on the clusters of SUITE.

    An ARM is a prompt of the suite, one of its models, PROMPT+MODEL, or strategy:NAME. An arm that
    names only a prompt is asked with --model, and one that names only a model with --prompt.

    Exit codes: 0 B is better or equivalent; 1 B is worse; 3 inconclusive.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    session, verdict = carried_out(comparing.ab, load_suite(suite_file), common, **told)
    finish(session, verdict.run, details=details)
