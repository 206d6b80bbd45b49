"""How an `optimize` tells those who watch how far it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

Advance = Callable[[int, int], None]
"""(done, total)."""
Progress = Callable[[str], AbstractContextManager[Advance | None]]
"""A progress bar by its description, which hears (done, total)."""


def ticks(advance: Advance | None, total: int) -> Callable[[object], None]:
    """What tells `advance` of every decision."""
    done = itertools.count(1)
    return lambda decision: advance(next(done), total) if advance else None
