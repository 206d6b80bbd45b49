"""Answers joined to the items that they answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.choices import Keep
from selectllm.core.types import Item
from selectllm.data.columns import COLUMNS
from selectllm.utility.handover.answers import GivenAnswer

MARK = "_selectllm"  # of a row that was selected
ANSWERED = "_answered"
"""The column of a training file that says who answered, and where it was read."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What the answers came to.

    `rows`: of the training file, in pool order. `asked`: how many items were to be answered.
    `missing`: ids of those without an answer. `twice`: ids of those with different answers; without
    `keep` they have no row. `unknown`: ids that were answered and that the pool does not have.
    """

    rows: tuple[Mapping[str, Any], ...]
    asked: int
    missing: tuple[str, ...]
    twice: tuple[str, ...]
    unknown: tuple[str, ...]
    kept: bool = False

    @property
    def complete(self) -> bool:
        """Whether every item has one answer, and every answer an item."""
        return not (self.missing or self.unknown or (self.twice and not self.kept))


def joined(
    items: Sequence[Item],
    answers: Iterable[GivenAnswer],
    *,
    keep: Keep | None = None,
    column: str | None = None,
) -> Joined:
    """`items` with their answers.

    What was asked are the items that a selection marked, if `items` are one, and else those that
    the files list, answered or not. Equal answers to one item are one; of different ones `keep`
    takes the first or the last. `column`: where rows keep the response; by default the one that
    they have, else `response`.
    """
    by_id = {item.id: item for item in items}
    given: dict[str, dict[str, GivenAnswer]] = {}
    listed: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for answer in answers:
        item_id = next((item_id for item_id in answer.ids if item_id in by_id), None)
        if item_id is None:
            if answer.text is not None:
                unknown[answer.item] = None
            continue
        listed[item_id] = None
        if answer.text is not None:
            texts = given.setdefault(item_id, {})
            if keep == "last":
                texts.pop(answer.text, None)
            texts.setdefault(answer.text, answer)
    asked = [item.id for item in items if MARK in item.row] or [i for i in by_id if i in listed]
    twice = tuple(item_id for item_id in by_id if len(given.get(item_id, ())) > 1)
    dropped = set() if keep else {*twice}
    rows = [
        _row(item, list(given[item.id].values())[-1 if keep == "last" else 0], column)
        for item in items
        if item.id in given and item.id not in dropped
    ]
    missing = tuple(item_id for item_id in asked if item_id not in given)
    return Joined(tuple(rows), len(asked), missing, twice, tuple(unknown), keep is not None)


def _row(item: Item, answer: GivenAnswer, column: str | None) -> Mapping[str, Any]:
    """All columns of the pool's row, with the answer as its response."""
    row = {name: value for name, value in item.row.items() if name != MARK}
    name = column or next((name for name in COLUMNS["response"] if name in row), "response")
    return {**row, name: answer.text, ANSWERED: {"by": answer.annotator, "place": answer.place}}
