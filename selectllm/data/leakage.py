"""Test items that a student has seen make its score worthless. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

from selectllm.core.codec import sha256_text
from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import listed
from selectllm.core.types import Item, Pool
from selectllm.data.deduplicate import normalised

TEXT, RESPONSE, RESPONSE_ALONE = 16, 20, 200
"""Letters and digits from which text with response, instruction with response, and response alone
tell an item: `2 + 2` and `2 * 2` are two questions with one answer, and many answer `Yes`."""
_OTHER = re.compile(r"[\W_]+")

Equal = Literal[
    "exact",
    "instruction+input",
    "instruction+input+response",
    "instruction+response",
    "response",
]


@dataclass(frozen=True, slots=True)
class Leak:
    """An item that is a test item, too.

    `id`: of the item. `test` and `number`: id and place (from 1) of the test item. `equal`: what
    tells that they are one, by letters and digits; `exact`: all of it, byte for byte.
    """

    id: str
    test: str
    number: int
    equal: Equal


class ItemsLeaked(UtilityError):
    """Items of the pool `tests`, read from `file`, are in another pool, too, as `leaks` says."""

    def __init__(self, message: str, file: str, tests: Pool, leaks: Sequence[Leak]) -> None:
        super().__init__(message)
        self.file = file
        self.tests = tests
        self.leaks = tuple(leaks)


def leaks_of(tests: Sequence[Item], others: Sequence[Item]) -> tuple[Leak, ...]:
    """Which of `others` are test items, in their order, then the test items not named yet.

    Every item of both that `leaked` would find is in at least one row. An item that equals
    several test items has a row for the first of those that it is likest to.
    """
    first: dict[str, int] = {}
    for number, test in enumerate(tests):
        for _, mark in _marks(test):
            first.setdefault(mark, number)
    found: list[Leak] = []
    where: dict[str, Item] = {}  # the first of the others by a mark that a test item has, too
    for other in others:
        known = [(equal, mark) for equal, mark in _marks(other) if mark in first]
        for _, mark in known:
            where.setdefault(mark, other)
        if known:
            found.append(_leak(other, first[known[0][1]], tests, known[0][0]))
    named = {leak.number for leak in found}
    for number, test in enumerate(tests):
        known = [(equal, mark) for equal, mark in _marks(test) if mark in where]
        if known and number + 1 not in named:
            found.append(_leak(where[known[0][1]], number, tests, known[0][0]))
    return tuple(found)


def _leak(other: Item, number: int, tests: Sequence[Item], equal: Equal) -> Leak:
    test = tests[number]
    texts = [(one.instruction, one.input, one.response) for one in (other, test)]
    return Leak(other.id, test.id, number + 1, "exact" if texts[0] == texts[1] else equal)


def leaked(tests: Sequence[Item], others: Sequence[Item]) -> list[str]:
    """Ids of test items that are among `others`, too, in the order of `tests`.

    They are if they ask the same (instruction and input, by `deduplicate.normalised`), or if they
    differ in case, spaces, punctuation and signs alone, as copies of a data set do: the same
    letters and digits (see `letters`) in all of instruction, input and response, at least TEXT of
    them asked; in instruction and response, at least RESPONSE of them answered, since a copy may
    cut or lay out the input anew; or in a response of at least RESPONSE_ALONE.
    """
    seen = set(asked_by(others))
    return [item.id for item in tests if not seen.isdisjoint(_hashes(item))]


def asked_by(items: Sequence[Item]) -> tuple[str, ...]:
    """Short hashes of what tells each item, sorted: what a student keeps of its training items."""
    return tuple(sorted({mark for item in items for mark in _hashes(item)}))


def letters(text: str) -> str:
    """The letters and digits of `text`, in NFKC and case-folded."""
    return _OTHER.sub("", normalize("NFKC", normalize("NFKC", text).casefold()))


def _hashes(item: Item) -> list[str]:
    """Hashes that two items share if they are one."""
    return [mark for _, mark in _marks(item)]


def _marks(item: Item) -> Iterator[tuple[Equal, str]]:
    """The same with what each is of, the surest first.

    Students of 0.1.0 keep that of instruction and input alone.
    """
    response = letters(item.response or "")
    asked = letters(item.text)
    if len(asked) >= TEXT:
        yield "instruction+input+response", _mark(f"text\n{asked}\n{response}")
    yield "instruction+input", _mark(normalised(item.text))
    if len(response) >= RESPONSE:
        marked = f"instruction\n{letters(item.instruction)}\n{response}"
        yield "instruction+response", _mark(marked)
    if len(response) >= RESPONSE_ALONE:
        yield "response", _mark(f"response\n{response}")


def _mark(text: str) -> str:
    return sha256_text(text)[:16]


def check_no_leak(
    tests: Sequence[Item], others: Sequence[Item], where: str = "the training items"
) -> None:
    """Raise UsageError if test items are also in `others`; `where` is what messages call those."""
    if known := leaked(tests, others):
        raise UsageError(f"{_seen(known, tests, where)}: take them out of one of the two")


def check_not_trained_on(tests: Sequence[Item], asked: Collection[str]) -> None:
    """Raise UsageError if a student whose training items `asked` so has seen test items."""
    seen = set(asked)
    if known := [item.id for item in tests if not seen.isdisjoint(_hashes(item))]:
        raise UsageError(
            f"{_seen(known, tests, 'the items that the student was trained on')}: give other "
            "items for `test`, or train it anew with these as its `test` and `drop_leaks`",
            argument="test",
        )


def _seen(known: Sequence[str], tests: Sequence[Item], where: str) -> str:
    return (
        f"student: {len(known)} of {len(tests)} test items are also in {where}: "
        f"{listed(known)}. A student may not be tested on what it could learn by heart"
    )
