"""`selectllm audit`: what moves the picks of a prompt and model that should not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

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

audit_options = grouped(
    "auditing",
    Auditing,
    option("--prompt", show_default="the suite's only one"),
    option("--model", show_default="the suite's only one"),
    option("--compare-prompt", multiple=True),
    option("--probe", multiple=True),
    option("--orders", type=click.IntRange(1, 100), default=7, show_default=True),
    option("--repeats", type=click.IntRange(1, 100), default=3, show_default=True),
    option("--again", type=click.IntRange(0, 10_000), default=20, show_default=True),
    option("--baseline", type=click.Path(path_type=Path)),
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
    """Find out what moves the picks of a prompt and model that should not, on SUITE's clusters.

    It tries other orders and labels, copies, texts that ask to be picked, and cached calls again.

    Exit codes: 0 measured, or no measure is worse than in --baseline; 1 one is; 3 it cannot tell.
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
