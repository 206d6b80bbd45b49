"""The reply cache: every reply that was ever paid for, by request identity.

diskcache underneath, with three of its defaults turned off because they lose or endanger what
was paid for: eviction (entries older than 1 GiB of newer ones would vanish), pickle (a planted
row would run code, CVE-2025-69872), and the open folder mode.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import diskcache

from selectllm.core.codec import canonical_json, load_json
from selectllm.core.errors import CacheDamaged, CacheError
from selectllm.core.types import Reply
from selectllm.models.model import Request
from selectllm.models.wrappers.asked import FORMAT, Fingerprint, NewerFormat, asked_text, read_asked
from selectllm.models.wrappers.database_lock import LOOKS, in_its_turn, is_busy, locked_by
from selectllm.models.wrappers.held import Held
from selectllm.models.wrappers.network_place import check_local
from selectllm.models.wrappers.reading import ReadingStore, may_write
from selectllm.models.wrappers.reply_json import cache_text, checked_reply
from selectllm.models.wrappers.reply_rows import Together, read_text, read_texts, write_text
from selectllm.models.wrappers.row_sets import each_tag, remove_rows, set_tag

Value = TypeVar("Value")
Added = Literal["new", "known", "different"]
UNBOUNDED = 1 << 62  # bytes; with no eviction this only keeps diskcache from culling


class JSONOnlyDisk(diskcache.Disk):  # type: ignore[misc]
    """Values are JSON text and keys are text; a row of any other kind is refused unread."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """The stored form of a key."""
        if not isinstance(key, str):
            raise TypeError(f"cache keys are text, got {type(key).__name__}")
        return super().put(key)  # type: ignore[no-any-return]

    def get(self, key: Any, raw: bool) -> Any:
        """A key from its stored form; a pickled one is refused."""
        if not raw or not isinstance(key, str):
            raise CacheDamaged(self._refusal())
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        """The stored form of a value."""
        return super().store(canonical_json(value), read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """A value from its stored form; a pickled or binary one is refused."""
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_TEXT):
            raise CacheDamaged(self._refusal())
        text = super().fetch(mode, filename, value, read)
        try:
            return load_json(text)
        except (TypeError, ValueError):
            raise CacheDamaged(self._refusal()) from None

    def _refusal(self) -> str:
        return _refusal(Path(self._directory), "not JSON")


def _refusal(folder: Path, why: str) -> str:
    return (
        f"{folder}: the cache holds a row that this version of selectllm did not write, or that "
        f"was damaged since ({why}). It was not used. {remedy(folder)}"
    )


class NewerReply(CacheError):
    """A reply that a later version of selectllm kept, in a format of its own."""


def newer(folder: Path) -> NewerReply:
    """Our error for such a row."""
    return NewerReply(
        f"{folder}: the cache holds a reply that a newer version of selectllm wrote, in a format "
        f"above {FORMAT}. It was left as it is. Install that version here, too, or choose another "
        "folder with `cache`",
        argument="cache",
    )


def remedy(folder: Path) -> str:
    """What to do about a damaged cache, as commands to copy."""
    cache = shlex.quote(str(folder.parent))
    return (
        f"To keep the replies that are whole, run: selectllm cache verify --repair --cache {cache}."
        f" To remove all of them, run: selectllm cache clear --cache {cache}"
    )


FROM_BELOW = (  # the latter of settings that were damaged: diskcache takes those as they come
    *(OSError, sqlite3.Error, diskcache.Timeout),
    *(ValueError, TypeError, KeyError, AttributeError, OverflowError),
)
"""What diskcache and sqlite raise about what is on the disk."""
REASONS = {
    sqlite3.SQLITE_FULL: "there is no space left. Make room",
    sqlite3.SQLITE_READONLY: "it is not writable. Check the folder's permissions",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. Check the folder and its permissions",
    sqlite3.SQLITE_IOERR: "it cannot be read or written. Check the disk and the space left",
    sqlite3.SQLITE_PERM: "it may not be opened. Check the folder's permissions",
}
"""What is wrong and helps, by sqlite's primary result code; anything else is damage."""


