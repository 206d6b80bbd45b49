"""Who hears of a job while it runs: its notes, and how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from selectllm.core.types import Heard


class Watcher(Protocol):
    """Who hears of a job while it runs. A job itself prints nothing."""

    def note(self, text: str) -> None:
        """Hear one sentence or more about what a job does or leaves out."""
        ...

    def progress(self, description: str) -> contextlib.AbstractContextManager[Heard | None]:
        """What is called with every Step while the context lasts; None if nobody looks."""
        ...


@dataclass(frozen=True, slots=True)
class Notes:
    """A watcher that passes notes to `hear`, or to nobody, and shows no progress."""

    hear: Callable[[str], object] | None = None

    def note(self, text: str) -> None:
        """Pass it on."""
        if self.hear is not None:
            self.hear(text)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Heard | None]:
        """Nobody looks."""
        yield None
