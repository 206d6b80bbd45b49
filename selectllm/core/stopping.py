"""Stopping in good order: what is on its way arrives and is kept, and nothing new is begun.

Both are context variables: they hold for what one job asks, through every task that it starts, and
for no other job of the same event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

DRAIN_SECONDS = 30.0
AT_ONCE = 0.1  # seconds in which what only waited to be sent is gone


@dataclass(frozen=True, slots=True)
class Drain:
    """What happens to calls in flight when a job is interrupted.

    `seconds`: how long they are waited for. `tell`: hears of the wait when it begins.
    """

    seconds: float = DRAIN_SECONDS
    tell: Callable[[str], object] = lambda text: None


class _Stop:
    """Whether a job was told to stop, and which of its tasks only wait to send something."""

    def __init__(self) -> None:
        self.stopped = False
        self.resting: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        self.stopped = True
        for task in list(self.resting):
            task.cancel()


_DRAIN: ContextVar[Drain] = ContextVar("what happens to calls in flight", default=Drain())  # noqa: B039
_STOP: ContextVar[_Stop | None] = ContextVar("whether to stop", default=None)


@contextmanager
def draining(drain: Drain) -> Iterator[None]:
    """While it lasts, jobs that are interrupted wait as `drain` says."""
    before = _DRAIN.set(drain)
    try:
        yield
    finally:
        _DRAIN.reset(before)


def stopped() -> bool:
    """Whether this job was told to stop: nothing is to be sent any more."""
    stop = _STOP.get()
    return stop is not None and stop.stopped


@contextmanager
def unsent() -> Iterator[None]:
    """While it lasts something waits to be sent; it is cancelled once the job is told to stop."""
    stop, task = _STOP.get(), asyncio.current_task()
    if stop is None or task is None:
        yield
        return
    if stop.stopped:
        raise asyncio.CancelledError
    stop.resting.add(task)
    try:
        yield
    finally:
        stop.resting.discard(task)


async def rest(seconds: float) -> None:
    """Sleep before something is sent; cancelled once the job is told to stop."""
    with unsent():
        await asyncio.sleep(seconds)


async def to_the_end(work: Coroutine[Any, Any, Value]) -> Value:
    """What `work` returns or raises. Cancelled, it begins nothing new and ends in good order.

    What it has sent is waited for as long as the Drain says, and then it is cancelled, as it is
    at once if this is cancelled again.
    """
    stop = _Stop()
    before = _STOP.set(stop)
    try:
        task = asyncio.create_task(work)
    finally:
        _STOP.reset(before)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await _drained(task, stop, _DRAIN.get())
        raise


async def _drained(task: asyncio.Task[Any], stop: _Stop, drain: Drain) -> None:
    stop.stop()
    try:
        await asyncio.wait({task}, timeout=min(AT_ONCE, drain.seconds))
        if drain.seconds > AT_ONCE and not task.done():
            drain.tell(
                f"Stopping. Waiting for replies that are still on their way, at most "
                f"{drain.seconds:g} seconds. Interrupt again to stop at once."
            )
            await asyncio.wait({task}, timeout=drain.seconds - AT_ONCE)
    finally:
        task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: the interrupt is what is raised
