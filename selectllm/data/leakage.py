"""Test items that a student has seen make its score worthless. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from unicodedata import normalize

from selectllm.core.codec import sha256_text
from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.types import Item
from selectllm.data.deduplicate import normalised

TEXT, RESPONSE, RESPONSE_ALONE = 16, 20, 200
"""Letters and digits from which text with response, instruction with response, and response alone
tell an item: `2 + 2` and `2 * 2` are two questions with one answer, and many answer `Yes`."""
_OTHER = re.compile(r"[\W_]+")


def leaked(tests: Sequence[Item], others: Sequence[Item]) -> list[str]:
    """Ids of test items that are among `others`, too, in the order of `tests`.

    They are if they ask the same (instruction and input, by `deduplicate.normalised`), or if they
    differ in case, spaces, punctuation and signs alone, as copies of a data set do: the same
    letters and digits (see `letters`) in all of instruction, input and response, at least TEXT of
    them asked; in instruction and response, at least RESPONSE of them answered, since a copy may
    cut or lay out the input anew; or in a response of at least RESPONSE_ALONE.
    """
    seen = set(asked_by(others))
    return [item.id for item in tests if not seen.isdisjoint(_marks(item))]


def asked_by(items: Sequence[Item]) -> tuple[str, ...]:
    """Short hashes of what tells each item, sorted: what a student keeps of its training items."""
    return tuple(sorted({mark for item in items for mark in _marks(item)}))


def letters(text: str) -> str:
    """The letters and digits of `text`, in NFKC and case-folded."""
    return _OTHER.sub("", normalize("NFKC", normalize("NFKC", text).casefold()))


def _marks(item: Item) -> Iterator[str]:
    """Hashes that two items share if they are one. Students of 0.1.0 keep the first alone."""
    yield _mark(normalised(item.text))
    response = letters(item.response or "")
    asked = letters(item.text)
    if len(asked) >= TEXT:
        yield _mark(f"text\n{asked}\n{response}")
    if len(response) >= RESPONSE:
        yield _mark(f"instruction\n{letters(item.instruction)}\n{response}")
    if len(response) >= RESPONSE_ALONE:
        yield _mark(f"response\n{response}")


def _mark(text: str) -> str:
    return sha256_text(text)[:16]


def check_no_leak(
    tests: Sequence[Item], others: Sequence[Item], where: str = "the training items"
) -> None:
    """Raise UsageError if test items are also in `others`; `where` is what messages call those."""
    _refuse(leaked(tests, others), tests, where)


def check_not_trained_on(tests: Sequence[Item], asked: Collection[str]) -> None:
    """Raise UsageError if a student whose training items `asked` so has seen test items."""
    seen = set(asked)
    known = [item.id for item in tests if not seen.isdisjoint(_marks(item))]
    _refuse(known, tests, "the items that the student was trained on")


def _refuse(known: Sequence[str], tests: Sequence[Item], where: str) -> None:
    if known:
        raise UsageError(
            f"student: {len(known)} of {len(tests)} test items are also in {where}: "
            f"{listed(known)}; a student may not be tested on what it could learn by heart: take "
            "them out of one of the two"
        )
