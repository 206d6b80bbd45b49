"""Ratings: a numeric column of the pool as a utility."""

from __future__ import annotations

import math
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed, unknown
from selectllm.core.types import Item, Pool
from selectllm.data.packed_values import values_of
from selectllm.utility.annotation.scale import number
from selectllm.utility.schema import UtilityKind
from selectllm.utility.utility import Utility

SAMPLE = 100  # rows that are looked at to say which columns are numeric


def ratings(
    pool: Pool,
    *,
    name: str,
    column: str,
    kind: UtilityKind = "human",
    rater: str | None = None,
    value_range: tuple[float, float] | None = None,
    partial: bool = False,
) -> Utility:
    """The numbers in `column` of the pool's rows; higher must mean better.

    Taken as numbers: ints, floats, decimals, true and false as 1 and 0, and text that is a
    plain number, such as "4.5". `value_range`: the lowest and highest value the scale allows,
    both included.

    `partial`: items may be without a value.

    Raises UtilityError for a column that no row has (with the numeric columns and the closest
    match), for items without a value (how many, and the first), and for the first whose value is
    not a number, not finite or outside `value_range`.
    """
    if value_range is not None and not value_range[0] < value_range[1]:
        raise UtilityError(
            f"utility {name}: range {list(value_range)} is empty. Write [lowest, highest]"
        )
    if not any(column in item.row for item in pool.items):
        raise UtilityError(
            f"utility {name}: {unknown('column', column, _numeric_columns(pool))} (numeric columns)"
        )
    blank: list[str] = []
    wrong: list[str] = []

    def rating_of(item: Item) -> float:
        value = item.row.get(column)
        if _is_blank(value):
            if not partial:
                blank.append(item.id)
        elif (read := number(value)) is None or _fault(value, read, value_range):
            if not wrong:
                wrong.append(_complaint(name, column, item, _fault(value, read, value_range)))
        else:
            return read
        return math.nan

    # Once: a large pool is read from its files each time.
    values = values_of(pool, map(rating_of, pool.items))
    if blank:
        raise UtilityError(
            f"utility {name}: {column} is missing for {len(blank)} of {len(pool)} items: "
            f"{listed(blank)}. Rate them, or leave them out of the pool"
        )
    if wrong:
        raise UtilityError(wrong[0])
    return Utility(
        name=name,
        source="ratings",
        kind=kind,
        values=values,
        rater=rater,
        range=value_range,
    )


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _fault(value: Any, rating: float | None, value_range: tuple[float, float] | None) -> str:
    """What is wrong with a rating, and the fix; "" if nothing is."""
    if rating is None:
        return "is not a number. Write one such as 4 or 4.5"
    if not math.isfinite(rating):
        return "is not finite. Write a number, or leave the item out of the pool"
    if value_range and not value_range[0] <= rating <= value_range[1]:
        return f"is outside range {list(value_range)}. Correct the value or the suite's range"
    return ""


def _complaint(name: str, column: str, item: Item, fault: str) -> str:
    shown = repr(item.row[column])[:60] if column in item.row else "no value"
    return f"utility {name}: item {item.id!r}: {column} ({shown}) {fault}"


def _numeric_columns(pool: Pool) -> list[str]:
    """The columns whose values are all numbers, as far as the first rows tell."""
    rows = [item.row for item in pool.items[:SAMPLE]]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [
        column
        for column in columns
        if all(number(row[column]) is not None for row in rows if column in row)
    ]
