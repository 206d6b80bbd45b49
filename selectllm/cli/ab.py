"""`selectllm ab`: is one prompt or model better than another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

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
    click.option("--a", required=True, metavar="ARM", help="The arm to be compared with."),
    click.option(
        "--b", required=True, multiple=True, metavar="ARM", help="An arm to be judged; repeatable."
    ),
    click.option("--prompt", metavar="P", help="Prompt of arms that name only a model."),
    click.option("--model", metavar="M", help="Model of arms that name only a prompt."),
    click.option(
        "--design",
        type=click.Choice(["fixed", "sequential"]),
        default="fixed",
        show_default=True,
        help="sequential: look at the clusters so far in between, stop once decided.",
    ),
    click.option(
        "--differing",
        is_flag=True,
        help="Decide by ratings of only the items that exactly one arm picked.",
    ),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@ab_options
@click.option(
    "--details", is_flag=True, help="Print every figure and table, not the verdict alone."
)
@evaluating_options
@reports(RunResults)
@common_options
def ab(
    suite_file: Path, options: AbOptions, details: bool, evaluating: Evaluating, common: Common
) -> None:
    """Say whether arm B selects better than arm A, on the clusters of SUITE.

    An ARM is a prompt of the suite, a model of it, PROMPT+MODEL, or strategy:NAME. Exit code: 0
    better or equivalent, 1 worse, 3 inconclusive.
    """
    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(options) | asdict(evaluating)
    with reaching_verdicts(suite.name):
        verdict = finished(comparing.ab(suite, session=session, **told))
    finish(session, verdict.run, details=details)
