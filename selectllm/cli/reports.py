"""`--report FORMAT=FILE`, on every verb that gives a result: asked for first, carried out last."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selectllm.core.codec import canonical_json
from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text

if TYPE_CHECKING:
    from selectllm.report.formats import Place

STDOUT = "-"
META = f"{__name__}.asked"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was asked for; `file` None: on stdout."""

    format: str
    file: Path | None


def reports(*kinds: type[Document], verdicts: bool = True) -> Callable[[Function], Function]:
    """Give a verb whose results are of these kinds `--report FORMAT=FILE`.

    `verdicts`: whether it gives any. What is asked for is checked before the verb begins;
    `write_reports` carries it out.
    """

    def asked(context: click.Context, _: click.Parameter, values: Sequence[str]) -> None:
        context.meta[META] = tuple(_asked(value, kinds, verdicts) for value in values)

    return click.option(
        "--report",
        multiple=True,
        metavar="FORMAT=FILE",
        expose_value=False,
        callback=asked,
        help="Write a report: terminal, markdown, junit, github or json; repeatable. "
        "FILE - is stdout, instead of the tables.",
    )


def _asked(text: str, kinds: Sequence[type[Document]], verdicts: bool) -> Report:
    """One FORMAT=FILE. Raises UsageError for none, and for a format that `kinds` do not have."""
    from selectllm.report.formats import check_format

    name, sign, file = text.partition("=")
    if not (sign and file):
        raise UsageError(f"--report {text}: write FORMAT=FILE, such as markdown=report.md")
    try:
        check_format(name, *kinds, verdicts=verdicts)
    except UsageError as error:
        raise UsageError(f"--report {text}: {error}") from None
    if file != STDOUT and Path(file).is_dir():
        raise UsageError(f"--report {text}: {file} is a folder; name a file")
    return Report(name, None if file == STDOUT else Path(file))


def place_of(workspace: Path | None) -> Place:
    """Where reports are read: `workspace`, the folder that prompts lie in, and the checkout."""
    from selectllm.report.formats import Place

    return Place(workspace, Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve())


def write_reports(result: Document, workspace: Path | None = None) -> bool:
    """Write the reports of `result` that were asked for; whether one of them went to stdout.

    `workspace`: the folder that prompts lie in.
    """
    asked: Sequence[Report] = click.get_current_context().meta.get(META, ())
    if not asked:
        return False
    from selectllm.report.formats import report

    place = place_of(workspace)
    texts = [(each.file, report(result, each.format, place)) for each in asked]
    for file, text in texts:
        if file is not None:
            write_text(file, text)
    printed = [text for file, text in texts if file is None]
    click.echo("\n".join(printed), nl=False)
    return bool(printed)


def show(result: Document, *, as_json: bool) -> None:
    """Print a result: as JSON alone, or as a terminal shows it."""
    if as_json:
        click.echo(canonical_json(result.to_json()))
        return
    from rich.console import Console

    from selectllm.report.formats import RENDERED, WIDTHS

    console, kind = Console(), type(result)
    if not console.is_terminal:  # a file or a pipe has all the room that it takes
        console.width = max(console.width, WIDTHS.get(kind, 0))
    console.print(RENDERED[kind](result))
