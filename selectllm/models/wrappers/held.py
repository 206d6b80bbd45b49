"""Telling of a process that holds what this one waits for, where that takes long.

A process that was stopped (Ctrl-Z, SIGSTOP) holds its locks for as long as it is. What it asks may
be paid for already, so nobody asks it a second time: whoever waits is told of it once, and decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from selectllm.models.wrappers.byte_lock import holder

STOPPED_AFTER = 5.0  # seconds of waiting after which a holder that was stopped is told of
LONG = 60.0  # and after which any is
EVERY = 1.0  # seconds between looks


class Held:
    """Tells `note` of holders, of each once.

    `what`: what they do, as in `asks the same`; `why`: why one waits for it, as in `so that ...`.
    """

    def __init__(
        self, note: Callable[[str], object], what: str, why: str = "so that nothing is paid twice"
    ) -> None:
        self._note = note
        self._what = what
        self._why = why
        self._told: set[int] = set()

    def waiting(self) -> Wait:
        """For one wait, which begins now."""
        return Wait(self)

    def tell(self, process: int, seconds: float) -> None:
        """Tell of the process, 0 for one that is not known, unless that was done or is early."""
        stopped = is_stopped(process)
        if process in self._told or seconds < (STOPPED_AFTER if stopped else LONG):
            return
        self._told.add(process)
        if stopped:
            self._note(
                f"Note: Process {process} {self._what}, and it was stopped (by Ctrl-Z, for "
                f"example). This command waits for it, {self._why}. To let it go on, run: "
                f"kill -CONT {process} (to end it, run: kill -KILL {process})"
            )
            return
        self._note(
            f"Note: {f'Process {process}' if process else 'Another process'} {self._what}. This "
            f"command has waited {seconds:.0f} seconds for it, {self._why}, and goes on once that "
            "is done or has ended"
        )


class Wait:
    """One wait for a lock."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._clock = asyncio.get_running_loop().time
        self._begun = self._looked = self._clock()

    def goes_on(self, lock_file: Path, offsets: Callable[[], Iterable[int]]) -> None:
        """Tell of who holds these bytes, if it is time."""
        now = self._clock()
        if now - self._looked < min(EVERY, STOPPED_AFTER) or now - self._begun < STOPPED_AFTER:
            return
        self._looked = now
        for offset in offsets():
            if (process := holder(lock_file, offset)) is not None:
                self._held.tell(process, now - self._begun)


def is_stopped(process: int) -> bool:
    """Whether a process was stopped; False where the system does not tell."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False
    # Its name stands in brackets and may hold others; the state follows the last one.
    return stat.rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])
