"""From the text of a reply to the picks it names: one reader per form, never a guess.

A reply that is nothing but an answer is one, whatever the candidates say. In a longer reply,
words of candidates are masked before anything is read, and a list in prose counts only if its
sentence chooses it. Whatever could mean two things is `invalid`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Parsed, Question
from selectllm.prompting.replies.list_patterns import Grammar, grammar
from selectllm.prompting.replies.lists import (
    LINE,
    PROSE,
    LabelList,
    find_lists,
    is_only_a_list,
    labels_in,
    meant_list,
)
from selectllm.prompting.replies.text import (
    REPEATED_KEYS,
    SHORT_REPLY,
    candidate_texts,
    has_one_object,
    is_one_object,
    json_objects,
    mask_candidates,
    mask_quotes,
    readable,
)

_LABEL_KEYS = ("label", "candidate", "id", "index", "number", "item", "instruction")
_UNKNOWN = "?"
_FENCE = re.compile(r"\A```\w*\n|\n```\Z")
# An object that a reply begins with, after a fence or a line that announces it at most.
_LEADING_OBJECT = re.compile(r"(?:[^\n{]{0,200}:\s)?(?:```\w{0,20}\n)?(?:\[\s{0,9})?\{")
_NUMBER = r"(\d{1,6}(?:\.\d{1,6})?)"
_ENDLESS = 1e9
_SCORE = re.compile(rf"{_NUMBER}(?: ?(?:/|out of) ?(\d{{1,6}}))?")

ScoredLabel = tuple[str, float, str | None]
"""A label as written, its score, and the scale written beside it (the 5 of 4/5)."""


@cache
def _scored(token: str) -> re.Pattern[str]:
    bare = rf"(?:^(?:[-*+•|] ?)?|[,;] ){token}(?: ?(?:[:=|→]|->) ?| [-–—] )"
    bracketed = rf"\[ ?{token} ?\](?: ?(?:[:=|→(–—-]|->) ?| )"
    end = r"(?= ?(?:$|[,;|)\]}(]|\.(?!\d)|[-–—:](?!\d)|(?:because|points?|stars?|since|as|for)\b))"
    said = rf"(?:score ?(?:[:=]|is|of)? ?)?['\"]?{_SCORE.pattern}['\"]?"
    return re.compile(f"(?:{bare}|{bracketed}){said}{end}", re.IGNORECASE | re.MULTILINE)


def invalid(*problems: str) -> Parsed:
    """What a reply says that cannot be used, and why (words of parse.PROBLEMS)."""
    return Parsed(picks=(), status="invalid", problems=problems)


def _has_letters(question: Question) -> bool:
    return question.labels[0].isalpha()


def _position(label: str, question: Question) -> int | None:
    """The position of a label as written, None where no candidate has it."""
    plain = str(int(label)) if label.isdecimal() else label.upper()
    return question.labels.index(plain) if plain in question.labels else None


def _picked(
    labels: Sequence[str], question: Question, *, ranked: bool = False, closed: bool = True
) -> Parsed:
    """The picks that a list of labels names, or `ranked` their order; `closed` as in LabelList."""
    k, m = question.k, len(question.labels)
    place_of = {label: _position(label, question) for label in dict.fromkeys(labels)}
    known = [place_of[label] for label in labels]
    distinct = tuple(dict.fromkeys(known))
    places = tuple(place for place in distinct if place is not None)
    unknown = None in distinct
    if unknown and (not places or not closed or _counts_from_zero(labels)):
        return invalid("out_of_range")
    if not ranked and m > k and places == tuple(range(m)):
        return invalid("echo")
    if unknown and len(places) > k > distinct.index(None):
        return invalid("out_of_range", "extra")
    problems = ["repeated"] if len(known) - known.count(None) > len(places) else []
    problems += ["out_of_range"] if unknown else []
    if len(places) < k:
        return Parsed(places, "partial", (*problems, "short"))
    if ranked:
        ranking = places if len(places) == m else None
        return Parsed(places[:k], "repaired" if problems else "ok", tuple(problems), ranking)
    problems += ["extra"] if len(places) > k else []
    return Parsed(places[:k], "repaired" if problems else "ok", tuple(problems))


def _counts_from_zero(labels: Sequence[str]) -> bool:
    """A 0 means that the model may number the candidates from 0: then no label is sure."""
    return any(not label.strip("-0") for label in labels)


def noted(parsed: Parsed, problem: str) -> Parsed:
    """`parsed` with a fix noted: picks that needed one are `repaired`."""
    if parsed.status == "invalid":
        return parsed
    status = "repaired" if parsed.status == "ok" else parsed.status
    return replace(parsed, status=status, problems=(*parsed.problems, problem))


# --- indices and rankings -----------------------------------------------------------------------


def read_picks(body: str, question: Question, cut: bool) -> Parsed:
    """The picks in a list of labels."""
    return _list(body, question, cut, ranked=False)


def read_ranking(body: str, question: Question, cut: bool) -> Parsed:
    """The picks in an order of the labels, and the ranking if it orders them all."""
    return _list(body, question, cut, ranked=True)


def _list(body: str, question: Question, cut: bool, ranked: bool) -> Parsed:
    shape = grammar(_has_letters(question))
    if len(body) <= SHORT_REPLY and body.isascii():
        asked = replace(question, shown=(), cluster=())
        if (parsed := _only_list(body, asked, cut, ranked)) is not None:
            return parsed
    whole = body
    if not is_only_a_list(body, shape):
        texts = candidate_texts(question)
        body = mask_quotes(mask_candidates(body, texts), texts)
    return _of_lists(body, whole, question, cut, ranked)


@lru_cache(maxsize=4096)
def _only_list(body: str, question: Question, cut: bool, ranked: bool) -> Parsed | None:
    """What a list alone says, whatever the candidates are; None for anything else."""
    if not is_only_a_list(body, grammar(_has_letters(question))):
        return None
    return _of_lists(body, body, question, cut, ranked)


def _of_lists(body: str, whole: str, question: Question, cut: bool, ranked: bool) -> Parsed:
    """The picks that the lists in `body` name; `whole`: the same with nothing masked."""
    shape = grammar(_has_letters(question))
    lists = find_lists(body, shape, leading=cut)
    if cut:
        lists = [listed for listed in lists if listed.closed and listed.meant > PROSE]
    meant = meant_list(lists, question.k, in_order=ranked)
    if meant == "no_answer" and (parsed := _sole_answer(whole, question)):
        return parsed
    if isinstance(meant, str):
        return invalid(meant)
    spare = len(meant.labels) - question.k
    if meant.exact and (spare < 0 or (spare > 0 and not ranked)):
        return invalid("no_answer")
    if not all(_owns(label, position, question) for label, position in meant.owns):
        return invalid("ambiguous")
    return _picked(meant.labels, question, ranked=ranked, closed=meant.closed)


def _owns(label: str, position: int, question: Question) -> bool:
    """Whether the candidate with this label has the text of the one at `position`."""
    place = _position(label, question)
    shown = question.shown
    return place is not None and shown[place].instruction == shown[position].instruction


# --- JSON objects -------------------------------------------------------------------------------


def read_object(body: str, question: Question, cut: bool) -> Parsed:
    """The picks in a JSON object; one that broke off is no object."""
    if cut and not _LEADING_OBJECT.match(body):
        return invalid("no_answer")
    core = _FENCE.sub("", body)
    answers = [pair for pair in json_objects(core) if "picks" in pair[0]]
    if answers and not is_one_object(core):
        masked = mask_candidates(body, candidate_texts(question))
        answers = [pair for pair in json_objects(masked) if "picks" in pair[0]]
    shape = grammar(_has_letters(question))
    if not answers:
        if parsed := _sole_answer(core, question):
            return parsed
        listed = shape.bracket.fullmatch(readable(core))
        if listed is None:
            return invalid("no_answer")
        return noted(_picked(labels_in(listed[0], shape), question), "bare_list")
    if any("picks" in value.get(REPEATED_KEYS, ()) for value, _ in answers):
        return invalid("ambiguous")
    read = [_labels(value["picks"], shape) for value, _ in answers]
    meant = meant_list([LabelList(labels, LINE, True) for labels, _ in read], question.k, False)
    if isinstance(meant, str):
        return invalid(meant)
    parsed = _picked(meant.labels, question)
    loose = any(fixed for _, fixed in answers) or any(fixed for _, fixed in read)
    return noted(parsed, "loose_json") if loose else parsed


def _sole_answer(body: str, question: Question) -> Parsed | None:
    """The picks in an object whose only list or number holds labels, whatever its key.

    None unless it is the only object, alone on its lines.
    """
    core = _FENCE.sub("", body)
    if not has_one_object(core):
        return None
    for value, _ in json_objects(core):
        labels = _sole_labels(value, question)
        if labels:
            return noted(_picked(labels, question), "other_key")
    return None


def _sole_labels(value: dict[str, Any], question: Question) -> tuple[str, ...]:
    """The labels in the only list or number of `value`, or of the only object in it."""
    if REPEATED_KEYS in value:
        return ()
    held = [one for one in value.values() if not isinstance(one, str | bool | None)]
    if len(value) == 1 and not held:  # a letter is text
        held = [one for one in value.values() if one in question.labels]
    if len(held) != 1:
        return ()
    if isinstance(held[0], dict):
        return _sole_labels(held[0], question)
    labels, _ = _labels(held[0], grammar(_has_letters(question)))
    return labels if all(_position(label, question) is not None for label in labels) else ()


def _labels(value: Any, shape: Grammar) -> tuple[tuple[str, ...], bool]:
    """The labels that the value of "picks" names, and whether it took a fix to read them."""
    if isinstance(value, list):
        return tuple(_label(e, shape) for e in value), any(isinstance(e, dict) for e in value)
    if isinstance(value, str):
        run = shape.closed.fullmatch(value) or shape.bare.fullmatch(value)
        return (labels_in(value, shape) if run else ()), True
    label = _label(value, shape)
    return ((label,) if label != _UNKNOWN else ()), True


def _label(value: Any, shape: Grammar) -> str:
    """One label, or a word that no candidate has as its label."""
    if isinstance(value, dict):
        named = [value[key] for key in _LABEL_KEYS if key in value]
        value = named[0] if len(named) == 1 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        token = shape.token.fullmatch(value.strip().removeprefix("[").removesuffix("]"))
        return token[1] if token else _UNKNOWN
    return _UNKNOWN


# --- scores -------------------------------------------------------------------------------------


def read_scores(body: str, question: Question, cut: bool) -> Parsed:
    """The picks by score: all m candidates need one; ties go by a hash of the item's id."""
    k, m = question.k, len(question.labels)
    shape = grammar(_has_letters(question))
    texts = candidate_texts(question)
    masked = mask_candidates(body, texts)
    objects = json_objects(masked) if not cut or _LEADING_OBJECT.match(masked) else []
    scored = [label for value, _ in objects for label in _in_object(value, shape)]
    loose = bool(scored) and any(fixed for _, fixed in objects)
    if not scored:
        lines = readable(mask_quotes(masked, texts))
        scored = _in_lines(_leading_lines(lines, shape) if cut else lines, shape)
    placed = [(_position(label, question), score) for label, score, _ in scored]
    scores = {place: score for place, score in placed if place is not None}
    unknown = any(place is None for place, _ in placed)
    if unknown and _counts_from_zero([label for label, _, _ in scored]):
        return invalid("out_of_range")
    if len(scores) < m:
        return invalid("missing_scores")
    scales = {scale for _, _, scale in scored} - {None}
    if len(scales) > 1 or any(
        place is not None and scores[place] != score for place, score in placed
    ):
        return invalid("ambiguous")
    best = tuple(sorted(scores, key=lambda i: (-scores[i], seeded_hash(question.shown[i].id))))
    tied = ("tied",) if k < m and scores[best[k - 1]] == scores[best[k]] else ()
    shown = tuple(float(scores[place]) for place in range(m))
    parsed = Parsed(best[:k], "ok", tied, best, shown)
    parsed = noted(parsed, "out_of_range") if unknown else parsed
    return noted(parsed, "loose_json") if loose else parsed


