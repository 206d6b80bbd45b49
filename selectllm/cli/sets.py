"""`selectllm sets`: every selector's set at every budget and seed, and one table of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.evaluation import same_command
from selectllm.cli.options import DIRECTORY, FILE, Common, common_options, grouped
from selectllm.cli.reports import reports, show, write_reports
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.errors import ReplyMissing
from selectllm.core.files import write_text
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.evaluation.suite import load_suite
from selectllm.jobs import sets as making
from selectllm.jobs.sync import finished


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
        return making.SetsArguments(
            budgets=self.budget, seeds=self.seed, pool=self.pool, only=self.only
        )


sets_options = grouped(
    "options",
    SetsOptions,
    click.option("-o", "--out", type=DIRECTORY, help="Folder [eval/runs/SUITE-sets-<hash>]."),
    click.option("--pool", metavar="FILE", help="Instead of the suite's pool: a copy or a part."),
    click.option(
        "--budget",
        type=click.IntRange(1),
        multiple=True,
        help="Instead of the suite's; repeatable.",
    ),
    click.option("--seed", type=int, multiple=True, help="Instead of the suite's; repeatable."),
    click.option(
        "--only",
        multiple=True,
        metavar="SELECTOR",
        help="A prompt, a model, PROMPT+MODEL or a strategy of the suite; repeatable.",
    ),
    click.option("--markdown", type=FILE, help="Write the tables to FILE, with all overlaps."),
)


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@sets_options
@reports(SetsResults)
@common_options
def sets(suite_file: Path, options: SetsOptions, common: Common) -> None:
    """Select every set of SUITE: each selector's, at every budget and with every seed.

    Writes a folder with the sets (sets.jsonl) and what compares them (sets.json), and prints one
    table for each budget. Run again, it goes on where it stopped.
    """
    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    job = making.sets(suite, out=options.out, session=session, **options.arguments())
    try:
        comparison = finished(job)
    except ReplyMissing as error:
        command = shlex.join(same_command())
        raise ReplyMissing(f"{error}. To record them, run: {command}") from None
    if options.markdown is not None:
        write_text(options.markdown, comparison.report("markdown"))
    _show(session, comparison)


def _show(session: CommandSession, comparison: making.Sets) -> None:
    """Write the reports that were asked for, and print the comparison.

    As JSON alone, or as tables with what was spent.
    """
    if write_reports(comparison.results, session.workspace):
        return
    show(comparison.results, as_json=session.common.as_json)
    if not session.common.as_json:
        session.note(f"{session.spent}; folder: {comparison.folder}")
