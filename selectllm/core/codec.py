"""Canonical JSON and hashes: the bytes that identities, manifests and results are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import blake2b
from itertools import chain, islice
from json.encoder import encode_basestring
from typing import Any

MOST_LEVELS = 100  # of lists and objects in one another; what we write has some ten
MOST_DIGITS = 300  # of a whole number: what a float can still hold


def load_json(data: str | bytes) -> Any:
    """What JSON from outside says; bytes are UTF-8, with or without a byte order mark.

    Raises ValueError whatever is wrong with it, also where Python's own reader would fail
    otherwise or let pass what cannot be written again: NaN and infinity, half of a surrogate pair,
    more than MOST_DIGITS digits, more than MOST_LEVELS levels.
    """
    text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if text.count("[") + text.count("{") > MOST_LEVELS and isinstance(value, dict | list):
        _check_levels(value)
    if "\\ud" in text or "\\uD" in text:  # UnicodeEncodeError, which is a ValueError
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not a number of JSON")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_constant=_refused)
TOO_DEEP = f"nested more than {MOST_LEVELS} levels deep"


def _check_levels(value: Any) -> None:
    """Raise ValueError for too many; level by level, since recursion is what must not happen."""
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [each for outer in level for each in _inside(outer)]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def _inside(value: Any) -> list[Any]:
    """The lists and objects in a list or object."""
    values: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return [each for each in values if isinstance(each, dict | list)]


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


LONG = 200  # characters from which another writer of texts is faster


def json_text(text: str) -> str:
    """`text` as JSON, as `canonical_json` writes it; a long one in a quarter of the time.

    Raises TypeError for anything but a text.
    """
    if len(text) < LONG or not isinstance(text, str):
        return encode_basestring(text)
    to_json, refused = _writer()
    try:
        return to_json(text).decode("utf-8")
    except refused:  # half of a surrogate pair, which is no UTF-8
        return encode_basestring(text)


@cache
def _writer() -> tuple[Callable[[str], bytes], type[Exception]]:
    """What writes JSON fast, and what it raises; loaded by who writes any."""
    from pydantic_core import PydanticSerializationError, to_json

    return to_json, PydanticSerializationError


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, repr floats and text as it is.

    Equal values give equal text on every platform. Raises ValueError on NaN and infinity,
    which JSON cannot carry: use None for 'undefined'.
    """
    return _CANONICAL.encode(value)


def pretty_json(value: Any) -> str:
    """`canonical_json` for files that people read: two spaces of indent, a final newline."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sha256_text(text: str) -> str:
    """Hex sha256 of the UTF-8 bytes of `text`."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of `canonical_json(value)`."""
    return sha256_text(canonical_json(value))


def sha256_pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    """`sha256_json` of the object with these pairs, which come in the order of their names."""
    digest = hashlib.sha256(b"{")
    between = ""
    for name, value in pairs:
        digest.update(f"{between}{canonical_json(name)}:{canonical_json(value)}".encode())
        between = ","
    digest.update(b"}")
    return digest.hexdigest()


def sha256_texts(texts: Iterable[str]) -> str:
    """Hex sha256 of a sequence of texts; no two sequences share their bytes.

    Each text goes in behind its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256()
    texts = iter(texts)
    while some := [*islice(texts, _TEXTS_AT_A_TIME)]:
        # Behind each other in one buffer: a call of `update` takes longer than a short text. All
        # is text with a character a byte, so that ASCII, as most of it is, needs no encoding.
        if not "".join(some).isascii():
            some = [t if t.isascii() else t.encode("utf-8").decode("latin-1") for t in some]
        lengths = [_LENGTHS[n] if n < _SHORT else _length(n) for n in map(len, some)]
        together = "".join(chain.from_iterable(zip(lengths, some, strict=True)))
        digest.update(together.encode("latin-1"))
    return digest.hexdigest()


def _length(characters: int) -> str:
    return characters.to_bytes(8, "big").decode("latin-1")


_TEXTS_AT_A_TIME = 1_000
_SHORT = 1_000
_LENGTHS = [_length(characters) for characters in range(_SHORT)]


def seeded_hash(*parts: str | int) -> int:
    """A number in [0, 2**64) drawn from `parts`: the source of every seeded choice by id.

    Draws depend on names and seeds, never on positions, so reordering a file changes nothing.
    """
    return _drawn("\x1f".join(map(str, parts)))


def seeded_hashes(*parts: str | int, each: Iterable[str]) -> Iterator[int]:
    """`seeded_hash(*parts, last)` of each last part, in two thirds of the time."""
    before = "".join(f"{part}\x1f" for part in parts)
    return (_drawn(before + last) for last in each)


def _drawn(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")
