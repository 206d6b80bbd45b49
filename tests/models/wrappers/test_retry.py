"""Asking again: which failures, how often, how long the waits are, and what is said at the end.

What a failure was (failures.py) is tested with a real server in test_litellm.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from selectllm.core.errors import BudgetReached, ProviderError, ReplyMissing
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.retry import Retrying, RetryPolicy
from tests.support.virtual_time import now, run

REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="hi"),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
)
BUSY = ProviderError("busy.", status=429, retryable=True, kind="busy")
BROKEN = ProviderError("broken.", retryable=True, kind="broken")


class Scripted:
    """A model that fails as told, then answers; it remembers when it was asked."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.failures = list(failures)
        self.asked: list[float] = []
        self.closed = False

    async def complete(self, request: Request) -> Reply:
        self.asked.append(now())
        if self.failures:
            raise self.failures.pop(0)
        return Reply("[1]")

    async def close(self) -> None:
        self.closed = True


def ask(model: Scripted, policy: RetryPolicy | None = None) -> Reply:
    return run(Retrying(model, policy).complete(REQUEST))


def test_a_reply_at_once_is_asked_for_once() -> None:
    model = Scripted([])
    assert ask(model) == Reply("[1]")
    assert len(model.asked) == 1


def test_a_failure_that_may_pass_is_asked_again_until_it_passes() -> None:
    model = Scripted([BROKEN] * 3)
    assert ask(model).text == "[1]"
    assert len(model.asked) == 4


def test_after_the_last_attempt_the_failure_is_raised_with_the_number_of_tries() -> None:
    model = Scripted([BROKEN] * 9)
    with pytest.raises(ProviderError, match=r"^broken\. Gave up after 6 tries\.$") as caught:
        ask(model)
    assert len(model.asked) == 6
    error = caught.value
    assert (error.kind, error.retryable) == ("broken", True)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_reply_tells_of_every_try_before_it_and_of_the_waits() -> None:
    model = Scripted(
        [ProviderError("busy.", status=503, retryable=True, kind="busy", retry_after=3.0), BROKEN]
    )
    reply = ask(model)
    first, second = reply.failed
    waits = [later - sooner for sooner, later in pairwise(model.asked)]
    assert (first.kind, first.status, first.waited) == ("busy", 503, None)
    assert (second.kind, second.status) == ("broken", None)
    assert [second.waited, reply.waited] == pytest.approx(waits)
    assert second.waited is not None
    assert 3.0 <= second.waited <= 3.5


def test_an_error_tells_of_every_try_and_what_it_was_paid_for() -> None:
    paid = Reply("half a", "error", tokens_in=9, tokens_out=2, cost_usd=0.5)
    model = Scripted([BROKEN, ProviderError("no use.", kind="broken", status=200, reply=paid)])
    with pytest.raises(ProviderError) as caught:
        ask(model)
    first, second = caught.value.attempts
    assert (first.kind, first.reply, first.cost_usd) == ("broken", "", None)
    assert (second.kind, second.reply, second.tokens_in, second.cost_usd) == (
        *("broken", "half a", 9, 0.5),
    )


def test_the_error_at_the_end_is_the_last_one_with_all_that_it_holds() -> None:
    last = ProviderError("no use.", kind="broken", status=200, retryable=True, retry_after=0.5)
    last.at_most_usd = 0.25
    with pytest.raises(ProviderError, match=r"^no use\. Gave up after 6 tries\.$") as caught:
        ask(Scripted([*[BROKEN] * 5, last]))
    told = caught.value
    assert (told.kind, told.status, told.retry_after, told.at_most_usd) == (
        "broken",
        200,
        0.5,
        0.25,
    )
    assert len(told.attempts) == 6
    assert str(last) == "no use."


def test_a_busy_endpoint_is_asked_until_it_was_waited_for_long_enough() -> None:
    model = Scripted([BUSY] * 999)
    with pytest.raises(ProviderError, match="Gave up after"):
        ask(model, RetryPolicy(patience=300.0))
    assert 300 - 30 <= model.asked[-1] <= 300 + 5
    assert len(model.asked) > 12


def test_where_nobody_was_answered_for_long_a_further_call_is_tried_as_others_are() -> None:
    model = Scripted([BUSY] * 999)

    async def asked() -> None:
        retrying = Retrying(model, RetryPolicy(patience=60.0))
        for expected in ("Gave up after", "Gave up after 6 tries"):
            with pytest.raises(ProviderError, match=expected):
                await retrying.complete(REQUEST)

    run(asked())
    assert model.asked[-1] < 60 + 20


def test_a_server_that_fails_is_tried_as_often_as_others() -> None:
    model = Scripted([ProviderError("failed.", status=500, retryable=True, kind="busy")] * 99)
    with pytest.raises(ProviderError, match="Gave up after 6 tries"):
        ask(model)
    assert model.asked[-1] < 20


def test_as_long_as_it_answers_others_a_call_is_tried_twelve_times_as_often_as_they() -> None:
    class AnswersOthers(Scripted):
        async def complete(self, request: Request) -> Reply:
            if request.seed == 1:
                return Reply("[1]")
            return await super().complete(request)

    model = AnswersOthers([BUSY] * 99)  # about one of seven tries
    policy = RetryPolicy(patience=10.0, first_wait=2.0)  # waited for before the twelfth

    async def asked() -> None:
        retrying = Retrying(model, policy)
        unlucky = asyncio.create_task(retrying.complete(REQUEST))
        while not unlucky.done():
            await retrying.complete(replace(REQUEST, seed=1))
            await asyncio.sleep(1)
        await unlucky

    with pytest.raises(ProviderError, match="Gave up after 14 tries"):
        run(asked())


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
    model = Scripted([ProviderError("busy", retryable=True, status=500, retry_after=70.0)])
    ask(model)
    assert 70.0 <= model.asked[1] - model.asked[0] <= 70.5


def test_a_provider_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    failure = ProviderError("try tomorrow", status=429, retryable=True, retry_after=0.02)
    model = Scripted([failure])
    with pytest.raises(ProviderError, match="try tomorrow") as caught:
        ask(model, RetryPolicy(longest_retry_after=0.01))
    assert caught.value is failure
    assert len(model.asked) == 1


def test_waits_double_with_every_try_up_to_the_longest() -> None:
    model = Scripted([BROKEN] * 5)
    ask(model, RetryPolicy(first_wait=1.0, longest_wait=6.0))
    waits = [later - sooner for sooner, later in pairwise(model.asked)]
    for wait, longest in zip(waits, [1, 2, 4, 6, 6], strict=True):
        assert longest / 2 <= wait <= longest


def test_many_requests_at_once_do_not_share_their_tries() -> None:
    model = Scripted([BROKEN] * 30)

    async def many() -> list[Reply]:
        retrying = Retrying(model, RetryPolicy(attempts=31))
        return await asyncio.gather(*(retrying.complete(REQUEST) for _ in range(10)))

    replies = run(many())
    assert [reply.text for reply in replies] == ["[1]"] * 10
    assert sum(len(reply.failed) for reply in replies) == 30
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

    run(cancel_during_the_wait())
    assert len(model.asked) == 1


def test_closing_closes_the_inner_model() -> None:
    model = Scripted([])
    asyncio.run(Retrying(model).close())
    assert model.closed
