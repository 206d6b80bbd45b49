"""Whether an encoder knows the languages that texts are written in, where their letters are Latin.

What other letters tell is in scripts.py. py3langid tells one language from another by their
sequences of bytes (a naive Bayes model, Lui and Baldwin 2012, ACL, langid.py); it is part of the
extra `embed`, and nothing is said without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from selectllm.core.types import Item
from selectllm.data.scripts import MULTILINGUAL, known_by, script_of

LIBRARY = "py3langid"
SAMPLE = 200  # items that are looked at, evenly over the pool
_LETTERS = 400  # characters of each
_WORDS = 3  # of a text at least: names and commands are shorter
_SPOKEN = 0.8  # letters among what is no space: less in code and in formulas
_SURE = 0.8  # of the model's probability for a language that the encoder does not know
_WORD = re.compile(r"[^\W\d_]{2,}")
ENGLISH = "en"
NAMES: Mapping[str, str] = {
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sk": "Slovak",
    "sv": "Swedish",
    "sw": "Swahili",
    "tl": "Tagalog",
    "tr": "Turkish",
    "vi": "Vietnamese",
}
"""The languages in Latin letters that are told apart, by their code in ISO 639-1."""


def unknown_language(identity: str, items: Sequence[Item]) -> str | None:
    """A sentence if most items are in languages that the encoder does not know; None otherwise.

    `identity`: of the encoder, as `Encoder.identity` has it. Code, names and what is too short to
    tell count as known.
    """
    encoder = known_by(identity)
    if encoder is None or not items or find_spec(LIBRARY) is None:
        return None
    step = max(1, len(items) // SAMPLE)
    looked = [item.text[:_LETTERS] for item in items[::step]]
    told = Counter(filter(None, map(_language, looked)))
    if told.total() * 2 <= len(looked):
        return None
    most = ", ".join(f"{NAMES[code]} {count}" for code, count in told.most_common(3))
    return (
        f"{told.total()} of {len(looked)} items that were looked at are not written in "
        f"{encoder.languages} ({most}), which is what the encoder {encoder.name} knows: clusters "
        f"of them mean little. {MULTILINGUAL}"
    )


def _language(text: str) -> str | None:
    """The code of the language of a text in Latin letters, if it surely is none of English."""
    letters = sum(map(str.isalpha, text))
    if len(_WORD.findall(text)) < _WORDS or letters < _SPOKEN * len("".join(text.split())):
        return None
    if script_of(text) != "LATIN":
        return None
    code, probability = _identifier().classify(text)
    return None if code == ENGLISH or probability < _SURE else str(code)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(NAMES))
    return identifier
