"""The text of a reply made ready for reading: reasoning left out, candidates' words masked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from selectllm.core.types import Question
from selectllm.prompting.replies.reasoning import without_reasoning

MASK = "\ufffc"
"""Stands where quoted text was: a word that is no label."""
OWN_TEXT = 0xF0000
"""chr(OWN_TEXT + position) stands where the whole text of the candidate at `position` was."""
REPEATED_KEYS = "\x00repeated keys"
"""Key under which `json_objects` lists the keys that an object gave more than once."""

LONGEST_REPLY, LONGEST_ANSWER = 1_000_000, 100_000
"""Characters of a reply with and without its reasoning; what is longer answers nothing."""

SHORT_REPLY = 64
"""Characters of replies that come again and again, and are read once: labels alone."""

# Unicode forms that mean an ASCII character. A fixed table rather than NFKC: the table is linear
# in time (NFKC sorts runs of combining marks) and the same in every Python.
_FORMS: dict[int, str | None] = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FORMS |= {ord(sign): "[" for sign in "【〔〖"} | {ord(sign): "]" for sign in "】〕〗"}
_FORMS |= {ord("№"): "#", ord("。"): ".", ord("､"): "、", ord("’"): "'", 0x3000: " ", 0xA0: " "}
_FORMS |= dict.fromkeys([0xAD, 0x2060, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F)])

# What colours a terminal and the like (ECMA-48: control sequences and strings).
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,40}[ -/]{0,9}[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]{0,400}"
    r"(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,9}[0-~]"
)
_SPECIAL_TOKEN = re.compile(
    r"<\|(?:im_)?start\|>\w{0,20}|<\|[\w:.-]{1,40}\|?>|<[\w:.-]{1,40}\|>|</?s>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>|\[END FINAL RESPONSE\]"
)
_BOXED = re.compile(r"\\boxed\{ ?(\[[^\[\]{}\n]{1,400}\]) ?\}")
_PRIVATE = re.compile(r"[\U000F0000-\U000FFFFD]")
_BLANKS = re.compile(r"[^\S\n]+")
_LINE_EDGES = re.compile(r"\s*\n\s*")

_EMPHASIS = re.compile(
    r"(?<![\w*])\*{1,3}(?=\S)|(?<=\S)\*{1,3}(?![\w*])|(?<!\w)__?(?=\S)|(?<=\S)__?(?!\w)|`|^#+ "
    r"|</?(?:b|i|u|em|strong|code|pre|p|div|span|ul|ol|li|br ?/?)>",
    re.MULTILINE,
)
_NUMPY = re.compile(r"\b(?:np\.|numpy\.)?u?int\d{0,2}\((\d{1,9})\)")
_BRACKETED = re.compile(r"\[[^\[\]]*\]")
_OPENING, _CLOSING = re.compile(r"\[\s*(?=\[)"), re.compile(r"(?<=\])\s*\]")

_QUOTED = re.compile(r"\"[^\"\n]+\"|“[^“”\n]+”|«[^«»\n]+»|「[^「」\n]+」|`[^`\n]+`")
_ONLY_LABELS = re.compile(r"(?:[\s\d\[\](),;&>#'\"-]|\b[A-Za-z]\b)+")
_MAY_HOLD_LABELS = re.compile(r"[\d\[]|^.{1,3}$")
_SHORTEST_OWN_TEXT = 8

Texts = Sequence[tuple[str, int]]
"""Texts that a reply may quote, and the position of the candidate that each belongs to."""


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The part of a reply that answers, made ready for reading.

    `unknown`: it holds a mark that may open reasoning and that nobody knows (reasoning.py).
    `escaped`: codes for a terminal, such as colours, were left out.
    """

    text: str
    unknown: bool = False
    escaped: bool = False


def answer_text(text: str, cut: bool = False) -> AnswerText:
    """The part of a reply that answers: ASCII forms, single blanks, no reasoning, no tokens.

    `cut`: the reply broke off. What is longer than LONGEST_REPLY, or than LONGEST_ANSWER without
    its reasoning, is no answer: its text is empty.
    """
    return (_short_answer if len(text) <= SHORT_REPLY else _answer_text)(text, cut)


def _answer_text(text: str, cut: bool) -> AnswerText:
    if len(text) > LONGEST_REPLY:
        return AnswerText("")
    text, escapes = _ESCAPE.subn("", _PRIVATE.sub("", without_forms(text)))
    spoken = without_reasoning(text, cut)
    if len(spoken.text) > LONGEST_ANSWER:
        return AnswerText("", spoken.unknown)
    text = _SPECIAL_TOKEN.sub("\n", spoken.text)
    if "\\boxed" in text:
        text = _BOXED.sub(r"\nFinal answer: \1\n", text)
    return AnswerText(tidy(text), spoken.unknown, escapes > 0)


_short_answer = lru_cache(maxsize=4096)(_answer_text)


