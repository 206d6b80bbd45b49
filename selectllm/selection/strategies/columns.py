"""The columns of a pool that strategies divide it by. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.core.errors import UnfitError
from selectllm.core.names import listed, unknown
from selectllm.core.types import Item


def check_column(name: str, column: str, items: Sequence[Item]) -> None:
    """Raise UnfitError unless every item has a value in `column`; `name`: of the strategy.

    A value is a text that is not empty, a number or a truth value.
    """
    without = [item.id for item in items if not _has_value(item, column)]
    if not without:
        return
    if len(without) == len(items):
        known = sorted({key for item in items[:100] for key in item.row})
        if column in known:
            raise UnfitError(
                f"strategy {name}: column {column!r} holds neither text nor numbers, so items "
                "cannot be grouped by it. Name another column"
            )
        raise UnfitError(f"strategy {name}: {unknown('column', column, known)}")
    raise UnfitError(
        f"strategy {name}: {len(without)} of {len(items)} items have no {column!r}: "
        f"{listed(without)}. Fill the column, or leave those items out"
    )


def value_of(item: Item, column: str) -> str:
    """What stands in `column` of the item's row, as text: items with one text are one group."""
    return str(item.row[column])


def _has_value(item: Item, column: str) -> bool:
    value = item.row.get(column)
    return value != "" and isinstance(value, str | int | float | bool)
