"""`selectllm export`: training files of selected sets, for training elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.options import AS_JSON, DIRECTORY, Common, grouped, map_option
from selectllm.cli.session import open_session
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.downstream.outcomes.export import LAYOUTS, RECIPE
from selectllm.downstream.outcomes.exported import MANIFEST
from selectllm.jobs import exporting
from selectllm.jobs.exporting import Export, ExportSettings
from selectllm.jobs.sync import finished


@click.command()
@click.argument("source", metavar="SETS_FOLDER|SELECTION", type=click.Path(path_type=Path))
@grouped(
    "settings",
    ExportSettings,
    click.option("-o", "--out", type=DIRECTORY, required=True, help="Folder to write."),
    click.option("--pool", metavar="FILE", help="What the sets of SETS_FOLDER were selected from."),
    map_option("As the items were selected with: instruction=COL; repeatable."),
    click.option(
        "--layout",
        type=click.Choice([*LAYOUTS]),
        multiple=True,
        help="Only these; repeatable [all].",
    ),
    click.option(
        "--unanswered", is_flag=True, help="Items without a response too, with empty output."
    ),
)
@AS_JSON
def export(source: Path, settings: ExportSettings, as_json: bool) -> None:
    """Write training files of every set in SETS_FOLDER, or of one SELECTION of select.

    With a manifest that ties results to sets, and a recipe to fill in. A folder that is there is
    left as it is, and must hold the same.
    """
    session = open_session(Common(as_json=as_json), Path.cwd())
    exported = finished(exporting.export(source, settings, session=session))
    click.echo(canonical_json(exported.manifest.to_json()) if as_json else visible(_text(exported)))


def _text(exported: Export) -> str:
    sets, layouts = exported.manifest.sets, ", ".join(exported.manifest.layouts)
    empty = max(row.unanswered for row in sets)
    note = f"; up to {empty} items of a set have no response" if empty else ""
    return (
        f"{exported.folder}: {len(sets)} set(s) as {layouts}{note}\n"
        f"{MANIFEST} ties results to them; fill in {RECIPE} when training"
    )
