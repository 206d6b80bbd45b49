"""`--report FORMAT=FILE`, where a result can be told: asked for first, carried out last."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from selectllm.cli.option_words import option
from selectllm.cli.terminal import spoken
from selectllm.core.codec import canonical_json
from selectllm.core.errors import SelectLLMError, UsageError
from selectllm.core.files import write_text
from selectllm.jobs.outputs import STDOUT, check_reports
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selectllm.cli.session import CommandSession
    from selectllm.core.document import Document
    from selectllm.report.formats import Place

META = f"{__name__}.asked"
FILES = ("record", "junit", "markdown")
"""Other options that name a file to be written."""

SUMMARY = "GITHUB_STEP_SUMMARY"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was asked for, in these words; `file` None: on stdout."""

    asked: str
    format: str
    file: Path | None


def reports(*kinds: str, verdicts: bool = True) -> Callable[[Function], Function]:
    """Give a verb whose results are of these kinds `--report FORMAT=FILE`.

    `kinds`: keys of report.formats.RESULTS. `verdicts`: whether it gives any. What is asked for is
    checked before the verb begins; `write_reports` carries it out.
    """

    def asked(context: click.Context, _: click.Parameter, values: Sequence[str]) -> None:
        context.meta[META] = tuple(_asked(value, kinds, verdicts) for value in values)

    reporting = option(
        "--report",
        multiple=True,
        metavar="FORMAT=FILE",
        expose_value=False,
        callback=asked,
        help="Write a report to FILE, as terminal, markdown, html, junit, github or json. With - "
        "as FILE it is printed to stdout instead of the tables.",
    )

    def add(verb: Function) -> Function:
        @functools.wraps(verb)
        def checked(*args: Any, **kwargs: Any) -> Any:
            _check_files(click.get_current_context())
            return verb(*args, **kwargs)

        return cast(Function, reporting(checked))

    return add


def _asked(text: str, kinds: Sequence[str], verdicts: bool) -> Report:
    """One FORMAT=FILE. Raises UsageError for none, and for a format that `kinds` do not have."""
    from selectllm.report.formats import RESULTS, check_format

    name, sign, file = text.partition("=")
    if not (sign and file):
        raise UsageError(f"--report {text} is not FORMAT=FILE. Write it like markdown=report.md.")
    try:
        check_format(name, *(RESULTS[kind] for kind in kinds), verdicts=verdicts)
    except UsageError as error:
        raise UsageError(f"--report {text}: {error}") from None
    return Report(text, name, None if file == STDOUT else Path(file))


def _check_files(context: click.Context) -> None:
    """Raise UsageError for a file to be written that cannot be, or that would replace another."""
    if asked := list(_written(context)):
        check_reports(asked, context.params, FILES)


def _written(context: click.Context) -> Iterator[tuple[str, Path]]:
    """Every file that is to be written, after the words that ask for it."""
    for name in FILES:
        if isinstance(file := context.params.get(name), Path):
            yield f"--{name} {file}", file
    for each in context.meta.get(META, ()):
        if each.file is not None:
            yield f"--report {each.asked}", each.file


def write_reports(
    result: Document, workspace: Workspace | None = None, run: Path | None = None
) -> bool:
    """Write the reports of `result` that were asked for; whether one of them went to stdout.

    `workspace`: where prompts lie. `run`: the folder of the run that `result` is of.
    """
    asked: Sequence[Report] = click.get_current_context().meta.get(META, ())
    if not asked:
        return False
    from selectllm.jobs.evidence import place_of

    return _write(result, asked, place_of(workspace, {each.format for each in asked}, run))


def write_reports_of_picks(selection: Path, workspace: Workspace, pool: PoolOfPicks) -> bool:
    """The same of the selection that was just written to a file, made from `pool`."""
    asked: Sequence[Report] = click.get_current_context().meta.get(META, ())
    if not asked:
        return False
    from selectllm.jobs.picks import read_picks
    from selectllm.report.formats import Place

    summary, evidence = read_picks(selection, workspace, pool)
    return _write(summary, asked, Place(workspace.root, evidence=evidence))


def _write(result: Document, asked: Sequence[Report], place: Place) -> bool:
    from selectllm.report.formats import report

    texts = [(each.file, report(result, each.format, place)) for each in asked]
    for file, text in texts:
        if file is not None:
            write_text(file, text)
    printed = [text for file, text in texts if file is None]
    click.echo("\n".join(printed), nl=False)
    return bool(printed)


def tell(result: Document, session: CommandSession) -> bool:
    """Print `result`, as JSON or as a terminal shows it, after the reports that were asked for.

    Whether it was printed as JSON or as a report, so that nothing else goes with it.
    """
    if write_reports(result, session.workspace):
        return True
    show(result, as_json=session.common.as_json)
    return session.common.as_json


def append_summary(result: Document) -> None:
    """Where GitHub runs us: the result as Markdown on the page of the job."""
    if os.environ.get(SUMMARY):
        from selectllm.report.formats import report

        _append_summary(report(result, "markdown"))


def write_unreached(suite: str, error: SelectLLMError) -> None:
    """The reports of a command that ended in `error`: it says what is missing, and passes nothing.

    After bad input no file is written, and GitHub's summary alone has it.
    """
    from selectllm.report.unreached import UNREACHED, markdown_unreached

    reason = spoken(str(error), error.argument)
    _append_summary(markdown_unreached(suite, reason))
    if isinstance(error, UsageError):
        return
    context = click.get_current_context()
    asked = [(name, context.params.get(name)) for name in ("junit", "markdown")]
    asked += [(each.format, each.file) for each in context.meta.get(META, ())]
    for name, file in asked:
        if file is not None and name in UNREACHED:
            write_text(file, UNREACHED[name](suite, reason))


def _append_summary(text: str) -> None:
    if not (file := os.environ.get(SUMMARY)):
        return
    try:
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write(f"{text}\n")
    except OSError as error:  # whatever the verdict is, it stands
        click.echo(
            f"Note: No summary was written to {SUMMARY} ({file}): {error.strerror}.", err=True
        )


def show(result: Document, *, as_json: bool, shown: RenderableType | None = None) -> None:
    """Print a result: as JSON alone, or as a terminal shows it, unless that is `shown` instead."""
    if as_json:
        click.echo(canonical_json(result.to_json()))
        return
    from rich.console import Console

    from selectllm.report.formats import RENDERED, WIDTHS
    from selectllm.report.layout import Visible

    console, kind = Console(), type(result)
    if not console.is_terminal:  # a file or a pipe has all the room that it takes
        console.width = max(console.width, WIDTHS.get(kind, 0))
    console.print(Visible(RENDERED[kind](result) if shown is None else shown))
