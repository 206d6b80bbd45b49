"""Files that are written where somebody says: never over what is read, kept, or a run's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from selectllm.core.errors import RunError, UsageError
from selectllm.core.files import real, unwritable
from selectllm.data.readers.partitioned import would_join
from selectllm.data.row_writers import as_parts, part_in
from selectllm.jobs.contents import OF_ROWS, PACK, REPORT, replaceable
from selectllm.jobs.workspace import find_workspace

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite
    from selectllm.jobs.workspace import Workspace

ASKING = ("order", "labels", "copies", "hijack", "parsing", "drift", "rivals")
"""The parts of an audit that ask, each into a log of its own."""
OF_A_RUN = frozenset(
    (
        *("run.json", "clusters.json", "utilities.jsonl", "baseline.json", "decisions.jsonl"),
        *("results.json", "sets.jsonl", "sets.json", "proposals.jsonl", "optimize.json"),
        *("winner.jinja", "compare.json", "batches.json", "audit.json"),
        *(f"{probe}.decisions.jsonl" for probe in ASKING),
    )
)
"""What jobs write into their folder under these names, which nothing else must replace."""
LOGS = ("run.json", "decisions.jsonl", "sets.jsonl", "proposals.jsonl", "order.decisions.jsonl")
"""By one of these a folder is known for such a folder."""

STDOUT = "-"
"""As the name of a file: what would be written there is printed."""

Named = TypeVar("Named")


def nearby(path: Path) -> Path:
    """`path` from the current folder where it lies below it."""
    try:
        return real(path).relative_to(Path.cwd())
    except ValueError:
        return path


def read_by(suite: Suite) -> set[Path]:
    """The suite's own file and every path that it names."""
    words = values(suite.model_dump().values(), str)
    paths = {real(suite.at(word)) for word in words if "\0" not in word}
    return paths if suite.source is None else paths | {real(suite.source)}


def unfit(
    file: Path,
    kind: str | None,
    read: Collection[Path],
    workspace: Workspace,
    out: Path | None = None,
) -> str | None:
    """Why nothing is written to `file`, as the end of a sentence; None: it can be written.

    `kind`: what is to be written, a word of jobs.contents; only the same kind is replaced. None:
    whoever writes looks at that. `read`: real paths of the files that are read. `out`: the job's
    own folder.
    """
    in_parts = kind in OF_ROWS and as_parts(file)
    if problem := unwritable(file, folder=in_parts):
        return problem
    file = real(file)
    if file in read:
        return "is read by this command, so it is not overwritten"
    if any(would_join(path, part_in(file) if in_parts else file) for path in read):
        return "would be read as one more file of the pool from then on"
    if is_of_a_run(file, out):
        return "is a file of the run itself, so it is not overwritten"
    for what, folder in (("cache", workspace.cache), ("prompts", workspace.prompts)):
        if folder is not None and file.is_relative_to(real(folder)):
            return f"lies in the {what} folder, where nothing else is written"
    return None if kind is None else replaceable(file, kind)


def check_written(
    argument: str,
    file: Path,
    kind: str | None,
    read: Collection[Path | str],
    workspace: Workspace,
) -> None:
    """Raise UsageError, which names the argument, for a file that is not to be written.

    `kind`: see `unfit`. `read`: the files that are read.
    """
    if problem := unfit(file, kind, {*map(real, read)}, workspace):
        raise UsageError(f"`{argument}` {file} {problem}. Choose another file", argument=argument)


def check_reports(
    asked: Iterable[tuple[str, Path]], given: Mapping[str, Any], written: Collection[str]
) -> None:
    """Raise UsageError for a report's file that cannot be written, or that would replace another.

    That is one which is read, which is the cache's or a run's own, or which is written already.
    `asked`: each file after the words that ask for it. `given`: what the job is given, by name.
    `written`: the names among them that are files to be written.
    """
    start, read = _given_to_read(given, written)
    prompts, cache = (
        path if isinstance(path := given.get(name), Path) else None for name in ("prompts", "cache")
    )
    workspace = find_workspace(start, prompts=prompts, cache=cache)
    taken: set[Path] = set()
    for words, file in asked:
        kind = PACK if words.startswith("--record ") else REPORT
        problem = unfit(file, kind, read, workspace, given.get("out"))
        if problem is None and real(file) in taken:
            problem = "is already the file of another report"
        if problem is not None:
            raise UsageError(f"{words}: {file} {problem}. Choose another file.")
        taken.add(real(file))


def _given_to_read(given: Mapping[str, Any], written: Collection[str]) -> tuple[Path, set[Path]]:
    """Where the workspace is looked for, and every path that is read.

    The pack of a suite is read and, with --record, written.
    """
    named = (value for name, value in given.items() if name not in written)
    read = {real(path) for path in values(named, Path)}
    if not isinstance(file := given.get("suite_file"), Path):
        return Path.cwd(), read
    from selectllm.evaluation.suite import load_suite

    suite = load_suite(file)
    read |= read_by(suite)
    if suite.replies is not None and isinstance(record := given.get("record"), Path):
        read -= {real(suite.at(suite.replies))} & {real(record)}
    return suite.folder, read


def check_begun(folder: Path) -> None:
    """Raise RunError for a folder where no job has begun, but somebody keeps what one would write.

    A job begins with one of LOGS.
    """
    if any((folder / name).exists() for name in LOGS):
        return
    for name in sorted(OF_A_RUN):
        if (folder / name).exists():
            raise RunError(
                f"`out` {folder} holds {name}, which does not belong to a run that was started "
                "there, so it is not overwritten. Choose another folder",
                argument="out",
            )


def is_of_a_run(file: Path, out: Path | None = None) -> bool:
    """Whether a job keeps its own under that name in that folder; `out`: its own folder."""
    folder = file.parent
    return file.name in OF_A_RUN and (
        (out is not None and folder == real(out)) or any((folder / name).exists() for name in LOGS)
    )


def values(among: Iterable[Any], kind: type[Named]) -> Iterator[Named]:
    """Those of the kind, however deep in lists and mappings."""
    for value in among:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, Mapping):
            yield from values(value.values(), kind)
        elif isinstance(value, (list, tuple)):
            yield from values(value, kind)
