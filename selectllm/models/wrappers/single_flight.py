"""Single flight: of several callers with one key, one works and the others wait for it.

Inside a process callers meet at a future, whatever thread or event loop they run in. Between
processes they meet at one byte of a lock file, at an offset drawn from the key: the kernel drops
a byte lock when its holder dies, so a killed process blocks nobody. One that was stopped does, for
what it asks may be paid for: whoever waits for it is told so (held.py).
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from selectllm.core.errors import SelectLLMError
from selectllm.core.places import without_place
from selectllm.core.stopping import rest
from selectllm.models.wrappers.byte_lock import release, take
from selectllm.models.wrappers.held import Held

Result = TypeVar("Result")

FIRST_POLL, LAST_POLL = 0.005, 0.25  # seconds between looks at another process's lock


@dataclass(slots=True)
class _Flight:
    """What one caller works at; `landed`: made by the first who waits for it."""

    landed: Future[bool] | None = None


_guard = threading.Lock()
_flights: dict[tuple[Path, str], _Flight] = {}


async def single_flight(
    lock_file: Path,
    key: str,
    look: Callable[[], Result | None],
    work: Callable[[], Awaitable[Result]],
    *,
    held: Held,
    looked: bool = False,
) -> Result:
    """`look()` if it finds something, else `work()`, run by one caller per key at a time.

    `held`: tells of another process that one has waited for long. `looked`: that was done a moment
    ago, and nothing was found; there is still a look under lock.

    `work` must leave behind what `look` finds. A SelectLLMError of its goes to every caller that
    waited for it in this process; if it ends otherwise, one of those who waited takes over.
    """
    while True:
        if not looked and (found := look()) is not None:
            return found
        looked = False
        with _guard:
            flight = _flights.get((lock_file, key))
            if flight is None:
                _flights[lock_file, key] = _Flight()
            elif flight.landed is None:
                flight.landed = Future()
        if flight is None:
            return await _lead(lock_file, key, look, work, held)
        assert flight.landed is not None
        try:
            # shield: a waiter that is cancelled must not cancel the flight of the others
            async with without_place():
                await asyncio.shield(asyncio.wrap_future(flight.landed))
        except SelectLLMError as error:
            own = copy.copy(error)
            own.attempts = ()  # they are the leader's: who waited has sent nothing
            raise own from None


async def _lead(
    lock_file: Path,
    key: str,
    look: Callable[[], Result | None],
    work: Callable[[], Awaitable[Result]],
    held: Held,
) -> Result:
    error: SelectLLMError | None = None
    try:
        offset = await _taken(lock_file, key, held)
        try:
            found = look()  # another process may have answered meanwhile
            return found if found is not None else await work()
        finally:
            release(lock_file, offset)
    except SelectLLMError as caught:
        error = caught
        raise
    finally:
        with _guard:
            landed = _flights.pop((lock_file, key)).landed
        if landed is not None and error is not None:
            landed.set_exception(error)
        elif landed is not None:
            landed.set_result(True)


async def _taken(lock_file: Path, key: str, held: Held) -> int:
    """Wait until no other process works for `key`; the offset to release afterwards."""
    offset = int(key[:15], 16)
    wait, waiting = FIRST_POLL, held.waiting()
    while not take(lock_file, offset):  # here, so that who is told to stop in between holds nothing
        async with without_place():
            waiting.goes_on(lock_file, lambda: [offset])
            await rest(wait)
        wait = min(wait * 2, LAST_POLL)
    return offset
