"""The items of a pool in groups, one group after another, wherever their rows stand.

The groups' rows lie all over the files, so stored items are copied once, in the order of the
groups, and then read a block of groups at a time. The copy is a file without a name: it is gone
when it is let go, however the process ends.
"""

from __future__ import annotations

import io
import mmap
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.spilled_arrays import order_of, room
from selectllm.core.types import Item, Pool
from selectllm.data import stored_items
from selectllm.data.stored_items import StoredItems, holding

if TYPE_CHECKING:
    import polars as pl


def in_groups(pool: Pool, groups: Iterable[Sequence[str]]) -> Callable[[int], Mapping[str, Item]]:
    """Gives the items of a group, by their ids, and maybe others, by the group's number.

    `groups`: ids of the pool, each in one group. Asked for in order, groups are read once.
    """
    if isinstance(pool.items, StoredItems):
        return _Arranged(pool.items, groups).of
    return lambda group: pool.by_id


PLACE = "__place"  # the column of the copy that says whose row it is
BLOCKS = 1_000  # of the copy: at most so many parts of the files meet each, and make a piece


class _Arranged:
    """Stored items in the order of `groups`, of which one block is held."""

    def __init__(self, items: StoredItems, groups: Iterable[Sequence[str]]) -> None:
        self._items = items
        sizes = array("q")
        self._positions = items.ids.places_of(_counted(groups, sizes))
        self._size = max(stored_items.SLICE, len(self._positions) // BLOCKS)
        self._ends = np.cumsum(np.frombuffer(sizes, dtype=np.int64))
        self._block = np.concatenate([[0], self._ends[:-1]]) // self._size  # of each group
        self._held: tuple[int, Mapping[str, Item]] = (-1, {})
        self._copy: tuple[mmap.mmap, list[array[int]]] | None = None

    def of(self, group: int) -> Mapping[str, Item]:
        """The items of the block in which the group is."""
        block = int(self._block[group])
        if self._held[0] != block:
            self._held = (-1, {})  # never two at once
            self._held = (block, self._read(block))
        return self._held[1]

    def _read(self, block: int) -> Mapping[str, Item]:
        import polars as pl

        self._copy = self._copy or self._copied()
        rows, pieces = self._copy
        found: dict[str, Item] = {}
        for start, end in zip(pieces[block][::2], pieces[block][1::2], strict=True):
            frame = pl.read_ipc(rows[start:end])
            names = [self._items.ids.at(place) for place in frame.drop_in_place(PLACE).to_list()]
            found.update((item.id, item) for item in self._items.made(names, frame))
        return found

    def _copied(self) -> tuple[mmap.mmap, list[array[int]]]:
        """The copy, written while the files are gone through once, and where its pieces lie."""
        items, folder = self._items, self._items.folder
        pieces = [array("q") for _ in range(int(self._block[-1]) + 1)]
        with holding(folder, "a copy of the pool in the order in which its items are shown"):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                for places in self._by_row():
                    positions = self._positions[places]
                    for which, frame in items.frames(positions):
                        numbered = frame.with_columns(_column(positions[which]))
                        groups = np.searchsorted(self._ends, places[which], side="right")
                        blocks = self._block[groups]
                        for block in np.unique(blocks).tolist():
                            begun = file.tell()
                            file.write(_bytes(numbered[np.flatnonzero(blocks == block)]))
                            pieces[block].extend((begun, file.tell()))
                file.flush()
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), pieces

    def _by_row(self) -> Iterator[Ints]:
        """The places of the items in the order of `groups`, ascending by row, many at a time."""
        rows = room(self._items.folder, len(self._positions), np.intp)
        for start in range(0, len(rows), self._size):
            some = slice(start, start + self._size)
            rows[some] = self._items.rows_at(self._positions[some])
        places = order_of(rows, self._items.folder)
        for start in range(0, len(places), self._size):
            yield places[start : start + self._size]


def _column(places: Ints) -> pl.Series:
    import polars as pl

    return pl.Series(PLACE, places)


def _counted(groups: Iterable[Sequence[str]], sizes: array[int]) -> Iterator[str]:
    """The ids of one group after the other; how many each has goes into `sizes`."""
    for group in groups:
        sizes.append(len(group))
        yield from group


def _bytes(frame: pl.DataFrame) -> memoryview:
    rows = io.BytesIO()
    frame.write_ipc(rows)
    return rows.getbuffer()
