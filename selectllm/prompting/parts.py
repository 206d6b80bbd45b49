"""Rendered prompts in parts: literal pieces, and the items between them. Pure, and always exact.

Whoever shows many prompts needs each item's text and each piece once. Whatever a template did to
an item's text (a filter, say) is simply a longer piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from selectllm.core.types import Item, Message

Part = str | tuple[int, int]
"""A piece of text, or (slot, 0 or 1): the instruction or the input of the item shown there."""


def parts_of(message: Message, items: Sequence[Item]) -> Iterator[Part]:
    """`message` divided at the texts of `items`, shown in this order; joined, it is the message."""
    text, at = message["content"], 0
    for slot, item in enumerate(items):
        for number, own in enumerate((item.instruction, item.input)):
            found = text.find(own, at) if own else -1
            if found >= 0:
                if found > at:
                    yield text[at:found]
                yield slot, number
                at = found + len(own)
    if at < len(text):
        yield text[at:]


@dataclass(slots=True)
class Numbered:
    """Texts by the number at which they were first seen."""

    numbers: dict[str, int] = field(default_factory=dict)

    def of(self, text: str) -> int:
        """The number of `text`."""
        return self.numbers.setdefault(text, len(self.numbers))

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them, by number."""
        return tuple(self.numbers)
