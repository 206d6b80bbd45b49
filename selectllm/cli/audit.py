"""`selectllm audit`: what moves the picks of a prompt and model that should not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options
from selectllm.cli.exit_codes import EXIT_CODES
from selectllm.cli.option_words import example, option
from selectllm.cli.options import SUITE, Common
from selectllm.cli.reports import append_summary, show, write_reports
from selectllm.core.shown import capital
from selectllm.jobs.outputs import nearby


@click.command(epilog=example("audit suite.yaml --prompt short@1 --model gpt -o audits/short"))
@SUITE
@option("--prompt", show_default="the suite's only one")
@option("--model", show_default="the suite's only one")
@option("--compare-prompt", multiple=True)
@option("--probe", multiple=True)
@option("--orders", type=click.IntRange(1, 100), default=14)
@option("--repeats", type=click.IntRange(1, 100), default=3)
@option("--again", type=click.IntRange(0, 10_000), default=20)
@option("--baseline", type=click.Path(path_type=Path))
@option("--dry-run", is_flag=True)
@evaluation_options("AuditResults")
def audit(suite_file: Path, dry_run: bool, details: bool, common: Common, **told: Any) -> None:
    """Test whether the picks of a prompt and model depend on things that should not matter.

    The clusters of SUITE are shown in other orders, with other labels, copies, and texts that ask
    to be picked. Cached calls are repeated to see if the model has changed.

    Exit codes: 0 no measure is worse than in --baseline; 1 one is worse; 3 inconclusive.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import auditing
    from selectllm.report.audit import render_audit

    job: Any = auditing.plan_audit if dry_run else auditing.audit
    session, done = carried_out(job, load_suite(suite_file), common, **told)
    if dry_run:
        return show(done, as_json=common.as_json)
    append_summary(done.results)
    if not write_reports(done.results, session.workspace):
        brief = None if details else render_audit(done.results, details=False)
        show(done.results, as_json=common.as_json, shown=brief)
    session.note(f"{capital(session.spent)}. The audit is in {nearby(done.folder)}.")
    click.get_current_context().exit(EXIT_CODES[done.polarity])
