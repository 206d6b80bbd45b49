"""Rows that are kept in a file without a name instead of in memory, and read when looked at."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar

from selectllm.core.codec import canonical_json
from selectllm.core.errors import RunError
from selectllm.core.files import cannot_hold

KeyT = TypeVar("KeyT", bound=Hashable)
RowT = TypeVar("RowT")


class SpilledRows(MutableMapping[KeyT, RowT]):
    """Rows by key, of which the keys alone are held.

    `folder`: where the file is, which is gone when the process ends. `to_json`, `from_json`: as
    those of a RowFormat. `what` they are, in the plural: RunError says it where the folder cannot
    hold them.
    """

    def __init__(
        self,
        folder: Path,
        to_json: Callable[[RowT], Mapping[str, Any]],
        from_json: Callable[[Mapping[str, Any]], RowT],
        what: str,
    ) -> None:
        self._folder, self._to_json, self._from_json = folder, to_json, from_json
        self._what = what
        self._at: dict[KeyT, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)
        except OSError as error:
            raise self._full(error) from None
        weakref.finalize(self, self._file.close)

    def __setitem__(self, key: KeyT, row: RowT) -> None:
        line = canonical_json(self._to_json(row)).encode("utf-8") + b"\n"
        try:
            at = self._file.seek(0, 2)
            self._file.write(line)
        except OSError as error:
            raise self._full(error) from None
        self._at[key] = at

    def __getitem__(self, key: KeyT) -> RowT:
        at = self._at[key]
        try:
            self._file.seek(at)
            line = self._file.readline()
        except OSError as error:
            raise self._full(error) from None
        return self._from_json(json.loads(line))

    def __delitem__(self, key: KeyT) -> None:
        del self._at[key]

    def __contains__(self, key: object) -> bool:
        return key in self._at

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def _full(self, error: OSError) -> RunError:
        return RunError(cannot_hold(self._folder, self._what, error))
