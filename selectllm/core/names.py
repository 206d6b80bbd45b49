"""Names in messages: what to say when one is unknown, and how many of them. And in files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

STRATEGY = "strategy:"
"""Begins the name of a selector that is a strategy."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is alike."""
    from rapidfuzz import fuzz, process

    # A letter or two stand in nearly every longer name, and are what nobody means by it.
    alike = [each for each in known if len(each) > 2 or len(name) <= 4]
    match = process.extractOne(name, alike, scorer=fuzz.WRatio, score_cutoff=60)
    return match[0] if match else None


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """`there is no strategy 'longst'. Did you mean 'longest'? There are: ...`."""
    names = sorted(known)
    match = closest(name, names)
    hint = f". Did you mean {match!r}?" if match else "."
    listing = f" There are: {', '.join(names)}" if names else " There are none"
    return f"there is no {what} {name!r}{hint}{listing}"


def listed(names: Sequence[str]) -> str:
    """Names for a message: at most five of them, and how many more there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + more


def for_files(name: str) -> str:
    """`name` as part of a file's name: readable, and in no other folder; not always another."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "_", name)[:80]
