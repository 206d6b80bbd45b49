"""A search that does not know `await`, in a thread beside the event loop that asks its models.

GEPA is plain code that wants each answer before it goes on. It gets a thread of its own, and what
it asks runs on the job's loop, where the provider's connections are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopRunner:
    """Runs coroutines on the loop that is running when it is made, for a search in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Task[Any] | None = None
        self._stopped = False

    async def in_thread(self, search: Callable[[], T]) -> T:
        """What `search` returns, called in a thread; cancelled, it ends at its next question.

        The question that it has ends in good order first (core/stopping.py).
        """
        try:
            return await asyncio.to_thread(search)
        except asyncio.CancelledError:
            self._stopped = True
            if self._asked is not None and not self._asked.done():
                self._asked.cancel()
                await asyncio.wait({self._asked})
            raise

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, for the thread. Raises KeyboardInterrupt once it is cancelled."""
        if self._stopped:
            coro.close()
        else:
            future: Future[T] = asyncio.run_coroutine_threadsafe(self._known(coro), self._loop)
            try:
                return future.result()
            except CancelledError:
                self._stopped = True
        # No Exception: code that calls this takes those for failures of what it tried.
        raise KeyboardInterrupt

    async def _known(self, coro: Coroutine[Any, Any, T]) -> T:
        self._asked = asyncio.current_task()
        if self._stopped:
            coro.close()
            raise asyncio.CancelledError
        return await coro
