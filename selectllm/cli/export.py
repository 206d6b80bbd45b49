"""`selectllm export`: training files of selected sets, for training elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from selectllm.cli.options import DIRECTORY, grouped
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.data.hub import located
from selectllm.data.pool import load_pool, parse_mapping
from selectllm.downstream.outcomes.export import LAYOUTS, RECIPE, write_export
from selectllm.downstream.outcomes.exported import MANIFEST
from selectllm.downstream.outcomes.training_sets import TrainingSets, set_of_selection, sets_of_run


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Where the items come from, and how they are written."""

    out: Path
    pool: str | None
    columns: tuple[str, ...]
    layout: tuple[str, ...]
    unanswered: bool


export_options = grouped(
    "options",
    ExportOptions,
    click.option("-o", "--out", type=DIRECTORY, required=True, help="Folder to write."),
    click.option("--pool", metavar="FILE", help="What the sets of SETS_FOLDER were selected from."),
    click.option(
        "--map",
        "columns",
        multiple=True,
        metavar="NAME=COL",
        help="As the items were selected with: instruction=COL; repeatable.",
    ),
    click.option(
        "--layout",
        type=click.Choice([*LAYOUTS]),
        multiple=True,
        help="Only these; repeatable [all].",
    ),
    click.option(
        "--unanswered",
        is_flag=True,
        help="Items without a response too, with empty output.",
    ),
)


@click.command()
@click.argument("source", metavar="SETS_FOLDER|SELECTION", type=click.Path(path_type=Path))
@export_options
@click.option("--json", "as_json", is_flag=True, help="Machine output alone on stdout.")
def export(source: Path, options: ExportOptions, as_json: bool) -> None:
    """Write training files of every set in SETS_FOLDER, or of one SELECTION of select.

    With a manifest that ties results to sets, and a recipe to fill in. A folder that is there is
    left as it is, and must hold the same.
    """
    found = _training_sets(source, options)
    layouts = options.layout or tuple(LAYOUTS)
    manifest = write_export(options.out, found, layouts, unanswered=options.unanswered)
    click.echo(canonical_json(manifest) if as_json else _told(options.out, manifest))


def _training_sets(source: Path, options: ExportOptions) -> TrainingSets:
    columns = parse_mapping(options.columns)
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder; check the path")
    if not source.is_dir():
        if options.pool is not None:
            raise UsageError(f"--pool: {source} holds its items itself; leave the option out")
        return set_of_selection(source, columns)
    if options.pool is None:
        raise UsageError(
            f"{source}: holds ids alone; name the pool that its sets were selected from: "
            "--pool FILE"
        )
    pool = load_pool(located(Path.cwd(), options.pool), columns=columns).pool
    return sets_of_run(source, pool)


def _told(out: Path, manifest: Mapping[str, Any]) -> str:
    sets = manifest["sets"]
    empty = max(row["unanswered"] for row in sets)
    note = f"; up to {empty} items of a set have no response" if empty else ""
    return (
        f"{out}: {len(sets)} set(s) as {', '.join(manifest['layouts'])}{note}\n"
        f"{MANIFEST} ties results to them; fill in {RECIPE} when training"
    )
