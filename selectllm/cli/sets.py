"""`selectllm sets`: every selector's set at every budget and seed, and one table of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.evaluation import same_command
from selectllm.cli.option_words import example, option
from selectllm.cli.options import DIRECTORY, FILE, Common, common_options, engine_options, grouped
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.errors import ReplyMissing
from selectllm.core.files import write_text
from selectllm.core.shown import capital
from selectllm.jobs.outputs import nearby
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import command

if TYPE_CHECKING:
    from selectllm.jobs import sets as making


@dataclass(frozen=True, slots=True)
class SetsOptions:
    """What replaces the suite's own words, and where results go."""

    out: Path | None = None
    pool: str | None = None
    budget: tuple[int, ...] = ()
    seed: tuple[int, ...] = ()
    only: tuple[str, ...] = ()
    markdown: Path | None = None

    def arguments(self) -> making.SetsArguments:
        """The same by the job's names."""
        from selectllm.jobs import sets as making

        return making.SetsArguments(
            budgets=self.budget, seeds=self.seed, pool=self.pool, only=self.only
        )


sets_options = grouped(
    "options",
    SetsOptions,
    option("-o", "--out", type=DIRECTORY, show_default="eval/runs/SUITE-sets-HASH"),
    option("--pool"),
    option("--budget", type=click.IntRange(1), multiple=True, show_default="the suite's"),
    option("--seed", type=int, multiple=True, show_default="the suite's"),
    option("--only", multiple=True),
    option("--markdown", type=FILE),
)


@click.command(epilog=example("sets suite.yaml --budget 1000 --budget 2000 --markdown sets.md"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@sets_options
@reports("SetsResults")
@engine_options
@common_options
def sets(suite_file: Path, options: SetsOptions, common: Common) -> None:
    """Select a set with every selector of SUITE, at every budget and with every seed.

    The command writes a folder with the sets (sets.jsonl) and their comparison (sets.json), and
    prints one table for each budget. If it was stopped, run it again to continue where it stopped.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import sets as making

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    job = making.sets(suite, out=options.out, session=session, **options.arguments())
    try:
        comparison = finished(job)
    except ReplyMissing as error:
        again = shlex.join(same_command())
        raise ReplyMissing(f"{error}. To ask for them, run: {again}") from None
    if options.markdown is not None:
        write_text(options.markdown, comparison.report("markdown"))
    _show(session, comparison)
    if not common.as_json:
        pool = options.pool or nearby(suite.at(suite.pool))
        words = command("export", nearby(comparison.folder), "--pool", pool, "-o", "training")
        session.note(f"To write training files of the sets, run: {words}")


def _show(session: CommandSession, comparison: making.Sets) -> None:
    """Write the reports that were asked for, and print the comparison.

    As JSON alone, or as tables with what was spent.
    """
    if write_reports(comparison.results, session.workspace):
        return
    show(comparison.results, as_json=session.common.as_json)
    if not session.common.as_json:
        session.note(f"{capital(session.spent)}. The sets are in {comparison.folder}.")
