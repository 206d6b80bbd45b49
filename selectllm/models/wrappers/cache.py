"""The reply cache: every reply that was ever paid for, by request identity.

diskcache underneath, with three of its defaults turned off because they lose or endanger what
was paid for: eviction (entries older than 1 GiB of newer ones would vanish), pickle (a planted
row would run code, CVE-2025-69872), and the open folder mode.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diskcache

from selectllm.core.codec import canonical_json
from selectllm.core.errors import CacheError, ReplyMissing
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request
from selectllm.models.wrappers.single_flight import single_flight

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
            raise CacheError(self._refusal())
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        """The stored form of a value."""
        return super().store(canonical_json(value), read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """A value from its stored form; a pickled or binary one is refused."""
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_TEXT):
            raise CacheError(self._refusal())
        text = super().fetch(mode, filename, value, read)
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            raise CacheError(self._refusal()) from None

    def _refusal(self) -> str:
        return _refusal(self._directory, "not JSON")


def _refusal(folder: object, why: str) -> str:
    return (
        f"{folder}: the cache holds a row that selectllm did not write ({why}); "
        "it was not read. Remove the folder, or run: selectllm cache clear"
    )


class ReplyCache:
    """Replies on disk in `folder`, by request key; safe for many threads and processes.

    Raises CacheError if the folder cannot be made or opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.chmod(folder, 0o700)
            self._store = diskcache.Cache(
                str(folder),
                disk=JSONOnlyDisk,
                eviction_policy="none",
                size_limit=UNBOUNDED,
                cull_limit=0,
            )
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise CacheError(
                f"{folder}: the cache cannot be opened ({error}); name another with `cache` DIR",
                argument="cache",
            ) from error

    @property
    def lock_file(self) -> Path:
        """Where processes meet, see single_flight.py."""
        return self.folder / "flight.lock"

    def get(self, key: str) -> Reply | None:
        """The reply under `key`, marked as cached, with its original cost and latency."""
        row = self._row(key)
        return None if row is None else Reply(**row["reply"], cached=True)

    def put(self, request: Request, reply: Reply) -> None:
        """Keep `reply` under the request's key, with what `cache ls` shows of it."""
        row = {"model": request.model.id, "at": time.time(), "reply": reply_fields(reply)}
        self._store.set(request.key, row)

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
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every (key, row): `model` (its id), `at` (Unix time stored), `reply` (its fields)."""
        for key in self._store:
            row = self._row(key)
            if row is not None:  # another process may have cleared the cache meanwhile
                yield key, row

    def _row(self, key: str) -> dict[str, Any] | None:
        row = self._store.get(key)
        match row:
            case None:
                return None
            case {"model": str(), "at": float(), "reply": {**reply}} if reply.keys() == REPLY_KEYS:
                return dict(row)
        raise CacheError(_refusal(self.folder, "not a reply"))

    def clear(self) -> int:
        """Remove every reply; returns how many there were."""
        return int(self._store.clear())

    def close(self) -> None:
        """Close the database of this process."""
        self._store.close()

    def __len__(self) -> int:
        return len(self._store)


def reply_fields(reply: Reply) -> dict[str, Any]:
    """A reply as JSON fields, without `cached`: that is about this run, not about the reply."""
    return {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
        "cost_usd": reply.cost_usd,
        "seconds": reply.seconds,
    }


REPLY_KEYS = reply_fields(Reply("")).keys()


class Cached:
    """A model whose replies are kept: each request identity is asked once, ever.

    Single flight holds across threads and processes (single_flight.py).
    """

    def __init__(self, inner: Model, cache: ReplyCache) -> None:
        self._inner = inner
        self._cache = cache

    async def complete(self, request: Request) -> Reply:
        """The cached reply, else the inner model's, kept before it is handed out."""

        async def work() -> Reply:
            reply = await self._inner.complete(request)
            self._cache.put(request, reply)
            return reply

        def look() -> Reply | None:
            return self._cache.get(request.key)

        return await single_flight(self._cache.lock_file, request.key, look, work)

    async def close(self) -> None:
        """Close the inner model; the cache is its owner's."""
        await self._inner.close()


class Offline:
    """A model that is never asked: what is not recorded or cached is missing (exit 5)."""

    async def complete(self, request: Request) -> Reply:
        """Raise ReplyMissing."""
        raise ReplyMissing(f"no recorded or cached reply of {request.model.name}")

    async def close(self) -> None:
        """Nothing was opened."""
