"""Values as messages show them: short, never written out in full first; and text without controls.

What a stranger wrote may hold codes that a terminal obeys, or that turn the order of words round.
"""

from __future__ import annotations

import re
from collections.abc import Collection
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


def counted(value: int, noun: str) -> str:
    """`1 cluster`, `3,400 ratings`, `2 replies`."""
    if value == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeou" else f"{noun}s"
    return f"{value:,} {many}"


# C0 but for tab and line feed, DEL, C1, what changes the direction of writing (as Unicode's UAX 9
# has it), separators that a terminal may take for line ends, and halves of surrogate pairs.
_CONTROLS = {
    code: (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
    for code in (
        *(code for code in range(0x20) if code not in (0x09, 0x0A)),
        *range(0x7F, 0xA0),
        *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
    )
} | {0x0D: "\\r"}


def capital(text: str) -> str:
    """`text` with a capital where it begins with a word; a path or a name stays as it is.

    A name stands before what it is the name of, such as `judge (openai/gpt-4o at HOST)`.
    """
    first = text.split(maxsplit=1)[0] if text else ""
    rest = text[len(first) :]
    is_word = bool(rest) and first.rstrip(",").isalpha() and first.islower()
    is_word = is_word and re.match(r" \(\w+/", rest) is None
    return text[0].upper() + text[1:] if is_word else text


_COMMAND = re.compile(r"\b(selectllm|pip|python|git|ollama|vllm) \S|--[a-z][\w-]+ \S+=\S+$")


def sentence(text: str, names: Collection[str] = ()) -> str:
    """`text` as people read it: with a capital and a full stop.

    No full stop behind a command, which is there to be copied, and no capital where it begins with
    one of `names`, such as a file that is called like a word.
    """
    last = text.rstrip().rpartition(". ")[2]
    ends = text.rstrip().endswith((".", "!", "?", ":", '."')) or _COMMAND.search(last)
    first = text.partition(" ")[0]
    told = text if first in names else capital(text)
    return told if ends else f"{told}."


def visible(text: str) -> str:
    r"""`text` with every control character as it is written in Python, ESC as \x1b.

    Tabs and line feeds stay. For people: JSON and files for machines keep the text itself.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_CONTROLS)


def told_apart(share: float, limit: float) -> str:
    """`share` in percent, with as many digits as show that it is not `limit`; at most 4."""
    digits = range(1, 4)
    apart = (f"{share:.{n}%}" for n in digits if f"{share:.{n}%}" != f"{limit:.{n}%}")
    return f"{share:.1%}" if share == limit else next(apart, f"{share:.4%}")