def unusable(folder: Path, error: BaseException) -> CacheError:
    """Our error for what diskcache or sqlite raised about the cache in `folder`."""
    database = folder / diskcache.core.DBNAME
    if database.is_dir():
        cache = shlex.quote(str(folder.parent))
        return CacheError(
            f"{folder}: the reply cache cannot be opened, because {database.name} in it is a "
            "folder, and should be the database. To put it aside and begin a new one, run: "
            f"selectllm cache verify --repair --cache {cache}. Or choose another folder with "
            "`cache`",
            argument="cache",
        )
    reason = REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if is_busy(error):
        reason = locked_by(database)
    if reason is None and isinstance(error, OSError):
        reason = f"{error.strerror or error}. Check the folder, its permissions and the space left"
    if reason is not None:
        return CacheError(
            f"{folder}: the reply cache cannot be used, because {reason}, or choose another folder "
            "with `cache`",
            argument="cache",
        )
    return CacheDamaged(
        f"{folder}: the reply cache is damaged ({error}). {remedy(folder)}", argument="cache"
    )


def _made(folder: Path) -> diskcache.Cache:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(folder, 0o700)
    return diskcache.Cache(
        str(folder),
        timeout=LOOKS,
        disk=JSONOnlyDisk,
        eviction_policy="none",
        size_limit=UNBOUNDED,
        cull_limit=0,
    )


