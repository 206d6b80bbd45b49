"""What is said before a long embedding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selectllm.jobs.long_embedding import announced


def ticking(seconds: float) -> Iterator[float]:
    now = 100.0
    while True:
        yield now
        now += seconds


def heard(total: int, batches: int, seconds: float) -> list[str]:
    """What is said of `batches` batches of 64 texts that take so many seconds each."""
    notes: list[str] = []
    ticks = ticking(seconds)
    advance = announced(None, notes.append, lambda: next(ticks))
    advance(0, total)
    for batch in range(1, batches + 1):
        advance(min(total, 64 * batch), total)
    return notes


def test_a_long_embedding_is_announced_once_with_its_pace_and_what_to_do() -> None:
    (note,) = heard(1_000_000, 100, 2.0)
    assert note == (
        "Note: To embed 1,000,000 new texts at about 32 a second takes about 8.7 hours more. If "
        "you "
        "stop the run, start it again to continue where it was. To use vectors that you have "
        "already, "
        "name them with `vectors` FILE.npy"
    )


@pytest.mark.parametrize(
    ("total", "seconds", "said"),
    [
        (20_001, 0.01, "less than a minute"),
        (20_001, 1.0, "about 5 minutes"),
        (20_000, 1.0, None),
        (1_000, 120.0, "about 13 minutes"),
        (1_000, 80.0, None),
        (500, 1e6, None),
    ],
)
def test_long_is_many_texts_or_ten_minutes(total: int, seconds: float, said: str | None) -> None:
    notes = heard(total, -(-total // 64), seconds)
    assert len(notes) == (said is not None)
    assert all(f"takes {said} more" in note for note in notes)
