"""Processes that spend from one budget; light to import, for each starts anew."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.queues import Queue
from pathlib import Path

from selectllm.core.errors import BudgetReached
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.wrappers.bill import Bill, Limits
from selectllm.models.wrappers.budget import Budgeted, Ledger
from selectllm.models.wrappers.shared_budget import SharedBudget
from selectllm.models.wrappers.shared_state import SharedState

PRICE = Price(0.0, 1_000_000.0)  # 1 USD for each token that is written
REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=(Message(role="user", content="Pick."),),
    question=Question(shown=(), labels=(), k=0, reply="indices"),
    max_tokens=2,
)


class Writing:
    """A model that bills so many tokens whatever max_tokens says."""

    def __init__(self, tokens: int, seconds: float = 0.002) -> None:
        self.tokens, self.seconds = tokens, seconds
        self.calls = 0

    async def complete(self, request: Request) -> Reply:
        await asyncio.sleep(self.seconds)
        self.calls += 1
        return Reply("[1]", tokens_in=2, tokens_out=self.tokens, cost_usd=float(self.tokens))

    async def close(self) -> None: ...


def asked_until_it_is_spent(folder: Path, limits: Limits, model: Writing, calls: int = 64) -> int:
    """How many of `calls`, eight at a time, were answered within the budget `shared`."""

    async def one(budgeted: Budgeted, turn: asyncio.Semaphore) -> bool:
        async with turn:
            try:
                await budgeted.complete(REQUEST)
            except BudgetReached:
                return False
            return True

    async def every() -> int:
        ledger = Ledger(shared=SharedBudget(SharedState(folder), "shared", limits))
        budgeted, turn = Budgeted(model, ledger, lambda spec: PRICE), asyncio.Semaphore(8)
        return sum(await asyncio.gather(*(one(budgeted, turn) for _ in range(calls))))

    return asyncio.run(every())


def spend_in_a_process(folder: Path, limits: Limits, tokens: int, answered: Queue[int]) -> None:
    answered.put(asked_until_it_is_spent(folder, limits, Writing(tokens)))


def set_aside_and_wait(folder: Path, limits: Limits) -> None:
    """3 USD are set aside, and never settled."""
    budget = SharedBudget(SharedState(folder), "shared", limits)
    asyncio.run(budget.reserve(Bill(3.0, 5, 1)))
    (folder / "aside").touch()
    time.sleep(60)