class ReplyCache:
    """Replies on disk in `folder`, by request key; safe for many threads and processes.

    `note` hears, once, that replies cannot be kept, and of other processes that hold up this one.
    `reading`: where there is no cache none is made, and one that may not be written is opened all
    the same. All methods raise CacheError for a folder that cannot be made, opened, read or
    written, and for rows that are no replies.
    """

    def __init__(
        self,
        folder: Path,
        note: Callable[[str], object] = lambda text: None,
        *,
        reading: bool = False,
    ) -> None:
        self.folder = folder
        self.lock_file = folder / "flight.lock"  # where processes meet, see single_flight.py
        self._note = note
        self.held = Held(note, "asks a question that this command asks too")
        self._unkept: dict[str, Reply] = {}  # by key: what the disk did not take
        check_local(folder)
        database = folder / diskcache.core.DBNAME
        with self._edge():
            if reading and not may_write(database):
                self._store = ReadingStore(folder, JSONOnlyDisk)
            else:
                self._store = _made(folder)
            self._together = Together(self._store)

    @property
    def outdated(self) -> bool:
        """Whether it was opened for `reading` before there was anything, and now there is."""
        store = self._store
        return isinstance(store, ReadingStore) and store.empty and store.path.exists()

    @contextlib.contextmanager
    def _edge(self) -> Iterator[None]:
        """Nothing of diskcache or sqlite passes."""
        try:
            yield
        except FROM_BELOW as error:
            raise unusable(self.folder, error) from error

    def get(self, key: str) -> Reply | None:
        """The reply under `key`, marked as cached, with its original cost and latency."""
        if key in self._unkept:
            return replace(self._unkept[key], cached=True)
        kept = self._kept(key)
        return None if kept is None else kept[1]

    def many(self, keys: Sequence[str]) -> dict[str, Reply]:
        """Those of `keys` that are whole and kept, as `get`; what else there is, `get` tells."""
        found: dict[str, Reply] = {}
        try:
            with self._edge():
                texts = list(read_texts(self._store, keys))
        except CacheError:
            return found
        for key, text in texts:
            with contextlib.suppress(ValueError, TypeError):
                found[key] = checked_reply(load_json(text or ""), text or "")
        return found

    def put(self, request: Request, reply: Reply) -> None:
        """Keep `reply` under the request's key, with what `cache ls` shows of it."""
        text, tag = cache_text(request.model.id, time.time(), reply), asked_text(request)
        self._in_its_turn(lambda: self._set(request.key, text, tag))

    def keep(self, request: Request, reply: Reply) -> None:
        """`put` what was paid for; what the disk does not take is known to this process alone.

        `note` is then told once. The reply is not lost: it is handed out, and the log of what it
        was asked for holds it.
        """
        try:
            self.put(request, reply)
        except CacheError as error:
            if not self._unkept:
                self._note(
                    f"Note: {error}. This run goes on, and its log keeps every reply; but another "
                    "run cannot find them in the cache, and would pay for them again."
                )
            self._unkept[request.key] = reply

    async def keep_soon(self, request: Request, reply: Reply) -> None:
        """`keep`, in one transaction with all that is kept in this turn of the event loop.

        When it returns, the reply is on the disk, or `note` was told that it cannot be.
        """
        text = cache_text(request.model.id, time.time(), reply)
        if not await self._together.write(request.key, text, asked_text(request)):
            self.keep(request, reply)

    def by_model(self) -> dict[str, dict[str, Any]]:
        """Model -> its `replies`, `tokens_in`, `tokens_out`, `cost_usd` when they were made."""
        models: dict[str, dict[str, Any]] = {}
        for _, row in self.rows():
            counted = models.setdefault(
                row["model"], {"replies": 0, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0}
            )
            counted["replies"] += 1
            for name in ("tokens_in", "tokens_out", "cost_usd"):
                counted[name] += row["reply"][name] or 0
        return models

    @property
    def size(self) -> int:
        """Bytes of the folder's files."""
        with self._edge():
            return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every (key, row): `model` (its id), `at` (Unix time stored), `reply` (its fields).

        Rows of a later version, which cannot be read, are left out.
        """
        with self._edge():
            keys = iter(self._store)
        while True:
            with self._edge():
                key = next(keys, None)
            if key is None:
                return
            yield from self.rows_of([key])

    def rows_of(self, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The same of those of `keys` that are there."""
        for key in keys:
            with contextlib.suppress(NewerReply):
                # another process may have cleared the cache meanwhile
                if (kept := self._kept(key)) is not None:
                    yield key, kept[0]

    def _kept(self, key: str) -> tuple[dict[str, Any], Reply] | None:
        """The row under `key` and its reply, marked as cached."""
        with self._edge():
            there, text = read_text(self._store, key)
            row = None
            if there:
                row = self._store.get(key) if text is None else self._read(text)
        try:
            return None if row is None else (row, checked_reply(row))
        except NewerFormat:
            raise newer(self.folder) from None
        except ValueError as error:
            raise CacheDamaged(_refusal(self.folder, str(error))) from None

    def _read(self, text: str) -> Any:
        try:
            return load_json(text)
        except ValueError:
            raise CacheDamaged(_refusal(self.folder, "not JSON")) from None

    def tags(self) -> Iterator[tuple[str, Fingerprint | None]]:
        """Every key, and what was asked; None where an earlier or later version kept the reply.

        Raises CacheDamaged for what is none of these.
        """
        with self._edge():
            for key, tag in each_tag(self._store):
                try:
                    yield key, None if tag is None else read_asked(tag)
                except NewerFormat:
                    yield key, None
                except ValueError as error:
                    raise CacheDamaged(_refusal(self.folder, str(error))) from None

    def remove(self, keys: Sequence[str]) -> int:
        """Remove the replies under `keys`, of whose bytes the files keep nothing; how many."""
        return self._in_its_turn(lambda: remove_rows(self._store, keys)) if keys else 0

    def add(self, rows: Sequence[tuple[str, dict[str, Any], str | None]]) -> list[Added]:
        """Keep the rows (key, `cache_row`, sealed `Fingerprint`) whose keys are new, all or none.

        What became of each: `new`; `known`, the same reply was kept already; or `different`,
        another one was, which stays.
        """
        return self._in_its_turn(lambda: self._added(rows))

    def _added(self, rows: Sequence[tuple[str, dict[str, Any], str | None]]) -> list[Added]:
        added: list[Added] = []
        with self._store.transact():
            for key, row, tag in rows:
                if (kept := self._kept(key)) is None:
                    self._set(key, canonical_json(row), tag)
                    added.append("new")
                    continue
                added.append("known" if kept[0]["reply"] == row["reply"] else "different")
                if added[-1] == "known":
                    set_tag(self._store, key, tag)
        return added

    def _set(self, key: str, text: str, tag: str | None) -> None:
        if not write_text(self._store, key, text, tag):
            self._store.set(key, load_json(text), tag=tag)

    def _in_its_turn(self, write: Callable[[], Value]) -> Value:
        """See database_lock.py."""
        with self._edge():
            return in_its_turn(self.folder / diskcache.core.DBNAME, write)

    def clear(self) -> int:
        """Remove every reply; returns how many there were."""
        return int(self._in_its_turn(self._store.clear))

    def close(self) -> None:
        """Close the database of this process."""
        self._store.close()

    def __len__(self) -> int:
        with self._edge():
            return len(self._store)
