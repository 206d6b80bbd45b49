"""Logs of what was paid for: JSON lines, a manifest first, then one row a line as it is made.

Append-only and flushed per row, so that a killed command loses nothing. A torn last line is
dropped. The last row of a key wins.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterator,
    Mapping,
    MutableMapping,
)
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from selectllm.core.closing import Closing
from selectllm.core.codec import canonical_json, load_json, sha256_json
from selectllm.core.errors import RunError, blaming

if sys.platform != "win32":
    import fcntl

KeyT = TypeVar("KeyT", bound=Hashable)
RowT = TypeVar("RowT")


NO_ROW = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What reading a line raises that is no row."""
BEGIN = b'{"manifest":'
"""What every log begins with, be its first line torn or whole."""


@dataclass(frozen=True, slots=True)
class RowFormat(Generic[KeyT, RowT]):
    """What the rows of a log are. `what`: one of them, in messages: `decision`.

    `key`: what a row answers. `from_json`: the inverse of `to_json`; raises KeyError, TypeError,
    ValueError or AttributeError on other rows. `fruitless`: whether all the rows of a log are worth
    nothing, so that another call may write it anew.
    """

    what: str
    key: Callable[[RowT], KeyT]
    to_json: Callable[[RowT], Mapping[str, Any]]
    from_json: Callable[[Mapping[str, Any]], RowT]
    fruitless: Callable[[Collection[RowT]], bool] = lambda rows: not rows


@dataclass(frozen=True, slots=True)
class LogContent(Generic[KeyT, RowT]):
    """What a log holds: its manifest and the latest row of every key.

    `intact`: bytes up to the end of the last whole line; 0 if not even the manifest is whole.
    """

    manifest: Any
    latest: MutableMapping[KeyT, RowT]
    intact: int


def read_rows(
    path: Path,
    form: RowFormat[KeyT, RowT],
    latest: MutableMapping[KeyT, RowT] | None = None,
) -> LogContent[KeyT, RowT]:
    """Read a log without changing it; a torn last line is left out.

    `latest`: where the rows are kept, in memory without one.

    Raises RunError with file and line for anything else that is no log, and for a file that
    cannot be read. Line by line: a log may be larger than memory, were it there twice.
    """
    manifest: Any = None
    latest = {} if latest is None else latest
    intact = 0
    for number, (end, row) in enumerate(_lines(path, form)):
        intact = end
        if not number:
            manifest = row
        else:
            latest[form.key(row)] = row
    return LogContent(manifest, latest, intact)


def each_row(path: Path, form: RowFormat[KeyT, RowT]) -> Iterator[RowT]:
    """Every row of a log in the order they were written, one in memory at a time.

    A key may come more than once: its last row is the one that counts. Raises as `read_rows`.
    """
    return (row for _, row in islice(_lines(path, form), 1, None))


def _lines(path: Path, form: RowFormat[KeyT, RowT]) -> Iterator[tuple[int, Any]]:
    """The manifest and then every row, each with the byte at which its line ends."""
    number = end = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if number == 1 and not BEGIN.startswith(line[: len(BEGIN)]):
                    raise _no_log(path, form)
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                fields = load_json(line)
                yield end, fields["manifest"] if number == 1 else form.from_json(fields)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}). Check the file and its permissions"
        ) from None
    except NO_ROW:
        if number == 1:
            raise _no_log(path, form) from None
        raise RunError(
            f"{path}:{number} is not a {form.what}. The log is damaged, or it belongs to something "
            f"else. To keep the lines that are whole, run: selectllm log repair "
            f"{shlex.quote(str(path))}. To start over, move it away"
        ) from None


def _no_log(path: Path, form: RowFormat[Any, Any]) -> RunError:
    """What is wrong with a file whose first line is no manifest."""
    with path.open("rb") as lines:
        second = next(islice(lines, 1, None), b"")
    if not is_row(second, form):
        said = f"{path} is not a log of selectllm, so it is not changed. Choose another file"
        return RunError(said)
    name = shlex.quote(str(path))
    return RunError(
        f"{path}:1 is damaged: the first line of a log says what it is of. To see which of its "
        f"lines are whole, run: selectllm log repair {name} --check. To continue, move it away "
        f"(mv {name} {name}.damaged) and run the same command again: replies that are in the "
        "cache cost nothing"
    )


def is_row(line: bytes, form: RowFormat[Any, Any]) -> bool:
    """Whether a line is a row of that form."""
    try:
        form.key(form.from_json(load_json(line)))
    except NO_ROW:
        return False
    return True


