"""`selectllm init`: a workspace that runs at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import map_option
from selectllm.core.shown import visible
from selectllm.jobs.sync import finished


@click.command(epilog=example("init my-project", "init my-project --pool pool.jsonl"))
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@option("--pool", show_default="the quickstart data", help="Build the workspace around this pool.")
@map_option
def init(folder: Path, pool: str | None, columns: Mapping[str, str]) -> None:
    """Make a workspace in DIR: prompts/, eval/, cache/, and a gate in pytest and on GitHub.

    The command asks for a pool unless you name one with --pool or there is no terminal. Files that
    exist are not overwritten.
    """
    from selectllm.jobs.starting import make_workspace

    if pool is None and on_a_terminal():
        question = "Your pool file (leave this empty to use the quickstart data)"
        pool = click.prompt(question, default="", show_default=False, err=True) or None
    started = finished(make_workspace(folder, pool, columns))
    click.echo(visible(started.text))
    if started.first:
        click.echo(
            "These commands need an embedded model and an encoder, which are not all installed. "
            f"First run: {' && '.join(started.first)}",
            err=True,
        )


def on_a_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
