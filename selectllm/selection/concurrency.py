"""Many questions at once, until one of them ends it: bounded concurrency and when to give up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from selectllm.core.errors import ProviderError, SelectLLMError

FAILURES_IN_A_ROW = 8  # of one model, each after its retries: the provider is down, stop asking

Thing = TypeVar("Thing")


async def run_all(
    things: Iterable[Thing], do: Callable[[Thing], Awaitable[None]], concurrency: int
) -> None:
    """`do` every thing, `concurrency` of them at once, begun in the order of `things`.

    The first SelectLLMError of a `do` ends it: what is in flight still finishes, then the error is
    raised.
    """
    stop: list[SelectLLMError] = []

    async def work(queue: Iterator[Thing]) -> None:
        for thing in queue:
            try:
                await do(thing)
            except SelectLLMError as error:
                stop.append(error)
            if stop:
                return

    queue = iter(things)
    async with asyncio.TaskGroup() as group:  # a defect of ours in one worker stops the others
        for _ in range(max(1, concurrency)):
            group.create_task(work(queue))
    if stop:
        raise stop[0]


class FailureStreak:
    """How many calls of one model failed in a row."""

    def __init__(self) -> None:
        self._failures = 0

    def answered(self) -> None:
        """A call succeeded."""
        self._failures = 0

    def failed(self, error: ProviderError) -> None:
        """A call failed after its retries; raises `error` if it makes no sense to go on."""
        self._failures += 1
        if error.fatal or self._failures >= FAILURES_IN_A_ROW:
            raise error
