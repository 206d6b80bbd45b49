"""A model asked about one item at a time: bounded concurrency, failures kept apart from values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from selectllm.core.errors import ProviderError, ReplyMissing
from selectllm.core.types import Attempt, Item, Status
from selectllm.selection.concurrency import FailureStreak, run_all


@dataclass(frozen=True, slots=True)
class Rated:
    """What a model's replies make of one item.

    `value`: higher is better; NaN where the replies give none, never a guess or a default.
    `attempts`: every request and what came back. `status`, `problems` as in Decision; a value is
    there when the status is ok or repaired, and `error` does not occur: that is raised.
    """

    value: float
    attempts: tuple[Attempt, ...]
    status: Status
    problems: tuple[str, ...] = ()


Measure = Callable[[Item], Awaitable[Rated]]
Tick = Callable[[Rated], None]


def no_tick(rated: Rated) -> None:
    """Tell nobody."""


async def one_by_one(
    items: Sequence[Item], measure: Measure, asked: str, concurrency: int, tick: Tick
) -> dict[str, Rated]:
    """`measure` of every item by its id, in the order of `items`, `concurrency` of them at once.

    `asked`: what is asked of which model, for messages. `tick` hears of every item measured.

    Failures are treated as `ask.ask` does: one item's is kept until the others are measured and
    then raised as ProviderError; what cannot get better (a wrong key, an exhausted budget,
    FAILURES_IN_A_ROW) ends it after the calls in flight; offline, all missing replies are counted
    before ReplyMissing is raised. Replies that came are in the reply cache, so that the same call
    made again asks only the rest.
    """
    asking = _Asking(measure, tick)
    await run_all(items, asking.ask, concurrency)
    asking.check(asked, len(items))
    return {item.id: asking.rated[item.id] for item in items}


class _Asking:
    """The state that the questions of one `one_by_one` share."""

    def __init__(self, measure: Measure, tick: Tick) -> None:
        self.rated: dict[str, Rated] = {}
        self._measure = measure
        self._tick = tick
        self._patience = FailureStreak()
        self._failures: list[ProviderError] = []
        self._missing = 0

    async def ask(self, item: Item) -> None:
        """Measure one item; raises what cannot get better."""
        try:
            rated = await self._measure(item)
        except ReplyMissing:
            self._missing += 1
        except ProviderError as error:
            self._failures.append(error)
            self._patience.failed(error)
        else:
            self._patience.answered()
            self.rated[item.id] = rated
            self._tick(rated)

    def check(self, asked: str, count: int) -> None:
        """Raise what is missing, or what failed."""
        if self._missing:
            raise ReplyMissing(
                f"with `offline` nothing is sent, and the replies about {self._missing} of "
                f"{count} items are missing: {asked}"
            )
        if self._failures:
            first = str(self._failures[0]).rstrip(".")
            raise ProviderError(
                f"{asked}: {len(self._failures)} of {count} items could not be measured. The first "
                f"reason is: {first}. What succeeded is in the reply cache. Run the same command "
                "again to ask only for the rest"
            )
