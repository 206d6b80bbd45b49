"""An endpoint that limits its calls: all are answered, in about the time that its limit asks.

In virtual time, so that every wait is exact and none is waited for. The same with a real server
stands in test_limited_provider.py.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.pace import Paces
from selectllm.models.wrappers.retry import Retrying, RetryPolicy
from tests.support.call_limits import Bucket
from tests.support.virtual_time import now, run

REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="hi"),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
)


class Window:
    """`rate` calls in every second of the clock."""

    def __init__(self, rate: int) -> None:
        self.rate, self.second, self.used = rate, -1, 0

    def wait(self, moment: float) -> float:
        if int(moment) != self.second:
            self.second, self.used = int(moment), 0
        self.used += 1
        return 0.0 if self.used <= self.rate else 1 - moment % 1


class Sliding:
    """`rate` calls in any second."""

    def __init__(self, rate: int) -> None:
        self.rate, self.times = rate, [-9.0] * rate

    def wait(self, moment: float) -> float:
        if moment - self.times[0] >= 1:
            self.times = [*self.times[1:], moment]
            return 0.0
        return 1 - (moment - self.times[0])


class Limited:
    """A model behind a limit; it says how long to wait, or only that it is busy."""

    def __init__(self, limit: Bucket | Window | Sliding, latency: float, says: bool) -> None:
        self.limit, self.latency, self.says = limit, latency, says
        self.calls = 0

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        if wait := self.limit.wait(now()):
            await asyncio.sleep(0.05)
            asked = wait if self.says else None
            raise ProviderError("busy.", status=429, retryable=True, retry_after=asked, kind="busy")
        await asyncio.sleep(self.latency)
        return Reply("[1]")

    async def close(self) -> None: ...


async def ask(
    model: Limited, count: int, concurrency: int, policy: RetryPolicy | None = None
) -> tuple[int, float]:
    """How many of `count` calls were answered, and after how many seconds all were."""
    retrying, left, answered = Retrying(model, policy, Paces()), iter(range(count)), 0

    async def work() -> None:
        nonlocal answered
        for _ in left:
            await retrying.complete(REQUEST)
            answered += 1

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return answered, now()


@pytest.fixture(autouse=True)
def same_draws() -> Iterator[None]:
    """The draws of waits are the same in every run."""
    state = random.getstate()
    random.seed(0)
    yield
    random.setstate(state)


@pytest.mark.parametrize("says", [True, False], ids=["says how long", "only busy"])
@pytest.mark.parametrize("latency", [0.05, 1.0])
@pytest.mark.parametrize("concurrency", [8, 32])
@pytest.mark.parametrize("limit", [Bucket, Window, Sliding])
@pytest.mark.parametrize("rate", [2, 5, 20])
def test_everything_is_answered_in_the_time_that_the_limit_asks(
    rate: int,
    limit: Callable[[int], Bucket | Window | Sliding],
    concurrency: int,
    latency: float,
    says: bool,
) -> None:
    model, count = Limited(limit(rate), latency, says), 50 * rate
    answered, seconds = run(ask(model, count, concurrency))
    assert answered == count
    asked = max(count / rate, count / concurrency * latency)
    assert seconds <= 1.3 * asked
    assert model.calls <= 2.5 * count


def test_what_is_not_limited_is_not_slowed() -> None:
    answered, seconds = run(ask(Limited(Bucket(10_000), 0.1, says=False), 1000, 10))
    assert answered == 1000
    assert seconds == pytest.approx(10.0)


def test_a_few_refusals_slow_only_the_calls_that_got_them() -> None:
    class NowAndThen:
        rate = 0

        def wait(self, moment: float) -> float:
            self.rate += 1
            return 5.0 if self.rate % 20 == 0 else 0.0

    model = Limited(NowAndThen(), 1.0, says=True)  # type: ignore[arg-type]
    answered, seconds = run(ask(model, 1900, 32))
    assert (answered, model.calls) == (1900, 1999)
    # 1900 seconds of answers and 100 times somewhat more than 5 of waiting, by 32 at once.
    assert seconds <= 1.15 * (1900 + 100 * 5.3) / 32


@pytest.mark.parametrize("says", [True, False], ids=["says how long", "only busy"])
@pytest.mark.parametrize("share", [0.05, 0.085])
def test_refusals_at_any_rate_do_not_keep_an_endpoint_slow(share: float, says: bool) -> None:
    """Half is refused at first; from then on a few are, which waiting does not make fewer."""

    class Overloaded:
        def wait(self, moment: float) -> float:
            return float(random.random() < (0.5 if moment < 3 else share))

    model = Limited(Overloaded(), 1.0, says)  # type: ignore[arg-type]
    answered, seconds = run(ask(model, 1000, 32))
    assert answered == 1000
    assert seconds <= 2.5 * (3 + 1000 / 32)  # 3 to 25 times, when every refusal slowed everybody


@pytest.mark.parametrize("told", [None, 0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("concurrency", [8, 32])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_what_is_refused_at_random_is_not_asked_slowly(
    share: float, concurrency: int, told: float | None
) -> None:
    """No rate makes the refusals fewer, and the waits that go with them hold for nobody else."""

    class AtRandom:
        def wait(self, moment: float) -> float:
            return (told or 1.0) * (random.random() < share)

    model = Limited(AtRandom(), 1.0, says=told is not None)  # type: ignore[arg-type]
    seconds = run(ask(model, 1000, concurrency, RetryPolicy(busy_attempts=99)))[1]
    tries = 1000 / (1 - share)
    each = 1000 + (tries - 1000) * (0.3 + (told or 0.25))  # seconds of answers and of waits
    most = 3 if share < 0.5 else 7  # up to 110, when every refusal slowed everybody
    assert seconds <= most * each / concurrency


@pytest.mark.parametrize("concurrency", [8, 32])
@pytest.mark.parametrize("rate", [5, 20])
def test_waits_rounded_up_to_whole_seconds_keep_nobody_from_what_the_limit_allows(
    rate: int, concurrency: int
) -> None:
    class Rounded(Bucket):
        def wait(self, moment: float) -> float:
            return float(math.ceil(super().wait(moment)))

    model = Limited(Rounded(rate), 0.05, says=True)
    answered, seconds = run(ask(model, 50 * rate, concurrency))
    assert answered == 50 * rate
    assert seconds <= 1.6 * 50  # by the draws, 1.0 or 1.5 times
    assert model.calls <= 1.75 * answered


@pytest.mark.parametrize(("rate", "burst"), [(2, 120), (3, 60)])
def test_a_limit_that_is_met_late_is_not_asked_again_and_again(rate: int, burst: int) -> None:
    class Rounded(Bucket):
        def wait(self, moment: float) -> float:
            return float(math.ceil(super().wait(moment)))

    model = Limited(Rounded(rate, burst), 0.5, says=True)
    answered, seconds = run(ask(model, 300, 64))
    assert answered == 300
    assert seconds <= 1.3 * (300 - burst) / rate
    assert model.calls <= 4 * 300  # 20 times, when no rate was set during the waits


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize(("rate", "concurrency"), [(0.05, 8), (0.05, 64), (0.2, 64), (1, 128)])
def test_a_slow_limit_makes_no_call_fail(rate: float, concurrency: int, says: bool) -> None:
    """Each waits for minutes and is refused often, while others are answered."""
    model = Limited(Bucket(rate, 1), 0.5, says=says)
    count = 30 if rate < 0.1 else 150
    answered, seconds = run(ask(model, count, concurrency))
    assert answered == count
    assert seconds <= 1.4 * count / rate


def test_a_limit_in_front_of_refusals_at_random_is_used_to_the_full() -> None:
    class Both(Bucket):
        def wait(self, moment: float) -> float:
            return super().wait(moment) or 0.2 * (random.random() < 0.15)

    model = Limited(Both(20), 0.05, says=True)
    seconds = run(ask(model, 1000, 32))[1]
    assert seconds <= 2.5 * 1000 / 20 / 0.85


def test_a_limit_that_is_lifted_is_noticed() -> None:
    class Lifted(Bucket):
        def wait(self, moment: float) -> float:
            return super().wait(moment) if moment < 20 else 0.0

    model = Limited(Lifted(2), 0.1, says=False)
    answered, seconds = run(ask(model, 1000, 10))
    assert answered == 1000
    assert seconds <= 20 + 30


def test_models_at_one_endpoint_share_its_pace_and_others_do_not() -> None:
    async def asked() -> tuple[float, float]:
        paces = Paces()
        limited = Limited(Bucket(2), 0.05, says=True)
        names = ("http://a", "http://a", "http://b")
        one, two, other = (Retrying(limited, None, paces, name) for name in names)
        await asyncio.gather(*(one.complete(REQUEST) for _ in range(12)))
        limited.limit = Bucket(10_000)
        before = now()
        await other.complete(REQUEST)
        elsewhere, before = now() - before, now()
        await two.complete(REQUEST)
        return elsewhere, now() - before

    elsewhere, here = run(asked())
    assert elsewhere == pytest.approx(0.05)
    assert here > 0.05
