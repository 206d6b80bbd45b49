"""What the columns of a pool are called: ours, and those of other data sets."""

from __future__ import annotations

from collections.abc import Mapping

# What other data sets call the canonical columns (Alpaca: output; Dolly: context). The first
# name that a file has is taken, so that a canonical column always wins.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "instruction": ("instruction", "prompt"),
    "input": ("input", "context"),
    "response": ("response", "output", "completion"),
}
ALIASES = frozenset(name for names in COLUMNS.values() for name in names)
CHATS = ("messages", "conversations")
