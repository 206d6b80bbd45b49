"""The usual faults of providers take little time, where places and not the machine are short.

In virtual time: what eval/benchmarks/faults.py measures is this and the work of a client.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.loss_guard import LossGuard
from selectllm.models.wrappers.retry import Retrying
from selectllm.selection.concurrency import run_all
from tests.support.virtual_time import now, run

REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="hi"),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
)
CALLS, PLACES, LATENCY, TIMEOUT = 2000, 32, 0.05, 2.0
PLAIN = CALLS * LATENCY / PLACES  # seconds without faults


class Provider:
    """It answers in 50 ms. `fate`: what comes of a try; `first`: of the first tries alone."""

    def __init__(
        self, fate: Callable[[float], ProviderError | None], seed: int, first: bool
    ) -> None:
        self.fate, self.first = fate, first
        self.draws = random.Random(seed)
        self.tries: Counter[int] = Counter()
        self.out = self.peak = 0

    async def complete(self, request: Request) -> Reply:
        self.out += 1
        self.peak = max(self.peak, self.out)
        try:
            self.tries[request.seed] += 1
            faulty = self.tries[request.seed] == 1 or not self.first
            error = self.fate(self.draws.random()) if faulty else None
            late = error is not None and error.kind == "timeout"
            await asyncio.sleep(TIMEOUT if late else 0.005 if error else LATENCY)
            if error is not None:
                raise error
            return Reply("[1]")
        finally:
            self.out -= 1

    async def close(self) -> None: ...


def usual(draw: float) -> ProviderError | None:
    """5 % refused, 4 % errors of the server, 1 % cut off, 0.5 % never answered."""
    if draw < 0.05:
        return ProviderError("busy.", status=429, retryable=True, kind="busy")
    if draw < 0.09:
        return ProviderError("down.", status=random.choice((500, 502, 503, 529)), retryable=True)
    if draw < 0.10:
        return ProviderError("cut off.", retryable=True, kind="broken")
    if draw < 0.105:
        return ProviderError("no reply.", retryable=True, kind="timeout")
    return None


def refused(share: float, wait: float) -> Callable[[float], ProviderError | None]:
    """So many at random, each asked to wait for so long."""

    def fate(draw: float) -> ProviderError | None:
        busy = ProviderError("busy.", status=429, retryable=True, kind="busy", retry_after=wait)
        return busy if draw < share else None

    return fate


async def seconds_of(provider: Provider) -> float:
    model = Retrying(LossGuard(provider))

    async def one(number: int) -> None:
        await model.complete(replace(REQUEST, seed=number))

    await run_all(range(CALLS), one, PLACES)
    return now()


@pytest.mark.parametrize("seed", range(3))
def test_the_usual_faults_take_at_most_a_fifth_more(seed: int) -> None:
    random.seed(seed)
    provider = Provider(usual, seed, first=True)
    assert run(seconds_of(provider)) <= 1.2 * PLAIN
    assert provider.peak == PLACES


@pytest.mark.parametrize("wait", [0.2, 2.0, 7.0])
def test_refusals_at_random_with_a_wait_of_their_own_do_not_stop_the_others(wait: float) -> None:
    """The calls that wait are the least that it takes: as many as there are places at once."""
    random.seed(0)
    provider = Provider(refused(0.15, wait), seed=0, first=False)
    least = PLAIN + (CALLS / 0.85 - CALLS) * (wait + 0.25) / PLACES
    assert run(seconds_of(provider)) <= 3 * least
    assert sum(provider.tries.values()) <= 1.25 * CALLS
