"""An event loop in which waiting takes no time, and its clock says how long it would have been."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class _Skipping(selectors.DefaultSelector):
    """A selector that never waits: it tells the loop to put its clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is not None:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock begins at 0, in seconds."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


def run(job: Coroutine[Any, Any, Value]) -> Value:
    """What `job` returns or raises, at once."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(job)


def now() -> float:
    """Seconds since the loop began."""
    return asyncio.get_running_loop().time()
