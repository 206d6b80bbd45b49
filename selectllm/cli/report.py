"""`selectllm report`: what finished folders hold, told again in any format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, FILE, grouped, map_option
from selectllm.cli.reports import STDOUT, place_of, show
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.core.shown import visible
from selectllm.jobs.contents import REPORT
from selectllm.jobs.outputs import check_written
from selectllm.jobs.pool_of_picks import PoolOfPicks, is_selection
from selectllm.jobs.workspace import find_workspace

if TYPE_CHECKING:
    from selectllm.core.document import Document
    from selectllm.report.formats import Place

EACH = "--each --html -o FILE"


@click.command(
    epilog=example(
        "report eval/runs/NAME",
        "report eval/runs/NAME --as markdown -o report.md",
        "report eval/runs/MONDAY eval/runs/TUESDAY --html",
        "report eval/runs/ONE eval/runs/OTHER --each --html -o both.html",
        "report pool.selected.jsonl --html",
    )
)
@click.argument(
    "folders", metavar="RUN...|SELECTION", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@option(
    "--as",
    "form",
    metavar="FORMAT",
    help="Print as terminal, markdown, html, junit, github or json.",
)
@option(
    "--html",
    is_flag=True,
    help="Write a page to look at in a browser: report.html in RUN, or, of two runs, "
    "beside-FIRST.html in the second.",
)
@option(
    "--each",
    is_flag=True,
    help="Show each RUN by itself, one below the other on one page, instead of comparing two.",
)
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
    folders: tuple[Path, ...],
    form: str | None,
    html: bool,
    each: bool,
    out: Path | None,
    as_json: bool,
    pool: PoolOfPicks,
) -> None:
    """Print the tables of the run in the folder RUN. No model is asked.

    RUN is a folder that eval, ab, aa, swap, regress, audit, sets, optimize or student compare
    wrote, or a file that any command wrote with --report json=FILE. To list the folders, run:
    selectllm runs

    Two RUNs are compared in the clusters that both asked, pair by pair, the second against the
    first. That is a description: for a verdict, use ab, swap or regress.

    Of a SELECTION, a file that select wrote, the report shows the picks with their reasons beside
    their rivals, and the picks beside the pool.
    """
    if as_json and (form or html or out):
        raise UsageError("--json prints to stdout only. To write a file, use: --as json -o FILE")
    if html and form not in (None, "html"):
        raise UsageError(f"--html and --as {form} are two formats. Ask for one of them.")
    form = "html" if html else form
    if len(folders) > 1 and pool != PoolOfPicks():
        raise UsageError("--pool, --map and --turns go with one selection. Leave them out.")
    if len(folders) > 1 and (selection := next(filter(is_selection, folders), None)) is not None:
        raise UsageError(f"{selection} is a selection, which is shown by itself. Name it alone.")
    if each:
        _write_each(folders, form, out)
    elif len(folders) == 1:
        _tell_one(folders[0], pool, form, out or (page_of(folders[0]) if html else None), as_json)
    elif len(folders) == 2:
        _tell_two(folders, form, out, html, as_json)
    else:
        raise UsageError(
            f"{len(folders)} runs are named, and two can be compared. To show each of them by "
            f"itself on one page, add: {EACH}"
        )


def _tell_one(
    folder: Path, pool: PoolOfPicks, form: str | None, out: Path | None, as_json: bool
) -> None:
    from selectllm.jobs.reporting import read_reported

    result, place, content = read_reported(folder, pool)
    if as_json:
        click.echo(canonical_json(content))
    elif form is None and out is None:
        show(result, as_json=False)
    else:
        workspace, form = find_workspace(folder), form or "terminal"
        _write(result, folder, form, out, lambda: place or place_of(workspace, {form}, folder))


def _tell_two(
    folders: tuple[Path, ...], form: str | None, out: Path | None, html: bool, as_json: bool
) -> None:
    from selectllm.jobs.comparing_runs import compare_folders

    compared = compare_folders(*folders)
    if form is None and out is None:
        show(compared.results, as_json=as_json)
        return
    out = out or (compared.page if html else None)
    form = form or "terminal"
    _write(compared.results, folders[1], form, out, lambda: compared.place(form))


def _write_each(folders: tuple[Path, ...], form: str | None, out: Path | None) -> None:
    from selectllm.jobs.comparing_runs import page_of_each

    if form != "html" or out is None:
        raise UsageError(f"--each makes one page of several runs. Write: {EACH}")
    check_written("out", out, REPORT, (), find_workspace(Path.cwd()))
    write_text(out, page_of_each(folders))
    click.echo(visible(f"Wrote the page to {out}. Open it in a browser."), err=True)


def page_of(run: Path) -> Path:
    """Where the page of a run goes unless told otherwise: into its folder, or beside its file."""
    return run / "report.html" if run.is_dir() else run.with_suffix(".html")


def _write(
    result: Document, folder: Path, form: str, out: Path | None, place: Callable[[], Place]
) -> None:
    """Write or print `result`; `place` is looked up once it is known where that goes."""
    from selectllm.report.formats import report as told

    file = None if out is None or str(out) == STDOUT else out
    if file is not None:
        read = [folder] if folder.is_file() else []
        check_written("out", file, REPORT, read, find_workspace(folder))
    where = place()
    try:
        text = told(result, form, where)
    except UsageError as error:
        raise UsageError(f"--as {form}: {error}") from None
    if file is not None:
        write_text(file, text)
        if form == "html":
            click.echo(visible(f"Wrote the page to {file}. Open it in a browser."), err=True)
    else:
        click.echo(text, nl=False)