def without_forms(text: str) -> str:
    """`text` with full-width and look-alike signs as ASCII, and invisible signs left out."""
    return text if text.isascii() else text.translate(_FORMS)


def tidy(text: str) -> str:
    """`text` with single blanks, none at the edges of lines, LF line ends and no empty lines."""
    text = _BLANKS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _LINE_EDGES.sub("\n", text).strip()


def candidate_texts(question: Question) -> Texts:
    """What may be quoted: each candidate's texts, as `answer_text` would leave them, and its place.

    The longest come first, so that a text is found before its parts.
    """
    texts = [
        (tidy(without_forms(text)), place)
        for place, item in enumerate(question.shown)
        for text in ((item.text, item.instruction, item.input) if item.input else (item.text,))
    ]
    return sorted(texts, key=lambda pair: -len(pair[0]))


def mask_candidates(text: str, texts: Texts) -> str:
    """`text` with every whole candidate in it replaced by a sign that stands for it.

    Candidates of a few characters or of labels alone stay: "[4]" may be a candidate and a pick.
    """
    for part, place in texts:
        if len(part) >= _SHORTEST_OWN_TEXT and part in text and not _ONLY_LABELS.fullmatch(part):
            text = text.replace(part, chr(OWN_TEXT + place))
    return text


def mask_quotes(text: str, texts: Texts) -> str:
    """`text` with quoted words and lines of candidates masked, so that no label is read there.

    Quotation marks and backticks quote, unless they hold nothing but labels that no candidate
    holds. A block quote or a line counts as quoted if a candidate holds it.
    """
    source = "\n".join(part for part, _ in texts)
    lines_of_candidates = set(source.split("\n"))

    def masked(quoted: re.Match[str]) -> str:
        span = quoted[0]
        inner = span[1:-1].strip()
        if not _MAY_HOLD_LABELS.search(inner):
            return span
        if _ONLY_LABELS.fullmatch(inner) and ("[" not in inner or inner not in source):
            return span
        return f"{span[0]}{MASK}{span[-1]}"

    def line(text: str) -> str:
        if text in lines_of_candidates and _MAY_HOLD_LABELS.search(text):
            return MASK
        if text.startswith(">"):
            inner = text.lstrip("> ")
            return MASK if inner in source else inner
        return text

    return _QUOTED.sub(masked, "\n".join(line(one) for one in text.split("\n")))


def readable(text: str) -> str:
    """`text` without emphasis and code marks, each bracket on one line, numpy's names left out."""
    text = _NUMPY.sub(r"\1", _EMPHASIS.sub("", text))
    text = _CLOSING.sub("", _OPENING.sub("", text))
    return _BRACKETED.sub(lambda match: match[0].replace("\n", " "), text)


def json_objects(text: str) -> list[tuple[dict[str, Any], bool]]:
    """The outermost JSON objects in `text` that can be read, and whether each needed a fix.

    The fixes: a comma before a closing bracket, single quotes, True, False and None.
    """
    objects = []
    for start, end in _braces(text):
        if end - start < _SHORTEST_OBJECT:
            continue
        span = text[start:end]
        value = _loads(span)
        loose = value is None
        if loose:
            value = _loads(_LOOSE.sub(_strict, span))
        if isinstance(value, dict):
            objects.append((value, loose))
    return objects


def is_one_object(text: str) -> bool:
    """Whether `text` is one pair of braces and nothing around it."""
    return _braces(text) == [(0, len(text))]


def has_one_object(text: str) -> bool:
    """Whether `text` holds one pair of braces, and nothing else on the lines that it is on."""
    spans = _braces(text)
    if len(spans) != 1:
        return False
    start, end = spans[0]
    return not (text[:start].rpartition("\n")[2] + text[end:].partition("\n")[0]).strip()


_BRACES = re.compile(r"\\.|[\"{}\n]")
_LOOSE = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|,(?=\s*[}\]])|\b(?:True|False|None)\b"
)
_SHORTEST_OBJECT = len('{"1":2}')
_LITERALS = {",": "", "True": "true", "False": "false", "None": "null"}


def _braces(text: str) -> list[tuple[int, int]]:
    """Spans of the outermost balanced braces, in one pass; braces inside strings don't count."""
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    in_string = False
    for match in _BRACES.finditer(text):
        sign = match[0]
        if sign == '"':
            in_string = bool(opened) and not in_string
        elif sign == "\n":  # a JSON string ends on its line; a quotation mark in prose may not
            in_string = False
        elif in_string:
            continue
        elif sign == "{":
            opened.append(match.start())
        elif sign == "}" and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, match.end()))
    return spans


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        value[REPEATED_KEYS] = {key for key, count in counts.items() if count > 1}
    return value


def _strict(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith("'"):
        return json.dumps(token[1:-1].replace("\\'", "'"), ensure_ascii=False)
    return _LITERALS.get(token, token)
