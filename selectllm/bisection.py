"""Where a condition that stays true once it is true begins to hold. Pure."""

from __future__ import annotations

from collections.abc import Callable

HALVINGS = 60


def threshold(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Two numbers, closer than (high - low) / 1e18 or a float's resolution, around the threshold.

    The condition is taken to fail at `low` and to hold at `high`: it fails at the first number
    returned and holds at the second.
    """
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low, high


def least_integer(holds: Callable[[int], bool], start: int) -> int:
    """The least integer from `start` on for which the condition holds. One must exist."""
    if holds(start):
        return start
    step = 1
    while not holds(start + step):
        step *= 2
    low, high = start + step // 2, start + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
