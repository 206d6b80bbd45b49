"""What the columns of a pool are called: ours, and those of other data sets."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

# What other data sets call the canonical columns (Alpaca: output; Dolly: context). The first
# name that a file has is taken, so that a canonical column always wins.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "instruction": ("instruction", "prompt"),
    "input": ("input", "context"),
    "response": ("response", "output", "completion"),
}
ALIASES = frozenset(name for names in COLUMNS.values() for name in names)
_MAPPED = re.compile(r"`((?:test_)?columns)=(\{.+?\})`")
CHATS = ("messages", "conversations")


def mapping(field: str, column: str) -> str:
    """What says that `column` of a file holds `field`, as messages tell it to callers of Python.

    The command line and suites say it in their own words; see `remapped`.
    """
    return f"`columns={ {field: column}!r}`"


def remapped(text: str, told: Callable[[str, str, str], str]) -> str:
    """`text` with every mapping in it as `told(argument, field, column)` has it."""

    def own(match: re.Match[str]) -> str:
        ((field, column),) = ast.literal_eval(match[2]).items()
        return told(match[1], field, column)

    return _MAPPED.sub(own, text)
