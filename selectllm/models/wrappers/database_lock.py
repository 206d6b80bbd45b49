"""Who keeps others from writing to a SQLite database, in words for whoever waited in vain."""

from __future__ import annotations

from pathlib import Path

from selectllm.models.wrappers.byte_lock import holder
from selectllm.models.wrappers.held import is_stopped

WRITING = 120
"""The byte of the shared-memory file that a writer locks (sqlite.org/walformat.html, 2.3)."""


def locked_by(database: Path) -> str:
    """What follows `because`: the process that is writing to `database`, and what to do."""
    shared = Path(f"{database}-shm")
    process = holder(shared, WRITING) if shared.exists() else None
    if not process:
        return "another process has locked it. Wait until it is done"
    if is_stopped(process):
        return (
            f"process {process} was stopped (by Ctrl-Z, for example) while it wrote to it. To let "
            f"it go on, run: kill -CONT {process} (to end it, run: kill -KILL {process}). Then run "
            "the same command again"
        )
    return f"process {process} is writing to it. Wait until it is done, or run: kill {process}"
