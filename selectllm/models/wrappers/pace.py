"""How fast an endpoint is asked: as fast as it answers, and no faster.

All models at one endpoint share its pace, since the limit is the account's or the server's. It is
unlimited until a good part of the calls is refused as busy (429, 503, 529). From then on calls
start at a rate that is held close to what is accepted, so that the limit is used to the full and
about one try in four is refused. A few refusals among many answers slow nobody down but the calls
that got them.

A wait that the endpoint asks for then holds for everybody, but for a call now and then that finds
out whether it does: an endpoint that answers others meanwhile limits nobody, it refuses at random.
"""

from __future__ import annotations

import asyncio
import math
from weakref import WeakKeyDictionary

from selectllm.core.stopping import rest

WINDOW, FEWEST = 1.0, 8  # the rate is set anew after that many seconds, and that many calls
TOLERATED = 0.2  # share of refused calls below which nothing is slowed; of half of it, no notice
AT_RANDOM = 0.5  # the same of an endpoint that refuses at random, and of what tells that it does
MEMORY = 16  # calls that a share is of, where it decides on a pause
ABOVE = 1.1  # the first rate, and one that was far off: that many times what was accepted
FAR_OFF = 0.4  # share of accepted calls below which it was
DOWN, UP = 0.9, 1.05  # the rate after more, and after fewer; UP once more each time in a row
FASTER = 1.5  # after fewer, as long as it stays below DOWN of the rate that was last refused
SLOWEST = 0.5  # calls a second: what refuses everything is asked so often


class _Share:
    """The share of the latest calls that was refused; 1 as long as there are none."""

    def __init__(self) -> None:
        self._answered = self._refused = 0.0

    def note(self, *, refused: bool) -> None:
        """Another call."""
        fade = 1 - 1 / MEMORY
        self._answered = self._answered * fade + (not refused)
        self._refused = self._refused * fade + refused

    @property
    def refused(self) -> float:
        """From 0 to 1."""
        calls = self._answered + self._refused
        return self._refused / calls if calls else 1.0


class EndpointPace:
    """The pace of one endpoint, within one event loop, whose clock it goes by."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._order = asyncio.Lock()  # who comes first is served first
        self._next = -math.inf  # when the next call may start
        self._asked_until = -math.inf  # until when it has asked callers to wait
        self._rate: float | None = None  # calls a second; None: unlimited
        self._too_fast = math.inf  # the rate at which calls were last refused
        self._since: float | None = None  # when the window began; at first with the first answer
        self._sent = self._refused = 0  # calls in the window
        self._clean = 0  # windows in a row in which none was refused
        self._held = False  # whether the rate held any of them back
        self._latest = _Share()
        self._meanwhile = _Share()  # of the calls that were sent while others were asked to wait
        self.usual = math.inf  # seconds that an answer took of late
        self._silent_from: float | None = None  # of the first refusal that no answer followed

    async def turn(self) -> bool:
        """Wait until a call may start; whether it starts while others are asked to wait."""
        if self._rate is not None or self._next > self._loop.time() or self._order.locked():
            async with self._order:
                while (wait := self._next - self._loop.time()) > 0:
                    self._held = True
                    await rest(wait)
                now = self._loop.time()
                if self._waits(now):
                    self._next = min(self._asked_until, now + 1 / SLOWEST)
                elif self._rate is not None:
                    self._next = now + 1 / self._rate
        self._sent += 1
        return self._loop.time() < self._asked_until

    def answered(self, meanwhile: bool, seconds: float | None = None) -> None:
        """A call was answered, if by a reply after `seconds`, else by an error: it is not busy.

        `meanwhile`: what `turn` said of it.
        """
        self._silent_from = None
        if seconds is not None:
            before = seconds if math.isinf(self.usual) else self.usual
            self.usual = before + (seconds - before) / MEMORY
        self._note(meanwhile, refused=False)

    def refused(self, meanwhile: bool, retry_after: float | None) -> None:
        """A call found the endpoint busy; `retry_after`: seconds that it asks to wait."""
        now = self._loop.time()
        self._refused += 1
        if self._silent_from is None:
            self._silent_from = now
        if retry_after is not None:
            self._asked_until = max(self._asked_until, now + retry_after)
        self._note(meanwhile, refused=True)
        if self._waits(now):
            self._next = max(self._next, min(self._asked_until, now + 1 / SLOWEST))

    def _waits(self, now: float) -> bool:
        """Whether everybody waits because others were asked to."""
        return now < self._asked_until and self.crowded and not self._at_random

    @property
    def _at_random(self) -> bool:
        """Whether it answers calls while it asks others to wait, so that a limit is no reason."""
        return self._meanwhile.refused < AT_RANDOM

    @property
    def _tolerated(self) -> float:
        return AT_RANDOM if self._at_random else TOLERATED

    @property
    def crowded(self) -> bool:
        """Whether so much is refused that a limit of the endpoint's must be the reason."""
        return self._latest.refused >= self._tolerated

    @property
    def silent_for(self) -> float:
        """Seconds since the first of the refusals that no answer has followed; 0 for none."""
        return 0.0 if self._silent_from is None else self._loop.time() - self._silent_from

    def _note(self, meanwhile: bool, *, refused: bool) -> None:
        self._latest.note(refused=refused)
        if meanwhile:
            self._meanwhile.note(refused=refused)
        now = self._loop.time()
        if self._since is None:
            self._since = now
        seconds = now - self._since
        if seconds >= WINDOW and self._sent >= FEWEST:
            self._rate = self._next_rate(max(0, self._sent - self._refused) / seconds)
            self._since, self._sent, self._refused, self._held = now, 0, 0, False

    def _next_rate(self, accepted: float) -> float | None:
        """The rate after a window in which calls were accepted at the rate `accepted`."""
        rate = self._rate
        crowded = self._refused >= self._tolerated * self._sent
        few = self._refused < self._tolerated / 2 * self._sent
        self._clean = self._clean + 1 if few else 0
        if rate is None:
            return max(ABOVE * accepted, SLOWEST) if crowded else None
        if crowded:
            self._too_fast = rate
            far_off = accepted < FAR_OFF * rate
            slower = max(ABOVE * accepted, rate / 2) if far_off else DOWN * rate
            return max(slower, SLOWEST)
        if not self._held or self._at_random:
            return None
        if not few:  # maybe no limit is the reason: endpoints refuse a few at any rate
            return UP * rate
        if FASTER * rate < DOWN * self._too_fast:
            return FASTER * rate
        return UP**self._clean * rate


class Paces:
    """The paces of a session's endpoints, by name; each event loop has its own."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, EndpointPace]]
        self._of = WeakKeyDictionary()

    def of(self, endpoint: str) -> EndpointPace:
        """The pace of `endpoint` in the loop that is running."""
        paces = self._of.setdefault(asyncio.get_running_loop(), {})
        if endpoint not in paces:
            paces[endpoint] = EndpointPace()
        return paces[endpoint]
