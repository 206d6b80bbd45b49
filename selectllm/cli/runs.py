"""`selectllm runs`: which runs there are, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.option_words import example
from selectllm.cli.options import AS_JSON
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.jobs.workspace import find_workspace

if TYPE_CHECKING:
    from selectllm.jobs.runs import ListedRun


@click.command(epilog=example("runs", "runs eval/runs --json"))
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@AS_JSON
def runs(folder: Path | None, as_json: bool) -> None:
    """List the runs in DIR, newest first, with what each of them found.

    DIR is eval/runs of this workspace unless you name another folder. To see a run in full:
    selectllm report RUN.
    """
    from selectllm.jobs.runs import list_runs

    place = folder or find_workspace(Path.cwd()).runs
    found = list_runs(place) if folder or place.is_dir() else ()
    if as_json:
        click.echo(canonical_json([run.to_json() for run in found]))
    else:
        click.echo(visible(_told(found, place)))


def _told(found: Sequence[ListedRun], place: Path) -> str:
    if not found:
        return f"There are no runs in {place}. To make one: selectllm eval SUITE"
    from selectllm.report.in_one_line import in_one_line

    lines = []
    for run in found:
        if run.result is not None:
            says = in_one_line(run.result)
        elif run.problem is not None:
            says = f"damaged: {run.problem}"
        else:
            says = "not finished (run the same command again to continue)"
        lines += [f"{run.changed:%Y-%m-%d %H:%M}  {_relative(run.folder)}", f"    {says}"]
    return "\n".join(lines)


def _relative(folder: Path) -> Path:
    """As short as it can be written from here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
