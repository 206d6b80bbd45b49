"""`selectllm log`: the logs in which commands keep what they paid for."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON
from selectllm.cli.terminal import say


@click.group()
def log() -> None:
    """Repair the log of a run or selection."""


@log.command(epilog=example("log repair eval/runs/NAME", "log repair chosen.decisions.jsonl"))
@click.argument("place", metavar="RUN|LOG", type=click.Path(path_type=Path))
@option("--check", is_flag=True, help="Only say which lines are damaged, and change nothing.")
@AS_JSON
@click.pass_context
def repair(ctx: click.Context, place: Path, check: bool, as_json: bool) -> None:
    """Keep the lines of a damaged log that can be read.

    The original log is kept next to it. Then run the command that wrote the log again: it asks only
    for what is missing.

    Exit codes: 0 every line is whole, or the log was repaired; 1 with --check, a line is damaged.
    """
    from selectllm.jobs.mending import mend_logs

    done = mend_logs(place, check=check)
    say(done, as_json=as_json)
    ctx.exit(1 if check and done.damaged else 0)
