"""Reply packs: recorded replies in one file, so that a suite runs without a key or a network.

JSON lines `{"key": request sha256, "model": name, "reply": {...}}`, sorted by key: the same replies
give the same bytes. A suite's `replies:` names one; `eval --record FILE` writes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json, load_json
from selectllm.core.errors import RunError
from selectllm.core.files import atomic_write
from selectllm.core.types import Decision, Reply
from selectllm.models.model import Model, Request, expect
from selectllm.models.wrappers.reply_json import reply_fields, reply_from


def read_pack(path: Path) -> dict[str, Reply]:
    """Replies by request key. Raises RunError with file and line on anything else."""
    replies: dict[str, Reply] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        again = f". To record them, run selectllm eval with that suite and --record {path}"
        raise RunError(
            f"{path}: the recorded replies cannot be read ({error.strerror}){again}"
        ) from None
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            key, reply = _entry(load_json(line))
        except ValueError:
            raise RunError(
                f"{path}:{number} is not a recorded reply. Run selectllm eval with the suite that "
                f"names this file, and --record {path}, to record it again"
            ) from None
        replies[key] = reply
    return replies


def _entry(row: Any) -> tuple[str, Reply]:
    """Key and reply of a row. Raises ValueError for anything else."""
    match row:
        case {"key": str(key), "reply": {"text": _, **fields} as reply}:
            absent = {name: NONE[name] for name in NONE.keys() - fields.keys()}
            return key, reply_from({**absent, **reply}, cached=True)
    raise ValueError("not a recorded reply")


NONE = {name: value for name, value in reply_fields(Reply("")).items() if name != "text"}
"""What is not said of a reply."""


def write_pack(path: Path, decisions: Iterable[Decision], *, keep: bool = False) -> int:
    """Write the replies behind `decisions`; returns how many there are.

    `keep`: beside those that the file holds already.
    """
    rows = _rows(path) if keep and path.exists() else {}
    rows |= {
        attempt.request_sha256: {"model": decision.model, "reply": reply_fields(attempt.as_reply())}
        for decision in decisions
        for attempt in decision.replies
    }
    with atomic_write(path) as handle:
        for key, row in sorted(rows.items()):
            handle.write(canonical_json({"key": key, **row}) + "\n")
    return len(rows)


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a pack that `read_pack` takes, without their keys."""
    read_pack(path)
    rows = [load_json(line) for line in path.read_bytes().split(b"\n") if line]
    return {row.pop("key"): row for row in rows}


class Replayed:
    """A model that answers from a pack where it can."""

    def __init__(self, inner: Model, pack: Mapping[str, Reply]) -> None:
        self._inner = inner
        self._pack = pack

    def expect(self, requests: Sequence[Request]) -> None:
        """Tell the inner model of those that the pack has not."""
        expect(self._inner, [each for each in requests if each.key not in self._pack])

    async def complete(self, request: Request) -> Reply:
        """The recorded reply, else the inner model's."""
        return self._pack.get(request.key) or await self._inner.complete(request)

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()
