"""`selectllm swap`: is another model a safe swap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from selectllm.cli.comparing import finish
from selectllm.cli.evaluation import details_option, evaluating_options, reaching_verdicts
from selectllm.cli.option_words import example, option
from selectllm.cli.options import Common, batch_options, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.jobs.options import Evaluating
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
    option("--from", "from_", required=True),
    option("--to", required=True),
    option("--prompt", show_default="the suite's only one"),
    option("--retain", type=click.FloatRange(0, 1, min_open=True), default=0.9, show_default=True),
)


@click.command(epilog=example("swap suite.yaml --from gpt --to llama --prompt criteria@1"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@swap_options
@details_option
@evaluating_options
@reports("RunResults")
@common_options
@batch_options
def swap(
    suite_file: Path, options: SwapOptions, details: bool, evaluating: Evaluating, common: Common
) -> None:
    """Find out whether one model can safely replace another, on the clusters of SUITE.

    The report also says what both models cost.

    Exit codes: 0 the swap is safe; 1 it is not safe; 3 inconclusive.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        verdict = finished(comparing.swap(suite, session=session, **told))
    finish(session, verdict.run, details=details)
