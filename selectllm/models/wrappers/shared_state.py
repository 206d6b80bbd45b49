"""What all processes of a workspace keep together beside the cache: budgets and rates.

One SQLite file. Whatever is read and changed in one `transaction` no other process comes between.
A process that dies leaves no transaction half done.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from selectllm.core.errors import CacheError
from selectllm.models.wrappers.byte_lock import release, take
from selectllm.models.wrappers.database_lock import LOOKS, in_its_turn, is_busy, locked_by
from selectllm.models.wrappers.network_place import check_local
from selectllm.models.wrappers.reading import may_write, open_to_read

POLL = 0.01  # seconds between looks at who makes the file
_SETTING_UP = 1 << 41  # the byte of who makes the file, above the numbers of processes
_TABLES = """\
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, usd REAL NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL,
    assumed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, holder INTEGER NOT NULL,
    usd REAL NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS shown (
    account TEXT NOT NULL, model TEXT NOT NULL, read REAL NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (account, model));
CREATE TABLE IF NOT EXISTS rates (name TEXT PRIMARY KEY, next REAL NOT NULL, taken REAL NOT NULL);
CREATE TABLE IF NOT EXISTS holders (id INTEGER PRIMARY KEY AUTOINCREMENT);
"""

_HOLDERS: dict[tuple[int, Path], int] = {}
"""The number of a process in a lock file, which it holds as long as it lives."""


class SharedState:
    """The file of one workspace; safe for many threads and processes.

    `folder`: the cache. Nothing is made before it is first used. All methods raise CacheError for
    a file that cannot be made, opened, read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shared.sqlite3"
        self._guard = threading.Lock()
        self._opened: list[sqlite3.Connection] = []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Within it nobody else reads or writes. It counts unless it ends with an exception."""
        with self._guard, self._edge():
            connection = self._connection()
            in_its_turn(self.file, lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """A transaction of who only reads; also where nothing may be written."""
        if may_write(self.file):
            with self.transaction() as connection:
                yield connection
            return
        with self._edge(), contextlib.closing(open_to_read(self.file)) as connection:
            yield connection

    def holder(self, connection: sqlite3.Connection) -> int:
        """The number of this process: whoever sees it can find out whether the process lives."""
        own = os.getpid(), self.locks
        if own not in _HOLDERS:
            number = connection.execute("INSERT INTO holders DEFAULT VALUES").lastrowid
            assert number is not None
            connection.execute("DELETE FROM holders")  # the next number is kept elsewhere
            take(self.locks, number)
            _HOLDERS[own] = number
        return _HOLDERS[own]

    def lives(self, holder: int) -> bool:
        """Whether the process of that number still runs."""
        if _HOLDERS.get((os.getpid(), self.locks)) == holder or not take(self.locks, holder):
            return True
        release(self.locks, holder)
        return False

    def close(self) -> None:
        """Close the file."""
        while self._opened:
            self._opened.pop().close()

    @property
    def locks(self) -> Path:
        """Where processes meet, see byte_lock.py."""
        return self.file.with_suffix(".lock")

    def _connection(self) -> sqlite3.Connection:
        if not self._opened:
            check_local(self.file.parent)
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(
                self.file, timeout=LOOKS, isolation_level=None, check_same_thread=False
            )
            self._opened.append(connection)
            os.chmod(self.file, 0o600)
            while not take(self.locks, _SETTING_UP):  # to change the mode sqlite waits for nobody
                time.sleep(POLL)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_TABLES)
            finally:
                release(self.locks, _SETTING_UP)
            connection.execute("PRAGMA synchronous = NORMAL")
        return self._opened[0]

    @contextlib.contextmanager
    def _edge(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if is_busy(error):
                raise CacheError(
                    f"{self.file}: the budgets and rates that this workspace shares cannot be "
                    f"kept, because {locked_by(self.file)}",
                    argument="cache",
                ) from error
            why = getattr(error, "strerror", None) or error
            raise CacheError(
                f"{self.file}: the budgets and rates that this workspace shares cannot be kept "
                f"({why}). Check the folder, its permissions and the space left, or choose another "
                "folder with `cache`. If the file is damaged, remove it: then what was spent so "
                "far is forgotten",
                argument="cache",
            ) from error
