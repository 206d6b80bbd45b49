"""Many rows of the reply cache at once: what they were asked with, and their removal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import diskcache

from selectllm.models.wrappers.reply_rows import MOST_KEYS

_TAGS = "SELECT rowid, key, tag FROM Cache WHERE raw = 1 AND rowid > ? ORDER BY rowid LIMIT 1000"
_FILES = "SELECT filename FROM Cache WHERE raw = 1 AND filename IS NOT NULL AND key IN ({})"
_DELETE = "DELETE FROM Cache WHERE raw = 1 AND key IN ({})"
_TAG = "UPDATE Cache SET tag = ? WHERE raw = 1 AND key = ? AND tag IS NULL"


def each_tag(store: diskcache.Cache) -> Iterator[tuple[str, Any]]:
    """Every key and its tag. Between two of them others may write."""
    last = 0
    while rows := store._con.execute(_TAGS, (last,)).fetchall():
        for last, key, tag in rows:  # noqa: B007
            yield key, tag


def set_tag(store: diskcache.Cache, key: str, tag: str | None) -> None:
    """Give a row of an earlier version, which has none, its tag."""
    if tag is not None:
        store._con.execute(_TAG, (tag, key))


def remove_rows(store: diskcache.Cache, keys: Sequence[str]) -> int:
    """Remove rows, all or none; how many were there.

    Their bytes are overwritten: what is only given free can be read in the file for long. The
    write-ahead log, which has them too, is emptied unless another process is reading.
    """
    database = store._con
    removed, files = 0, list[str]()
    database.execute("PRAGMA secure_delete = ON")
    with store.transact():
        for start in range(0, len(keys), MOST_KEYS):
            some = keys[start : start + MOST_KEYS]
            marks = ", ".join("?" * len(some))
            files += [row[0] for row in database.execute(_FILES.format(marks), some)]
            removed += database.execute(_DELETE.format(marks), some).rowcount
        for file in files:  # before the rows are gone for good: whoever is stopped finds them again
            store._disk.remove(file)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return removed
