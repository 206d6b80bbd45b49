"""One job at a time in a folder, within a process: a second one waits, and finds its work done.

Other processes are kept out by the lock of the folder's log (core.jsonl_log).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from selectllm.core.errors import RunError

Loop = asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A job's place in a queue; `over` is set when it ends."""

    loop: Loop
    over: Future[None] = field(default_factory=Future)


_QUEUES: dict[str, list[_Turn]] = {}
_GUARD = threading.Lock()
_STANDING: contextvars.ContextVar[tuple[Loop, ...]] = contextvars.ContextVar("standing", default=())
"""Event loops that stand still until the job ends: a job without `await` was called in them."""


@contextlib.contextmanager
def standing_still(loop: Loop) -> Iterator[None]:
    """While a job is waited for in a running `loop`, which serves no other job meanwhile."""
    token = _STANDING.set((*_STANDING.get(), loop))
    try:
        yield
    finally:
        _STANDING.reset(token)


@contextlib.asynccontextmanager
async def turn(place: Path | None, argument: str = "out") -> AsyncIterator[None]:
    """The job's turn with `place`, a folder or file; the jobs that came first end before it begins.

    None is nobody's place. Raises RunError where one of them could never end, for its event loop
    stands still until this job ends.
    """
    if place is None:
        yield
        return
    key, mine = os.path.realpath(place), _Turn(asyncio.get_running_loop())
    with _GUARD:
        queue = _QUEUES.setdefault(key, [])
        if any(other.loop in _STANDING.get() for other in queue):
            raise RunError(
                f"{place}: Another job of this process is writing to it, and cannot go on while "
                "this one is waited for. Await it first, or choose another place with "
                f"`{argument}`",
                argument=argument,
            )
        before = queue[-1] if queue else None
        queue.append(mine)
    try:
        if before is not None:
            await _ended(before)
        yield
    finally:
        _end(key, mine, before)


async def _ended(before: _Turn) -> None:
    """Wait for the end of a job that may run in another thread's loop."""
    here, ended = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            here.call_soon_threadsafe(ended.set)

    before.over.add_done_callback(wake)
    await ended.wait()


def _end(key: str, mine: _Turn, before: _Turn | None) -> None:
    """Leave the queue: at once, or, if the wait was given up, when the one before has ended."""

    def leave(_: object = None) -> None:
        with _GUARD:
            queue = _QUEUES[key]
            queue.remove(mine)
            if not queue:
                del _QUEUES[key]
        mine.over.set_result(None)

    if before is None:
        leave()
    else:
        before.over.add_done_callback(leave)
