"""Clusters of a pool too large to hold its ids twice: places in it, and where each cluster ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.errors import RunError
from selectllm.core.files import replacing
from selectllm.core.sequences import MadeSequence
from selectllm.core.types import Cluster


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
        """Write the places, for a pool that is known to be the same."""
        with replacing(path) as descriptor, open(descriptor, "wb") as handle:
            shape = (1 + len(self.ends) + len(self.places),)
            header = {"descr": "<i8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            for part in (np.array([len(self.ends)]), self.ends, self.places):
                handle.write(np.ascontiguousarray(part, dtype="<i8").data)

    @classmethod
    def read(cls, path: Path, ids: Sequence[str]) -> PackedClusters:
        """The clusters of `ids` that were written to `path`, which stay there. Raises RunError."""
        try:
            numbers = np.load(path, mmap_mode="r")
            count = int(numbers[0])
            ends, places = numbers[1 : 1 + count], numbers[1 + count :]
            if len(places) != len(ids) or ends[-1] != len(ids):
                raise ValueError("it is of another pool")
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise RunError(
                f"{path} cannot be read ({error}). Delete it: the pool is divided again"
            ) from None
        return cls(ids, places, ends)
