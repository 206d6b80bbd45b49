"""How an `optimize` tells those who watch how far it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

Advance = Callable[[int, int], None]
"""(done, total)."""
Progress = Callable[[str], AbstractContextManager[Advance | None]]
"""A progress bar by its description, which hears (done, total)."""


def ticks(advance: Advance | None, total: int) -> Callable[[object], None]:
    """What tells `advance` of every decision; one that failed is not done."""
    done = 0

    def tick(decision: object) -> None:
        nonlocal done
        done += getattr(decision, "status", "") != "error"
        if advance is not None:
            advance(done, total)

    return tick
