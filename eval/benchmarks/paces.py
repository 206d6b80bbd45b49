"""What the pace of an endpoint costs where calls are refused at random, and where there is a limit.

In virtual time (tests/support/virtual_time.py), so that a grid of hours takes minutes. An ideal
client would take `ideal` seconds; `refused` is the share of tries that were.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

from selectllm.core.errors import ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.wrappers.pace import Paces
from selectllm.models.wrappers.retry import Retrying
from selectllm.selection.concurrency import run_all
from tests.support.call_limits import Bucket
from tests.support.virtual_time import now, run

REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="hi"),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
)
Wait = Callable[[float], float | None]  # seconds to wait after a refusal; None: it does not say


class AtRandom:
    """Refuses that share of the calls, whatever their rate."""

    def __init__(self, share: float) -> None:
        self._share = share

    def wait(self, moment: float) -> float:
        """Seconds to wait; 0 for a call that is answered."""
        return float(random.random() < self._share)


class Minutes:
    """`rate` calls a second, counted by minutes of the clock."""

    def __init__(self, rate: float) -> None:
        self._calls, self._minute, self._used = 60 * rate, -1, 0

    def wait(self, moment: float) -> float:
        """Seconds to wait; 0 for a call that is answered."""
        if moment // 60 != self._minute:
            self._minute, self._used = int(moment // 60), 0
        self._used += 1
        return 0.0 if self._used <= self._calls else 60 - moment % 60


class Outage:
    """Refuses everything from the 20th second on, for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wait(self, moment: float) -> float:
        """Seconds to wait; 0 for a call that is answered."""
        return max(0.0, 20 + self._seconds - moment) if moment > 20 else 0.0


class Both:
    """A limit in front of a server that refuses at random."""

    def __init__(self, first: Bucket, then: AtRandom) -> None:
        self._first, self._then = first, then

    def wait(self, moment: float) -> float:
        """Seconds to wait; 0 for a call that is answered."""
        return self._first.wait(moment) or self._then.wait(moment)


Limit = AtRandom | Bucket | Minutes | Outage | Both


class Endpoint:
    """A model that answers after `latency` seconds what `limit` lets through."""

    def __init__(self, limit: Limit, told: Wait, latency: float) -> None:
        self._limit, self._told, self._latency = limit, told, latency
        self.tries = self.refused = 0

    async def complete(self, request: Request) -> Reply:
        """A reply, or an error that says how busy it is."""
        self.tries += 1
        if wait := self._limit.wait(now()):
            self.refused += 1
            told = self._told(wait)
            await asyncio.sleep(0.05)
            raise ProviderError("busy.", status=429, retryable=True, retry_after=told, kind="busy")
        await asyncio.sleep(self._latency * random.lognormvariate(0, 0.3))
        return Reply("[1]")

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    world: str
    level: float  # the share that is refused, or calls a second
    told: str
    concurrency: int
    latency: float
    calls: int

    def measured(self) -> str:
        """The row."""
        random.seed(0)
        name = self.told

        def told(wait: float) -> float | None:
            if name == "none":
                return None
            said: dict[str, float] = {"exactly": wait, "rounded-up": math.ceil(wait)}
            return said[name] if name in said else float(name)

        limit: Limit
        ideal = self.calls * self.latency * math.exp(0.3**2 / 2) / self.concurrency
        if self.world == "at random":
            limit = AtRandom(self.level)
        elif self.world == "outage":
            limit = Outage(self.level)
            ideal += self.level
        elif self.world == "minutes":
            limit = Minutes(self.level)
            ideal = max(ideal, (self.calls / self.level - 1) // 60 * 60)
        else:
            limit = Bucket(self.level, 1 if self.world == "no burst" else self.level)
            if self.world == "both":
                limit = Both(limit, AtRandom(0.15))
            ideal = max(ideal, self.calls / self.level)
        model = Endpoint(limit, told, self.latency)
        retrying, failed = Retrying(model, paces=Paces()), 0

        async def one(number: int) -> None:
            nonlocal failed
            try:
                await retrying.complete(REQUEST)
            except ProviderError:
                failed += 1

        async def everything() -> float:
            await run_all(range(self.calls), one, self.concurrency)
            return now()

        seconds = run(everything())
        return (
            f"{self.world:10} {self.level:5g} {name:>10} {self.concurrency:4} {self.latency:5} "
            f"{ideal:7.0f} {seconds:7.0f} {seconds / ideal:7.2f} "
            f"{model.refused / model.tries:7.2f} {failed:4}"
        )


def cases() -> Iterator[Case]:
    """All of them."""
    some = (8, 32)
    told = ("none", "0.2", "0.5", "1", "2", "10")
    for share, wait, at in product((0.15, 0.3, 0.5), told, some):
        yield Case("at random", share, wait, at, 1.0, 2000)
    worlds, waits = ("limit", "no burst", "both"), ("none", "exactly", "rounded-up")
    for world, rate, wait, at, latency in product(worlds, (5, 20, 100), waits, some, (0.05, 1.0)):
        if at / latency > rate:
            yield Case(world, rate, wait, at, latency, min(2000, 100 * rate))
    for wait, at in product(("none", "5", "exactly"), some):
        yield Case("minutes", 5, wait, at, 1.0, 1000)
        yield Case("outage", 60, wait, at, 1.0, 2000)


def _measured(case: Case) -> str:
    return case.measured()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", help="only this one")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    print("world      level       told   at latency   ideal seconds   times refused lost")
    chosen = [case for case in cases() if arguments.world in (None, case.world)]
    with ProcessPoolExecutor(arguments.processes) as processes:
        for row in processes.map(_measured, chosen):
            print(row, flush=True)


if __name__ == "__main__":
    main()
