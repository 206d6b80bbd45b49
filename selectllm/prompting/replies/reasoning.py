"""What a reply says outside reasoning: a list in somebody's reasoning is never an answer.

The marks that set reasoning apart are those of marks.py. Whatever looks like such a mark and is
none of them leaves nobody able to say what is reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from selectllm.prompting.replies.marks import ANSWERING, MARKS, PLAIN, THINKING, TOKENS, Mark

FINAL_ANSWER = "Final answer:"
"""What a mark before an answer becomes."""

Kind = Literal["opens", "closes", "answers", "ends", "unknown"]

_PREFIX, _SUFFIX = re.compile(r"(?:\w{1,20}[:|]|longcat_)(?=\w)"), re.compile(r"_(?:fast|faster)\Z")
_TAG = re.compile(
    r"<(?P<bar>\|?)(?P<slash>/?)(?P<name>[A-Za-z][\w:.-]{0,40}(?:\|\w{1,20})?)"
    r"(?: [^<>\n]{0,80})?/?(?P<last>\|?)>"
)
_BRACKET = re.compile(r"\[(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z_ ]{2,30})\]|◁[^◁▷\n]{1,30}▷")
_SPEAKS_OF_REASONING = re.compile(r"THINK|THOUGHT|REASON|ANALY|REFLECT|SCRATCH|MONOLOG|DELIBER")
_HARMONY_TEXT = re.compile(r"\s{0,9}(?:analysis|commentary)(?! ?[:*\n])")
_CHANNEL_HEADER = re.compile(r"[^<\n]{0,60}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>")
_LAST_TOKEN = re.compile(r"<\|?/?[\w:.-]{1,40}\|?>\Z")

_MOST_TOKENS = 20  # that a reply ends with
_MOST_SIGNS = 50_000  # that can begin a mark; more are noise

_AROUND = r"[^\w\n<\[{]{0,6}"
_HEADING = re.compile(
    rf"^{_AROUND}(?:(?:my|the|step[- ]by[- ]step) )?(?:thinking|thoughts?|reasoning|analysis"
    r"|chain of thought|scratchpad|deliberation|brainstorm(?:ing)?|(?:inner|internal) monologue)"
    rf"(?: (?:process|steps))?{_AROUND}$",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_LINE = re.compile(
    rf"{_AROUND}(?:(?:my|the|final) ){{0,2}}(?:answer|select\w*|picks?|picked|choices?|chosen"
    r"|decision|ranking|response|output|conclusion|scores?|results?)\b|\s{0,9}(?:[{]|```)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a reply says outside reasoning; `unknown`: a mark that nobody knows stands in it."""

    text: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A mark at its place; `family`: what closes it, or what it closes."""

    start: int
    end: int
    kind: Kind
    family: str = ""
    in_pairs: bool = False


def without_reasoning(text: str, cut: bool) -> Spoken:
    """`text` without reasoning; `cut`: it broke off.

    Reasoning is what marks enclose, all before a stray closing mark, and all after an opening one
    that is never closed. A mark closes its own family alone, and what was opened inside it.
    """
    if text.count("<") + text.count("[") > _MOST_SIGNS:
        return Spoken("", unknown=True)
    reading = _Reading(text)
    for mark in _marks(text):
        if mark.start >= reading.at:
            reading.meet(mark)
    reading.keep(len(text))
    return Spoken(_without_headed("\n".join(reading.kept), cut), reading.unknown)


class _Reading:
    """A reply read up to `at`: what of it is `kept`, and the families that are open."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kept: list[str] = []
        self.unknown = False
        self._inside: list[str] = []

    def keep(self, end: int) -> None:
        """Keep the text up to `end`, if it is no reasoning."""
        if not self._inside:
            self.kept.append(self.text[self.at : end])

    def meet(self, mark: _Found) -> None:
        """Go on behind `mark`, unless it closes what is not open."""
        if mark.kind == "closes":
            self._close(mark)
            return
        self.keep(mark.start)
        if mark.kind == "opens":
            if mark.family not in self._inside:
                self._inside.append(mark.family)
        elif not self._inside:
            self.kept.append(FINAL_ANSWER if mark.kind == "answers" else "")
            self.unknown = self.unknown or mark.kind == "unknown"
        self.at = mark.end

    def _close(self, mark: _Found) -> None:
        if mark.family in self._inside:
            del self._inside[self._inside.index(mark.family) :]
        elif self._inside or mark.in_pairs:
            return
        else:  # what opened it stood in the prompt
            self.kept, self.unknown = [], False
        self.at = mark.end


