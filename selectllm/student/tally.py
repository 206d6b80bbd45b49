"""How far a long computation is, in tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Tally:
    """Tokens that are to run and have run; `progress(done, total)` hears of every change."""

    progress: Progress | None = None
    total: int = 0
    done: int = 0

    def expect(self, tokens: int) -> None:
        """So many more are to come."""
        self.total += tokens

    def add(self, tokens: int) -> None:
        """So many have run."""
        self.done += tokens
        if self.progress is not None:
            self.progress(self.done, self.total)
