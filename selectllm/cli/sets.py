"""`selectllm sets`: every selector's set at every budget and seed, and one table of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import saying_how_to_ask
from selectllm.cli.option_words import example, option
from selectllm.cli.options import DIRECTORY, FILE, SUITE, Common, asking_options, engine_options
from selectllm.cli.reports import reports, tell
from selectllm.cli.session import open_session
from selectllm.core.files import write_text
from selectllm.core.shown import capital
from selectllm.jobs.outputs import nearby
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import command


@click.command(epilog=example("sets suite.yaml --budget 1000 --budget 2000 --markdown sets.md"))
@SUITE
@option("-o", "--out", type=DIRECTORY, show_default="eval/runs/SUITE-sets-HASH")
@option("--pool")
@option("--budget", "budgets", type=click.IntRange(1), multiple=True, show_default="the suite's")
@option("--seed", "seeds", type=int, multiple=True, show_default="the suite's")
@option("--only", multiple=True)
@option("--markdown", type=FILE)
@reports("SetsResults")
@engine_options
@asking_options
def sets(suite_file: Path, markdown: Path | None, common: Common, **asked: Any) -> None:
    """Select a set with every selector of SUITE, at every budget and with every seed.

    The command writes a folder with the sets (sets.jsonl) and their comparison (sets.json), and
    prints one table for each budget. If it was stopped, run it again to continue where it stopped.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import sets as making

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    with saying_how_to_ask():
        made = finished(making.sets(suite, session=session, **asked))
    if markdown is not None:
        write_text(markdown, made.report("markdown"))
    printed = tell(made.results, session)
    if not printed:
        session.note(f"{capital(session.spent)}. The sets are in {made.folder}.")
    if not common.as_json:
        pool = asked["pool"] or nearby(suite.at(suite.pool))
        words = command("export", nearby(made.folder), "--pool", pool, "-o", "training")
        session.note(f"To write training files of the sets, run: {words}")
