"""`selectllm report`: what a finished folder holds, told again in any format."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, FILE
from selectllm.cli.reports import STDOUT, place_of, show
from selectllm.core.codec import canonical_json
from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.files import read_json, write_text
from selectllm.jobs.contents import REPORT
from selectllm.jobs.outputs import check_written
from selectllm.jobs.reporting import read_finished
from selectllm.jobs.workspace import find_workspace


@click.command(
    epilog=example("report eval/runs/NAME", "report eval/runs/NAME --as markdown -o report.md")
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@option(
    "--as",
    "form",
    metavar="FORMAT",
    help="Print as terminal, markdown, html, junit, github or json.",
)
@option("--html", is_flag=True, help="Write a page to look at in a browser: report.html in RUN.")
@option("-o", "--out", type=FILE, show_default="stdout")
@AS_JSON
def report(folder: Path, form: str | None, html: bool, out: Path | None, as_json: bool) -> None:
    """Print the tables of the run in the folder RUN. Nothing is asked or computed.

    RUN is a folder that eval, ab, aa, swap, regress, sets, optimize or student compare wrote, or
    a file that any command wrote with --report json=FILE. To list the folders, run: selectllm runs
    """
    result, path = read_finished(folder)
    if as_json and (form or html or out):
        raise UsageError("--json prints to stdout only. To write a file, use: --as json -o FILE")
    if html and form not in (None, "html"):
        raise UsageError(f"--html and --as {form} are two formats. Ask for one of them.")
    if html:
        form, out = "html", out or page_of(folder)
    if as_json:
        click.echo(canonical_json(read_json(path)))
    elif form is None and out is None:
        show(result, as_json=False)
    else:
        _write(result, folder, form or "terminal", out)


def page_of(run: Path) -> Path:
    """Where the page of a run goes unless told otherwise: into its folder, or beside its file."""
    return run / "report.html" if run.is_dir() else run.with_suffix(".html")


def _write(result: Document, folder: Path, form: str, out: Path | None) -> None:
    from selectllm.report.formats import report as told

    file = None if out is None or str(out) == STDOUT else out
    workspace = find_workspace(folder)
    if file is not None:
        check_written("out", file, REPORT, (), workspace)
    try:
        text = told(result, form, place_of(workspace, {form}, folder))
    except UsageError as error:
        raise UsageError(f"--as {form}: {error}") from None
    if file is not None:
        write_text(file, text)
        if form == "html":
            click.echo(f"{file}", err=True)
    else:
        click.echo(text, nl=False)
