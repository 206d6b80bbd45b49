"""`selectllm runs`: which runs there are, newest first."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.cli.terminal import say
from selectllm.core.shown import visible


@click.command(epilog=example("runs", "runs eval/runs --json"))
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@AS_JSON
def runs(folder: Path | None, as_json: bool) -> None:
    """List the runs in DIR, newest first, with what each of them found.

    DIR is eval/runs of this workspace unless you name another folder. To see a run in full:
    selectllm report RUN.
    """
    from selectllm.jobs.runs import runs_in

    found = runs_in(folder)
    say(found, as_json=as_json)
    if not as_json:
        click.echo(visible(found.elsewhere), err=True)
