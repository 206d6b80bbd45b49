"""`--report FORMAT=FILE`, on every verb that gives a result: asked for first, carried out last."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from selectllm.core.codec import canonical_json
from selectllm.core.document import Document
from selectllm.core.errors import UsageError
from selectllm.core.files import unwritable, write_text

if TYPE_CHECKING:
    from selectllm.report.formats import Place

STDOUT = "-"
META = f"{__name__}.asked"
OF_A_RUN = frozenset(
    (
        *("run.json", "clusters.json", "utilities.jsonl", "baseline.json", "decisions.jsonl"),
        *("results.json", "sets.jsonl", "sets.json", "proposals.jsonl", "optimize.json"),
        *("compare.json",),
    )
)
"""What commands write into their folder under these names, which a report must not replace."""
LOGS = ("run.json", "decisions.jsonl", "sets.jsonl")
"""By one of these a folder is known for such a folder."""

Function = TypeVar("Function", bound=Callable[..., Any])
Named = TypeVar("Named")


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was asked for, in these words; `file` None: on stdout."""

    asked: str
    format: str
    file: Path | None


def reports(*kinds: type[Document], verdicts: bool = True) -> Callable[[Function], Function]:
    """Give a verb whose results are of these kinds `--report FORMAT=FILE`.

    `verdicts`: whether it gives any. What is asked for is checked before the verb begins;
    `write_reports` carries it out.
    """

    def asked(context: click.Context, _: click.Parameter, values: Sequence[str]) -> None:
        context.meta[META] = tuple(_asked(value, kinds, verdicts) for value in values)

    option = click.option(
        "--report",
        multiple=True,
        metavar="FORMAT=FILE",
        expose_value=False,
        callback=asked,
        help="Write a report: terminal, markdown, junit, github or json; repeatable. "
        "FILE - is stdout, instead of the tables.",
    )

    def add(verb: Function) -> Function:
        @functools.wraps(verb)
        def checked(*args: Any, **kwargs: Any) -> Any:
            _check_files(click.get_current_context())
            return verb(*args, **kwargs)

        return cast(Function, option(checked))

    return add


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
    return Report(text, name, None if file == STDOUT else Path(file))


def _check_files(context: click.Context) -> None:
    """Raise UsageError for a FILE that cannot be written, or that would replace another.

    That is one which the command line or its suite names, a run's own, or another report's.
    """
    reports: Sequence[Report] = context.meta.get(META, ())
    asked = [(each.asked, each.file) for each in reports if each.file is not None]
    if not asked:
        return
    named = _named(context)
    taken: set[Path] = set()
    for words, given in asked:
        problem = unwritable(given)
        file = Path(os.path.realpath(given))
        if problem is None and file in taken:
            problem = "is another report's file"
        elif problem is None and file in named:
            problem = "is named on the command line or in the suite, and is not overwritten"
        elif problem is None and _is_of_a_run(file, context.params.get("out")):
            problem = "is a file of the run itself, which is not overwritten"
        if problem is not None:
            raise UsageError(f"--report {words}: {given} {problem}; name another file")
        taken.add(file)


def _named(context: click.Context) -> set[Path]:
    """Every path that the command line names, and what its suite names."""
    paths = {Path(os.path.realpath(value)) for value in _values(context.params.values(), Path)}
    if isinstance(file := context.params.get("suite_file"), Path):
        from selectllm.evaluation.suite import load_suite

        suite = load_suite(file)
        words = _values(suite.model_dump().values(), str)
        paths |= {Path(os.path.realpath(suite.at(word))) for word in words if "\0" not in word}
    return paths


def _values(values: Iterable[Any], kind: type[Named]) -> Iterator[Named]:
    """Those of the kind, however deep in lists and mappings."""
    for value in values:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, Mapping):
            yield from _values(value.values(), kind)
        elif isinstance(value, (list, tuple)):
            yield from _values(value, kind)


def _is_of_a_run(file: Path, out: Path | None) -> bool:
    """Whether a command keeps its own under that name in that folder; `out`: its own folder."""
    folder = file.parent
    return file.name in OF_A_RUN and (
        (out is not None and folder == Path(os.path.realpath(out)))
        or any((folder / name).exists() for name in LOGS)
    )


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
