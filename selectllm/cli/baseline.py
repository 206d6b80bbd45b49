"""`selectllm baseline`: keep a run as what `regress` compares with."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.options import FILE
from selectllm.core.shown import visible
from selectllm.jobs.gating import keep_baseline


@click.group("baseline")
def baseline() -> None:
    """Baselines: what each pair of a run picked, for regress; they never change by themselves."""


@baseline.command("set")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=FILE, required=True, help="The baseline file to write.")
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="P",
    help="Only these prompts of the run; repeatable.",
)
def set_(folder: Path, out: Path, prompts: tuple[str, ...]) -> None:
    """Write the picks of RUN's pairs, judged by its deciding utility, to a baseline file."""
    kept = keep_baseline(folder, out, prompts)
    names = ", ".join(entry.name for entry in kept.entries)
    told = f"{out}: {names}, {len(kept.clusters)} clusters, utility {kept.utility.name}"
    click.echo(visible(told))
