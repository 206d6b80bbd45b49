"""The items of a pool of Parquet files, read from them whenever they are looked at.

What is held is one slice of rows. The ids lie in a file, too: their own bytes and 16 an item.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from selectllm.core.arrays import Floats, Ints
from selectllm.core.errors import PoolError
from selectllm.core.files import cannot_hold
from selectllm.core.sequences import MadeSequence
from selectllm.core.spilled_arrays import SpilledBytes, alike, filled, room, with_places
from selectllm.core.types import Item, Pool
from selectllm.data.layouts import PoolLayout
from selectllm.data.readers.columnar import broken, frame_rows
from selectllm.data.readers.partitioned import parts_of
from selectllm.data.readers.records import reading

if TYPE_CHECKING:
    import polars as pl

SLICE = 20_000  # rows read at a time
PATIENCE = 32  # slices that are read for single items, after which all are held
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A file of a pool: which rows of all it holds, and its size and time when it was read."""

    path: Path
    first: int
    rows: int
    stamp: tuple[int, int]


class PackedIds(MadeSequence[str]):
    """Ids behind each other in a file of `folder`, 16 bytes more for each.

    Raises PoolError where the folder cannot hold them.
    """

    def __init__(self, ids: Iterable[str], folder: Path) -> None:
        self.folder = folder
        given, end = iter(ids), 0
        with (
            holding(folder, "the ids of a large pool"),
            SpilledBytes(folder) as texts,
            SpilledBytes(folder) as ends,
            SpilledBytes(folder) as hashes,
        ):
            ends.write(np.int64(0).tobytes())
            while some := [*islice(given, SLICE)]:
                coded = [name.encode("utf-8") for name in some]
                texts.write(b"".join(coded))
                some_ends = end + np.cumsum([*map(len, coded)])
                end = int(some_ends[-1])
                ends.write(some_ends.tobytes())
                hashes.write(np.fromiter(map(hash, some), np.int64, len(some)).tobytes())
            self._texts, self._ends = texts.array(np.uint8).data, ends.array(np.int64).data
            self._keys = hashes.array(np.uint64)
        self._mask = with_places(self._keys)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[str]:
        return (str(self._texts[start:end], "utf-8") for start, end in pairwise(self._ends))

    def at(self, place: int) -> str:
        """The id at `place`."""
        return str(self._texts[self._ends[place] : self._ends[place + 1]], "utf-8")

    def places(self, names: Sequence[str]) -> Ints:
        """Where each of `names` stands, -1 for what is none of the ids."""
        wanted = np.fromiter(map(hash, names), dtype=np.int64, count=len(names)).view(np.uint64)
        last = wanted | np.uint64(self._mask)
        starts = np.searchsorted(self._keys, last - np.uint64(self._mask), "left").tolist()
        ends = np.searchsorted(self._keys, last, "right").tolist()
        alike = (
            (self._keys[start:end] & np.uint64(self._mask)).tolist()
            for start, end in zip(starts, ends, strict=True)
        )
        found = (
            next((place for place in some if self.at(place) == name), -1)
            for name, some in zip(names, alike, strict=True)
        )
        return np.fromiter(found, dtype=np.intp, count=len(names))

    def places_of(self, names: Iterable[str]) -> Ints:
        """The same of so many ids that they are looked up in slices."""
        given = iter(names)
        what = "the places of the items of a large pool"
        with holding(self.folder, what), SpilledBytes(self.folder) as found:
            while some := [*islice(given, SLICE)]:
                found.write(self.places(some).tobytes())
            places: Ints = found.array(np.intp)
        return places

    def alike(self) -> list[int]:
        """The places of ids whose hashes are alike, ascending: of all that are there twice."""
        return sorted(place for _, some in alike(self._keys, self._mask) for place in some)


@dataclass(eq=False, repr=False)
class StoredItems(MadeSequence[Item]):
    """Items whose rows stay in their files.

    Gone through in their order, or by `picked`, they are read and let go. Whoever looks at single
    ones here and there has all of them in memory soon: reading a slice for each would take days.
    `folder`: where a copy of the rows in another order may be while it is used (arranged_items.py).
    `rows`: which of all rows are items, None for all. Raises PoolError for files that have changed
    since.
    """

    parts: Sequence[PoolFile]
    layout: PoolLayout
    ids: PackedIds
    folder: Path
    rows: Ints | None = None
    _held: list[Item] | None = None
    _slice: tuple[int, list[Item]] = (0, [])
    _read: int = field(default=0)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))  # as that of the tuple that it equals

    def __iter__(self) -> Iterator[Item]:
        if self._held is not None:
            yield from self._held
            return
        for start in range(0, len(self), SLICE):
            yield from self.pick(range(start, min(start + SLICE, len(self))))

    def at(self, place: int) -> Item:
        """The item at `place`."""
        if self._held is None and self._read >= PATIENCE:
            self._held = list(self)
        if self._held is not None:
            return self._held[place]
        first, items = self._slice
        if not first <= place < first + len(items):
            first = place - place % SLICE
            items = self.pick(range(first, min(first + SLICE, len(self))))
            self._slice, self._read = (first, items), self._read + 1
        return items[place - first]

    def pick(self, positions: Iterable[int]) -> list[Item]:
        """The items at `positions`, in that order; the files are gone through once."""
        asked = np.fromiter(positions, dtype=np.intp)
        if self._held is not None:
            return [self._held[place] for place in asked.tolist()]
        _, first, back = np.unique(self.rows_at(asked), return_index=True, return_inverse=True)
        wanted = asked[first]
        found: list[Item] = []
        for start in range(0, len(wanted), SLICE):
            some = wanted[start : start + SLICE]
            for which, frame in self.frames(some):
                found += self.made([self.ids[place] for place in some[which].tolist()], frame)
        return [found[place] for place in back.tolist()]

    @cached_property
    def lengths(self) -> Floats:
        """Characters of each text, counted once."""
        lengths = room(self.folder, len(self), np.float64)
        return filled(lengths, (len(item.text) for item in self))

    def subset(self, positions: Ints) -> StoredItems:
        """The items at `positions`, different ones, as items of their own."""
        ids = PackedIds(map(self.ids.at, positions), self.folder)
        rows = room(self.folder, len(positions), np.intp)
        for start in range(0, len(rows), SLICE):
            rows[start : start + SLICE] = self.rows_at(positions[start : start + SLICE])
        return StoredItems(self.parts, self.layout, ids, self.folder, rows)

    def rows_at(self, positions: Ints) -> Ints:
        """Which of all rows the items at `positions` are."""
        return positions if self.rows is None else self.rows[positions]

    def frames(self, positions: Ints) -> Iterator[tuple[Ints, pl.DataFrame]]:
        """The rows of the items at `positions`, ascending by row, of one file after the other.

        Each with which of `positions` it is for.
        """
        rows = self.rows_at(positions)
        for part in self.parts:
            which = np.flatnonzero((rows >= part.first) & (rows < part.first + part.rows))
            if len(which):
                with reading(part.path):
                    frame = _rows_at(part, rows[which] - part.first)
                yield which, frame

    def made(self, names: Sequence[str], frame: pl.DataFrame) -> Iterator[Item]:
        """The items whose rows are those of `frame`, with `names` as their ids."""
        for name, row in zip(names, frame_rows(frame), strict=True):
            yield self.layout.texts(row).item(name, row)


