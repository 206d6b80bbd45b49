"""A budget that a workspace shares: it holds over processes, and over those that are killed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import BudgetReached, CacheError
from selectllm.models.wrappers.bill import Bill, Limits
from selectllm.models.wrappers.budget import Budgeted, Ledger
from selectllm.models.wrappers.shared_budget import SharedBudget
from selectllm.models.wrappers.shared_state import SharedState
from tests.support.shared_spending import (
    PRICE,
    REQUEST,
    Writing,
    asked_until_it_is_spent,
    set_aside_and_wait,
    spend_in_a_process,
)

PROCESSES = multiprocessing.get_context("spawn")


def spent(folder: Path, name: str = "shared") -> Bill:
    return SharedBudget(SharedState(folder), name, Limits()).spent


@pytest.mark.parametrize(
    ("limits", "tokens", "most"),
    [
        (Limits(usd=60.0), 2, 60.0),
        (Limits(usd=61.0), 7, 61.0 + (7 - 2)),  # more than max_tokens: thinking
        (Limits(tokens=80), 2, 40.0),
        (Limits(requests=17), 2, 34.0),
    ],
    ids=["USD", "USD of a model that thinks", "tokens", "requests"],
)
def test_four_processes_together_stay_within_it_and_use_it(
    tmp_path: Path, limits: Limits, tokens: int, most: float
) -> None:
    answered: Queue[int] = PROCESSES.Queue()
    processes = [
        PROCESSES.Process(target=spend_in_a_process, args=(tmp_path, limits, tokens, answered))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    calls = sum(answered.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    bill = spent(tmp_path)
    assert bill == Bill(float(calls * tokens), calls * (tokens + 2), calls)
    assert bill.usd <= most
    assert bill.usd > most - 4 * tokens  # the prompt's tokens are set aside with a margin


def test_what_a_killed_process_had_set_aside_counts_as_spent_and_is_told(tmp_path: Path) -> None:
    limits = Limits(usd=10.0)
    process = PROCESSES.Process(target=set_aside_and_wait, args=(tmp_path, limits))
    process.start()
    while not (tmp_path / "aside").exists():
        time.sleep(0.02)
    assert spent(tmp_path) == Bill()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    notes: list[str] = []
    budget = SharedBudget(SharedState(tmp_path), "shared", limits, notes.append)
    with pytest.raises(BudgetReached, match=r"'shared' .* 10 USD reached: 3\.0000 spent"):
        asyncio.run(budget.reserve(Bill(8.0, 1, 1)))
    assert [("3.0000" in note, "killed" in note) for note in notes] == [(True, True)]
    assert budget.spent == Bill(3.0, 5, 1)


def test_who_does_not_fit_waits_for_what_another_has_set_aside(tmp_path: Path) -> None:
    budget = SharedBudget(SharedState(tmp_path), "shared", Limits(usd=10.0))

    async def both() -> bool:
        first = await budget.reserve(Bill(8.0))
        second = asyncio.create_task(budget.reserve(Bill(5.0)))
        await asyncio.sleep(0.05)
        waited = not second.done()
        budget.settle(first, Bill(1.0))
        await second
        return waited

    assert asyncio.run(both())


def test_each_name_is_a_budget_of_its_own_that_outlives_the_process(tmp_path: Path) -> None:
    one, other = (SharedBudget(SharedState(tmp_path), name, Limits(usd=2.0)) for name in "ab")
    for budget in (one, one, other):
        budget.settle(asyncio.run(budget.reserve(Bill(1.0, 1, 1))), Bill(1.0, 1, 1))
    assert (spent(tmp_path, "a"), spent(tmp_path, "b")) == (Bill(2.0, 2, 2), Bill(1.0, 1, 1))
    with pytest.raises(BudgetReached):
        asyncio.run(SharedBudget(SharedState(tmp_path), "a", Limits(usd=2.0)).reserve(Bill(0.1)))


def test_a_bill_beyond_max_tokens_is_told_once_and_set_aside_from_then_on() -> None:
    notes: list[str] = []
    ledger = Ledger(max_cost=20.0, note=notes.append)
    model = Writing(7)

    async def asked() -> None:
        budgeted = Budgeted(model, ledger, lambda spec: PRICE)
        for _ in range(3):
            await budgeted.complete(REQUEST)

    with pytest.raises(BudgetReached):
        asyncio.run(asked())
    assert model.calls == 2
    assert len(notes) == 1
    assert all(word in notes[0] for word in ("m billed 7 tokens", "(`max_tokens`)", "3.5 times"))


@given(bills=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 9)), max_size=20))
def test_the_whole_is_the_sum_of_its_parts(
    tmp_path_factory: pytest.TempPathFactory, bills: list[tuple[float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("shared")
    budget = SharedBudget(SharedState(folder), "shared", Limits(usd=1000.0))
    for usd, tokens in bills:
        number = asyncio.run(budget.reserve(Bill(6.0, 9, 1)))
        budget.settle(number, Bill(usd, tokens, 1))
    assert budget.spent.usd == pytest.approx(sum(usd for usd, _ in bills))
    assert budget.spent.tokens == sum(tokens for _, tokens in bills)


def test_a_damaged_file_stops_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "shared.sqlite3").write_bytes(json.dumps(["no database"] * 400).encode())
    with pytest.raises(CacheError, match=r"shared\.sqlite3: .* remove it") as caught:
        asked_until_it_is_spent(tmp_path, Limits(usd=1.0), Writing(1))
    assert caught.value.argument == "cache"
