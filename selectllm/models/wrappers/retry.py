"""Asking again where that may help: which failures, how often, after which waits."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selectllm.core.errors import ProviderError, SelectLLMError
from selectllm.core.places import without_place
from selectllm.core.stopping import rest
from selectllm.core.types import Attempt, Reply
from selectllm.models.model import Model, Request, expect
from selectllm.models.wrappers.pace import EndpointPace, Paces, Start

PACED = (429, 503, 529)  # the statuses by which an endpoint says that it is asked too fast
BUSY = (408, 409, 425, 500, 502, 504, *PACED)
UNNOTICED = 0.001  # seconds; a shorter wait is none


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried; all waits in seconds.

    The wait before try n + 1 is drawn from [w/2, w] with w = `first_wait` * 2^(n-1), at most
    `longest_wait`; before the second try, w is no longer than answers usually take. A provider that
    says how long to wait is obeyed, plus a draw of up to `first_wait` so that callers do not return
    in step; one that asks for more than `longest_retry_after` is not waited for.

    Most failures are tried `attempts` times. An endpoint that is asked too fast (429, 503, 529) is
    no failure but a slow one: the call goes on until it has waited for `patience` and was refused
    `busy_attempts` times as often as others are until one is answered. Where the endpoint has
    answered nobody since, `attempts` do.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    patience: float = 120.0
    busy_attempts: int = 12

    def wait(self, error: ProviderError, tries: int, usual: float, crowded: bool) -> float:
        """Seconds to wait after try number `tries`, which failed with `error`.

        `usual`: seconds that an answer takes. `crowded`: the pace of the endpoint holds everybody
        back, and this call need not as well.
        """
        wait = self.first_wait
        if not crowded:
            longest = usual if tries == 1 else self.longest_wait
            wait = min(longest, wait * 2.0 ** (tries - 1))
        drawn = random.uniform(wait / 2, wait)
        if error.retry_after is None:
            return drawn
        asked = error.retry_after + random.uniform(0.0, self.first_wait)
        return asked if tries < self.attempts else max(asked, drawn)


def is_busy(error: ProviderError) -> bool:
    """Whether `error` says no more than that the provider is busy."""
    return error.kind == "busy" or (not error.kind and error.status in BUSY)


class Retrying:
    """A model that asks `inner` again as `policy` says, at the pace of its `endpoint`.

    Raises what `inner` raised last; a ProviderError then says how often it was tried, and holds
    every try.
    """

    def __init__(
        self,
        inner: Model,
        policy: RetryPolicy | None = None,
        paces: Paces | None = None,
        endpoint: str = "",
    ) -> None:
        self._inner = inner
        self._policy = policy or RetryPolicy()
        self._paces = paces or Paces()
        self._endpoint = endpoint

    def expect(self, requests: Sequence[Request]) -> None:
        """Tell the inner model."""
        expect(self._inner, requests)

    async def complete(self, request: Request) -> Reply:
        """The reply of the first try that succeeds."""
        call = _Call(request, self._policy, self._paces.of(self._endpoint))
        while True:
            outcome = await call.once(self._inner)
            if isinstance(outcome, Reply):
                return outcome
            if isinstance(outcome, SelectLLMError):
                raise outcome
            async with without_place():
                await rest(outcome)

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()


class _Call:
    """One call and its tries."""

    def __init__(self, request: Request, policy: RetryPolicy, pace: EndpointPace) -> None:
        self._request, self._policy, self._pace = request, policy, pace
        self._clock = asyncio.get_running_loop().time
        self._begun = self._ready = self._clock()  # when the next try could have been sent
        self._failed: list[Attempt] = []
        self._refused = math.inf  # when it was first refused as too fast
        self._rested = 0.0  # seconds of the waits between tries, as they were drawn

    async def once(self, inner: Model) -> Reply | SelectLLMError | float:
        """What came of one try: the reply, an error to end with, or seconds to wait."""
        turn = await self._pace.turn()
        sent = self._clock()
        waited = sent - self._ready if sent - self._ready >= UNNOTICED else None
        try:
            reply = await inner.complete(self._request)
        except ProviderError as error:
            self._failed.append(_attempt(self._request, error, self._clock() - sent, waited))
            return self._after(error, turn)
        except SelectLLMError as error:
            error.attempts = tuple(self._failed)
            return error
        self._pace.answered(turn, self._clock() - sent)
        if waited is not None or self._failed:
            return replace(reply, waited=waited, failed=tuple(self._failed))
        return reply

    def _after(self, error: ProviderError, turn: Start) -> ProviderError | float:
        """The seconds to wait after a failed try, or the error if that is the end."""
        if error.status in PACED and error.retryable:
            self._pace.refused(turn, error.retry_after)
            self._refused = min(self._refused, self._clock())
        elif error.status is not None:
            self._pace.answered(turn)
        tries = len(self._failed)
        crowded = self._pace.crowded and error.status in PACED
        wait = self._policy.wait(error, tries, self._pace.usual, crowded)
        too_long = (error.retry_after or 0.0) > self._policy.longest_retry_after
        if error.retryable and not too_long and not self._over(error, wait):
            self._ready = self._clock()
            self._rested += wait
            return wait
        last = error if tries == 1 else error.reworded(f"{error} Gave up after {tries} tries.")
        last.attempts = tuple(self._failed)
        return last

    def _over(self, error: ProviderError, wait: float) -> bool:
        """Whether the call was tried enough."""
        policy, tries = self._policy, len(self._failed)
        if error.status not in PACED:
            return tries >= policy.attempts
        waited = max(self._rested, self._clock() - self._begun) + wait >= policy.patience
        silent = self._pace.silent_for
        if silent >= policy.patience:
            return waited or tries >= policy.attempts
        nobody = silent >= self._clock() - self._refused  # was answered since this call was not
        enough = policy.attempts if nobody else policy.busy_attempts * self._pace.tries
        return waited and tries >= enough


def _attempt(
    request: Request, error: ProviderError, seconds: float, waited: float | None
) -> Attempt:
    """What the log keeps of a try that failed."""
    reply = error.reply or Reply("", "")
    return Attempt(
        request_sha256=request.key,
        reply=reply.text,
        finish_reason=reply.finish_reason,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        cost_usd=reply.cost_usd,
        seconds=reply.seconds or seconds,
        cached=False,
        kind=error.kind or ("busy" if is_busy(error) else "failed"),
        status=error.status,
        waited=waited,
        at_most_usd=error.at_most_usd,
    )
