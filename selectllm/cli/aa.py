"""`selectllm aa`: a pair against itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from selectllm.cli.evaluation import details_option, evaluating_options, reaching_verdicts, show
from selectllm.cli.option_words import example, option
from selectllm.cli.options import Common, batch_options, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.jobs.options import Evaluating
from selectllm.jobs.sync import finished


@dataclass(frozen=True, slots=True)
class AaOptions:
    """Which pair, and what is varied."""

    prompt: str | None
    model: str | None
    by: Literal["orders", "repeats"]


aa_options = grouped(
    "options",
    AaOptions,
    option("--prompt", show_default="the suite's only one"),
    option("--model", show_default="the suite's only one"),
    option(
        "--by",
        type=click.Choice(["orders", "repeats"]),
        default="orders",
        show_default=True,
        help="Compare the same clusters in other orders, or asked again in the same order.",
    ),
)


@click.command(epilog=example("aa suite.yaml --prompt short@1 --model gpt"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@aa_options
@details_option
@evaluating_options
@reports("RunResults", verdicts=False)
@common_options
@batch_options
def aa(
    suite_file: Path, options: AaOptions, details: bool, evaluating: Evaluating, common: Common
) -> None:
    """Compare a prompt and model with themselves, on the clusters of SUITE.

    The same clusters are shown in other orders, or asked again. All that differs then is noise.
    The report says how large it is, how often each gate would raise a false alarm, and how small
    an effect these clusters can still show.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        evaluation = finished(comparing.aa(suite, session=session, **told))
    show(session, evaluation, details=details)
