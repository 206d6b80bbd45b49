"""What finished folders hold, told again in any format: what `report` does. Nothing is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.jobs.contents import REPORT
from selectllm.jobs.outputs import STDOUT, check_written
from selectllm.jobs.pool_of_picks import PoolOfPicks, is_selection
from selectllm.jobs.workspace import find_workspace

if TYPE_CHECKING:
    from selectllm.core.document import Document
    from selectllm.report.formats import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class RetellRequest:
    """Which finished results are told, and how.

    `folders`: one, or two that are compared. `form`: a format; None for what a terminal shows.
    `beside`: write a page to where pages go unless told otherwise. `out`: the file to write, None
    for none. `pool`: of a selection.
    """

    folders: Sequence[Path]
    form: str | None = None
    beside: bool = False
    out: Path | None = None
    pool: PoolOfPicks = field(default_factory=PoolOfPicks)

    def check(self) -> None:
        """Raise UsageError for folders that are not told together, and for what they have not."""
        if len(self.folders) > 1 and self.pool != PoolOfPicks():
            raise UsageError(
                "`pool` and `columns` go with one selection. Leave them out.", argument="pool"
            )
        _check_selections(self.folders)


def _check_selections(folders: Sequence[Path]) -> None:
    if len(folders) > 1 and (selection := next(filter(is_selection, folders), None)) is not None:
        raise UsageError(f"{selection} is a selection, which is shown by itself. Name it alone.")


@dataclass(frozen=True, slots=True)
class Retold:
    """`result`: what the folders hold; None of several. `content`: the same as its file has it.

    `text`: in the format that was asked for, None without one. `file`: where that was written.
    """

    result: Document
    content: Mapping[str, Any]
    text: str | None = None
    file: Path | None = None


def retell(request: RetellRequest) -> Retold:
    """Tell the results again, and write them if that is asked for.

    Raises UsageError for what cannot be told so or written there, and as read_reported and
    compare_folders do.
    """
    request.check()
    return _one(request) if len(request.folders) == 1 else _two(request)


def _one(request: RetellRequest) -> Retold:
    from selectllm.jobs.evidence import place_of
    from selectllm.jobs.reporting import read_reported

    folder = request.folders[0]
    result, place, content = read_reported(folder, request.pool)
    of_a_run = folder.is_dir() and not is_selection(folder)
    beside = folder / "report.html" if of_a_run else folder.with_suffix(".html")
    form = request.form or "terminal"
    return _told(
        result,
        content,
        request,
        beside,
        lambda: place or place_of(find_workspace(folder), {form}, folder),
    )


def _two(request: RetellRequest) -> Retold:
    from selectllm.jobs.comparing_runs import compare_folders

    first, second = request.folders
    compared = compare_folders(first, second)
    form = request.form or "terminal"
    results = compared.results
    return _told(results, results.to_json(), request, compared.page, lambda: compared.place(form))


def write_each(folders: Sequence[Path], out: Path) -> None:
    """Write one page that shows several results below each other, and compares none of them."""
    from selectllm.jobs.comparing_runs import page_of_each

    _check_selections(folders)
    check_written("out", out, REPORT, (), find_workspace(Path.cwd()))
    write_text(out, page_of_each(folders))


def _told(
    result: Document,
    content: Mapping[str, Any],
    request: RetellRequest,
    beside: Path,
    place: Callable[[], Place],
) -> Retold:
    """In its format, if there is one; `place` is looked up once it is known where that goes."""
    out = request.out or (beside if request.beside else None)
    if request.form is None and out is None:
        return Retold(result, content)
    from selectllm.report.formats import report

    form, last = request.form or "terminal", request.folders[-1]
    file = None if out is None or str(out) == STDOUT else out
    if file is not None:
        read = [last] if last.is_file() else []
        check_written("out", file, REPORT, read, find_workspace(last))
    where = place()
    try:
        text = report(result, form, where)
    except UsageError as error:
        raise UsageError(f"`form` {form}: {error}", argument="form") from None
    if file is not None:
        write_text(file, text)
    return Retold(result, content, text, file)
