"""Calls that got lost: one that others left behind by far is not waited for until its time-out.

A connection can die without a word, and a server can forget a call. The time-out, which leaves room
for the longest reply, tells after minutes; all others that were answered meanwhile tell before. In
a short round of questions, such as a search asks, these are those that were asked with it.

Some replies take twenty times as long as nearly all, and come. Cutting these off would pay for them
twice, and never learn that they do: so the first call is waited for much longer than later ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from statistics import median, quantiles

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request

LATEST = 100  # replies that a call is compared with; none is lost before there are so many
SLOWER = 5.0  # times as long as nine in ten of them took: that long a call is waited for
SLOWEST = 1.5  # or times as long as the slowest reply of all, if that is more
FIRST = 30.0  # as long as none got lost or timed out: times half of them took, if that is more
SHARE = 0.01  # of the calls that are answered: so many count as lost, and no more
OVERTAKEN = 8  # calls that were sent after it and are answered; or it is the last of a round


@dataclass(eq=False, slots=True)
class _Out:
    """A call without a reply. `limit`: what ends it, never as long as it is not left behind.

    `overtaken`: answered calls that were sent after it. `answered`: all that were before it.
    """

    sent: float
    limit: asyncio.Timeout
    answered: int
    overtaken: int = 0


class LossGuard:
    """A model of whose calls a lost one ends like a time-out: as a ProviderError to be retried.

    The question is then waited for until its time-out, should it be asked again: it may be one
    whose replies take long, which tells how long others may take. So it is paid twice at most, as
    it is after a time-out.
    """

    def __init__(self, inner: Model) -> None:
        self._inner = inner
        self._out: dict[_Out, None] = {}  # in the order in which they were sent
        self._seconds: deque[float] = deque(maxlen=LATEST)
        self._answered = 0
        self._slowest = 0.0  # seconds of a reply, of all replies
        self._lost: set[str] = set()  # the keys of their questions

    async def complete(self, request: Request) -> Reply:
        """The inner model's reply, unless it got lost."""
        clock = asyncio.get_running_loop().time
        if request.key in self._lost:
            sent = clock()
            reply = await self._inner.complete(request)
            self._slowest = max(self._slowest, reply.seconds or clock() - sent)
            return reply
        try:
            async with asyncio.timeout(None) as limit:
                out = _Out(clock(), limit, self._answered)
                self._out[out] = None
                try:
                    reply = await self._inner.complete(request)
                    # Without what it took us to load a library for the first calls.
                    self._leave_behind(out, reply.seconds or clock() - out.sent)
                finally:
                    del self._out[out]
        except ProviderError as error:
            if error.kind == "timeout":
                self._lost.add(request.key)
            raise
        except TimeoutError:
            if not limit.expired():  # a defect of ours below
                raise
            self._lost.add(request.key)
            raise ProviderError(
                f"{request.model.name}: no reply came in {clock() - out.sent:.1f} s, while "
                f"{self._answered - out.answered} others were answered.",
                retryable=True,
                kind="timeout",
            ) from None
        return reply

    def _leave_behind(self, answered: _Out, seconds: float) -> None:
        """What an answer after `seconds` says about those that are still waited for."""
        self._seconds.append(seconds)
        self._slowest = max(self._slowest, seconds)
        self._answered += 1
        if len(self._seconds) < LATEST:
            return
        for out in self._out:
            if out is answered:
                break
            out.overtaken += 1
            if out.overtaken >= OVERTAKEN:
                self._limit(out)
        if len(self._out) == 2:  # the answered one, and the last of those that were out with it
            self._limit(next(out for out in self._out if out is not answered))

    def _limit(self, out: _Out) -> None:
        """Wait for a call that was left behind only as long as patience allows.

        Where many seem lost, replies take as long as that, and asking again would pay for them
        twice.
        """
        if not out.limit.expired() and len(self._lost) <= SHARE * self._answered:
            out.limit.reschedule(out.sent + self._patience())

    def _patience(self) -> float:
        """Seconds that a call is waited for."""
        most = quantiles(self._seconds, n=10)[-1]
        seconds = max(SLOWER * most, SLOWEST * self._slowest)
        return seconds if self._lost else max(seconds, FIRST * median(self._seconds))

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()
