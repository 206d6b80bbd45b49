"""Rendered prompts in parts: literal pieces, and the items between them. Pure, and always exact.

Whoever shows many prompts needs each item's text and each piece once. Whatever a template did to
an item's text (a filter, say) is simply a longer piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from selectllm.core.errors import PromptError
from selectllm.core.types import Item, Message
from selectllm.prompting.prompt import Prompt, is_plain, render

Part = str | tuple[int, int]
"""A piece of text, or (slot, 0 or 1): the instruction or the input of the item shown there."""
Parted = tuple[tuple[str, tuple[Part, ...]], ...]
"""The messages of a prompt: each a role and its parts."""
MARKS = ("\ue000{}\ue001", "\ue000{}\ue002")  # no template has these private characters


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
class PartedPrompt:
    """What a prompt asks for `k` of some items, in parts.

    A template that only writes out its items, as most do, is rendered a few times with marks in
    the place of texts: what stands between two items depends on whether these have an input, and
    on nothing else. Any other template is rendered anew for every question.
    """

    prompt: Prompt
    k: int
    _known: dict[tuple[bool, ...], Parted | None] = field(default_factory=dict)
    _plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self._plain = is_plain(self.prompt)

    def of(self, items: Sequence[Item]) -> Parted:
        """The messages that show `items`. Raises PromptError as `render` does."""
        pattern = tuple(bool(item.input) for item in items)
        if self._plain and all(item.instruction for item in items):
            if pattern not in self._known:
                self._known[pattern] = self._marked(pattern)
            if (known := self._known[pattern]) is not None:
                return known
        messages = render(self.prompt, items, self.k)
        return tuple((each["role"], tuple(parts_of(each, items))) for each in messages)

    def _marked(self, pattern: tuple[bool, ...]) -> Parted | None:
        """The parts for items of which these have an input; None if marks do not tell them."""
        marked = [
            Item(str(slot), MARKS[0].format(slot), MARKS[1].format(slot) if given else "")
            for slot, given in enumerate(pattern)
        ]
        try:
            messages = render(self.prompt, marked, self.k)
        except PromptError:
            return None
        return tuple((each["role"], tuple(parts_of(each, marked))) for each in messages)


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
