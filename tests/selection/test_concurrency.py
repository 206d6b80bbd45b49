"""When a model is given up, and how many questions end in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from selectllm.core.errors import BudgetReached, ProviderError
from selectllm.core.stopping import Drain, draining, rest, stopped
from selectllm.selection.concurrency import FAILURES_IN_A_ROW, FailureStreak, run_all
from tests.support.virtual_time import now, run

BUSY = ProviderError("busy", status=503, retryable=True, kind="busy")
TIMEOUT = ProviderError("no reply", retryable=True, kind="timeout")
UNREACHABLE = ProviderError("not there", retryable=True, fatal=True, kind="unreachable")
KEY = ProviderError("wrong key", status=401, fatal=True, kind="key")
FORBIDDEN = ProviderError("no", status=403, kind="forbidden", doubtful=True)
REQUEST = ProviderError("too odd", status=400, kind="request")
BROKEN = ProviderError("cut off", retryable=True, kind="broken")
ANSWER = None


def calls_until_it_is_given_up(outcomes: Iterable[ProviderError | None]) -> int | None:
    """How many of a model's calls are made; None if all are."""
    streak = FailureStreak()
    for number, outcome in enumerate(outcomes, start=1):
        if outcome is None:
            streak.answered()
            continue
        try:
            streak.failed(outcome)
        except ProviderError:
            return number
    return None


@pytest.mark.parametrize(
    ("outcomes", "given_up"),
    [
        ([KEY], 1),
        ([ANSWER, KEY], 2),
        ([BUSY] * 20, FAILURES_IN_A_ROW),
        ([BUSY, TIMEOUT] * 10, FAILURES_IN_A_ROW),
        ([*[BUSY] * 7, ANSWER] * 9, None),
        ([REQUEST] * 99, None),
        ([BROKEN] * 99, None),
        ([BUSY, REQUEST] * 8, 15),
        ([FORBIDDEN] * 20, FAILURES_IN_A_ROW),
        ([ANSWER, *[FORBIDDEN] * 99], None),
        ([FORBIDDEN] * 7 + [ANSWER] + [FORBIDDEN] * 99, None),
        ([UNREACHABLE], 1),
        ([ANSWER, *[UNREACHABLE] * 20], 1 + FAILURES_IN_A_ROW),
    ],
)
def test_what_speaks_against_going_on_with_a_model(
    outcomes: list[ProviderError | None], given_up: int | None
) -> None:
    assert calls_until_it_is_given_up(outcomes) == given_up


def test_an_error_that_ends_it_lets_what_is_in_flight_finish() -> None:
    finished: list[int] = []

    async def do(number: int) -> None:
        if number == 1:
            raise BudgetReached("no more")
        await asyncio.sleep(1)
        finished.append(number)

    with pytest.raises(BudgetReached):
        run(run_all(range(99), do, 4))
    assert finished == [0, 2, 3]


class Interrupted:
    """Questions of 1 second to send and 10 to answer, asked by 2 at once, cancelled after 15."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.answered: list[int] = []
        self.told: list[str] = []
        self.ended = 0.0

    async def do(self, number: int) -> None:
        await rest(1)
        if stopped():
            raise asyncio.CancelledError
        self.sent.append(number)
        await asyncio.sleep(10)
        self.answered.append(number)

    async def ask(self, drain: float, *interrupts: float) -> None:
        with draining(Drain(drain, self.told.append)):
            task = asyncio.create_task(run_all(range(99), self.do, 2))
        for moment in interrupts:
            await asyncio.sleep(moment - now())
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        self.ended = now()


@pytest.mark.parametrize(
    ("drain", "interrupts", "answered", "ended", "told"),
    [
        (30.0, [15.0], [0, 1, 2, 3], 22.0, True),  # what is sent arrives, nothing more is sent
        (30.0, [11.5], [0, 1], 11.5, False),  # what only waits to be sent is not waited for
        (5.0, [15.0], [0, 1], 20.0, True),  # no longer than that
        (0.0, [15.0], [0, 1], 15.0, False),
        (30.0, [15.0, 17.0], [0, 1], 17.0, True),  # a second interrupt ends it at once
    ],
)
def test_an_interrupt_waits_for_what_is_in_flight_and_sends_nothing_more(
    drain: float, interrupts: list[float], answered: list[int], ended: float, told: bool
) -> None:
    questions = Interrupted()
    run(questions.ask(drain, *interrupts))
    assert sorted(questions.answered) == answered
    assert sorted(questions.sent) == ([0, 1] if ended == 11.5 else [0, 1, 2, 3])
    assert questions.ended == pytest.approx(ended)
    assert bool(questions.told) == told
