"""`selectllm regress`: the gate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.evaluation import (
    Call,
    Evaluating,
    carry_out,
    evaluating_options,
    open_run,
    show,
)
from selectllm.cli.exit_codes import INCONCLUSIVE, exit_code
from selectllm.cli.options import FILE, Common, common_options, grouped
from selectllm.cli.reports import reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.errors import ReplyMissing
from selectllm.core.files import write_text
from selectllm.evaluation.comparison.baseline import Baseline, read_baseline
from selectllm.evaluation.comparison.regress import check_suite, gated, matched
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.suite import Suite, load_suite


@dataclass(frozen=True, slots=True)
class RegressOptions:
    """What a gate compares with, and where it reports."""

    baseline: Path
    junit: Path | None
    markdown: Path | None


regress_options = grouped(
    "options",
    RegressOptions,
    click.option("--baseline", type=FILE, required=True, help="From selectllm baseline set."),
    click.option("--junit", type=FILE, help="Write JUnit XML; inconclusive is skipped."),
    click.option("--markdown", type=FILE, help="Write a comment for the pull request."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@regress_options
@evaluating_options
@reports(RunResults)
@common_options
def regress(
    suite_file: Path, options: RegressOptions, evaluating: Evaluating, common: Common
) -> None:
    """Test every prompt x model of SUITE against what a baseline recorded of it.

    Matched by prompt name and model name, paired by the baseline's clusters. Exit code: 0 pass, 1
    fail, 3 inconclusive (0 with `gate: {inconclusive: warn}`).
    """
    suite = evaluating.applied(load_suite(suite_file))
    base = suite_file.resolve().parent
    session = open_session(common, base)
    found, folder = run_gate(session, suite, suite_file, options.baseline, evaluating)
    show(session, found, folder)
    report(session, found, options)
    click.get_current_context().exit(gate_code(suite, found))


def run_gate(
    session: CommandSession, suite: Suite, suite_file: Path, baseline: Path, evaluating: Evaluating
) -> tuple[RunResults, Path]:
    """The results of `suite` against `baseline`, and their run folder."""
    recorded = read_baseline(baseline)
    base = suite_file.resolve().parent
    check_suite(recorded, suite, baseline)
    suite = gated(suite, recorded)
    words = ("regress", str(suite_file), "--baseline", str(baseline))
    call = Call(session, suite, base, evaluating, words)
    comparison = ComparisonDesign("regress", ())
    run = open_run(session, suite, base, comparison, recorded, evaluating.record)
    matched(recorded, run.inputs.pairs)  # before anything is paid for
    try:
        return carry_out(call, run)
    except ReplyMissing as error:
        raise ReplyMissing(f"{_moved(recorded, run)}{error}") from None


def _moved(recorded: Baseline, run: Run) -> str:
    """Why recorded replies may not be found: models that now answer from another endpoint.

    Of an embedded model that is another version of the engine, or none.
    """
    before = {entry.model: entry.spec.get("endpoint") for entry in recorded.entries}
    moved = [
        f"{spec['name']} (now {spec['endpoint']}, then {before[spec['name']]})"
        for spec in run.manifest["models"].values()
        if spec["endpoint"] != before.get(spec["name"], spec["endpoint"])
    ]
    if not moved:
        return ""
    return (
        "replies are found again at the endpoint that gave them, and since the baseline it has "
        f"changed: {', '.join(moved)}; go back to it, or record anew. "
    )


def gate_code(suite: Suite, found: RunResults) -> int:
    """The exit code of the gate."""
    code = exit_code(found.words)
    return 0 if code == INCONCLUSIVE and suite.gate.inconclusive == "warn" else code


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
