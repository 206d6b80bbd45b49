"""Asking again where that may help: which failures, how often, after which waits."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import Model, Request


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried; all waits in seconds.

    The wait before try n + 1 is drawn from [w/2, w] with w = `first_wait` * 2^(n-1), at most
    `longest_wait`. A provider that says how long to wait is obeyed, plus a draw of up to
    `first_wait` so that callers do not return in step; one that asks for more than
    `longest_retry_after` is not waited for.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0

    def again(self, error: BaseException) -> bool:
        """Whether the same request is worth another try after `error`."""
        return (
            isinstance(error, ProviderError)
            and error.retryable
            and (error.retry_after or 0.0) <= self.longest_retry_after
        )

    def wait(self, state: RetryCallState) -> float:
        """Seconds to wait after the failed try that `state` describes."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ProviderError) else None
        if asked is not None:
            return asked + random.uniform(0.0, self.first_wait)
        wait = min(self.longest_wait, self.first_wait * 2.0 ** (state.attempt_number - 1))
        return random.uniform(wait / 2, wait)


class Retrying:
    """A model that asks `inner` again as `policy` says.

    Raises what `inner` raised last; a ProviderError then says how often it was tried.
    """

    def __init__(self, inner: Model, policy: RetryPolicy | None = None) -> None:
        self._inner = inner
        self._policy = policy or RetryPolicy()

    async def complete(self, request: Request) -> Reply:
        """The reply of the first try that succeeds."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._policy.again),
            wait=self._policy.wait,
            stop=stop_after_attempt(self._policy.attempts),
            retry_error_callback=_give_up,
            reraise=True,
        )
        return await retrying(self._inner.complete, request)

    async def close(self) -> None:
        """Close the inner model."""
        await self._inner.close()


def _give_up(state: RetryCallState) -> Reply:
    """Raise the last error again, with the number of tries in its text."""
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ProviderError):
        raise AssertionError("only provider errors are tried again")
    raise error.reworded(f"{error} Gave up after {state.attempt_number} tries.")
