"""Places: a call that only waits gives its place free, and as many are at work as may be."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.places import without_place
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cached import Cached
from selectllm.models.wrappers.retry import Retrying
from selectllm.selection.concurrency import run_all
from tests.support.virtual_time import now, run


def request(number: int) -> Request:
    return Request(
        model=ModelSpec(name="m", id="openai/m"),
        messages=(Message(role="user", content=f"Question {number}"),),
        question=Question(shown=(), labels=(), k=0, reply="indices"),
    )


class Counting:
    """A model that takes a second, and refuses the first try of some; it counts its calls."""

    def __init__(self, refused: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.refused = {request(number).key for number in refused}
        self.out = self.peak = 0
        self.begun: list[str] = []

    async def complete(self, request: Request) -> Reply:
        self.out += 1
        self.peak = max(self.peak, self.out)
        try:
            if request.key in self.refused:
                self.refused.discard(request.key)
                raise ProviderError("busy.", status=500, retryable=True, retry_after=9.0)
            self.begun.append(request.key)
            await asyncio.sleep(1)
            return Reply("[1]")
        finally:
            self.out -= 1

    async def close(self) -> None: ...


def test_others_are_asked_while_a_call_waits_for_its_next_try() -> None:
    model = Counting(refused={0})
    retrying = Retrying(model)

    async def one(number: int) -> None:
        await retrying.complete(request(number))

    async def asked() -> float:
        await run_all(range(10), one, 1)
        return now()

    seconds = run(asked())
    assert model.begun[-1] == request(0).key
    assert 10 <= seconds <= 11  # one by one it would have been 19
    assert model.peak == 1


@pytest.mark.parametrize("count", [1, 4, 32])
def test_no_more_requests_are_out_than_there_are_places(count: int) -> None:
    random.seed(count)
    model = Counting(refused={number for number in range(400) if random.random() < 0.2})
    retrying = Retrying(model)

    async def one(number: int) -> None:
        await retrying.complete(request(number))

    run(run_all(range(400), one, count))
    assert model.peak == count
    assert len(model.begun) == 400


def test_as_many_calls_may_wait_as_there_are_places_and_no_more() -> None:
    begun = 0

    async def one(number: int) -> None:
        nonlocal begun
        begun += 1
        async with without_place():
            await asyncio.sleep(100)

    async def looked_at() -> int:
        task = asyncio.create_task(run_all(range(99), one, 4))
        await asyncio.sleep(50)
        seen = begun
        await task
        return seen

    assert run(looked_at()) == 8


def test_a_model_gets_no_further_ahead_of_a_slower_one_than_calls_are_begun() -> None:
    """Decisions come cluster by cluster, so that a run which its budget ends has asked all alike.

    So one that waits for the pace of its endpoint keeps its place: to give it free would let few
    more begin, as `begun` bounds them, and to begin more would spend the budget on one model.
    """
    done = [0, 0]
    ahead = 0

    async def one(number: int) -> None:
        nonlocal ahead
        slow = number % 2 == 0
        if slow:
            async with without_place(), order:
                await asyncio.sleep(1)
        done[slow] += 1
        ahead = max(ahead, done[0] - done[1])

    order = asyncio.Lock()
    run(run_all(range(200), one, 4))
    assert done == [100, 100]
    assert ahead <= 8


@pytest.mark.parametrize("count", [1, 3])
def test_equal_questions_wait_for_each_other_without_a_place(tmp_path: Path, count: int) -> None:
    """One is asked and rests; those that wait for its reply do not keep its place from it."""
    model = Counting(refused={7})
    cached = Cached(Retrying(model), ReplyCache(tmp_path))
    replies: list[Reply] = []

    async def one(number: int) -> None:
        replies.append(await cached.complete(request(7)))

    async def asked() -> float:
        await asyncio.wait_for(run_all(range(9), one, count), 60)
        return now()

    assert run(asked()) < 12
    assert len(replies) == 9
    assert len(model.begun) == 1


def test_a_place_that_a_failed_wait_left_is_taken_again() -> None:
    at_work = peak = 0

    async def one(number: int) -> None:
        nonlocal at_work, peak
        try:
            async with without_place():
                await asyncio.sleep(number % 3)
                raise ProviderError("no.")
        except ProviderError:
            at_work += 1
            peak = max(peak, at_work)
            await asyncio.sleep(1)
            at_work -= 1

    run(run_all(range(30), one, 3))
    assert peak == 3
