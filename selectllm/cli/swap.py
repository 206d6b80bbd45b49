"""`selectllm swap`: is another model a safe swap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from selectllm.cli.comparing import finish
from selectllm.cli.evaluation import evaluating_options, reaching_verdicts
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import load_suite
from selectllm.jobs import comparing
from selectllm.jobs.evaluating import Evaluating
from selectllm.jobs.sync import finished


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
    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        verdict = finished(comparing.swap(suite, session=session, **told))
    finish(session, verdict.run)
