"""Waiting to write to a SQLite database, and who keeps others from it, in words.

A process that writes is waited for, and one that was stopped is not: it may never go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import diskcache

from selectllm.models.wrappers.byte_lock import holder
from selectllm.models.wrappers.held import STOPPED_AFTER, is_stopped

Value = TypeVar("Value")

LOOKS = STOPPED_AFTER  # seconds that a connection waits: its `timeout`
TIMES = 6  # that it waits so, for a process that runs

WRITING = 120
"""The byte of the shared-memory file that a writer locks (sqlite.org/walformat.html, 2.3)."""


def in_its_turn(database: Path, write: Callable[[], Value]) -> Value:
    """What `write` returns, called again as long as a process that runs writes to `database`.

    `write` begins with the lock: where that is held by another, it has done nothing. Raises what it
    raised last.
    """
    for _ in range(TIMES - 1):
        try:
            return write()
        except (sqlite3.OperationalError, diskcache.Timeout) as error:
            process = _writer(database)
            if not is_busy(error) or (process and is_stopped(process)):
                raise
    return write()


def is_busy(error: BaseException) -> bool:
    """Whether SQLite or diskcache waited in vain for another process."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    busy = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return busy or isinstance(error, diskcache.Timeout)


def _writer(database: Path) -> int | None:
    """The process that is writing, as `holder` has it."""
    shared = Path(f"{database}-shm")
    return holder(shared, WRITING) if shared.exists() else None


def locked_by(database: Path) -> str:
    """What follows `because`: the process that is writing to `database`, and what to do."""
    process = _writer(database)
    if not process:
        return "another process has locked it. Wait until it is done"
    if is_stopped(process):
        return (
            f"process {process} was stopped (by Ctrl-Z, for example) while it wrote to it. To let "
            f"it go on, run: kill -CONT {process} (to end it, run: kill -KILL {process}). Then run "
            "the same command again"
        )
    return f"process {process} is writing to it. Wait until it is done, or run: kill {process}"
