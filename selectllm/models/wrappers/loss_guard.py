"""Calls that got lost: one that others overtook by far is not waited for until its time-out.

A connection can die without a word, and a server can forget a call. The time-out, which leaves room
for the longest reply, tells after minutes; all others that were answered meanwhile tell before.

Some replies take twenty times as long as nearly all, and come. Cutting these off would pay for them
twice, and never learn that they do: so the first call is waited for much longer than later ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from statistics import median

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request

LATEST = 100  # replies that a call is compared with; none is lost before there are so many
SLOWER = 5.0  # times as long as the slowest of them: that long a call is waited for
FIRST = 30.0  # as long as none got lost: times as long as half of them took, if that is more
OVERTAKEN = 8  # calls that were sent after it and are answered


@dataclass(eq=False, slots=True)
class _Out:
    """A call without a reply. `limit`: what ends it, never as long as it is not overtaken."""

    sent: float
    limit: asyncio.Timeout
    overtaken: int = 0


class LossGuard:
    """A model of whose calls a lost one ends like a time-out: as a ProviderError to be retried.

    The question is then waited for until its time-out, should it be asked again: it may be one
    whose replies take long. So it is paid twice at most, as it is after a time-out.
    """

    def __init__(self, inner: Model) -> None:
        self._inner = inner
        self._out: dict[_Out, None] = {}  # in the order in which they were sent
        self._seconds: deque[float] = deque(maxlen=LATEST)
        self._longest = 0.0  # seconds of all replies: no call is lost before
        self._lost: set[str] = set()  # the keys of their questions

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply, unless it got lost."""
        if request.key in self._lost:
            return await self._inner.complete(request)
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as limit:
                out = _Out(clock(), limit)
                self._out[out] = None
                try:
                    reply = await self._inner.complete(request)
                    self._overtake(out, clock() - out.sent)
                finally:
                    del self._out[out]
        except TimeoutError:
            if not limit.expired():  # a defect of ours below
                raise
            self._lost.add(request.key)
            raise ProviderError(
                f"{request.model.name}: no reply came in {clock() - out.sent:.1f} s, while "
                f"{out.overtaken} questions that were asked later were answered.",
                retryable=True,
                kind="timeout",
            ) from None
        return reply

    def _overtake(self, answered: _Out, seconds: float) -> None:
        """What an answer after `seconds` says about those that were sent before it."""
        self._seconds.append(seconds)
        self._longest = max(self._longest, seconds)
        known = len(self._seconds) == LATEST
        for out in self._out:
            if out is answered:
                return
            out.overtaken += 1
            if known and out.overtaken >= OVERTAKEN and not out.limit.expired():
                out.limit.reschedule(out.sent + self._patience())

    def _patience(self) -> float:
        """Seconds that a call is waited for."""
        seconds = max(SLOWER * max(self._seconds), self._longest)
        return seconds if self._lost else max(seconds, FIRST * median(self._seconds))

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()
