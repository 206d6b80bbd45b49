"""How an `optimize` tells those who watch how far it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

Advance = Callable[[int, int], None]
"""(done, total)."""
Progress = Callable[[str], AbstractContextManager[Advance | None]]
"""A progress bar by its description, which hears (done, total)."""
