"""Places: how many calls of a job are at work at once. A call that only waits gives its place free.

Which place is a call's own is a context variable: it holds for whatever the call awaits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from selectllm.core.stopping import unsent


class Places:
    """`count` places. As many calls more may be begun as wait without one."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)  # whoever waits longest comes first
        self._begun = asyncio.Semaphore(2 * count)

    async def taken(self) -> HeldPlace:
        """A place for a call that begins."""
        await self._begun.acquire()
        place = HeldPlace(self._free, self._begun)
        await place.take()
        return place


class HeldPlace:
    """What a call has while it is at work. `begun` is the call's from its beginning to its end."""

    def __init__(self, free: asyncio.Semaphore, begun: asyncio.Semaphore) -> None:
        self._free, self._begun = free, begun
        self._held = False

    async def take(self) -> None:
        """Wait until a place is free."""
        await self._free.acquire()
        self._held = True

    def leave(self) -> None:
        """Give it free, if it is held."""
        if self._held:
            self._held = False
            self._free.release()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The place of a call that is carried out meanwhile; afterwards it is free."""
        before = _PLACE.set(self)
        try:
            yield
        finally:
            _PLACE.reset(before)
            self.leave()
            self._begun.release()


_PLACE: ContextVar[HeldPlace | None] = ContextVar("the place of this call", default=None)


@asynccontextmanager
async def without_place() -> AsyncIterator[None]:
    """While it lasts this call waits, and another is at work in its place.

    It may hold what others wait for, if they wait so as well. Once the job is told to stop it does
    not come back (stopping.py).
    """
    place = _PLACE.get()
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        with unsent():
            await place.take()
