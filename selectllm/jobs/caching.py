"""What can be done to the reply cache besides reading it: packs, and limits that somebody sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError, check_number
from selectllm.core.names import unknown
from selectllm.core.shown import counted
from selectllm.jobs.contents import PACK
from selectllm.jobs.outputs import unfit
from selectllm.jobs.workspace import Workspace
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.reply_pack import Imported, keep_pack, read_pack, write_pack

DAY = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class ExportedPack:
    """How many `replies` were written to the pack `path`."""

    path: Path
    replies: int

    @property
    def text(self) -> str:
        """In a sentence."""
        return (
            f"Wrote {counted(self.replies, 'reply')} to {self.path}. To add them to another "
            f"cache, run this there: selectllm cache import {self.path.name}"
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {"path": str(self.path), "replies": self.replies}


async def export_replies(
    cache: ReplyCache,
    path: Path,
    workspace: Workspace,
    *,
    model: str | None = None,
    suite: Path | None = None,
) -> ExportedPack:
    """Write replies of the cache as a pack: the same replies, the same bytes.

    `model`: those of this model alone, by its id. `suite`: those to its questions alone. Raises
    UsageError for a model that there is no reply of, where nothing is left to write, and for a
    file that is not to be written.
    """
    from selectllm.jobs.explaining import keys_asked  # all that a run is made of

    if problem := unfit(path, PACK, (), workspace):
        raise UsageError(f"{path} {problem}. Choose another file")
    keys = None if suite is None else await keys_asked(suite, cache=workspace.cache)
    models: set[str] = set()
    wanted: list[str] = []
    for key, row in cache.rows():
        models.add(row["model"])
        if model in (None, row["model"]) and (keys is None or key in keys):
            wanted.append(key)
    if model is not None and model not in models:
        raise UsageError(
            f"`model` {unknown('model', model, models)} (with replies in the cache)",
            argument="model",
        )
    if not wanted:
        raise UsageError(
            f"{cache.folder} holds no such reply, so there is nothing to export. To see what it "
            "holds, run: selectllm cache stats"
        )
    write_pack(cache, wanted, path)
    return ExportedPack(path, len(wanted))


@dataclass(frozen=True, slots=True)
class ImportedPack:
    """What became of the replies of the pack `path`, see Imported."""

    path: Path
    counts: Imported

    @property
    def text(self) -> str:
        """In sentences."""
        counts = self.counts
        total = counts.new + counts.known + counts.different
        told = (
            f"{self.path}: of {counted(total, 'reply')}, {counts.new:,} were new and are in the "
            f"cache now, {counts.known:,} were known."
        )
        if counts.different:
            told += (
                f" For {counts.different:,} questions the cache already has a different reply, "
                "which was kept."
            )
        return told

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {"path": str(self.path), **asdict(self.counts)}


def import_replies(cache: ReplyCache, path: Path) -> ImportedPack:
    """Take the replies of a pack into the cache.

    Raises UsageError, before any is kept, for a pack that is damaged, naming its lines. Whoever
    ends it in between finds what was kept so far, and can run it again.
    """
    return ImportedPack(path, keep_pack(cache, read_pack(path)))


@dataclass(frozen=True, slots=True)
class Pruning:
    """What limits take out of a cache.

    `keys`: of the replies that go, the oldest first. `bytes`: what they take. `usd`: what they
    cost when they were made. `left`, `left_bytes`: what stays. `oldest`, `newest`: when the first
    and the last of those that go was made, Unix time.
    """

    keys: tuple[str, ...]
    bytes: int
    usd: float
    left: int
    left_bytes: int
    oldest: float | None = None
    newest: float | None = None

    @property
    def text(self) -> str:
        """In sentences."""
        if not self.keys:
            return (
                f"All {counted(self.left, 'reply')} are within the limits "
                f"({_size(self.left_bytes)}). There is nothing to remove."
            )
        assert self.oldest is not None
        assert self.newest is not None
        return (
            f"{counted(len(self.keys), 'reply')} of {_day(self.oldest)} to {_day(self.newest)} "
            f"({_size(self.bytes)}) exceed the limits. They cost {self.usd:.4f} USD when they "
            "were made, and asking for them again would cost that again. "
            f"{counted(self.left, 'reply')} ({_size(self.left_bytes)}) would be left."
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {**asdict(self), "keys": list(self.keys)}


def to_prune(
    cache: ReplyCache,
    *,
    max_bytes: int | None = None,
    max_age: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Pruning:
    """What has to go so that the cache holds to the limits. Nothing is removed.

    `max_bytes`: of all replies, without the database's own overhead; the oldest go. `max_age`: in
    days; a reply that a wrong clock dates ahead is not old. Raises UsageError without a limit.
    """
    if max_bytes is None and max_age is None:
        raise UsageError(
            "`max_bytes`: there is no limit, so nothing can exceed it. Give `max_bytes`, `max_age` "
            "or both",
            argument="max_bytes",
        )
    check_number("max_age", max_age)
    since = None if max_age is None else clock() - max_age * DAY
    rows = [
        (row["at"], key, _bytes(key, row), row["reply"]["cost_usd"] or 0.0)
        for key, row in cache.rows()
    ]
    rows.sort()
    left = sum(size for _, _, size, _ in rows)
    total, gone = left, 0
    for at, _, size, _ in rows:
        too_old = since is not None and at < since
        if not too_old and (max_bytes is None or left <= max_bytes):
            break
        left -= size
        gone += 1
    going = rows[:gone]
    return Pruning(
        keys=tuple(key for _, key, _, _ in going),
        bytes=total - left,
        usd=float(sum(usd for _, _, _, usd in going)),
        left=len(rows) - gone,
        left_bytes=left,
        oldest=going[0][0] if going else None,
        newest=going[-1][0] if going else None,
    )


def _bytes(key: str, row: dict[str, Any]) -> int:
    return len(key) + len(canonical_json(row).encode("utf-8"))


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))
