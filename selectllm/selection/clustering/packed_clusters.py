"""Clusters of a pool too large to hold its ids twice: places in it, and where each cluster ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.codec import seeded_hashes
from selectllm.core.errors import RunError
from selectllm.core.files import replacing
from selectllm.core.sequences import MadeSequence
from selectllm.core.types import Cluster

PACKED = ".npy"  # of the file that says where the members of clusters stand in their pool
SAMPLE = 32  # members by whose hashes a file tells whose clusters it holds


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PackedClusters(MadeSequence[Cluster]):
    """Clusters that are made when they are looked at: 8 bytes an item, and 8 a cluster.

    `places`: of the members of all clusters in `ids`, one cluster behind the other. `ends`: where
    each cluster ends among them.
    """

    ids: Sequence[str]
    places: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.ends)

    def at(self, place: int) -> Cluster:
        """The cluster of this number."""
        start = int(self.ends[place - 1]) if place else 0
        members = self.places[start : int(self.ends[place])].tolist()
        return Cluster(place, tuple(self.ids[member] for member in members))

    def write(self, path: Path) -> None:
        """Write the places, for a pool that is known to be the same, and by what it is known."""
        with replacing(path) as descriptor, open(descriptor, "wb") as handle:
            sample = np.linspace(0, len(self.places) - 1, SAMPLE).astype(np.intp)
            names = [self.ids[place] for place in self.places[sample].tolist()]
            known_by = np.fromiter(_hashes(names), dtype=np.uint64).view(np.int64)
            parts = (known_by, np.array([len(self.ends)]), self.ends, self.places)
            header = {"descr": "<i8", "fortran_order": False, "shape": (sum(map(len, parts)),)}
            np.lib.format.write_array_header_1_0(handle, header)
            for part in parts:
                handle.write(np.ascontiguousarray(part, dtype="<i8").data)

    @classmethod
    def read(cls, path: Path, ids: Sequence[str]) -> PackedClusters:
        """The clusters of `ids` that were written to `path`, which stay there. Raises RunError."""
        try:
            numbers = np.load(path, mmap_mode="r")[SAMPLE:]
            count = int(numbers[0])
            ends, places = numbers[1 : 1 + count], numbers[1 + count :]
            if len(places) != len(ids) or ends[-1] != len(ids):
                raise ValueError("it is of another pool")
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise RunError(
                f"{path} cannot be read ({error}). Delete it: the pool is divided again"
            ) from None
        return cls(ids, places, ends)


def packed_of(folder: Path, ids: Iterable[str]) -> list[Path]:
    """The files of clusters in `folder` whose members, as far as they are known, are of `ids`."""
    wanted = dict[Path, frozenset[int]]()
    for path in sorted(folder.glob(f"*{PACKED}")):
        with contextlib.suppress(OSError, ValueError):  # what is no such file is nobody's clusters
            known_by = np.load(path, mmap_mode="r")[:SAMPLE].view(np.uint64)
            wanted[path] = frozenset(known_by.tolist())
    sampled = frozenset[int]().union(*wanted.values())
    found = sampled.intersection(_hashes(ids)) if sampled else sampled
    return [path for path, hashes in wanted.items() if hashes and hashes <= found]


def _hashes(ids: Iterable[str]) -> Iterator[int]:
    return seeded_hashes("member", each=ids)
