"""What is said once where embedding takes long: how long, and what can be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable

from selectllm.core.types import Progress

MANY = 20_000  # texts
LONG = 600  # seconds
MEASURED = 8  # batches that the pace is taken from, behind the first, which loads the model


def announced(
    progress: Progress | None,
    note: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """`progress`, and one `note` if the embedding that it hears of is long.

    That is more than 20,000 texts, or 10 minutes at the pace of its first batches.
    """
    batches: list[tuple[float, int]] = []  # (time, texts done) behind each of the first ones

    def heard(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total)
        if done == 0:
            batches.clear()
        elif len(batches) <= MEASURED:
            batches.append((clock(), done))
            if len(batches) > MEASURED:
                seconds, texts = (b - a for a, b in zip(batches[0], batches[-1], strict=True))
                pace = texts / max(seconds, 1e-3)
                if total > MANY or (total - done) / pace > LONG:
                    note(_text(total, pace, (total - done) / pace))

    return heard


def _text(total: int, pace: float, seconds: float) -> str:
    return (
        f"Note: To embed {total:,} new texts at about {pace:,.0f} a second takes {_about(seconds)} "
        "more. If you stop the run, start it again to continue where it was. To use vectors that "
        "you have already, name them with `vectors` FILE.npy"
    )


def _about(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    if seconds < 7200:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
