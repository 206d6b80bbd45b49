"""Packs of the cache: its replies in one file, to be taken to another machine or kept.

Lines as those of recorded.py, so that a suite's `replies:` can name one. Each has besides the time
of its reply, what was asked (asked.py), its number and how many there are, and the sha256 of all
that: what is damaged or missing is told by its line. Lines are sorted by key, so that the same
replies give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, load_json, sha256_json
from selectllm.core.errors import CacheError, UsageError
from selectllm.core.files import atomic_write
from selectllm.models.wrappers.asked import (
    FORMAT,
    Fingerprint,
    NewerFormat,
    asked_from,
    is_newer,
    sealed,
)
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.reply_json import cache_row, checked_reply

AT_ONCE = 500  # rows of one transaction
SHOWN = 20  # lines that a message names
_KEY = re.compile(r"[0-9a-f]{64}")

Row = tuple[str, dict[str, Any], str | None]
"""Key, row of the cache, and what was asked as it stands there."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the replies of a pack.

    `new`: kept now. `known`: the cache had the same. `different`: the cache had another reply to
    the same question, which it keeps.
    """

    new: int
    known: int
    different: int


def write_pack(cache: ReplyCache, keys: Sequence[str], path: Path) -> None:
    """Write the replies under `keys`. Raises CacheError if one of them is gone."""
    wanted = sorted(set(keys))
    asked = {key: each for key, each in cache.tags() if each is not None}
    rows = cache.rows_of(wanted)
    with atomic_write(path) as handle:
        for number, key in enumerate(wanted, start=1):
            row = next(rows, None)
            if row is None or row[0] != key:
                raise CacheError(
                    f"{cache.folder}: another command removed replies meanwhile. Nothing was "
                    "written. Run the same command again",
                    argument="cache",
                )
            handle.write(_line(key, row[1], asked.get(key), number, len(wanted)) + "\n")


def _line(key: str, row: dict[str, Any], asked: Fingerprint | None, number: int, of: int) -> str:
    content = {"key": key, "line": number, "of": of}
    content |= {name: row[name] for name in ("model", "at", "reply")}
    if asked is not None:
        content["asked"] = asked.to_json()
    return canonical_json({**content, "sha256": sha256_json(content)})


def read_pack(path: Path) -> list[Row]:
    """The rows of a pack. Raises UsageError that names every line which is not whole."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}). Name a pack") from None
    if lines[-1] == b"":
        lines.pop()
    rows: list[Row] = []
    wrong: list[str] = []
    keys: set[str] = set()
    of = 0
    for number, line in enumerate(lines, start=1):
        try:
            row, of = _row(line, number)
            if row[0] in keys:
                raise ValueError("its key is in the file twice")
            keys.add(row[0])
            rows.append(row)
        except ValueError as error:
            wrong.append(f"{path}:{number} {error}")
    if not lines:
        wrong.append(f"{path} is empty")
    elif not wrong and of != len(lines):
        wrong.append(f"{path} has {len(lines)} of {of} lines: the others are missing")
    if wrong:
        raise UsageError(_refusal(wrong))
    return rows


def _refusal(wrong: Sequence[str]) -> str:
    more = f"\nand {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
    return (
        "The pack cannot be imported, and nothing was. "
        + "\n".join(wrong[:SHOWN])
        + more
        + "\nCopy the file again from where it came, or write it again with selectllm cache export "
        "FILE"
    )


def _row(line: bytes, number: int) -> tuple[Row, int]:
    """A row, and how many the pack has. Raises ValueError with the end of a sentence."""
    try:
        content: Any = load_json(line)
    except ValueError:
        raise ValueError("is not JSON") from None
    if is_newer(content):
        raise ValueError(f"was written by a newer version of selectllm (format above {FORMAT})")
    if not isinstance(content, dict) or not {"key", "reply"} <= content.keys():
        raise ValueError("is not a reply of a pack")
    if "sha256" not in content:
        raise ValueError(
            "has no sha256: it was not written by selectllm cache export. A suite can name replies "
            "that eval --record wrote, under replies:"
        )
    claimed = content.pop("sha256")
    if claimed != sha256_json(content):
        raise ValueError("was changed or cut: its sha256 does not fit")
    match content:
        case {
            "key": str(key),
            "line": int(told),
            "of": int(of),
            "model": str(model),
            "at": float(at),
        }:
            row = {"model": model, "at": at, "reply": content["reply"]}
            if not _KEY.fullmatch(key):
                raise ValueError("has an invalid key")
            if told != number:
                raise ValueError(f"is line {told:,} of the pack: lines are missing or moved")
            return (key, _cached(row), _asked(content.get("asked"))), of
    raise ValueError("is not a reply of a pack")


def _cached(row: dict[str, Any]) -> dict[str, Any]:
    try:
        return cache_row(row["model"], row["at"], checked_reply(row))
    except ValueError:
        raise ValueError("is not a reply of a pack") from None


def _asked(fields: Any) -> str | None:
    if fields is None:
        return None
    try:
        return sealed(asked_from(fields))
    except NewerFormat:
        return None
    except ValueError:
        raise ValueError("does not say what was asked") from None


def keep_pack(cache: ReplyCache, rows: Sequence[Row]) -> Imported:
    """Keep what is new of `rows`, some at a time; killed in between, those before are kept."""
    counts = {"new": 0, "known": 0, "different": 0}
    for some in _in_parts(rows):
        for word in cache.add(some):
            counts[word] += 1
    return Imported(**counts)


def _in_parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]
