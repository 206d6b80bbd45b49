"""Test items that a student has seen make its score worthless. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.errors import UsageError
from selectllm.names import listed
from selectllm.near_duplicates import normalised
from selectllm.types import Item


def leaked(tests: Sequence[Item], others: Sequence[Item]) -> list[str]:
    """Ids of test items that ask what an item of `others` asks, in the order of `tests`.

    Instruction and input are compared, by `near_duplicates.normalised`; responses are not.
    """
    seen = {normalised(item.text) for item in others}
    return [item.id for item in tests if normalised(item.text) in seen]


def check_no_leak(
    tests: Sequence[Item], others: Sequence[Item], where: str = "the training items"
) -> None:
    """Raise UsageError if test items are also in `others`; `where` is what messages call those."""
    found = leaked(tests, others)
    if found:
        raise UsageError(
            f"student: {len(found)} of {len(tests)} test items are also in {where}: "
            f"{listed(found)}; a student may not be tested on what it could learn by heart: take "
            "them out of one of the two"
        )
