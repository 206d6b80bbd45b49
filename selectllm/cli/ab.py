"""`selectllm ab`: is one prompt or model better than another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from selectllm.cli.comparing import finish
from selectllm.cli.evaluation import details_option, evaluating_options, reaching_verdicts
from selectllm.cli.option_words import example, option
from selectllm.cli.options import Common, common_options, engine_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.jobs.options import Evaluating
from selectllm.jobs.sync import finished


@dataclass(frozen=True, slots=True)
class AbOptions:
    """What `ab` is told of its arms and its design."""

    a: str
    b: tuple[str, ...]
    prompt: str | None
    model: str | None
    design: Literal["fixed", "sequential"]
    differing: bool


ab_options = grouped(
    "options",
    AbOptions,
    option("--a", required=True),
    option("--b", required=True, multiple=True),
    option("--prompt"),
    option("--model"),
    option(
        "--design",
        type=click.Choice(["fixed", "sequential"]),
        default="fixed",
        show_default=True,
        help="fixed: ask all clusters, then decide. sequential: check after each batch and stop "
        "as soon as the result is clear.",
    ),
    option(
        "--differing",
        is_flag=True,
        help="Compare using ratings only for items that one arm picked and the other did not.",
    ),
)


@click.command(epilog=example("ab suite.yaml --a short@1 --b criteria@1 --model gpt"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@ab_options
@details_option
@evaluating_options
@reports("RunResults")
@engine_options
@common_options
def ab(
    suite_file: Path, options: AbOptions, details: bool, evaluating: Evaluating, common: Common
) -> None:
    """Find out whether arm B selects better than arm A, on the clusters of SUITE.

    An ARM is a prompt of the suite, one of its models, PROMPT+MODEL, or strategy:NAME. An arm that
    names only a prompt is asked with --model, and one that names only a model with --prompt.

    Exit codes: 0 B is better or equivalent; 1 B is worse; 3 inconclusive.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        verdict = finished(comparing.ab(suite, session=session, **told))
    finish(session, verdict.run, details=details)
