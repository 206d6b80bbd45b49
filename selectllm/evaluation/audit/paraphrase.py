"""A light paraphrase by rule, in English: the same request in a few other words. Pure.

Two rules, in this order. Words of a short list are replaced by a near equal one, whole words only,
their capital kept. Then a polite frame is put around the text, since many instructions hold none
of these words. Nothing is reordered, no number, name or quotation is touched, and no model is
asked, so that the same text always gives the same paraphrase. Text in other languages gets the
frame alone.
"""

from __future__ import annotations

import re

WORDS = {
    "write": "compose",
    "describe": "depict",
    "explain": "clarify",
    "list": "enumerate",
    "give": "provide",
    "create": "produce",
    "make": "prepare",
    "find": "identify",
    "show": "demonstrate",
    "suggest": "propose",
    "summarize": "sum up",
    "summarise": "sum up",
    "rewrite": "rephrase",
    "choose": "pick",
    "compare": "contrast",
    "short": "brief",
    "difference": "distinction",
    "differences": "distinctions",
    "main": "chief",
    "important": "significant",
    "example": "instance",
    "examples": "instances",
    "benefits": "advantages",
    "several": "a few",
    "about": "on the subject of",
    "following": "given",
    "sentence": "statement",
    "help": "assist",
    "using": "by means of",
    "steps": "stages",
}
FRAME = "Here is what I would like you to do. {text}\nThank you."

_WORD = re.compile(rf"\b({'|'.join(sorted(WORDS, key=len, reverse=True))})\b", re.IGNORECASE)


def paraphrased(text: str) -> str:
    """`text` in other words; never equal to it."""
    return FRAME.format(text=_WORD.sub(_other, text))


def _other(match: re.Match[str]) -> str:
    word = match[0]
    other = WORDS[word.lower()]
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other
