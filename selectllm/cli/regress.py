"""`selectllm regress`: the gate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options, show
from selectllm.cli.exit_codes import exit_code
from selectllm.cli.option_words import example, option
from selectllm.cli.options import FILE, SUITE, Common
from selectllm.core.files import write_text


@click.command(
    epilog=example(
        "regress suite.yaml --baseline eval/baselines/suite.json --offline --junit gate.xml"
    )
)
@SUITE
@option("--baseline", type=FILE, required=True, help="The file that selectllm baseline set wrote.")
@option(
    "--junit",
    type=FILE,
    help="Write the verdicts to this file as JUnit XML. An inconclusive one counts as skipped.",
)
@option("--markdown", type=FILE)
@evaluation_options()
def regress(
    suite_file: Path,
    details: bool,
    common: Common,
    junit: Path | None,
    markdown: Path | None,
    **told: Any,
) -> None:
    """Test whether any prompt and model of SUITE has become worse than its baseline.

    Each prompt and model is compared, on the clusters of the baseline, with the recorded prompt and
    model of the same names.

    Exit codes: 0 all pass; 1 one fails; 3 inconclusive, or 0 if the suite says
    `gate: {inconclusive: warn}`; 5 a reply is missing with --offline.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import gating

    session, gate = carried_out(gating.regress, load_suite(suite_file), common, **told)
    show(session, gate.run, details=details)
    for format, file in (("junit", junit), ("markdown", markdown)):
        if file is not None:
            write_text(file, gate.run.report(format))
    results = gate.run.results
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from selectllm.jobs.evidence import place_of
        from selectllm.report.formats import report

        place = place_of(session.workspace, (), None)
        click.echo(report(results, "github", place), nl=False, err=True)
    click.get_current_context().exit(0 if gate.passed else exit_code(results.words))
