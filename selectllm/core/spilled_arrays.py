"""Arrays that lie in a file without a name instead of in memory.

The file is gone when nothing looks at it any more, however the process ends. The system keeps as
much of it in memory as there is room for. Where there can be no such file they are in memory.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 65_536  # numbers that are worked on at a time


def room(folder: Path | None, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Room for an array on the disk of `folder`; in memory without one, or if it does not fit."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if folder is None or not size or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, dtype=dtype)
    try:
        with _nameless(folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is heard of now
            return np.ndarray(shape, dtype, mmap.mmap(file.fileno(), size))
    except OSError:
        return np.empty(shape, dtype=dtype)


def filled(array: NDArray[Any], values: Iterable[Any]) -> NDArray[Any]:
    """The array with as many values as it has room for, which are there."""
    given = iter(values)
    for start in range(0, len(array), BLOCK):
        block = array[start : start + BLOCK]
        block[:] = np.fromiter(islice(given, len(block)), array.dtype, len(block))
    return array


def place_bits(count: int) -> int:
    """How many bits a place among so many takes."""
    return max(1, (count - 1).bit_length())


def with_places(keys: NDArray[np.uint64]) -> int:
    """Put the place of each key into its last bits and sort them, where they lie.

    Gives the mask of these bits. Keys that differ in these bits alone are in the order of their
    places.
    """
    mask = (1 << place_bits(len(keys))) - 1
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        block &= np.uint64(~mask & (1 << 64) - 1)
        block |= np.arange(start, start + len(block), dtype=np.uint64)
    keys.sort()
    return mask


def order_of(numbers: NDArray[np.intp], folder: Path | None) -> NDArray[np.intp]:
    """The places of whole numbers from 0 on, by the numbers; equal ones in their order."""
    keys: NDArray[np.uint64] = room(folder, len(numbers), np.uint64)
    keys[:] = numbers
    keys <<= np.uint64(place_bits(len(keys)))
    keys &= np.uint64(with_places(keys))
    return keys.view(np.intp)


def alike(keys: NDArray[np.uint64], mask: int) -> Iterator[tuple[int, list[int]]]:
    """(where it begins, the places) of every run of keys that differ in their places alone.

    `keys`, `mask`: of `with_places`.
    """
    first = last = -1
    for at in _like_the_next(keys, mask):
        if at != last:
            if last > first:
                yield first, (keys[first : last + 1] & np.uint64(mask)).tolist()
            first = at
        last = at + 1
    if last > first:
        yield first, (keys[first : last + 1] & np.uint64(mask)).tolist()


def _like_the_next(keys: NDArray[np.uint64], mask: int) -> Iterator[int]:
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK + 1] | np.uint64(mask)
        yield from (np.flatnonzero(block[1:] == block[:-1]) + start).tolist()


class SpilledBytes(contextlib.AbstractContextManager["SpilledBytes"]):
    """Bytes that are written from the first to the last, and looked at then as an array."""

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO
        try:
            self._file = _nameless(folder)
        except OSError:  # a folder that cannot be written
            self._file = io.BytesIO()

    def __exit__(self, *_: object) -> None:
        if not isinstance(self._file, io.BytesIO):
            self._file.close()

    def write(self, some: bytes) -> None:
        """Add bytes. Raises OSError where the disk is full."""
        self._file.write(some)

    def array(self, dtype: DTypeLike) -> NDArray[Any]:
        """All of them, also once this is closed. Raises OSError where the disk is full."""
        size = self._file.tell()
        if not size:  # nothing cannot be mapped
            return np.empty(0, dtype=dtype)
        if isinstance(self._file, io.BytesIO):
            return np.frombuffer(self._file.getbuffer(), dtype)
        self._file.flush()
        return np.frombuffer(mmap.mmap(self._file.fileno(), size), dtype)


def _nameless(folder: Path) -> BinaryIO:
    """A file in the folder, or in that where it will be: nothing is made for it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return tempfile.TemporaryFile(dir=folder)
