"""Canonical JSON and hashes: the bytes that identities, manifests and results are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, repr floats and text as it is.

    Equal values give equal text on every platform. Raises ValueError on NaN and infinity,
    which JSON cannot carry: use None for 'undefined'.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def pretty_json(value: Any) -> str:
    """`canonical_json` for files that people read: two spaces of indent, a final newline."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sha256_text(text: str) -> str:
    """Hex sha256 of the UTF-8 bytes of `text`."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of `canonical_json(value)`."""
    return sha256_text(canonical_json(value))


def sha256_texts(texts: Iterable[str]) -> str:
    """Hex sha256 of a sequence of texts; no two sequences share their bytes.

    Each text goes in behind its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def seeded_hash(*parts: str | int) -> int:
    """A number in [0, 2**64) drawn from `parts`: the source of every seeded choice by id.

    Draws depend on names and seeds, never on positions, so reordering a file changes nothing.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")