class RowLog(Closing, Generic[KeyT, RowT]):
    """The log at `path`, opened for a call described by `manifest`.

    A log that has rows must have an equal manifest, and no other process may be writing to it:
    RunError otherwise, naming what differs. `latest`: the latest row of every key. Without a path
    nothing is written: the rows are kept as long as the log. `argument`: the one that names the
    place, for messages. `kept`: where the rows are kept beside the file, in memory without one.
    """

    def __init__(
        self,
        path: Path | None,
        manifest: Mapping[str, Any],
        form: RowFormat[KeyT, RowT],
        argument: str = "out",
        kept: MutableMapping[KeyT, RowT] | None = None,
    ) -> None:
        self.path = path
        self._argument = argument
        self._form = form
        self._handle: IO[bytes] | None = None
        self.latest: MutableMapping[KeyT, RowT] = {} if kept is None else kept
        if path is not None:
            self._open(path, manifest)

    def _open(self, path: Path, manifest: Mapping[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open(path, "ab", buffering=0)
        except OSError as error:
            raise RunError(
                f"{path} cannot be written to ({error.strerror}). Check the path and its "
                f"permissions, or choose another place with `{self._argument}`",
                argument=self._argument,
            ) from None
        try:
            _lock(handle, path, self._argument)
            with blaming(self._argument):
                content = read_rows(path, self._form, self.latest)
            ours = content.latest and is_manifest(content.manifest, manifest)
            if not ours and not self._form.fruitless(content.latest.values()):
                check_manifest(path, content.manifest, manifest, self._argument)
        except RunError:
            handle.close()
            raise
        # A fruitless log may be another call's: one that got no answer of any use.
        self._handle = handle
        if not ours:
            self.latest.clear()
        intact = content.intact if ours else 0
        try:
            os.truncate(path, intact)
            if not intact:
                head = {"manifest": manifest, "manifest_sha256": sha256_json(manifest)}
                self._write(handle, head)
        except BaseException:  # nobody has this log, who would close and so unlock it
            handle.close()
            raise

    def __contains__(self, key: KeyT) -> bool:
        return key in self.latest

    def __getitem__(self, key: KeyT) -> RowT:
        return self.latest[key]

    def append(self, row: RowT) -> None:
        """Write one row through to the operating system.

        Raises RunError if it does not take all of it; the log then ends with the row before.
        """
        if self._handle is not None:
            self._write(self._handle, self._form.to_json(row))
        self.latest[self._form.key(row)] = row

    def _write(self, handle: IO[bytes], fields: Mapping[str, Any]) -> None:
        line = (canonical_json(fields) + "\n").encode("utf-8")
        written = 0
        try:
            while written < len(line):
                written += handle.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line would join the next one
                handle.truncate(handle.seek(0, os.SEEK_END) - written)
            raise RunError(
                f"{self.path} cannot be written to ({error.strerror}). Make room or repair the "
                "folder, then run the same command again. Replies that the log or the reply cache "
                "holds are not asked for again",
                argument=self._argument,
            ) from None

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            self._handle.close()


def _lock(handle: IO[bytes], path: Path, argument: str) -> None:
    """Keep other processes out until `handle` is closed, or its process ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"{path}: Another process is writing to this file. Wait until it is done, or choose "
            f"another place with `{argument}` (with `cache`, if the file is in the cache)",
            argument=argument,
        ) from None


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """While it lasts, no command writes to the log at `path`. Raises RunError if one does."""
    try:
        handle = open(path, "rb", buffering=0)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}). Check the file and its permissions"
        ) from None
    with handle:
        _lock(handle, path, "path")
        yield


def is_manifest(found: Any, expected: Mapping[str, Any]) -> bool:
    """Whether `found`, as it was read, is the manifest `expected`."""
    return bool(found == json.loads(canonical_json(expected)))


def check_manifest(
    path: Path, found: Any, expected: Mapping[str, Any], argument: str = "out"
) -> None:
    """Raise RunError unless the manifest at `path`, given as `argument`, is this call's."""
    if is_manifest(found, expected):
        return
    what, gone = ("log", path) if path.suffix == ".jsonl" else ("run", path.parent)
    wanted = json.loads(canonical_json(expected))
    raise RunError(
        f"{path}: This {what} was written with {_different(found, wanted)}. Choose another "
        f"output with `{argument}`, or delete {gone} to start over",
        argument=argument,
    )


def _different(found: Any, expected: Mapping[str, Any]) -> str:
    """What differs between two manifests, with what was found where that is short."""
    if not isinstance(found, dict):
        return "another version of selectllm"
    differing = [
        name
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]
    # Where a name differs, the hash of what bears it says nothing more.
    names = [
        n for n in differing if n.removesuffix("_sha256") not in differing or n[-7:] != "_sha256"
    ]
    names = [n for n in names if n in found] or names  # what only this call has comes of the rest
    return " and ".join(_told(name, found.get(name), expected.get(name)) for name in names[:5])


WORDS: Mapping[str, str] = {
    "by": "`by`",
    "by_sha256": "`by`",
    "reask": "`reask`",
}
"""What a message calls settings whose names say too little."""


def _told(name: str, found: Any, expected: Any) -> str:
    word = WORDS.get(name) or name.removesuffix("_sha256").replace("_", " ")
    one = f"different {word}" if word.endswith("s") else f"a different {word}"
    if isinstance(found, dict) and isinstance(expected, dict) and "id" in found:
        changed = sorted(
            n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n)
        )
        if "id" not in changed:
            return f"other settings of the {word} ({', '.join(changed)})"
        found = found["id"]
    short = isinstance(found, str | int | float) and not name.endswith("_sha256")
    return f"{one} ({found})" if short else one
