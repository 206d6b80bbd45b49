"""`selectllm aa`: a pair against itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from selectllm.cli.evaluation import evaluating_options, reaching_verdicts, show
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import load_suite
from selectllm.jobs import comparing
from selectllm.jobs.evaluating import Evaluating
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
@reports(RunResults, verdicts=False)
@common_options
def aa(suite_file: Path, options: AaOptions, evaluating: Evaluating, common: Common) -> None:
    """Hold a pair against itself, shown in other orders or asked again, on the clusters of SUITE.

    What differs then is noise: its size, how often each gate would raise a false alarm, and the
    least effect that these clusters can show.
    """
    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        evaluation = finished(comparing.aa(suite, session=session, **told))
    show(session, evaluation)
