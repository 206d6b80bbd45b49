"""Asking again: which failures, how often, how long the waits are, and what is said at the end.

What a failure was (failures.py) is tested with a real server in test_litellm.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from selectllm.core.errors import BudgetReached, ProviderError, ReplyMissing
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.retry import Retrying, RetryPolicy

QUICK = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.002)
REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="hi"),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
)
BUSY = ProviderError("busy.", status=503, retryable=True)


class Scripted:
    """A model that fails as told, then answers; it remembers when it was asked."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.failures = list(failures)
        self.asked: list[float] = []
        self.closed = False

    async def complete(self, request: Request) -> Reply:
        self.asked.append(time.monotonic())
        if self.failures:
            raise self.failures.pop(0)
        return Reply("[1]")

    async def close(self) -> None:
        self.closed = True


def ask(model: Scripted, policy: RetryPolicy = QUICK) -> Reply:
    return asyncio.run(Retrying(model, policy).complete(REQUEST))


def test_a_reply_at_once_is_asked_for_once() -> None:
    model = Scripted([])
    assert ask(model) == Reply("[1]")
    assert len(model.asked) == 1


def test_a_failure_that_may_pass_is_asked_again_until_it_passes() -> None:
    model = Scripted([BUSY] * 3)
    assert ask(model) == Reply("[1]")
    assert len(model.asked) == 4


def test_after_the_last_attempt_the_failure_is_raised_with_the_number_of_tries() -> None:
    model = Scripted([ProviderError("busy.", status=429, retryable=True, retry_after=0.001)] * 9)
    with pytest.raises(ProviderError, match=r"^busy\. Gave up after 4 tries\.$") as caught:
        ask(model)
    assert len(model.asked) == 4
    error = caught.value
    assert (error.status, error.retryable, error.retry_after) == (429, True, 0.001)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "failure",
    [
        ProviderError("refused", status=400),
        ProviderError("wrong key", status=401, fatal=True),
        BudgetReached("no money"),
        ReplyMissing("offline"),
        ValueError("a bug"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_any_other_failure_is_raised_as_it_is(failure: Exception) -> None:
    model = Scripted([failure])
    with pytest.raises(type(failure)) as caught:
        ask(model)
    assert caught.value is failure
    assert len(model.asked) == 1


def test_a_provider_that_says_how_long_to_wait_is_obeyed() -> None:
    model = Scripted([ProviderError("busy", retryable=True, retry_after=0.05)])
    ask(model)
    assert model.asked[1] - model.asked[0] >= 0.05


def test_a_provider_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    failure = ProviderError("try tomorrow", status=429, retryable=True, retry_after=0.02)
    model = Scripted([failure])
    with pytest.raises(ProviderError, match="try tomorrow") as caught:
        ask(model, RetryPolicy(longest_retry_after=0.01))
    assert caught.value is failure
    assert len(model.asked) == 1


def test_waits_double_with_every_try_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=5, first_wait=0.02, longest_wait=0.05)
    model = Scripted([BUSY] * 4)
    ask(model, policy)
    waits = [later - sooner for sooner, later in zip(model.asked, model.asked[1:], strict=False)]
    for wait, least in zip(waits, [0.01, 0.02, 0.025, 0.025], strict=True):
        assert wait >= least


def test_many_requests_at_once_do_not_share_their_tries() -> None:
    model = Scripted([BUSY] * 30)

    async def many() -> list[Reply]:
        retrying = Retrying(model, RetryPolicy(attempts=31, first_wait=0.001, longest_wait=0.001))
        return await asyncio.gather(*(retrying.complete(REQUEST) for _ in range(10)))

    assert asyncio.run(many()) == [Reply("[1]")] * 10
    assert len(model.asked) == 40


def test_a_cancelled_request_is_not_asked_again() -> None:
    model = Scripted([BUSY] * 9)

    async def cancel_during_the_wait() -> None:
        retrying = Retrying(model, RetryPolicy(first_wait=60.0, longest_wait=60.0))
        task = asyncio.create_task(retrying.complete(REQUEST))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_during_the_wait())
    assert len(model.asked) == 1


def test_closing_closes_the_inner_model() -> None:
    model = Scripted([])
    asyncio.run(Retrying(model).close())
    assert model.closed