def _leading_lines(text: str, shape: Grammar) -> str:
    """The whole lines of a text that broke off and begins with scores, else nothing."""
    lines = text.split("\n")[:-1]
    first = next((line for line in lines if not line.endswith(":") and line[:1] != "|"), "")
    table = any(line[:1] == "|" for line in lines[:2])
    return "\n".join(lines) if table or _in_lines(first, shape) else ""


def _in_lines(text: str, shape: Grammar) -> list[ScoredLabel]:
    """The scores in lines, tables and lists: "[3]: 4", "3: 4/5", "| 3 | 4 |", ..."""
    matches = _scored(shape.token.pattern).finditer(text)
    return [(match[1] or match[2], float(match[3]), match[4]) for match in matches]


def _in_object(value: dict[str, Any], shape: Grammar) -> Iterator[ScoredLabel]:
    """The scores in one object: label to score, or one candidate's record, or "scores" of these.

    A label that an object gives twice scores NaN, which agrees with nothing.
    """
    inner = value.get("scores", value)
    for record in inner if isinstance(inner, list) else [inner]:
        if not isinstance(record, dict):
            continue
        pairs = [(record, record)] if "score" in record else list(record.items())
        for key, written in pairs:
            label, score = _label(key, shape), _score(written)
            if score is not None and label != _UNKNOWN:
                yield label, *score
        for key in record.get(REPEATED_KEYS, ()):
            yield _label(key, shape), math.nan, None


def _score(value: Any) -> tuple[float, str | None] | None:
    """A score and its scale (the 5 of 4/5), None if `value` is no score."""
    if isinstance(value, dict):
        value = value.get("score")
    if isinstance(value, str):
        match = _SCORE.fullmatch(value.strip())
        return (float(match[1]), match[2]) if match else None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ENDLESS:
        return value, None
    return None
