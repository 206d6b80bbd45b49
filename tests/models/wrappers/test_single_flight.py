"""Who waits for another process's byte and is told to stop meanwhile holds nothing afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from selectllm.core.places import Places
from selectllm.core.stopping import Drain, draining, to_the_end
from selectllm.models.wrappers.byte_lock import holder, release, take
from selectllm.models.wrappers.held import Held
from selectllm.models.wrappers.single_flight import single_flight

KEY = "1" * 64
OFFSET = int(KEY[:15], 16)


def test_a_job_that_is_stopped_while_it_waits_for_a_place_holds_no_byte(tmp_path: Path) -> None:
    lock = tmp_path / "flight.lock"
    ready, freed = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:  # holds the byte until it is told
        take(lock, OFFSET)
        os.write(ready[1], b"x")
        os.read(freed[0], 1)
        os._exit(0)
    os.read(ready[0], 1)

    async def waiting() -> None:
        places = Places(1)

        async def asks() -> None:
            place = await places.taken()
            with place.kept():
                await single_flight(lock, KEY, lambda: None, never, held=Held(print, "asks"))

        async def occupies() -> None:
            with (await places.taken()).kept():
                os.write(freed[1], b"x")  # the byte is free, and the place is not
                await asyncio.sleep(60)

        await asyncio.gather(asks(), occupies())

    async def never() -> str:
        raise AssertionError

    async def stopped() -> None:
        with draining(Drain(0.0)):
            job = asyncio.create_task(to_the_end(waiting()))
            await asyncio.sleep(1.0)
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job

    asyncio.run(stopped())
    os.waitpid(child, 0)
    if (other := os.fork()) == 0:
        os._exit(0 if holder(lock, OFFSET) is None else 1)
    assert os.waitpid(other, 0)[1] == 0
    release(lock, OFFSET)
