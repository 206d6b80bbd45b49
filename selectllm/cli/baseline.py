"""`selectllm baseline`: keep a run as what `regress` compares with."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.options import FILE
from selectllm.core.files import read_json
from selectllm.evaluation.comparison.baseline import write_baseline
from selectllm.evaluation.comparison.regress import baseline_of
from selectllm.evaluation.comparison.run_inputs import read_manifest, read_run_inputs
from selectllm.evaluation.runs.verify import finished_decisions


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
    read_json(folder / "results.json")  # an unfinished run is no baseline
    inputs = read_run_inputs(folder)
    decisions = finished_decisions(folder, inputs)
    made = baseline_of(read_manifest(folder), inputs, decisions, prompts)
    write_baseline(out, made)
    names = ", ".join(entry.name for entry in made.entries)
    click.echo(f"{out}: {names}, {len(made.clusters)} clusters, utility {made.utility.name}")
