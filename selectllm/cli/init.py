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
@option("--pool", show_default="the quickstart's", help="Start from this pool of your own.")
@map_option
def init(folder: Path, pool: str | None, columns: Mapping[str, str]) -> None:
    """Make a workspace in DIR: prompts/, eval/, cache/, and a gate in pytest and on GitHub.

    The command asks for a pool unless you name one. Without a terminal it asks nothing. Files that
    exist are not overwritten.
    """
    from selectllm.jobs.starting import make_workspace

    if pool is None and on_a_terminal():
        question = "A pool of your own (a file; leave it empty for the quickstart's)"
        pool = click.prompt(question, default="", show_default=False, err=True) or None
    started = finished(make_workspace(folder, pool, columns))
    click.echo(visible(started.text))
    if started.first:
        click.echo(
            "These commands run an embedded model and an encoder, and this installation lacks some "
            f"of that. Before them, run: {' && '.join(started.first)}",
            err=True,
        )


def on_a_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
