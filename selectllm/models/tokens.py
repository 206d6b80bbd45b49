"""How many tokens a prompt has, roughly: for planning, and to notice a prompt that was cut.

No tokenizer is loaded. The UTF-8 bytes are sorted into classes, and a run of one class counts
as many tokens as its class packs bytes or characters into one.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selectllm.core.types import Message

MESSAGE_OVERHEAD = 4  # tokens that a chat template adds to each message, and to the reply's start

CUT_SHARE = 0.5  # a prompt counts as cut when fewer than this share of its tokens were read...
CUT_MARGIN = 200  # ...and at least this many are missing

_ANY = 2**62  # a run of whatever length is one token

# Characters of one class in a row that make one token. Chosen between the vocabularies of
# cl100k, o200k and Claude 2 so that none reads less than half of the estimate on real text.
_WIDTHS = {
    "skipped": _ANY,  # spaces
    "letter": 8,  # most English words are one token, longer runs two
    "digit": 3,
    "mark": _ANY,  # punctuation
    "newline": _ANY,
    "alphabet": 3,  # Greek, Cyrillic, Hebrew, Arabic, ...
    "script": 2,  # Indic scripts, Thai, Georgian, ...
    "ideograph": 1,  # Chinese, Japanese, Korean; emoji
}
_CLASSES = list(_WIDTHS)
_WIDTH = np.array([*_WIDTHS.values()])
_SKIPPED, _DIGIT, _ALPHABET = map(_CLASSES.index, ("skipped", "digit", "alphabet"))


def _byte_classes() -> bytes:
    """The class of each of the 256 bytes that UTF-8 text is made of."""
    table = np.zeros(256, dtype=np.uint8)
    for chars, kind in (
        (string.ascii_letters, "letter"),
        (string.digits, "digit"),
        (string.punctuation, "mark"),
        ("\n", "newline"),
    ):
        table[list(chars.encode())] = _CLASSES.index(kind)
    for first, kind in (
        (0xC2, "mark"),  # « » § and the like
        (0xC3, "letter"),  # accented Latin
        (0xC6, "alphabet"),
        (0xE0, "script"),
        (0xE2, "mark"),  # typographic quotes, dashes, mathematical signs
        (0xE3, "ideograph"),
        (0xEF, "mark"),  # full-width forms
        (0xF0, "ideograph"),  # emoji
    ):
        table[first:] = _CLASSES.index(kind)
    return table.tobytes()


_BYTE_CLASS = _byte_classes()
_NOT_FIRST = bytes(range(0x80, 0xC0))  # the bytes of a character after its first


def estimate_tokens(prompt: str | Sequence[Message]) -> int:
    """An estimate of the tokens of a text, or of a chat with its template; at least 0.

    Measured against cl100k: on 142 prompts of 14 Dolly items each the error is within -10 % and
    +11 % (median 0 %); on single Dolly items within -19 % and +15 % for nine in ten. Against
    o200k and Claude 2 the prompts are within -13 % and +11 %. Text in scripts other than Latin
    and unbroken random letters (keys, base64) can have two to four times as many tokens.
    """
    if not isinstance(prompt, str):
        inside = sum(estimate_tokens(message["content"]) for message in prompt)
        return inside + MESSAGE_OVERHEAD * (len(prompt) + 1)
    kinds = _kinds(prompt)
    if not len(kinds):
        return 0
    ends = np.concatenate((np.flatnonzero(kinds[1:] != kinds[:-1]), (len(kinds) - 1,)))
    runs = kinds[ends]
    follow = ends.copy()  # characters of a run after its first
    follow[1:] -= ends[:-1] + 1
    widths = _WIDTH[runs]
    long = np.flatnonzero(follow >= widths)
    return int(np.count_nonzero(runs) + (follow[long] // widths[long]).sum())


def most_tokens(prompt: str | Sequence[Message]) -> int:
    """What `estimate_tokens` says at most, in less than half of the time: no run is measured."""
    if not isinstance(prompt, str):
        inside = sum(most_tokens(message["content"]) for message in prompt)
        return inside + MESSAGE_OVERHEAD * (len(prompt) + 1)
    kinds = _kinds(prompt)
    begin = (kinds[1:] != kinds[:-1]) & (kinds[1:] != _SKIPPED)
    digits, others = np.count_nonzero(kinds == _DIGIT), np.count_nonzero(kinds >= _ALPHABET)
    further = len(kinds) // _WIDTHS["letter"] + digits // _WIDTHS["digit"] + others
    return 1 + int(np.count_nonzero(begin)) + int(further)


def _kinds(text: str) -> NDArray[np.uint8]:
    """The class of each character."""
    firsts = text.encode("utf-8", errors="replace").translate(_BYTE_CLASS, _NOT_FIRST)
    return np.frombuffer(firsts, dtype=np.uint8)


def looks_cut(estimate: int, tokens_in: int | None) -> bool:
    """Whether a provider that reports `tokens_in` read far less than a prompt of `estimate`.

    Ollama, for one, drops what does not fit num_ctx and answers all the same. Fewer than half
    of the tokens and 200 missing: no text of Dolly, nor of the adversarial set, comes near it
    under cl100k, o200k or Claude 2. False when nothing was reported.
    """
    if tokens_in is None:
        return False
    return tokens_in < CUT_SHARE * estimate and estimate - tokens_in >= CUT_MARGIN
