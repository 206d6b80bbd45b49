"""Which column of an unknown file looks like instructions: by its values, then by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selectllm.data.chats import is_chat
from selectllm.data.columns import COLUMNS
from selectllm.data.exports import LIKELY
from selectllm.data.paths import paths_of, value_at

SAMPLE = 200  # rows that are looked at
_MOST = 0.8  # of them hold a text
_DISTINCT = 0.5  # of the texts are different: a status or a category repeats
_WORDY = 0.5  # of the texts are more than one word: a name, a link or a code is not
_LENGTH = 12  # characters on average
_WORD = re.compile(r"(?<!\S)[A-Za-z]{2,}(?![/:@])")  # of letters, behind a space
_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|www\.|(?:~|\.{1,2})?/\S*/|[a-z]:\\")
"""What an address or a path on a disk begins with; spaces may follow."""
_PLACES = frozenset((*COLUMNS["id"], "url", "uri", "link", "href", "path", "file", "filename"))
"""The last word of the names of columns that say which item it is, or where it lies."""
_ANSWERS = (*COLUMNS["response"], "answer", "reply", "target", "solution", "rationale")


def likely_instruction(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The path of the column whose values look like instructions; None if there is none.

    A list of turns comes first, then a column that is called like one, then the longest texts.
    """
    ranked = []
    for path in dict.fromkeys(path for row in rows for path in paths_of(row)):
        name = path.rpartition(".")[2].lower()
        values = [value_at(row, path) for row in rows]
        chats = sum(map(is_chat, values)) >= _MOST * len(rows)
        if _names_a_place(name) or any(word in name for word in _ANSWERS):
            continue  # what other columns are
        if chats or _look_like_instructions(values, name in LIKELY):
            fits = [-at for at, word in enumerate(LIKELY) if word in name]
            length = sum(len(str(value)) for value in values)
            ranked.append((chats, max(fits, default=-len(LIKELY)), length, path))
    return max(ranked)[-1] if ranked else None


def _look_like_instructions(values: Sequence[Any], called: bool) -> bool:
    """Whether most values are texts, and differ; if not `called` so, sentences, no addresses."""
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    if not texts or len(texts) < _MOST * len(values):
        return False
    wordy = sum(not text.isascii() or len(_WORD.findall(text)) > 1 for text in texts)
    long = sum(map(len, texts)) >= _LENGTH * len(texts)
    differ = len(set(texts)) >= _DISTINCT * len(texts)
    placed = sum(_ADDRESS.match(text) is not None for text in texts)
    spoken = long and wordy >= _WORDY * len(texts) and placed < _WORDY * len(texts)
    return differ and (called or spoken)


def _names_a_place(name: str) -> bool:
    """Whether the last word of a column's name is one of _PLACES, or several of them."""
    last = re.split(r"[^a-z0-9]+", name)[-1]
    return last in _PLACES or last.removesuffix("s") in _PLACES
