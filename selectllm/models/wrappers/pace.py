"""How fast an endpoint is asked: as fast as it answers, and no faster.

All models at one endpoint share its pace, since the limit is the account's or the server's. It is
unlimited until a good part of the calls is refused as busy (429, 503, 529). From then on calls
start at a rate that is held close to what is accepted, so that the limit is used to the full and
about one try in four is refused. A few refusals among many answers slow nobody down but the calls
that got them.

Some endpoints refuse at random, however slowly they are asked. Where a slower rate is still refused
too often, the next is no more than what was accepted. That cannot be above a limit: the share that
is refused even so is what waiting does not make smaller. It is then no reason to go slowly.

A wait that the endpoint asks for holds for everybody while it is crowded, but for a call now and
then that finds out whether it does: one that answers most others meanwhile asks nobody but those.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from selectllm.core.stopping import rest

WINDOW, FEWEST = 1.0, 8  # the rate is set anew after that many seconds, and that many calls
TOLERATED = 0.15  # share of refused calls, of those that a slow rate would answer: no notice below
MOST = 0.75  # share of refused calls from which on chance is not the reason
MEMORY = 16  # calls that a share is of, where it decides on a pause
DOWN, UP = 0.85, 1.06  # the rate after more, and after fewer; UP once more each time in a row
FASTER = 1.5  # after fewer, as long as it stays below DOWN of the rate that was last refused
STEEPEST = 0.25  # of a rate is the least that follows it: refusals of an earlier one come late
ALIKE = 2 / 3  # what is left of the share of refused calls, where the rate was no reason for it
IDLE = 0.5  # of the rate; if fewer calls are sent, it holds none of them back
SLOWEST = 0.5  # calls a second: what refuses everything is asked so often, even during a wait


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


@dataclass(frozen=True, slots=True)
class Start:
    """How a call starts: while some were asked to wait, or even while everybody waits."""

    meanwhile: bool = False
    probe: bool = False


class EndpointPace:
    """The pace of one endpoint, within one event loop, whose clock it goes by."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._order = asyncio.Lock()  # who comes first is served first
        self._next = -math.inf  # when the next call may start
        self._asked_until = -math.inf  # until when it has asked callers to wait
        self._probe = -math.inf  # when a call may start while everybody waits
        self._rate: float | None = None  # calls a second; None: unlimited
        self._too_fast = math.inf  # the rate at which calls were last refused
        self._since: float | None = None  # when the window began; at first with the first answer
        self._sent = self._refused = 0  # calls in the window, without probes
        self._row = 0  # windows in a row that were refused too often if below 0, or were not
        self._slowed: tuple[float, float] | None = None  # from which rate, refused in which share
        self._anyhow = 0.0  # the share that is refused at any rate
        self._latest = _Share()
        self._meanwhile = _Share()  # of the calls that were sent while others were asked to wait
        self.usual = math.inf  # seconds that an answer took of late
        self._silent_from: float | None = None  # of the first refusal that no answer followed

    async def turn(self) -> Start:
        """Wait until a call may start."""
        if self._rate is not None or self._next > self._loop.time() or self._order.locked():
            async with self._order:
                while (wait := self._next - self._loop.time()) > 0:
                    await rest(wait)
                now = self._loop.time()
                if self._waits(now):
                    self._probe = now + 1 / SLOWEST
                    self._next = min(self._asked_until, self._probe)
                elif self._rate is not None:
                    self._next = now + 1 / self._rate
        now = self._loop.time()
        turn = Start(now < self._asked_until, self._rate is not None and self._waits(now))
        self._sent += not turn.probe
        return turn

    def answered(self, turn: Start, seconds: float | None = None) -> None:
        """A call was answered, if by a reply after `seconds`, else by an error: it is not busy."""
        self._silent_from = None
        if seconds is not None:
            before = seconds if math.isinf(self.usual) else self.usual
            self.usual = before + (seconds - before) / MEMORY
        self._note(turn, refused=False)

    def refused(self, turn: Start, retry_after: float | None) -> None:
        """A call found the endpoint busy; `retry_after`: seconds that it asks to wait."""
        now = self._loop.time()
        if self._silent_from is None:
            self._silent_from = now
        if retry_after is not None:
            self._asked_until = max(self._asked_until, now + retry_after)
        self._note(turn, refused=True)
        if self._waits(now):
            self._next = max(self._next, min(self._asked_until, self._probe))

    def _waits(self, now: float) -> bool:
        """Whether everybody waits because others were asked to."""
        return now < self._asked_until and self.crowded and self._meanwhile.refused >= MOST

    @property
    def _tolerated(self) -> float:
        return self._anyhow + TOLERATED * (1 - self._anyhow)

    @property
    def crowded(self) -> bool:
        """Whether so much is refused that a limit of the endpoint's must be the reason."""
        return self._latest.refused >= self._tolerated

    @property
    def tries(self) -> float:
        """How often a call is tried until it is answered, by the latest ones."""
        return 1 / max(1 - self._latest.refused, 1 / MEMORY)

    @property
    def silent_for(self) -> float:
        """Seconds since the first of the refusals that no answer has followed; 0 for none."""
        return 0.0 if self._silent_from is None else self._loop.time() - self._silent_from

    def _note(self, turn: Start, *, refused: bool) -> None:
        self._latest.note(refused=refused)
        if turn.meanwhile:
            self._meanwhile.note(refused=refused)
        self._refused += refused and not turn.probe
        now = self._loop.time()
        if self._since is None:
            self._since = now
        seconds = now - self._since
        if seconds >= WINDOW and self._sent >= FEWEST:
            share = min(1.0, self._refused / self._sent)
            self._rate = self._next_rate(self._sent / seconds, share)
            self._since, self._sent, self._refused = now, 0, 0

    def _next_rate(self, sent: float, share: float) -> float | None:
        """The rate after a window in which `sent` calls a second were refused in this `share`."""
        rate, slowed = self._rate, self._slowed
        self._slowed = None
        if slowed is not None and share < MOST:
            before, then = slowed
            # What the rate before has used up may be refused at the beginning of the window.
            self._anyhow = min(share, self._latest.refused)
            if self._anyhow >= ALIKE * then:
                self._anyhow = (share + then) / 2
                self._row, self._too_fast = 0, math.inf
                return before
        if share >= self._tolerated and self.crowded:
            self._row = min(self._row, 0) - 1
            accepted = max((1 - share) * sent, SLOWEST)
            if rate is None:
                return accepted
            self._too_fast = rate
            if self._row == -1:
                return max(DOWN * rate, SLOWEST)
            self._slowed = slowed or (rate, share)  # to go back to, if this is no help
            return max(accepted, STEEPEST * rate)
        self._row = max(self._row, 0) + 1
        if rate is None or sent < IDLE * rate:
            self._too_fast = math.inf
            return None
        return max(UP**self._row * rate, min(FASTER * rate, DOWN * self._too_fast))


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
