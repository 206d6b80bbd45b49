"""A reply cache that is only read: nothing is made or changed, so that it may be read-only."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import diskcache

from selectllm.models.wrappers.database_lock import LOOKS

NOTHING = "file::memory:"
_EMPTY = (  # what is asked of a cache that nobody has made yet
    "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)",
    "INSERT INTO Settings VALUES ('count', 0)",
    "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL,"
    " expire_time REAL, access_time REAL, access_count INTEGER, tag BLOB, size INTEGER,"
    " mode INTEGER, filename TEXT, value BLOB)",
)


def may_write(path: Path) -> bool:
    """Whether the database `path` is there and may be written, with the files beside it."""
    return path.exists() and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def open_to_read(path: Path) -> sqlite3.Connection:
    """The database `path`, which is there, for reading alone.

    sqlite reads one with a write-ahead log only beside a file that it makes. Where it may make
    none, no process of this machine has the database open, and it is read as it stands.
    """
    connection = _connected(f"{path.absolute().as_uri()}?mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
            raise
        return _connected(f"{path.absolute().as_uri()}?immutable=1")
    return connection


def _connected(place: str) -> sqlite3.Connection:
    return sqlite3.connect(
        place, timeout=LOOKS, isolation_level=None, uri=True, check_same_thread=False
    )


class ReadingStore(diskcache.Cache):  # type: ignore[misc]
    """diskcache's own way of reading, of a database that is opened for reading alone."""

    def __init__(self, folder: Path, disk: type[diskcache.Disk]) -> None:
        settings = {**diskcache.core.DEFAULT_SETTINGS, "eviction_policy": "none"}
        for name, value in settings.items():
            setattr(self, name, value)
        self._directory = str(folder)
        self._timeout = LOOKS
        self._local = threading.local()
        self._txn_id = None
        self._disk = disk(str(folder))
        self.path = folder / diskcache.core.DBNAME
        self.empty = False  # nobody has made one
        self._database = self._opened(self.path)

    def _opened(self, path: Path) -> sqlite3.Connection:
        there = next(each for each in (path.parent, *path.parents) if each.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
        if path.exists():
            database = open_to_read(path)
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchall():
                return database
            database.close()  # whoever was making it was stopped
        self.empty = True
        database = _connected(NOTHING)
        for statement in _EMPTY:
            database.execute(statement)
        database.execute("PRAGMA query_only = ON")
        return database

    @property
    def _con(self) -> Any:
        return self._database

    def close(self) -> None:
        """Close the database."""
        self._database.close()
