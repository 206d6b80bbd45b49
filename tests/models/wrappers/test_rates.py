"""`rpm` and `tpm`: calls start evenly, however many tasks, sessions and processes ask."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.tokens import estimate_tokens
from selectllm.models.wrappers import rates
from selectllm.models.wrappers.rates import LATE, LONGEST_REST, Limited
from selectllm.models.wrappers.shared_state import SharedState
from tests.support.virtual_time import now, run

NOON = 1_800_000_000.0
MESSAGES = (Message(role="user", content="Pick the best of these. " * 10),)


class Clock:
    """The time of day, which goes on as the event loop's does, until somebody sets it."""

    def __init__(self) -> None:
        self.shift = NOON

    def time(self) -> float:
        return self.shift + now()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


class Stamping:
    """A model that notes when it was asked."""

    def __init__(self, tokens: tuple[int, int] = (5, 5)) -> None:
        self.at: list[float] = []
        self.tokens = tokens

    async def complete(self, request: Request) -> Reply:
        self.at.append(now())
        await asyncio.sleep(0.5)
        return Reply("[1]", tokens_in=self.tokens[0], tokens_out=self.tokens[1])

    async def close(self) -> None: ...


def request(rpm: float | None = None, tpm: float | None = None) -> Request:
    return Request(
        model=ModelSpec(name="m", id="openai/m", rpm=rpm, tpm=tpm),
        messages=MESSAGES,
        question=Question(shown=(), labels=(), k=0, reply="indices"),
        max_tokens=100,
    )


def starts(models: list[Stamping]) -> list[float]:
    return sorted(itertools.chain.from_iterable(model.at for model in models))


def gaps(models: list[Stamping]) -> list[float]:
    at = starts(models)
    return [after - before for before, after in itertools.pairwise(at)]


def asked(folder: Path, each: Request, sessions: int, calls: int, *models: Stamping) -> float:
    """Seconds until `calls` calls of each of so many sessions were answered, all asked at once."""

    async def every() -> float:
        limited = [
            Limited(models[number % len(models)], SharedState(folder), "here")
            for number in range(sessions)
        ]
        await asyncio.gather(*(one.complete(each) for one in limited for _ in range(calls)))
        return now()

    return run(every())


@pytest.mark.parametrize("sessions", [1, 3])
def test_calls_of_all_sessions_start_evenly(tmp_path: Path, clock: Clock, sessions: int) -> None:
    models = [Stamping() for _ in range(sessions)]
    asked(tmp_path, request(rpm=120), sessions, 12, *models)
    assert min(gaps(models)) >= 0.5 - LATE - 1e-6
    at = starts(models)
    assert len(at) == 12 * sessions
    most = 0.5 * (len(at) - 1)
    assert at[-1] <= most * 1.05 + LONGEST_REST  # and no slower than that


def test_tokens_are_counted_as_the_reply_had_them(tmp_path: Path, clock: Clock) -> None:
    """A call is taken for all of max_tokens first; what it did not use comes back."""
    model = Stamping(tokens=(60, 40))
    asked(tmp_path, request(tpm=600), 1, 7, model)
    taken = estimate_tokens(MESSAGES) + 100
    assert taken > 100
    average = (model.at[-1] - model.at[0]) / 6
    assert average == pytest.approx(60 * 100 / 600, rel=0.12)


def test_both_hold_at_once(tmp_path: Path, clock: Clock) -> None:
    model = Stamping(tokens=(60, 40))
    asked(tmp_path, request(rpm=2, tpm=600), 1, 4, model)
    assert min(gaps([model])) >= 30 - LATE


def test_calls_that_wait_for_a_client_to_load_are_not_sent_at_once(
    tmp_path: Path, clock: Clock
) -> None:
    class Loading(Stamping):
        loads: asyncio.Task[None] | None = None

        async def complete(self, request: Request) -> Reply:
            self.loads = self.loads or asyncio.create_task(asyncio.sleep(3))
            await self.loads
            return await super().complete(request)

    model = Loading()
    asked(tmp_path, request(rpm=120), 1, 6, model)
    assert min(gaps([model])) >= 0.5 - LATE - 1e-6


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_anew_makes_nobody_wait_for_it(
    tmp_path: Path, clock: Clock, hours: int
) -> None:
    asked(tmp_path, request(rpm=60), 1, 2, Stamping())
    clock.shift += 3600 * hours
    model = Stamping()
    assert asked(tmp_path, request(rpm=60), 1, 3, model) < 5
    assert min(gaps([model])) >= 1 - LATE - 1e-6


def test_other_models_do_not_wait(tmp_path: Path, clock: Clock) -> None:
    async def both() -> float:
        slow = [Limited(Stamping(), SharedState(tmp_path), where) for where in ("a", "b")]
        await asyncio.gather(*(one.complete(request(rpm=1)) for one in slow))
        return now()

    assert run(both()) < 1
