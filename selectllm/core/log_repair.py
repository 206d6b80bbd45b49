"""Logs that were damaged: which lines are whole, and a log of these alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import load_json, sha256_json
from selectllm.core.errors import RunError
from selectllm.core.files import replacing
from selectllm.core.jsonl_log import NO_ROW, RowFormat, exclusive, is_row

ASIDE = ".damaged"
"""What is put behind the name of the log as it was."""
_BEGIN = b'{"manifest"'


@dataclass(frozen=True, slots=True)
class LogState:
    """What the lines of a log are.

    `what`: one of its rows: `decision`. `whole`: rows that can be read. `damaged`: the numbers of
    the lines that cannot. `torn`: whether the last line is unfinished, as a killed command leaves
    it: the next one goes on from there.
    """

    what: str
    whole: int
    damaged: tuple[int, ...]
    torn: bool


def examine(path: Path, forms: Sequence[RowFormat[Any, Any]]) -> LogState:
    """What the log at `path` is, without changing it; line by line, whatever its size.

    `forms`: those that it may have; the one that reads most lines is its own. Raises RunError for
    a file that cannot be read or is no log, and for one whose first line is damaged: it says what
    the log is of.
    """
    if _manifest(path, forms) is None:
        raise RunError(
            f"{path}:1: The first line, which says what the log is of, is damaged, so the rest "
            "cannot be trusted. Move the log away and run its command again: replies that are in "
            "the cache cost nothing"
        )
    whole = dict.fromkeys(range(len(forms)), 0)
    damaged: dict[int, list[int]] = {number: [] for number in whole}
    torn = False
    for number, line in _lines(path):
        if number == 1:
            continue
        if not line.endswith(b"\n"):
            torn = True
            continue
        for at, form in enumerate(forms):
            if is_row(line, form):
                whole[at] += 1
            else:
                damaged[at].append(number)
    own = max(whole, key=lambda at: whole[at])
    return LogState(forms[own].what, whole[own], tuple(damaged[own]), torn)


def mend(path: Path, forms: Sequence[RowFormat[Any, Any]]) -> LogState:
    """Keep the whole lines of the log at `path` alone; what it was stays beside it, as `.damaged`.

    A log without damaged lines is not changed. Returns what it was. Raises RunError as `examine`
    does, where another process writes to it, and where there is a damaged log beside it already.
    """
    with exclusive(path):
        state = examine(path, forms)
        if not state.damaged:
            return state
        aside = path.with_name(path.name + ASIDE)
        if aside.exists():
            raise RunError(
                f"{aside} is there already, from an earlier repair. Remove it once you are sure "
                "that you do not need it, and run the command again"
            )
        bad = frozenset(state.damaged)
        try:
            with replacing(path, keep=aside) as descriptor, open(descriptor, "wb") as handle:
                handle.writelines(
                    line
                    for number, line in _lines(path)
                    if number not in bad and line.endswith(b"\n")
                )
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise RunError(
                f"{path} cannot be repaired ({error.strerror}). Make room or check the folder's "
                "permissions; nothing was changed"
            ) from None
    return state


def is_log(path: Path, forms: Sequence[RowFormat[Any, Any]]) -> bool:
    """Whether the file at `path` is a log of one of `forms`, perhaps with a damaged first line.

    Raises RunError for a file that cannot be read.
    """
    first, second = _beginning(path)
    return first.startswith(_BEGIN) or any(is_row(second, form) for form in forms)


def _manifest(path: Path, forms: Sequence[RowFormat[Any, Any]]) -> Any:
    """The manifest, None if it is damaged. Raises RunError for what is no log."""
    if not is_log(path, forms):
        raise RunError(f"{path} is not a log of selectllm. Name a .jsonl file that a command wrote")
    try:
        fields = load_json(_beginning(path)[0])
        manifest = fields["manifest"]
        return manifest if fields["manifest_sha256"] == sha256_json(manifest) else None
    except (*NO_ROW, AttributeError):
        return None


def _beginning(path: Path) -> tuple[bytes, bytes]:
    """The first two lines, empty where there are none."""
    lines = _lines(path)
    return next(lines, (1, b""))[1], next(lines, (2, b""))[1]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line with its number. Raises RunError for a file that cannot be read."""
    try:
        with path.open("rb") as lines:
            yield from enumerate(lines, start=1)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}). Check the file and its permissions"
        ) from None
