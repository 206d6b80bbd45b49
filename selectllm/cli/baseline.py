"""`selectllm baseline`: keep a run as what `regress` compares with."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import FILE
from selectllm.core.shown import counted, visible
from selectllm.report.next_steps import command, suite_file


@click.group("baseline")
def baseline() -> None:
    """Keep the picks of a run as a baseline that selectllm regress compares with."""


@baseline.command("set", epilog=example("baseline set eval/runs/NAME -o eval/baselines/suite.json"))
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@option("-o", "--out", type=FILE, required=True)
@option("--prompt", "prompts", multiple=True, show_default="all of the run")
def set_(folder: Path, out: Path, prompts: tuple[str, ...]) -> None:
    """Write what every prompt and model of RUN picked to a baseline file.

    A baseline never changes by itself. Set it again when you intend a change.
    """
    from selectllm.jobs.gating import keep_baseline

    kept = keep_baseline(folder, out, prompts)
    names = ", ".join(entry.name for entry in kept.entries)
    clusters = counted(len(kept.clusters), "cluster")
    told = (
        f"The baseline {out} holds the picks of {names} in {clusters}, with the utility "
        f"{kept.utility.name}.\nTo compare with it, run: "
        f"{command('regress', suite_file(kept.suite, folder), '--baseline', out)}"
    )
    click.echo(visible(told))
