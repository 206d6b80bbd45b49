"""Text that UTF-8 can carry: half of a surrogate pair is no character, and comes from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_whole(text: str) -> bool:
    """Whether UTF-8 can carry `text`, which then holds no half of a surrogate pair."""
    try:
        return text.isascii() or bool(text.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def whole(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair; halves that meet are one character."""
    if is_whole(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def all_whole(value: Any) -> Any:
    """A value of JSON with every text in it `whole`, keys too."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {all_whole(key): all_whole(one) for key, one in value.items()}
    return [all_whole(one) for one in value] if isinstance(value, list | tuple) else value


def are_whole(value: Any) -> bool:
    """Whether every text in a value of JSON `is_whole`, keys too."""
    if isinstance(value, str):
        return is_whole(value)
    if isinstance(value, Mapping):
        return all(are_whole(key) and are_whole(one) for key, one in value.items())
    return not isinstance(value, list | tuple) or all(map(are_whole, value))
