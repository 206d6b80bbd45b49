"""Values inside a row: columns, and what lies in their objects, as `body.messages`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEEP = 3  # objects inside each other that are looked into
MISSING = object()


def value_at(row: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """What `path` leads to: a column of that name, else through objects and lists (`a.0.b`)."""
    if path in row or "." not in path:
        return row.get(path, default)
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return default
    return value


def has(row: Mapping[str, Any], path: str) -> bool:
    """Whether `path` leads to anything, null included."""
    return value_at(row, path, MISSING) is not MISSING


def paths_of(row: Mapping[str, Any], before: str = "", deep: int = _DEEP) -> Iterator[str]:
    """The paths to all values of a row that are no objects."""
    for name, value in row.items():
        if isinstance(value, Mapping) and value and deep > 1:
            yield from paths_of(value, f"{before}{name}.", deep - 1)
        else:
            yield f"{before}{name}"