def _marks(text: str) -> list[_Found]:
    """Every mark in `text`, in order, the longest first where several begin."""
    found = [*_spelt(text), *_tags(text), *_brackets(text)]
    if match := _HARMONY_TEXT.match(text):
        found.append(_Found(match.start(), match.end(), "opens", "assistantanalysis"))
    return sorted(found, key=lambda mark: (mark.start, -mark.end))


def _spelt(text: str) -> Iterator[_Found]:
    """The marks of one spelling."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters are two in lower case
        lower = text
    if not _ANY_SPELLING.search(lower):  # nearly every reply
        return
    for row in MARKS:
        family = (*row.opens, *row.closes, "")[0].lower()
        for kind, spelling in _spellings(row):
            for at in _places(spelling.lower(), lower):
                end = at + len(spelling)
                if spelling == "<|channel|>final" and (head := _CHANNEL_HEADER.match(text, end)):
                    end = head.end()
                yield _Found(at, end, kind, family, row.in_pairs)


def _spellings(row: Mark) -> Iterator[tuple[Kind, str]]:
    yield from (("opens", spelling) for spelling in row.opens)
    yield from (("closes", spelling) for spelling in row.closes)
    yield from (("answers", spelling) for spelling in row.answers)


_ANY_SPELLING = re.compile(
    "|".join(re.escape(spelling.lower()) for row in MARKS for _, spelling in _spellings(row))
)


def _places(part: str, text: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _tags(text: str) -> Iterator[_Found]:
    """The tags <...> and special tokens <|...|>."""
    if "<" not in text:
        return
    last = _last_word(text)
    opened: set[str] = set()
    for match in _TAG.finditer(text):
        name = match["name"].lower().replace("-", "_")
        name = _SUFFIX.sub("", _PREFIX.sub("", name, count=1))
        closes = bool(match["slash"])
        if name in THINKING:
            yield _Found(*match.span(), "closes" if closes else "opens", THINKING[name])
        elif name in ANSWERING:
            yield _Found(*match.span(), "ends" if closes else "answers")
        elif match["bar"] or match["last"]:
            if name not in TOKENS and match.end() < last:
                yield _Found(*match.span(), "unknown")
        elif name not in PLAIN and len(name) > 1:
            if name not in opened if closes else _begins_line(text, match.start()):
                yield _Found(*match.span(), "unknown")
            opened.add(name)


def _last_word(text: str) -> int:
    """Where the text ends but for blanks and tokens: a mark after it opens nothing."""
    end = len(text.rstrip())
    for _ in range(_MOST_TOKENS):
        token = _LAST_TOKEN.search(text, max(0, end - 50), end)
        if token is None:
            break
        end = token.start()
        while end and text[end - 1].isspace():
            end -= 1
    return end


def _begins_line(text: str, at: int) -> bool:
    return not text[max(0, at - 20) : at].rpartition("\n")[2].strip(" \t*_>#-")


def _brackets(text: str) -> Iterator[_Found]:
    """The marks [...] in capitals, and ◁...▷."""
    for match in _BRACKET.finditer(text):
        if match["name"] is None:
            yield _Found(*match.span(), "unknown")
            continue
        name = match["name"].lower().replace(" ", "_")
        if name in THINKING and (match["name"].isupper() or THINKING[name] == "think"):
            kind: Kind = "closes" if match["slash"] else "opens"
            yield _Found(*match.span(), kind, THINKING[name])
        elif match["name"].isupper() and _SPEAKS_OF_REASONING.search(match["name"]):
            yield _Found(*match.span(), "unknown")


def _without_headed(text: str, cut: bool) -> str:
    """`text` without the paragraph below each heading such as "Reasoning:".

    The paragraph ends at an empty line or at one that begins an answer. Where neither comes, the
    last line of a reply that did not break off is its answer.
    """
    if not _HEADING.search(text):
        return text
    kept: list[str] = []
    below: list[str] | None = None  # the lines of a paragraph that has not ended
    for line in text.split("\n"):
        blank = not line.strip()
        if _HEADING.fullmatch(line):
            below = []
        elif below is None:
            kept.append(line)
        elif _ANSWER_LINE.match(line) or (below and blank):
            kept.append(line)
            below = None
        elif not blank:
            below.append(line)
    if below and len(below) > 1 and not cut:
        kept.append(below[-1])
    return "\n".join(kept)
