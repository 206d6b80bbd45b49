"""`selectllm audit`: what moves the picks of a prompt and model that should not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import evaluating_options, reaching_verdicts
from selectllm.cli.exit_codes import EXIT_CODES
from selectllm.cli.option_words import example, option
from selectllm.cli.options import Common, common_options, grouped
from selectllm.cli.reports import append_summary, reports, show, write_reports
from selectllm.cli.session import open_session
from selectllm.core.shown import capital
from selectllm.jobs.options import Auditing, Evaluating
from selectllm.jobs.outputs import nearby
from selectllm.jobs.sync import finished

COUNT: dict[str, Any] = {"type": click.IntRange(1, 100), "show_default": True}
RECORDED = "The folder, or its audit.json, of an audit to compare with."
audit_options = grouped(
    "auditing",
    Auditing,
    option("--prompt", show_default="the suite's only one"),
    option("--model", show_default="the suite's only one"),
    option("--compare-prompt", multiple=True),
    option("--probe", multiple=True),
    option("--orders", default=7, **COUNT),
    option("--repeats", default=3, **COUNT),
    option("--again", type=click.IntRange(0, 10_000), default=20, show_default=True),
    option("--baseline", type=click.Path(path_type=Path), help=RECORDED),
)


@click.command(epilog=example("audit suite.yaml --prompt short@1 --model gpt -o audits/short"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@audit_options
@option("--dry-run", is_flag=True)
@evaluating_options
@reports("AuditResults")
@common_options
def audit(
    suite_file: Path, auditing: Auditing, dry_run: bool, evaluating: Evaluating, common: Common
) -> None:
    """Find out what moves the picks of a prompt and model that should not.

    On the clusters of SUITE it tries other orders, other labels, copies, and texts that ask to be
    picked. It also tells whether long items are preferred, how valid replies are, and whether the
    model has changed since they were cached.

    Exit codes: 0 it was measured, or no measure is worse than in --baseline; 1 a measure is worse;
    3 it cannot be told.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import auditing as job

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    told = asdict(auditing) | asdict(evaluating) | {"session": session}
    if dry_run:
        return show(finished(job.plan_audit(suite, **told)), as_json=common.as_json)
    with reaching_verdicts(suite.name):
        done = finished(job.audit(suite, **told))
    append_summary(done.results)
    if not write_reports(done.results, session.workspace):
        show(done.results, as_json=common.as_json)
    session.note(f"{capital(session.spent)}. The audit is in {nearby(done.folder)}.")
    click.get_current_context().exit(EXIT_CODES[done.polarity])
