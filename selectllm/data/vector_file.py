"""Vectors made elsewhere: a .npy file that holds one row for every row of the pool file.

Rows are read through memory maps. What `VectorFile.map` gives is the file itself: no copy is held.
"""

from __future__ import annotations

import hashlib
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import is_, ne
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.errors import EncoderError
from selectllm.core.types import Item, Pool
from selectllm.data.stored_items import StoredItems, picked
from selectllm.data.vector_store import BLOCK, gather

LENGTH_WITHIN = 1e-3  # of 1


@dataclass(frozen=True)
class VectorFile:
    """A .npy file of float32, (rows, dim), that numpy can map; made by `open_vectors`."""

    path: Path
    shape: tuple[int, int]

    @cached_property
    def identity(self) -> str:
        """What partitions and manifests know the vectors by: the sha256 of the file."""
        with self.path.open("rb") as handle:
            return f"vectors@{hashlib.file_digest(handle, 'sha256').hexdigest()}"

    def map(self) -> Vectors:
        """(rows, dim): a memory map. Raises EncoderError unless all rows have length 1."""
        if self._fault is not None:
            raise EncoderError(self._fault, argument="vectors")
        return _mapped(self.path)

    @cached_property
    def _fault(self) -> str | None:
        """What is wrong with the rows, looked at once."""
        lengths = np.concatenate([np.linalg.norm(block, axis=1) for block in self._blocks()])
        without = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0)).tolist()
        if without:
            some = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
            return (
                f"`vectors` {self.path}: {len(without)} rows hold NaN, infinity or nothing but "
                f"zeros (row {some}, from 0). Embed their texts again"
            )
        other = np.flatnonzero(np.abs(lengths - 1) > LENGTH_WITHIN)
        if len(other):
            divided = _saved(self.path, "v / np.linalg.norm(v, axis=1, keepdims=True)")
            return (
                f"`vectors` {self.path}: {len(other)} rows are not of length 1 (row {other[0]}, "
                f"from 0, has {lengths[other[0]]:.4g}). Divide each by its length: {divided}"
            )
        return None

    def _blocks(self) -> Iterator[Floats]:
        """The rows in float64, so that no length overflows; a new map each, as in `gather`."""
        for start in range(0, self.shape[0], BLOCK):
            yield _mapped(self.path)[start : start + BLOCK].astype(np.float64)


@dataclass(frozen=True)
class GivenVectors:
    """The vectors of a pool's items: row i of `file` belongs to items[i]."""

    file: VectorFile
    items: Sequence[Item] = ()

    @property
    def identity(self) -> str:
        """What partitions and manifests know the vectors by."""
        return self.file.identity

    def of_pool(self, pool: Pool) -> GivenVectors:
        """The same for the items of `pool`. Raises EncoderError unless each has its row."""
        if len(pool) != self.file.shape[0]:
            raise EncoderError(
                f"`vectors` {self.file.path}: The file has {self.file.shape[0]} rows for the "
                f"{len(pool)} items of {pool.source or 'the pool'}. Row i must hold the vector of "
                "row i of the pool",
                argument="vectors",
            )
        return replace(self, items=pool.items)

    def of(self, items: Sequence[Item]) -> Vectors:
        """(n_items, dim): a memory map for all items in their order, else a copy of their rows.

        Raises EncoderError for an item of another pool, and as VectorFile.map does.
        """
        same = items is self.items
        if same or (len(items) == len(self.items) and all(map(is_, items, self.items))):
            return self.file.map()
        return gather(self.file.map, self._rows_of(items))

    def _rows_of(self, items: Sequence[Item]) -> Ints:
        """The row of each item."""
        if isinstance(self.items, StoredItems):
            if isinstance(items, StoredItems) and items.parts is self.items.parts:
                return items.rows_at(np.arange(len(items)))
            rows = self.items.ids.places([item.id for item in items])
        else:
            found = (self._rows.get(item.id, -1) for item in items)
            rows = np.fromiter(found, dtype=np.intp, count=len(items))
        ours = picked(self.items, rows[rows >= 0].tolist())
        if len(ours) < len(items) or any(map(ne, ours, items)):
            known = {item.id: item for item in ours}
            name = next(item.id for item in items if known.get(item.id) != item)
            raise EncoderError(f"item {name!r} is none of those that {self.file.path} has")
        return rows

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {item.id: row for row, item in enumerate(self.items)}


def open_vectors(path: Path) -> VectorFile:
    """The vectors in `path`, not read yet beyond the file's header.

    Raises EncoderError for whatever is no .npy file of float32 with one vector a row.
    """
    mapped = _mapped(path)
    if mapped.dtype != np.dtype("<f4"):
        raise EncoderError(
            f"`vectors` {path} holds {mapped.dtype}, not float32. Convert it: "
            f"{_saved(path, 'v.astype(np.float32)')}",
            argument="vectors",
        )
    if mapped.ndim != 2 or 0 in mapped.shape:
        raise EncoderError(
            f"`vectors` {path} has shape {mapped.shape}. Save an array of shape (items in the "
            "pool, dim)",
            argument="vectors",
        )
    if not mapped.flags.c_contiguous:
        raise EncoderError(
            f"`vectors` {path} is stored column by column, not row by row. Convert it: "
            f"{_saved(path, 'np.ascontiguousarray(v)')}",
            argument="vectors",
        )
    return VectorFile(path, (mapped.shape[0], mapped.shape[1]))


def _saved(path: Path, expression: str) -> str:
    """The line of numpy that puts `expression`, of the file's array v, into the file."""
    return f"v = np.load({str(path)!r}); np.save({str(path)!r}, {expression})"


def _mapped(path: Path) -> Vectors:
    # Never unpickles: numpy refuses to map objects.
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise EncoderError(f"`vectors` {path} does not exist", argument="vectors") from None
    except (ValueError, OverflowError, tokenize.TokenError, SyntaxError) as error:
        reason = str(error.args[0]).partition("\n")[0]
        raise EncoderError(
            f"`vectors` {path} is not a .npy file of numbers ({reason}). Write it with np.save",
            argument="vectors",
        ) from None
