"""`selectllm runs`: which runs there are, newest first."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.jobs.workspace import find_workspace


@click.command(epilog=example("runs", "runs eval/runs --json"))
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@AS_JSON
def runs(folder: Path | None, as_json: bool) -> None:
    """List the runs in DIR, newest first, with what each of them found.

    DIR is eval/runs of this workspace unless you name another folder. To see a run in full:
    selectllm report RUN.
    """
    from selectllm.jobs.runs import elsewhere, list_runs, runs_text

    place = folder or find_workspace(Path.cwd()).runs
    found = list_runs(place) if folder or place.is_dir() else ()
    says = [run.to_json() for run in found]
    click.echo(canonical_json(says) if as_json else visible(runs_text(found, place)))
    if not as_json:
        click.echo(visible(elsewhere(place)), err=True)
