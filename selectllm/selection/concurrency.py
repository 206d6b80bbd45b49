"""Many questions at once, until one of them ends it: bounded concurrency and when to give up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from selectllm.core.errors import ProviderError, SelectLLMError
from selectllm.core.places import HeldPlace, Places
from selectllm.core.stopping import stopped, to_the_end

FAILURES_IN_A_ROW = 8  # of one model, each after its retries: the provider is down, stop asking
DOWN = ("busy", "timeout", "unreachable")  # the kinds of failures that may say so

Thing = TypeVar("Thing")


async def run_all(
    things: Iterable[Thing], do: Callable[[Thing], Awaitable[None]], concurrency: int
) -> None:
    """`do` every thing, `concurrency` of them at once, begun in the order of `things`.

    What only waits, such as for its next try, is none of these: another is done in its place
    (places.py).

    The first SelectLLMError of a `do` or of `things` ends it: what is in flight still finishes,
    then the error is raised. Cancelled, it begins nothing more and waits for what is in flight
    (stopping.py).
    """
    stop: list[SelectLLMError] = []

    async def one(thing: Thing, place: HeldPlace) -> None:
        try:
            with place.kept():
                await do(thing)
        except SelectLLMError as error:
            stop.append(error)

    async def all_of_them() -> None:
        places = Places(max(1, concurrency))
        async with asyncio.TaskGroup() as group:  # a defect of ours in one of them stops the others
            try:
                for thing in things:
                    place = await places.taken()
                    if stop or stopped():
                        return
                    group.create_task(one(thing, place))
            except SelectLLMError as error:
                stop.append(error)

    await to_the_end(all_of_them())
    if stop:
        raise stop[0]


class FailureStreak:
    """What speaks against going on with one model: how its calls failed, one after the other."""

    def __init__(self) -> None:
        self._down = 0  # failures in a row that may mean that the provider is down
        self._doubtful = 0  # failures of the first calls that may be about all of them
        self._answered = False

    def answered(self) -> None:
        """A call succeeded."""
        self._down = 0
        self._answered = True

    def failed(self, error: ProviderError) -> None:
        """A call failed after its retries; raises `error` if it makes no sense to go on.

        That is so at once where no call can succeed, and after FAILURES_IN_A_ROW where the provider
        seems to be down, or where it forbade the first calls, all of them. What is about one
        question alone never counts.
        """
        if error.fatal and not (error.retryable and self._answered):
            raise error
        self._down += error.kind in DOWN or (not error.kind and error.retryable)
        self._doubtful += error.doubtful and not self._answered
        if max(self._down, self._doubtful) >= FAILURES_IN_A_ROW:
            raise error