def parts_read(path: Path) -> list[PoolFile]:
    """The files of a pool as they are now. Raises PoolError for one that cannot be read."""
    import polars as pl

    parts: list[PoolFile] = []
    first = 0
    for part in parts_of(path):
        with reading(part):
            stamp = stamp_of(part)
            try:
                rows = int(pl.scan_parquet(part, glob=False).select(pl.len()).collect().item())
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise broken(part, error) from None
        parts.append(PoolFile(part, first, rows, stamp))
        first += rows
    return parts


def stamp_of(path: Path) -> tuple[int, int]:
    """By which a file is known to be as it was."""
    now = path.stat()
    return now.st_size, now.st_mtime_ns


def _rows_at(part: PoolFile, numbers: Ints) -> pl.DataFrame:
    """The rows of a file at `numbers`, ascending. Raises PoolError if it has changed."""
    import polars as pl

    first, last = int(numbers[0]), int(numbers[-1])
    if stamp_of(part.path) != part.stamp:
        raise PoolError(
            f"{part.path} has changed since the pool was read. Run the command again, and leave "
            "the file as it is meanwhile"
        )
    table = pl.scan_parquet(part.path, glob=False, hive_partitioning=False)
    frame = table.slice(first, last - first + 1).collect()
    return frame if frame.height == len(numbers) else frame[numbers - first]


@dataclass(frozen=True, slots=True)
class StoredTexts(MadeSequence[str]):
    """The texts of stored items, likewise."""

    items: StoredItems

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[str]:
        return (item.text for item in self.items)

    def at(self, place: int) -> str:
        """The text at `place`."""
        return self.items.at(place).text

    def pick(self, positions: Iterable[int]) -> list[str]:
        """The texts at `positions`, in that order."""
        return [item.text for item in self.items.pick(positions)]


def picked(values: Sequence[Value], positions: Iterable[int]) -> list[Value]:
    """The values at `positions`, in that order."""
    if isinstance(values, StoredItems | StoredTexts):
        return values.pick(positions)  # type: ignore[return-value]
    return [values[place] for place in positions]


def ids_of(items: Sequence[Item]) -> Sequence[str]:
    """The ids of items, in their order, without reading the items."""
    return items.ids if isinstance(items, StoredItems) else [item.id for item in items]


def lengths_of(items: Sequence[Item]) -> Floats:
    """Characters of the text of each item."""
    if isinstance(items, StoredItems):
        return items.lengths
    return np.fromiter((len(item.text) for item in items), np.float64, len(items))


def spilled_to(items: Sequence[Item]) -> Path | None:
    """The folder for what is too large for memory, of items whose rows are; else None."""
    return items.folder if isinstance(items, StoredItems) else None


def texts_of(items: Sequence[Item]) -> Sequence[str]:
    """The text of each item."""
    return StoredTexts(items) if isinstance(items, StoredItems) else [item.text for item in items]


def subset(items: Sequence[Item], positions: Sequence[int]) -> Sequence[Item]:
    """The items at `positions`, different ones, as items of their own."""
    if isinstance(items, StoredItems):
        return items.subset(np.asarray(positions, dtype=np.intp))
    return [items[place] for place in positions]


def named(pool: Pool, ids: Sequence[str]) -> Sequence[Item]:
    """The items of a pool with these ids, which it has, in that order."""
    if isinstance(pool.items, StoredItems):
        return pool.items.subset(pool.items.ids.places(ids))
    return [pool.by_id[name] for name in ids]


def not_in(pool: Pool, ids: Sequence[str]) -> list[str]:
    """Those of `ids` that no item of the pool has."""
    if isinstance(pool.items, StoredItems):
        places = pool.items.ids.places(ids).tolist()
        return [name for name, place in zip(ids, places, strict=True) if place < 0]
    return [name for name in ids if name not in pool.by_id]


@contextlib.contextmanager
def holding(folder: Path, what: str) -> Iterator[None]:
    """Raise PoolError where the folder cannot hold `what`."""
    try:
        yield
    except OSError as error:
        raise PoolError(cannot_hold(folder, what, error)) from None
