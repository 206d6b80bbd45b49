"""Test items that a student has seen make its score worthless. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from selectllm.core.codec import sha256_text
from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.types import Item
from selectllm.data.deduplicate import normalised


def leaked(tests: Sequence[Item], others: Sequence[Item]) -> list[str]:
    """Ids of test items that ask what an item of `others` asks, in the order of `tests`.

    Instruction and input are compared, by `deduplicate.normalised`; responses are not.
    """
    seen = set(asked_by(others))
    return [item.id for item in tests if _asked(item) in seen]


def asked_by(items: Sequence[Item]) -> tuple[str, ...]:
    """A short hash of what each item asks, sorted: what a student keeps of its training items."""
    return tuple(sorted({_asked(item) for item in items}))


def _asked(item: Item) -> str:
    return sha256_text(normalised(item.text))[:16]


def check_no_leak(
    tests: Sequence[Item], others: Sequence[Item], where: str = "the training items"
) -> None:
    """Raise UsageError if test items are also in `others`; `where` is what messages call those."""
    _refuse(leaked(tests, others), tests, where)


def check_not_trained_on(tests: Sequence[Item], asked: Collection[str]) -> None:
    """Raise UsageError if a student whose training items `asked` so has seen test items."""
    seen = set(asked)
    known = [item.id for item in tests if _asked(item) in seen]
    _refuse(known, tests, "the items that the student was trained on")


def _refuse(known: Sequence[str], tests: Sequence[Item], where: str) -> None:
    if known:
        raise UsageError(
            f"student: {len(known)} of {len(tests)} test items are also in {where}: "
            f"{listed(known)}; a student may not be tested on what it could learn by heart: take "
            "them out of one of the two"
        )
