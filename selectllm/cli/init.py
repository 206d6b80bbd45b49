"""`selectllm init`: a workspace that runs at once."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.core.extras import missing, pip_line
from selectllm.jobs.sync import finished
from selectllm.jobs.workspace import make_workspace


@click.command(epilog=example("init my-project"))
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a workspace in DIR: prompts/, eval/suites/, eval/data/, cache/.

    Nothing that exists is overwritten.
    """
    finished(make_workspace(folder))
    click.echo(f"workspace in {folder}; try: selectllm eval {folder}/eval/suites/quickstart.yaml")
    if absent := missing("embed", "local"):
        click.echo(
            "The quickstart runs an embedded model and an encoder, and this installation lacks "
            f"some of that. Before you try it, run: {pip_line(*absent)}",
            err=True,
        )
