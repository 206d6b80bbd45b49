"""A call that got lost is given up once others have overtaken it by far, and asked again."""

from __future__ import annotations

import asyncio
import random

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.wrappers.budget import Budgeted, Ledger
from selectllm.models.wrappers.loss_guard import FIRST, LATEST, OVERTAKEN, LossGuard
from selectllm.models.wrappers.retry import Retrying
from selectllm.selection.concurrency import run_all
from tests.support.virtual_time import now, run

TIMEOUT = 120.0


def request(number: int) -> Request:
    return Request(
        model=ModelSpec(name="m", id="openai/m"),
        messages=(Message(role="user", content=f"Question {number}"),),
        question=Question(shown=(), labels=(), k=0, reply="indices"),
        max_tokens=100,
    )


class Slow:
    """A model that takes a second for each reply, but for those of `seconds`."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = {request(int(name[1:])).key: each for name, each in seconds.items()}
        self.asked: list[str] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request.key)
        seconds = self.seconds.get(request.key, 1.0)
        await asyncio.sleep(min(seconds, TIMEOUT))
        if seconds > TIMEOUT:
            raise ProviderError("no reply.", retryable=True, kind="timeout")
        return Reply("[1]", tokens_in=1, tokens_out=1, cost_usd=0.0)

    async def close(self) -> None: ...


class SlowOnce(Slow):
    """What got lost takes the usual time when it is asked again."""

    async def complete(self, request: Request) -> Reply:
        try:
            return await super().complete(request)
        finally:
            if self.seconds.get(request.key, 0.0) > TIMEOUT:
                del self.seconds[request.key]


async def ask(model: LossGuard | Retrying, count: int, concurrency: int = 4) -> float:
    """Seconds until all were answered."""

    async def one(number: int) -> None:
        await model.complete(request(number))

    await run_all(range(count), one, concurrency)
    return now()


def test_a_lost_call_is_asked_again_long_before_its_time_out() -> None:
    model = SlowOnce(n200=999.0)
    seconds = run(ask(Retrying(LossGuard(model)), 400))
    assert model.asked.count(request(200).key) == 2
    assert seconds < 115


def test_replies_that_take_long_now_and_then_are_paid_once() -> None:
    model = Slow(**{f"n{number}": 20.0 for number in range(150, 1000, 100)})
    run(ask(Retrying(LossGuard(model)), 1000, 16))
    assert len(model.asked) == 1000


def test_after_one_got_lost_the_first_long_reply_tells_how_long_others_may_take() -> None:
    model = SlowOnce(n150=999.0, **{f"n{number}": 20.0 for number in range(250, 1000, 100)})
    run(ask(Retrying(LossGuard(model)), 1000))
    assert len(model.asked) == 1002


def test_where_many_replies_take_long_at_random_few_are_paid_twice() -> None:
    """One in twelve takes 40 times as long, and not again: what got lost tells nothing of it."""

    class Random(Slow):
        async def complete(self, request: Request) -> Reply:
            self.asked.append(request.key)
            await asyncio.sleep(40.0 if draws.random() < 1 / 12 else 1.0)
            return Reply("[1]")

    draws, model = random.Random(0), Random()
    run(ask(Retrying(LossGuard(model)), 1500, 32))
    assert len(model.asked) <= 1500 * 1.01 + 32  # a percent, and those that were out by then


def test_once_one_got_lost_the_next_is_waited_for_less() -> None:
    model = SlowOnce(n200=999.0, n900=6.0)
    run(ask(Retrying(LossGuard(model)), 1000, 16))
    assert [model.asked.count(request(number).key) for number in (200, 900)] == [2, 2]


def test_a_reply_that_takes_long_is_paid_twice_at_most_and_comes() -> None:
    model = Slow(n200=40.0)
    run(ask(Retrying(LossGuard(model)), 400))
    assert model.asked.count(request(200).key) == 2
    assert len(model.asked) == 401


@pytest.mark.parametrize(
    ("number", "count", "concurrency", "why"),
    [
        (50, 90, 4, "too few replies to compare with"),
        (200, 400, 1, "none that was asked with it or later"),
    ],
)
def test_nothing_is_lost_that_was_not_left_behind(
    number: int, count: int, concurrency: int, why: str
) -> None:
    model = Slow(**{f"n{number}": 60.0})
    run(ask(LossGuard(model), count, concurrency))
    assert len(model.asked) == count, why


def test_two_of_the_latest_questions_are_waited_for() -> None:
    """Neither is overtaken by enough, nor the last one: the server may be slow for both."""
    model = Slow(n200=60.0, n201=60.0)
    run(ask(LossGuard(model), 201 + OVERTAKEN // 2))
    assert len(model.asked) == 201 + OVERTAKEN // 2


async def rounds(model: Retrying, count: int, size: int = 4) -> float:
    """Seconds until `count` questions were answered in rounds, each begun after the last."""

    async def one(number: int) -> None:
        await model.complete(request(number))

    for first in range(0, count, size):
        await run_all(range(first, first + size), one, size)
    return now()


@pytest.mark.parametrize("place", range(4))
def test_the_last_one_out_of_a_short_round_is_lost_whatever_its_place_was(place: int) -> None:
    lost = LATEST + 20 + place
    model = SlowOnce(**{f"n{lost}": 999.0})
    seconds = run(rounds(Retrying(LossGuard(model)), 200))
    assert model.asked.count(request(lost).key) == 2
    assert seconds < 50 + FIRST + 5


def test_a_time_out_is_one_that_got_lost_so_that_the_next_is_waited_for_less() -> None:
    model = SlowOnce(n20=999.0, n180=999.0)  # before enough replies are known, and after
    seconds = run(rounds(Retrying(LossGuard(model)), 200))
    assert seconds < 50 + TIMEOUT + 10 + 5


def test_what_we_take_to_load_a_library_is_not_the_time_of_a_reply() -> None:
    class Loading(SlowOnce):
        async def complete(self, request: Request) -> Reply:
            if not self.asked:
                self.asked.append(request.key)
                await asyncio.sleep(60.0)
                return Reply("[1]", seconds=1.0)
            return await super().complete(request)

    model = Loading(n180=999.0)
    seconds = run(rounds(Retrying(LossGuard(model)), 200))
    assert seconds < 60 + 50 + FIRST + 5


def test_a_server_that_slows_down_for_all_loses_none() -> None:
    class Slowing(Slow):
        async def complete(self, request: Request) -> Reply:
            self.asked.append(request.key)
            await asyncio.sleep(1.0 if len(self.asked) < LATEST + 50 else 50.0)
            return Reply("[1]")

    model = Slowing()
    run(ask(LossGuard(model), 400, 32))
    assert len(model.asked) == 400


def test_its_error_says_what_was_seen_and_its_cost_is_assumed() -> None:
    ledger = Ledger()
    model = Slow(n200=999.0)
    guarded = Budgeted(LossGuard(model), ledger, lambda spec: Price(1e4, 1e4))
    errors: list[ProviderError] = []

    async def one(number: int) -> None:
        try:
            await guarded.complete(request(number))
        except ProviderError as error:
            errors.append(error)

    run(run_all(range(400), one, 4))
    (error,) = errors
    assert (error.kind, error.retryable) == ("timeout", True)
    assert str(error).startswith(f"m: no reply came in {FIRST:.1f} s, while ")
    assert ledger.assumed_calls == 1
    assert ledger.assumed > 0
