"""Vectors on disk: one append-only file per encoder, looked up by the hash of their text.

A file is a header (one line of JSON, padded with spaces to 4,096 bytes) and records of one size:
the sha256 of a text, then its vector as little-endian float32. The first record of a text is the
canonical one: encoders give slightly different numbers in another batch, and what was seen once
must not change. Files are read through memory maps, a block of rows at a time, so that only what
is asked for takes memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.codec import canonical_json, load_json, sha256_text
from selectllm.core.errors import EncoderError
from selectllm.core.spilled_arrays import filled, order_of, room, with_places

if sys.platform != "win32":
    import fcntl

HEADER_BYTES = 4_096
FORMAT = 1
BLOCK = 16_384  # rows read at a time
HELD_BYTES = 256 * 2**20  # of vectors that are copied into memory; more lie on disk
KEY = "S32"  # numpy compares all 32 bytes; only .tolist() would drop zeros at the end


def text_keys(texts: Sequence[str], folder: Path | None = None) -> NDArray[np.bytes_]:
    """(n_texts,) sha256 digests of the texts' UTF-8 bytes. `folder`: as of `gather`."""
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return filled(room(folder, len(texts), KEY), digests)


def gather(mapped: Callable[[], Vectors], rows: Ints, folder: Path | None = None) -> Vectors:
    """(n, dim) copy of `rows` of a memory map (n_all, dim).

    A large copy lies in a file of `folder` that has no name, and is gone with this process.

    Read in the order of the file, whatever that of `rows`, and through a new map for each block:
    pages count as memory for as long as their map is open, so that reading all of a file would
    take it twice.
    """
    copy = _empty((len(rows), mapped().shape[1]), folder)
    order = order_of(rows, folder)
    for start in range(0, len(rows), BLOCK):
        block = order[start : start + BLOCK]
        copy[block] = mapped()[rows[block]]
    return copy


def _empty(shape: tuple[int, int], folder: Path | None) -> Vectors:
    """Room for vectors: in memory, or on disk for what is large and fits there."""
    return room(folder if shape[0] * shape[1] * 4 > HELD_BYTES else None, shape, np.float32)


