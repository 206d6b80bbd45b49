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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.errors import PoolError
from selectllm.core.types import Item, Pool
from selectllm.data import stored_items
from selectllm.data.stored_items import StoredItems

if TYPE_CHECKING:
    import polars as pl


def in_groups(pool: Pool, groups: Iterable[Sequence[str]]) -> Callable[[int], Mapping[str, Item]]:
    """Gives the items of a group, by their ids, and maybe others, by the group's number.

    `groups`: ids of the pool, each in one group. Asked for in order, groups are read once.
    """
    if isinstance(pool.items, StoredItems):
        return _Arranged(pool.items, groups).of
    return lambda group: pool.by_id


class _Piece(NamedTuple):
    """Rows of one block from one file of the pool: where they lie in the copy, and whose."""

    start: int
    end: int
    positions: Ints


class _Arranged:
    """Stored items in the order of `groups`, of which one block is held."""

    def __init__(self, items: StoredItems, groups: Iterable[Sequence[str]]) -> None:
        self._items = items
        counts = array("q")
        self._positions = items.ids.places_of(_counted(groups, counts))
        sizes = np.frombuffer(counts, dtype=np.int64)
        self._block = (np.cumsum(sizes) - sizes) // stored_items.SLICE  # of each group
        self._blocks = np.repeat(self._block, sizes)  # of each item
        self._held: tuple[int, Mapping[str, Item]] = (-1, {})
        self._copy: tuple[mmap.mmap, list[list[_Piece]]] | None = None

    def of(self, group: int) -> Mapping[str, Item]:
        """The items of the block in which the group is."""
        block = int(self._block[group])
        if self._held[0] != block:
            self._held = (-1, {})  # never two at once
            self._held = (block, self._read(block))
        return self._held[1]

    def _read(self, block: int) -> Mapping[str, Item]:
        import polars as pl

        if self._copy is None:
            self._copy = self._copied()
            self._positions = self._blocks = np.empty(0, dtype=np.intp)  # each piece knows its own
        rows, pieces = self._copy
        found: dict[str, Item] = {}
        for piece in pieces[block]:
            frame = pl.read_ipc(rows[piece.start : piece.end])
            names = [self._items.ids[place] for place in piece.positions.tolist()]
            found.update((item.id, item) for item in self._items.made(names, frame))
        return found

    def _copied(self) -> tuple[mmap.mmap, list[list[_Piece]]]:
        """The copy, written while the files are gone through once."""
        items, size = self._items, stored_items.SLICE
        by_row = np.argsort(items.rows_at(self._positions))
        pieces: list[list[_Piece]] = [[] for _ in range(int(self._block[-1]) + 1)]
        try:
            items.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=items.folder) as file:
                for start in range(0, len(by_row), size):
                    places = by_row[start : start + size]
                    positions = self._positions[places]
                    for which, frame in items.frames(positions):
                        blocks = self._blocks[places[which]]
                        for block in np.unique(blocks).tolist():
                            mine = np.flatnonzero(blocks == block)
                            begun = file.tell()
                            file.write(_bytes(frame[mine]))
                            rows = positions[which[mine]]
                            pieces[block].append(_Piece(begun, file.tell(), rows))
                file.flush()
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), pieces
        except OSError as error:
            raise PoolError(
                f"{items.folder} cannot hold a copy of the pool in the order in which its items "
                f"are shown ({error.strerror or error}). Make room there, or choose another cache"
            ) from None


def _counted(groups: Iterable[Sequence[str]], sizes: array[int]) -> Iterator[str]:
    """The ids of one group after the other; how many each has goes into `sizes`."""
    for group in groups:
        sizes.append(len(group))
        yield from group


def _bytes(frame: pl.DataFrame) -> memoryview:
    rows = io.BytesIO()
    frame.write_ipc(rows)
    return rows.getbuffer()
