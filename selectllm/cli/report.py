"""`selectllm report`: what finished folders hold, told again in any format."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, FILE, grouped, map_option
from selectllm.cli.reports import show
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.shown import visible
from selectllm.jobs.pool_of_picks import PoolOfPicks

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
    help="Write a page for the browser: report.html in RUN, or, for two runs, beside-FIRST.html "
    "in the second one.",
)
@option(
    "--each",
    is_flag=True,
    help="Show all RUNs on one page, one below the other, instead of comparing two.",
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

    If you name two RUNs, the second is compared with the first on the clusters that both have. That
    is only a description; for a verdict, use ab, swap or regress.

    For a SELECTION, a file that select wrote, the report shows each pick with its reason and the
    candidates that lost to it, and compares the picks with the pool.
    """
    from selectllm.jobs.retelling import RetellRequest, retell, write_each

    if as_json and (form or html or out):
        raise UsageError("--json prints to stdout only. To write a file, use: --as json -o FILE")
    if html and form not in (None, "html"):
        raise UsageError(f"--html and --as {form} are two formats. Ask for one of them.")
    form = "html" if html else form
    request = RetellRequest(folders=folders, form=form, beside=html, out=out, pool=pool)
    request.check()
    if each:
        if form != "html" or out is None:
            raise UsageError(f"--each makes one page of several runs. Write: {EACH}")
        write_each(folders, out)
        return _tell_page(out)
    if len(folders) > 2:
        raise UsageError(
            f"{len(folders)} runs are named, and two can be compared. To show each of them by "
            f"itself on one page, add: {EACH}"
        )
    retold = retell(request)
    if as_json:
        click.echo(canonical_json(retold.content))
    elif retold.text is None:
        show(retold.result, as_json=False)
    elif retold.file is None:
        click.echo(retold.text, nl=False)
    elif form == "html":
        _tell_page(retold.file)


def _tell_page(file: Path) -> None:
    click.echo(visible(f"Wrote the page to {file}. Open it in a browser."), err=True)
