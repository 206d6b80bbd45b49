"""How far something is that takes many decisions."""

from __future__ import annotations

from collections.abc import Callable

from selectllm.core.types import Progress


def ticks(progress: Progress | None, total: int) -> Callable[[object], None]:
    """What `progress` needs to hear of a total: call it once for each thing that was tried.

    A decision that failed is not done; it is heard of all the same, since its calls are counted.
    """
    done = 0

    def tick(thing: object) -> None:
        nonlocal done
        done += getattr(thing, "status", "") != "error"
        if progress is not None:
            progress(done, total)

    return tick