class VectorStore:
    """The vectors of one encoder in `folder` (made private, 0700, on the first write).

    Several processes and threads may add at once. What a killed one left half-written is never
    read, and cut off by the next that adds. All methods raise EncoderError for a file that is
    not a store of `identity`.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.identity = identity
        name = re.sub(r"[^A-Za-z0-9._@-]+", "-", identity)[:60]
        self.path = folder / f"{name}-{sha256_text(identity)[:8]}.vectors"

    @property
    def dim(self) -> int | None:
        """Length of the vectors, None before the first is added."""
        try:
            with self.path.open("rb") as handle:
                return self._read_header(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from None

    def __len__(self) -> int:
        return len(self._records())

    def find(self, keys: NDArray[np.bytes_]) -> Ints:
        """(n,) the row of each key's first record, -1 where there is none."""
        folder = self.path.parent
        rows: Ints = room(folder, len(keys), np.intp)
        known: NDArray[np.uint64] = room(folder, len(self), np.uint64)
        for start in range(0, len(known), BLOCK):
            some = self._records()["key"][start : start + BLOCK]
            known[start : start + BLOCK] = _heads(some)[: len(known) - start]
        mask = np.uint64(with_places(known))
        for start in range(0, len(keys), BLOCK):
            block = keys[start : start + BLOCK]
            rows[start : start + BLOCK] = self._rows_of(block, known, mask)
        return rows

    def _rows_of(
        self, keys: NDArray[np.bytes_], known: NDArray[np.uint64], mask: np.uint64
    ) -> Ints:
        """`find` of some keys, by what their first bytes say where they may be."""
        rows = np.full(len(keys), -1, dtype=np.intp)
        heads = _heads(keys) | mask
        at = np.searchsorted(known, heads - mask)
        left = np.arange(len(keys))  # for which the next row may be theirs
        while len(left):
            left = left[at[left] < len(known)]
            left = left[known[at[left]] | mask == heads[left]]
            found = (known[at[left]] & mask).view(np.intp)
            same = self._records()["key"][found] == keys[left]
            rows[left[same]] = found[same]
            left = left[~same]
            at[left] += 1
        return rows

    def read(self, rows: Ints) -> Vectors:
        """(n, dim) vectors of rows that `find` gave; (0, 0) from an empty store."""
        return gather(lambda: self._records()["vector"], rows, self.path.parent)

    def add(self, keys: NDArray[np.bytes_], vectors: Vectors) -> None:
        """Append vectors (n, dim) under their keys; they survive this process being killed."""
        try:
            self._append(keys, vectors)
        except OSError as error:
            raise self._unusable(error) from None

    def holding(self, keys: NDArray[np.bytes_]) -> Ints:
        """(n,) every row whose text is one of `keys`, later records of a text among them."""
        return np.flatnonzero(np.isin(self._keys(), keys))

    def forget(self, keys: NDArray[np.bytes_]) -> int:
        """Overwrite the records of these texts with zeros; how many there were.

        Other rows keep their numbers, which may be in use, and the file its length.
        """
        if not self.path.exists():
            return 0
        try:
            with self._locked() as handle:
                dim = self._read_header(handle)
                if dim is None:
                    return 0
                rows = self.holding(keys)
                size = _record(dim).itemsize
                for row in rows.tolist():
                    handle.seek(HEADER_BYTES + row * size)
                    handle.write(b"\0" * size)
                handle.flush()
                os.fsync(handle.fileno())
                return len(rows)
        except OSError as error:
            raise self._unusable(error) from None

    def _append(self, keys: NDArray[np.bytes_], vectors: Vectors) -> None:
        dim = vectors.shape[1]
        records = np.empty(len(keys), dtype=_record(dim))
        records["key"], records["vector"] = keys, vectors
        with self._locked() as handle:
            known = self._read_header(handle)
            if known is None:
                handle.truncate(0)
                handle.seek(0)
                handle.write(self._header(dim))
            elif known != dim:
                raise EncoderError(
                    f"encoder {self.identity} gave vectors of length {dim}, but {self.path} holds "
                    f"{known}. Give the encoder another identity, or delete the file"
                )
            size = handle.seek(0, os.SEEK_END)
            handle.truncate(size - (size - HEADER_BYTES) % records.itemsize)
            handle.seek(0, os.SEEK_END)
            handle.write(records.tobytes())

    def _keys(self) -> NDArray[np.bytes_]:
        """The key of every record; block by block, as in `gather`."""
        keys = np.empty(len(self), dtype=KEY)
        for start in range(0, len(keys), BLOCK):
            block = keys[start : start + BLOCK]
            block[:] = self._records()["key"][start : start + len(block)]
        return keys

    def _records(self) -> NDArray[np.void]:
        dim = self.dim
        if dim is None:
            return np.empty(0, dtype=_record(0))
        dtype = _record(dim)
        count = (self.path.stat().st_size - HEADER_BYTES) // dtype.itemsize
        if not count:  # numpy cannot map nothing
            return np.empty(0, dtype=dtype)
        return np.memmap(self.path, dtype, mode="r", offset=HEADER_BYTES, shape=(count,))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, made if need be, while no other thread or process may add to it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(self.path.parent, 0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as handle:
            if sys.platform != "win32":  # there, one process at a time must do
                # flock, not lockf: it also keeps threads apart, and closing another descriptor
                # of the file does not drop it.
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle

    def _unusable(self, error: OSError) -> EncoderError:
        return EncoderError(
            f"{self.path} cannot be used ({error.strerror}). Make room, mend the folder's "
            "permissions or delete the file, or choose another folder with `cache`",
            argument="cache",
        )

    def _header(self, dim: int) -> bytes:
        fields = {"dim": dim, "identity": self.identity, "vectors": FORMAT}
        text = canonical_json(fields).encode("utf-8")
        if len(text) >= HEADER_BYTES:
            raise EncoderError(
                f"the encoder's identity has {len(self.identity)} characters. Cut it"
            )
        return text.ljust(HEADER_BYTES - 1) + b"\n"

    def _read_header(self, handle: IO[bytes]) -> int | None:
        """The length of the vectors, None if no header was written to its end."""
        data = handle.read(HEADER_BYTES)
        if len(data) < HEADER_BYTES:
            return None
        fields: Any = None
        with contextlib.suppress(ValueError):
            fields = load_json(data)
        match fields:
            case {"dim": int(dim), "identity": self.identity, "vectors": 1} if dim > 0:
                return dim
        raise EncoderError(f"{self.path} holds no vectors of {self.identity}. Delete the file")


def stores(folder: Path) -> list[VectorStore]:
    """The stores in a folder. Raises EncoderError for a file that is called so and is none."""
    found = []
    for path in sorted(folder.glob("*.vectors")):
        try:
            with path.open("rb") as handle:
                fields = load_json(handle.read(HEADER_BYTES))
        except OSError as error:
            raise EncoderError(f"{path} cannot be read ({error.strerror})") from None
        except ValueError:
            fields = None
        match fields:
            case {"identity": str(identity)} if (one := VectorStore(folder, identity)).path == path:
                found.append(one)
            case _ if path.stat().st_size:
                raise EncoderError(f"{path} is no file of vectors. Delete the file")
    return found


def _heads(keys: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The first bytes of each key, as a number."""
    return np.ascontiguousarray(keys).view(np.uint64).reshape(len(keys), -1)[:, 0].copy()


def _record(dim: int) -> np.dtype[np.void]:
    return np.dtype([("key", KEY), ("vector", "<f4", (dim,))])
