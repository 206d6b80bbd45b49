"""`selectllm export`: training files of selected sets, for training elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, DIRECTORY, Common, grouped, map_option
from selectllm.cli.session import open_session
from selectllm.core.choices import LayoutName
from selectllm.core.codec import canonical_json
from selectllm.core.shown import visible
from selectllm.jobs.options import ExportSettings
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import trained_elsewhere

if TYPE_CHECKING:
    from selectllm.jobs.exporting import Export


@click.command(epilog=example("export eval/runs/SETS --pool pool.jsonl -o training"))
@click.argument("source", metavar="SETS_FOLDER|SELECTION", type=click.Path(path_type=Path))
@grouped(
    "settings",
    ExportSettings,
    option("-o", "--out", type=DIRECTORY, required=True),
    option("--pool", help="The pool that the sets were selected from."),
    map_option,
    option(
        "--layout",
        type=click.Choice(get_args(LayoutName)),
        multiple=True,
        show_default="all",
        help="Write only this layout.",
    ),
    option(
        "--unanswered",
        is_flag=True,
        help="Also write items that have no response, with an empty output.",
    ),
)
@AS_JSON
def export(source: Path, settings: ExportSettings, as_json: bool) -> None:
    """Write training files for every set in SETS_FOLDER, or for one SELECTION.

    SETS_FOLDER is what selectllm sets wrote, and SELECTION what selectllm select wrote. The folder
    also gets a manifest that assigns results to sets, and a recipe to fill in. A folder that exists
    is not overwritten: it must hold the same files.
    """
    from selectllm.jobs import exporting

    session = open_session(Common(as_json=as_json), Path.cwd())
    exported = finished(exporting.export(source, settings, session=session))
    click.echo(canonical_json(exported.manifest.to_json()) if as_json else visible(_text(exported)))


def _text(exported: Export) -> str:
    from selectllm.downstream.outcomes.export import RECIPE
    from selectllm.downstream.outcomes.exported import MANIFEST

    sets, layouts = exported.manifest.sets, ", ".join(exported.manifest.layouts)
    empty = max(row.unanswered for row in sets)
    note = f" Up to {empty} items of a set have no response." if empty else ""
    return (
        f"Wrote {len(sets)} {'set' if len(sets) == 1 else 'sets'} as {layouts} to "
        f"{exported.folder}.{note}\n{MANIFEST} says which set a result belongs to. "
        f"Fill in {RECIPE} when you train.\n{trained_elsewhere(exported.folder)}"
    )
