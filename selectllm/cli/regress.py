"""`selectllm regress`: the gate."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.evaluation import details_option, evaluating_options, reaching_verdicts, show
from selectllm.cli.exit_codes import exit_code
from selectllm.cli.option_words import example, option
from selectllm.cli.options import FILE, Common, batch_options, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.files import write_text
from selectllm.jobs.options import Evaluating
from selectllm.jobs.sync import finished

if TYPE_CHECKING:
    from selectllm.evaluation.runs.schema import RunResults


@dataclass(frozen=True, slots=True)
class RegressOptions:
    """What a gate compares with, and where it reports."""

    baseline: Path
    junit: Path | None
    markdown: Path | None


regress_options = grouped(
    "options",
    RegressOptions,
    option(
        "--baseline", type=FILE, required=True, help="The file that selectllm baseline set wrote."
    ),
    option(
        "--junit",
        type=FILE,
        help="Write the verdicts to this file as JUnit XML. An inconclusive one counts as skipped.",
    ),
    option("--markdown", type=FILE),
)


@click.command(
    epilog=example(
        "regress suite.yaml --baseline eval/baselines/suite.json --offline --junit gate.xml"
    )
)
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@regress_options
@details_option
@evaluating_options
@reports("RunResults")
@common_options
@batch_options
def regress(
    suite_file: Path,
    options: RegressOptions,
    details: bool,
    evaluating: Evaluating,
    common: Common,
) -> None:
    """Test whether any prompt and model of SUITE has become worse than its baseline.

    Each prompt and model is compared, on the clusters of the baseline, with the recorded prompt and
    model of the same names.

    Exit codes: 0 all pass; 1 one fails; 3 inconclusive, or 0 if the suite says
    `gate: {inconclusive: warn}`; 5 a reply is missing with --offline.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import gating

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(evaluating)
    with reaching_verdicts(suite.name):
        gate = finished(gating.regress(suite, options.baseline, session=session, **told))
    show(session, gate.run, details=details)
    report(session, gate.run.results, options)
    click.get_current_context().exit(0 if gate.passed else exit_code(gate.run.results.words))


def report(session: CommandSession, found: RunResults, options: RegressOptions) -> None:
    """The files that were asked for, and annotations where GitHub runs us."""
    if options.junit is not None:
        from selectllm.report.junit import junit

        write_text(options.junit, junit(found))
    if options.markdown is not None:
        from selectllm.report.markdown import markdown

        write_text(options.markdown, markdown(found))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from selectllm.report.github import annotations, with_files

        checkout = Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve()
        workspace = session.workspace.root
        for line in annotations(with_files(found, workspace), checkout, workspace):
            click.echo(line, err=True)
