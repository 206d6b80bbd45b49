"""Numbers that people and their programs write, and the scale that ratings are given on. Pure."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.shown import shortened

Range = tuple[float, float]  # the lowest and the highest value of a scale, both included
# What a spreadsheet or another program writes; not the `1_000`, `nan` and `inf` of Python.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}", re.ASCII)  # or a decimal comma: nobody can say


def number(value: Any) -> float | None:
    """`value` as a float (not necessarily finite), or None if it is not a number.

    Numbers are ints, floats, decimals, booleans, and text that is a plain number as spreadsheets
    and other programs write it, also with a decimal comma: 3,5 is 3.5. 1,234 is none, since it may
    be meant as thousands.
    """
    if isinstance(value, str):
        text = value.strip()
        if _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
            text = text.replace(",", ".")
        return float(text) if NUMBER.fullmatch(text) else None
    if not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:  # an int beyond 1.8e308
        return math.inf


def check_range(what: str, bounds: Range) -> None:
    """Raise UtilityError unless `bounds` are finite and the lower one is below the higher one."""
    if not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
        raise UtilityError(f"{what}: range {shown(bounds)} is empty. Write [lowest, highest]")


def shown(bounds: Range) -> str:
    """The scale in messages: `[1, 5]`."""
    return f"[{bounds[0]:g}, {bounds[1]:g}]"


def is_blank(value: Any) -> bool:
    """Whether a cell was left empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def item_id(value: Any) -> str | None:
    """An id as pools have it (whole numbers become text), or None if `value` can be none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def on_scale(value: Any, bounds: Range | None, where: str) -> float:
    """`value` as a number within `bounds`.

    `where` begins the message: file, line, item and column. Raises UtilityError if the value is
    missing, not a number, not finite or out of bounds.
    """
    found = number(value)
    if found is not None and math.isfinite(found) and _within(found, bounds):
        return found
    raise UtilityError(f"{where} ({shortened(value)}) {_fault(value, found, bounds)}")


def _within(value: float, bounds: Range | None) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


def _fault(value: Any, found: float | None, bounds: Range | None) -> str:
    if is_blank(value):
        return "is missing. Write a number"
    if found is None and isinstance(value, str) and _THOUSANDS.fullmatch(value.strip()):
        point, none = value.strip().replace(",", "."), value.strip().replace(",", "")
        return f"may be {point} or {none}. Write the one that is meant"
    if found is None:
        return "is not a number. Write one such as 4 or 4.5"
    if not math.isfinite(found) or bounds is None:
        return "is not finite. Write a number"
    return f"is outside the range {shown(bounds)}. Correct it, or ask for its rating again"
