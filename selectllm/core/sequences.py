"""Sequences whose values are made when they are looked at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, overload

Value = TypeVar("Value", covariant=True)


class MadeSequence(Sequence[Value]):
    """A sequence that makes its values one by one; a slice of it is a list."""

    __slots__ = ()

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> list[Value]: ...
    def __getitem__(self, at: int | slice) -> Value | list[Value]:
        if isinstance(at, slice):
            return self.pick(range(*at.indices(len(self))))
        return self.at(range(len(self))[at])

    @abstractmethod
    def at(self, place: int) -> Value:
        """The value at `place`, counted from 0."""

    def pick(self, places: Iterable[int]) -> list[Value]:
        """The values at `places`, counted from 0, in that order."""
        return [self.at(place) for place in places]


class InOrder(MadeSequence[Value]):
    """The values of a mapping by their keys in order, or those of a sequence by their places."""

    __slots__ = ("_keys", "_values")

    def __init__(self, values: Mapping[Any, Value] | Sequence[Value], keys: Sequence[Any]) -> None:
        self._values, self._keys = values, keys

    def __len__(self) -> int:
        return len(self._keys)

    def at(self, place: int) -> Value:
        """The value of the key at `place`."""
        return self._values[self._keys[place]]
