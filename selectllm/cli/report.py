"""`selectllm report`: what a finished folder holds, told again in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, FILE, grouped, map_option
from selectllm.cli.reports import STDOUT, place_of, show
from selectllm.core.codec import canonical_json
from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.core.shown import visible
from selectllm.jobs.contents import REPORT
from selectllm.jobs.outputs import check_written
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.reporting import read_reported
from selectllm.jobs.workspace import find_workspace

if TYPE_CHECKING:
    from selectllm.report.formats import Place


@click.command(
    epilog=example(
        "report eval/runs/NAME",
        "report eval/runs/NAME --as markdown -o report.md",
        "report pool.selected.jsonl --html",
    )
)
@click.argument("folder", metavar="RUN|SELECTION", type=click.Path(path_type=Path))
@option(
    "--as",
    "form",
    metavar="FORMAT",
    help="Print as terminal, markdown, html, junit, github or json.",
)
@option("--html", is_flag=True, help="Write a page to look at in a browser: report.html in RUN.")
@option("-o", "--out", type=FILE, show_default="stdout")
@AS_JSON
@grouped(
    "pool",
    PoolOfPicks,
    option(
        "--pool",
        "named",
        help="The pool that SELECTION was selected from, if it is not NAME.jsonl beside "
        "NAME.selected.jsonl.",
    ),
    map_option,
)
def report(
    folder: Path,
    form: str | None,
    html: bool,
    out: Path | None,
    as_json: bool,
    pool: PoolOfPicks,
) -> None:
    """Print the tables of the run in the folder RUN. Nothing is asked or computed.

    RUN is a folder that eval, ab, aa, swap, regress, sets, optimize or student compare wrote, or
    a file that any command wrote with --report json=FILE. To list the folders, run: selectllm runs

    Of a SELECTION, a file that select wrote, the report shows the picks with their reasons beside
    their rivals, and the picks beside the pool.
    """
    result, place, text = read_reported(folder, pool)
    if as_json and (form or html or out):
        raise UsageError("--json prints to stdout only. To write a file, use: --as json -o FILE")
    if html and form not in (None, "html"):
        raise UsageError(f"--html and --as {form} are two formats. Ask for one of them.")
    if html:
        form, out = "html", out or page_of(folder)
    if as_json:
        click.echo(canonical_json(text))
    elif form is None and out is None:
        show(result, as_json=False)
    else:
        _write(result, folder, form or "terminal", out, place)


def page_of(run: Path) -> Path:
    """Where the page of a run goes unless told otherwise: into its folder, or beside its file."""
    return run / "report.html" if run.is_dir() else run.with_suffix(".html")


def _write(
    result: Document, folder: Path, form: str, out: Path | None, place: Place | None
) -> None:
    from selectllm.report.formats import report as told

    file = None if out is None or str(out) == STDOUT else out
    workspace = find_workspace(folder)
    if file is not None:
        check_written("out", file, REPORT, [folder] if folder.is_file() else (), workspace)
    try:
        text = told(result, form, place or place_of(workspace, {form}, folder))
    except UsageError as error:
        raise UsageError(f"--as {form}: {error}") from None
    if file is not None:
        write_text(file, text)
        if form == "html":
            click.echo(visible(f"Wrote the page to {file}. Open it in a browser."), err=True)
    else:
        click.echo(text, nl=False)
