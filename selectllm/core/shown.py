"""Values as messages show them: short, on one line, and never written out in full first."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

SHOWN = 60  # characters of a value in a message

_REPR = Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxtuple, _REPR.maxdict, _REPR.maxset = 3, 20, 20, 20, 20
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 2 * SHOWN


def shortened(value: Any) -> str:
    """`value` as Python writes it, at most SHOWN characters of it."""
    if isinstance(value, str):
        return excerpt(repr(value[: 2 * SHOWN]))
    if isinstance(value, int) and value.bit_length() > 4 * SHOWN:
        return f"a number of about {value.bit_length() * 3 // 10:,} digits"
    return excerpt(_REPR.repr(value))


def excerpt(text: str, most: int = SHOWN) -> str:
    """`text`, or its beginning and three dots: at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
