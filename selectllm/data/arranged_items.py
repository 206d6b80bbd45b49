"""The items of a pool in groups, one group after another, wherever their rows stand.

The groups' rows lie all over the files, so stored items are copied once, in the order of the
groups, and then read a block of groups at a time. The copy is a file without a name: it is gone
when it is let go, however the process ends.
"""

from __future__ import annotations

import io
import mmap
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.errors import PoolError
from selectllm.core.types import Item, Pool
from selectllm.data import stored_items
from selectllm.data.stored_items import StoredItems

if TYPE_CHECKING:
    import polars as pl


def in_groups(pool: Pool, groups: Sequence[Sequence[str]]) -> Callable[[int], Mapping[str, Item]]:
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
    places: Ints


class _Arranged:
    """Stored items in the order of `groups`, of which one block is held."""

    def __init__(self, items: StoredItems, groups: Sequence[Sequence[str]]) -> None:
        self._items = items
        self._names = [*chain.from_iterable(groups)]
        sizes = np.fromiter(map(len, groups), dtype=np.intp, count=len(groups))
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
        rows, pieces = self._copy
        found: dict[str, Item] = {}
        for piece in pieces[block]:
            frame = pl.read_ipc(rows[piece.start : piece.end])
            names = [self._names[place] for place in piece.places.tolist()]
            found.update((item.id, item) for item in self._items.made(names, frame))
        return found

    def _copied(self) -> tuple[mmap.mmap, list[list[_Piece]]]:
        """The copy, written while the files are gone through once."""
        items, size = self._items, stored_items.SLICE
        positions = items.ids.places(self._names)
        by_row = np.argsort(items.rows_at(positions))
        pieces: list[list[_Piece]] = [[] for _ in range(int(self._block[-1]) + 1)]
        try:
            items.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=items.folder) as file:
                for start in range(0, len(by_row), size):
                    places = by_row[start : start + size]
                    for which, frame in items.frames(positions[places]):
                        blocks = self._blocks[places[which]]
                        for block in np.unique(blocks).tolist():
                            mine = np.flatnonzero(blocks == block)
                            begun = file.tell()
                            file.write(_bytes(frame[mine]))
                            pieces[block].append(_Piece(begun, file.tell(), places[which[mine]]))
                file.flush()
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), pieces
        except OSError as error:
            raise PoolError(
                f"{items.folder} cannot hold a copy of the pool in the order in which its items "
                f"are shown ({error.strerror or error}). Make room there, or choose another cache"
            ) from None


def _bytes(frame: pl.DataFrame) -> memoryview:
    rows = io.BytesIO()
    frame.write_ipc(rows)
    return rows.getbuffer()
