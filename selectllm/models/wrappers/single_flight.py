"""Single flight: of several callers with one key, one works and the others wait for it.

Inside a process callers meet at a future, whatever thread or event loop they run in. Between
processes they meet at one byte of a lock file, at an offset drawn from the key: the kernel drops
a byte lock when its holder dies, so a killed process blocks nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from selectllm.core.errors import SelectLLMError
from selectllm.core.stopping import rest
from selectllm.models.wrappers.byte_lock import release, take

Result = TypeVar("Result")

FIRST_POLL, LAST_POLL = 0.005, 0.25  # seconds between looks at another process's lock

_guard = threading.Lock()
_flights: dict[tuple[Path, str], Future[bool]] = {}


async def single_flight(
    lock_file: Path,
    key: str,
    look: Callable[[], Result | None],
    work: Callable[[], Awaitable[Result]],
) -> Result:
    """`look()` if it finds something, else `work()`, run by one caller per key at a time.

    `work` must leave behind what `look` finds. A SelectLLMError of its goes to every caller that
    waited for it in this process; if it ends otherwise, one of those who waited takes over.
    """
    while True:
        found = look()
        if found is not None:
            return found
        with _guard:
            flight = _flights.get((lock_file, key))
            leads = flight is None
            if flight is None:
                flight = _flights[lock_file, key] = Future()
        if leads:
            return await _lead(lock_file, key, flight, look, work)
        try:
            # shield: a waiter that is cancelled must not cancel the flight of the others
            await asyncio.shield(asyncio.wrap_future(flight))
        except SelectLLMError as error:
            own = copy.copy(error)
            own.attempts = ()  # they are the leader's: who waited has sent nothing
            raise own from None


async def _lead(
    lock_file: Path,
    key: str,
    flight: Future[bool],
    look: Callable[[], Result | None],
    work: Callable[[], Awaitable[Result]],
) -> Result:
    error: SelectLLMError | None = None
    try:
        async with _byte_lock(lock_file, key):
            found = look()  # another process may have answered meanwhile
            return found if found is not None else await work()
    except SelectLLMError as caught:
        error = caught
        raise
    finally:
        with _guard:
            del _flights[lock_file, key]
        if error is not None:
            flight.set_exception(error)
        else:
            flight.set_result(True)


@contextlib.asynccontextmanager
async def _byte_lock(lock_file: Path, key: str) -> AsyncIterator[None]:
    """While it lasts, no other process works for `key`; on Windows this is not held."""
    offset = int(key[:15], 16)
    wait = FIRST_POLL
    while not take(lock_file, offset):
        await rest(wait)
        wait = min(wait * 2, LAST_POLL)
    try:
        yield
    finally:
        release(lock_file, offset)
