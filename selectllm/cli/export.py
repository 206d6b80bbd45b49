"""`selectllm export`: training files of selected sets, for training elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, DIRECTORY, Common, grouped, map_option
from selectllm.cli.session import open_session
from selectllm.cli.terminal import say
from selectllm.core.choices import LayoutName
from selectllm.jobs.options import ExportSettings
from selectllm.jobs.sync import finished


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
    say(exported, as_json=as_json)
