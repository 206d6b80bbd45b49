"""A number for each item of a pool too large for a dict of them."""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.spilled_arrays import filled, room
from selectllm.core.types import Pool
from selectllm.data import stored_items
from selectllm.data.stored_items import PackedIds, ids_of


@dataclass(frozen=True, slots=True, eq=False)
class PackedValues(Mapping[str, float]):
    """Numbers by item id. `numbers`: of all `ids`, NaN for those without one."""

    ids: PackedIds
    numbers: Floats

    def __getitem__(self, name: str) -> float:
        place = int(self.ids.places([name])[0])
        if place < 0 or math.isnan(number := float(self.numbers[place])):
            raise KeyError(name)
        return number

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs())

    def __len__(self) -> int:
        return len(self.numbers) - int(np.isnan(self.numbers).sum())

    def items(self) -> ItemsView[str, float]:
        """The pairs, without looking anything up."""
        return _Pairs(self)

    def by_name(self) -> Iterator[tuple[str, float]]:
        """The pairs in the order of their ids."""
        size, ids = stored_items.SLICE, self.ids
        runs = (
            array("q", sorted(range(at, min(at + size, len(ids))), key=ids.__getitem__))
            for at in range(0, len(ids), size)
        )
        for place in heapq.merge(*runs, key=ids.__getitem__):
            if not math.isnan(number := float(self.numbers[place])):
                yield ids[place], number

    def _pairs(self) -> Iterator[tuple[str, float]]:
        pairs = zip(self.ids, map(float, self.numbers), strict=True)
        return ((name, number) for name, number in pairs if not math.isnan(number))


class _Pairs(ItemsView[str, float]):
    """The pairs of packed values, one after the other."""

    _mapping: PackedValues

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return self._mapping._pairs()


def values_of(pool: Pool, numbers: Iterable[float]) -> Mapping[str, float]:
    """The numbers of the items of a pool, in their order, by id; none where one is NaN.

    In a file where the rows of the pool stay in theirs.
    """
    ids = ids_of(pool.items)
    if isinstance(ids, PackedIds):
        return PackedValues(ids, filled(room(ids.folder, len(ids), np.float64), numbers))
    return {name: value for name, value in zip(ids, numbers, strict=True) if not math.isnan(value)}
