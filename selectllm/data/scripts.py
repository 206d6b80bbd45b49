"""Whether an encoder knows the scripts that texts are written in: what letters alone can tell.

It tells Chinese or Russian from English. German and English are both Latin: see languages.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from selectllm.core.types import Item

SAMPLE = 1_000  # items that are looked at, evenly over the pool
_LETTERS = 200  # characters of each
_HAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO"})
_ENGLISH = frozenset({"LATIN"})
# Encoders that were trained on one language, by their name without its owner. Those that are not
# here may know any: nothing is said about them.
KNOWN: tuple[tuple[re.Pattern[str], str, frozenset[str]], ...] = (
    (re.compile(r"all-(minilm|mpnet|distilroberta|roberta)-.*"), "English", _ENGLISH),
    (re.compile(r"(multi-qa|msmarco|paraphrase)-(?!multilingual|.*-multi).*"), "English", _ENGLISH),
    (re.compile(r"bge-(small|base|large)-en.*|e5-(small|base|large)(-v2)?"), "English", _ENGLISH),
    (re.compile(r"gte-(small|base|large)(-en.*)?|mxbai-embed-.*"), "English", _ENGLISH),
    (re.compile(r"nomic-embed-text-v1.*"), "English", _ENGLISH),
    (re.compile(r"bge-(small|base|large)-zh.*"), "Chinese and English", _ENGLISH | _HAN),
)


MULTILINGUAL = (
    "Name one that knows their language with `encoder`, such as "
    "paraphrase-multilingual-MiniLM-L12-v2."
)
"""What helps."""


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """An encoder by its name, the languages that it was made for, and their scripts."""

    name: str
    languages: str
    scripts: frozenset[str]


def known_by(identity: str) -> KnownEncoder | None:
    """What an encoder was made for; None for one that may know any language.

    `identity`: as `Encoder.identity` has it.
    """
    name = re.split(r"[@#: ]", identity.lower())[0].rpartition("/")[2]
    found = (known for known in KNOWN if known[0].fullmatch(name))
    return next((KnownEncoder(name, *known[1:]) for known in found), None)


def unknown_script(identity: str, items: Sequence[Item]) -> str | None:
    """A sentence if most items are in scripts that the encoder does not know; None otherwise.

    `identity`: of the encoder, as `Encoder.identity` has it. An item counts by most of its
    letters; items without any are not counted.
    """
    encoder = known_by(identity)
    if encoder is None:
        return None
    step = max(1, len(items) // SAMPLE)
    scripts = Counter(filter(None, (script_of(item.text[:_LETTERS]) for item in items[::step])))
    strange = Counter({name: n for name, n in scripts.items() if name not in encoder.scripts})
    if strange.total() * 2 <= scripts.total():
        return None
    most = ", ".join(_told(script) for script, _ in strange.most_common(3))
    return (
        f"{strange.total()} of {scripts.total()} items that were looked at are not written in a "
        f"script of {encoder.languages} ({most}), which is what the encoder {encoder.name} knows: "
        f"clusters of them mean little. {MULTILINGUAL}"
    )


def _told(script: str) -> str:
    return "Chinese, Japanese" if script == "CJK" else script.capitalize()


def script_of(text: str) -> str | None:
    """The script of most letters of a text; None if it has no letter."""
    letters = Counter(map(_script_of, filter(str.isalpha, text)))
    return letters.most_common(1)[0][0] if letters else None


@lru_cache(maxsize=20_000)
def _script_of(letter: str) -> str:
    """The first word of a letter's name in Unicode, which is its script: LATIN, CYRILLIC, CJK."""
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0].partition("-")[0]
