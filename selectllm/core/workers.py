"""Where the pieces of one computation are carried out: here, or wherever an engine has workers.

Rooms that compute know only this port; the engines are in jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # whoever only names an engine does not compute
    import numpy as np
    from numpy.typing import NDArray

    from selectllm.core.arrays import Ints

Thing = TypeVar("Thing")
Result = TypeVar("Result")

SORTED_SHARE = 16  # 1/16 of what is left is sorted whenever an order runs out
LEAST_SORTED = 256  # positions that are sorted and handed out together; also the least sorted


class Workers(Protocol):
    """Whoever carries out the pieces of a computation. What comes out does not depend on it."""

    @property
    def piece_bytes(self) -> int:
        """The most bytes that are to be sent as one piece; 0 where nothing has to be sent."""
        ...

    def map(
        self, function: Callable[[Thing], Result], things: Iterable[Thing], *, whole: bool = False
    ) -> Iterator[Result]:
        """`function` of each thing, in their order; only a few things are held at a time.

        Pure: one that was lost with its worker is done again. `whole`: each takes all the cores
        of a machine.
        """
        ...

    def sort(self, keys: NDArray[np.float32], gone: NDArray[np.bool_]) -> list[Iterator[Ints]]:
        """For each row of `keys` (n_rows, n): positions from the lowest key up, in pieces.

        Ties: the lowest position first. A position that is `gone` (n,) when a piece is made may
        be left out of it; the caller may mark more while it reads.
        """
        ...


class Here:
    """The workers of one process: itself."""

    piece_bytes = 0

    def map(
        self, function: Callable[[Thing], Result], things: Iterable[Thing], *, whole: bool = False
    ) -> Iterator[Result]:
        """One after another."""
        return map(function, things)

    def sort(self, keys: NDArray[np.float32], gone: NDArray[np.bool_]) -> list[Iterator[Ints]]:
        """Each row sorts only what is about to be looked at, so that all is near-linear in n."""
        return [_in_parts(row, gone) for row in keys]


HERE = Here()


def full_order(keys: NDArray[np.float32]) -> Ints:
    """(n,) positions from the lowest key up, ties by the lowest position."""
    import numpy as np

    return np.argsort(keys, kind="stable")


def _in_parts(keys: NDArray[np.float32], gone: NDArray[np.bool_]) -> Iterator[Ints]:
    import numpy as np

    while len(free := np.flatnonzero(~gone)):
        count = max(LEAST_SORTED, len(free) // SORTED_SHARE)
        order = _lowest(keys, free, count)
        for start in range(0, len(order), LEAST_SORTED):
            yield order[start : start + LEAST_SORTED]


def _lowest(keys: NDArray[np.float32], free: Ints, count: int) -> Ints:
    """The `count` lowest of the positions `free` (ascending), ties by the lowest position."""
    import numpy as np

    low = keys[free]
    if count < len(free):
        # Everything up to the count-th key, so that the tied ones are cut by position below.
        within = ~(low > np.partition(low, count - 1)[count - 1])  # a NaN is high, not lost
        low, free = low[within], free[within]
    return free[np.argsort(low, kind="stable")[:count]]
