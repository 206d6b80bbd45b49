"""The rows of the reply cache that are text, read and written by one statement each.

diskcache takes three to five statements a row and a transaction around them, since it evicts,
expires and keeps values in files. A reply needs none of that unless it is long, so that this is
the way of nearly all of them; the database is diskcache's own, and what is written here is byte
for byte what it would write.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import diskcache

RAW = diskcache.core.MODE_RAW
LONGEST = 32_000  # characters; from 32,768 on diskcache keeps a value in a file of its own
MOST_KEYS = 500  # of one question; sqlite takes 999 values at least

_READ = "SELECT mode, value FROM Cache WHERE key = ? AND raw = 1"
_READ_MANY = "SELECT key, mode, value FROM Cache WHERE raw = 1 AND key IN ({})"
_WRITE = """
INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value)
VALUES (?, 1, ?, ?, 0, ?, 0, ?, ?)
ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time, tag = excluded.tag,
expire_time = NULL, access_time = excluded.access_time, access_count = 0, size = 0,
mode = excluded.mode, value = excluded.value WHERE filename IS NULL
"""


def read_text(store: diskcache.Cache, key: str) -> tuple[bool, str | None]:
    """Whether `key` is there, and its text; None for what diskcache has to read itself."""
    row = store._con.execute(_READ, (key,)).fetchone()
    return (False, None) if row is None else (True, _text(*row))


def read_texts(store: diskcache.Cache, keys: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """As `read_text` those of `keys` that are there."""
    for start in range(0, len(keys), MOST_KEYS):
        some = keys[start : start + MOST_KEYS]
        question = _READ_MANY.format(", ".join("?" * len(some)))
        for key, mode, value in store._con.execute(question, some).fetchall():
            yield key, _text(mode, value)


def write_text(store: diskcache.Cache, key: str, text: str, tag: str | None = None) -> bool:
    """Keep `text` under `key`; False, and nothing is kept, where diskcache has to do it.

    `tag`: what stands beside it, in a column that nobody reads with it.
    """
    if len(text) > LONGEST:
        return False
    now = time.time()
    return bool(store._con.execute(_WRITE, (key, now, now, tag, RAW, text)).rowcount)


def _text(mode: Any, value: Any) -> str | None:
    return value if mode == RAW and isinstance(value, str) else None


class Together:
    """What is kept in one turn of an event loop, written in one transaction at its end.

    Each transaction costs as much as the row in it. Nobody goes on before it is over: what is not
    on the disk is not handed out.
    """

    def __init__(self, store: diskcache.Cache) -> None:
        self._store = store
        self._open: dict[asyncio.AbstractEventLoop, _Batch] = {}

    async def write(self, key: str, text: str, tag: str | None = None) -> bool:
        """Whether `text` was written under `key`; if not, it can be tried alone."""
        loop = asyncio.get_running_loop()
        batch = self._open.get(loop)
        if batch is None:
            batch = self._open[loop] = _Batch(loop.create_future())
            loop.call_soon(self._commit, loop)
        batch.rows[key] = text, tag
        # shield: who is cancelled must not cancel what the others wait for
        return key in await asyncio.shield(batch.written)

    def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._open.pop(loop)
        try:
            written = self._written(batch.rows)
        except (sqlite3.Error, OSError):  # each is tried alone, which tells why
            written = set()
        batch.written.set_result(written)

    def _written(self, rows: Mapping[str, _Row]) -> set[str]:
        if len(rows) == 1:
            return {key for key, row in rows.items() if write_text(self._store, key, *row)}
        database = self._store._con
        database.execute("BEGIN IMMEDIATE")
        try:
            written = {key for key, row in rows.items() if write_text(self._store, key, *row)}
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
        return written


_Row = tuple[str, str | None]
"""A text and its tag."""


@dataclass(slots=True)
class _Batch:
    """Rows to write, and who waits for it: the keys that were written."""

    written: asyncio.Future[set[str]]
    rows: dict[str, _Row] = field(default_factory=dict)
