"""Reply to picks: one grammar per kind, listed fixes only, never a guess.

A reply that is nothing but an answer is one, whatever the candidates say. In a longer reply,
reasoning is left out and words of candidates are masked before anything is read, and a list in
prose counts only if its sentence chooses it. Whatever could mean two things is `invalid`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Parsed, Question
from selectllm.prompting.replies.lists import (
    LINE,
    PROSE,
    Found,
    Grammar,
    find_lists,
    grammar,
    is_only_a_list,
    labels_in,
    meant_list,
)
from selectllm.prompting.replies.text import (
    REPEATED_KEYS,
    answer_text,
    candidate_texts,
    is_one_object,
    json_objects,
    mask_candidates,
    mask_quotes,
    readable,
)

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "empty": "the reply has no text",
        "no_answer": "the reply holds no answer in the format asked for",
        "ambiguous": "the reply can be read in more than one way",
        "echo": "the reply names every candidate, which is no choice",
        "cut": "the reply was cut off before its answer was complete",
        "missing_scores": "the reply does not score every candidate",
        "out_of_range": "the reply names labels that no candidate has",
        "repeated": "the reply names a label more than once",
        "short": "the reply names fewer labels than asked for",
        "extra": "the reply names more labels than asked for; the first ones count",
        "tied": "equal scores or votes meet where the picks end; a hash of the item's id decides",
        "bare_list": "the reply is a list where a JSON object was asked for",
        "loose_json": "the reply's JSON needed a fix: a comma, quotes, literals, or a missing list",
        "unlisted": "labels are missing from the likeliest tokens; they come after those listed",
        "stray_token": "the model would have written something else than a label",
        "partial_ballots": "some ballots name fewer labels than asked for",
        "missing_ballots": "some replies of a vote could not be used; the others decide",
        "refused": "the provider says that the model refused",
        "too_long": "the prompt does not fit the model's context",
    }
)
"""Every problem that `Parsed.problems` can name, and what it means."""

_STOPPED_EARLY = ("refused", "too_long")
_LABEL_KEYS = ("label", "candidate", "id", "index", "number", "item", "instruction")
_UNKNOWN = "?"
_FENCE = re.compile(r"\A```\w*\n|\n```\Z")
_NUMBER = r"(\d{1,6}(?:\.\d{1,6})?)"
_ENDLESS = 1e9
_SCORE = re.compile(rf"{_NUMBER}(?: ?(?:/|out of) ?(\d{{1,6}}))?")

Scored = tuple[str, float, str | None]
"""A label as written, its score, and the scale written beside it (the 5 of 4/5)."""


@cache
def _scored(token: str) -> re.Pattern[str]:
    bare = rf"(?:^(?:[-*+•|] ?)?|[,;] ){token}(?: ?(?:[:=|→]|->) ?| [-–—] )"
    bracketed = rf"\[ ?{token} ?\](?: ?(?:[:=|→(–—-]|->) ?| )"
    end = r"(?= ?(?:$|[,;|)\]}(]|\.(?!\d)|[-–—:](?!\d)|(?:because|points?|stars?|since|as|for)\b))"
    said = rf"(?:score ?(?:[:=]|is|of)? ?)?['\"]?{_SCORE.pattern}['\"]?"
    return re.compile(f"(?:{bare}|{bracketed}){said}{end}", re.IGNORECASE | re.MULTILINE)


def parse(text: str, question: Question, finish_reason: str = "stop") -> Parsed:
    """What `text` says in answer to `question`. Never raises on a model's text.

    `finish_reason` as in Reply: after `length` only closed structures count. Out-of-range labels
    are dropped; if that brings a label beyond the k-th into the picks, the reply is invalid.
    """
    if finish_reason in _STOPPED_EARLY:
        return _invalid(finish_reason)
    if not text.strip():
        return _invalid("empty")
    cut = finish_reason == "length"
    body = answer_text(text)
    if question.reply == "scores":
        parsed = _scores(body, question, cut)
    elif question.reply == "json":
        parsed = _object(body, question)
    else:
        parsed = _list(body, question, cut)
    unfinished = parsed.problems in (("no_answer",), ("missing_scores",)) or (
        parsed.status == "partial" and question.reply != "json"
    )
    return _invalid("cut") if cut and unfinished else parsed


def complaint(parsed: Parsed, question: Question) -> str:
    """What to tell a model whose reply could not be used: what was wrong, and what is needed."""
    wrong = "; ".join(PROBLEMS.get(word, word) for word in parsed.problems) or PROBLEMS["no_answer"]
    span = f"from {question.labels[0]} to {question.labels[-1]}"
    count = f"{question.k} different label{'s' if question.k > 1 else ''} {span}"
    needed = {
        "indices": f"a single line: {count}, separated by commas, in one pair of square brackets",
        "ranking": f"a single line: labels {span}, the best first, at least {question.k} of them, "
        "each once and in square brackets, with a greater-than sign between them",
        "scores": f"one line for each of the {len(question.labels)} candidates: its label in "
        "square brackets, a colon and its score",
        "json": f'one JSON object whose key "picks" holds a list of {count}',
    }[question.reply]
    return (
        f"Your reply could not be used: {wrong}. "
        f"Reply again with {needed}. Write nothing else after it."
    )


def _invalid(*problems: str) -> Parsed:
    return Parsed(picks=(), status="invalid", problems=problems)


def _has_letters(question: Question) -> bool:
    return question.labels[0].isalpha()


def _position(label: str, question: Question) -> int | None:
    """The position of a label as written, None where no candidate has it."""
    plain = str(int(label)) if label.isdecimal() else label.upper()
    return question.labels.index(plain) if plain in question.labels else None


def _picked(labels: Sequence[str], question: Question, closed: bool = True) -> Parsed:
    """The picks that one list of labels names; `closed` as in Found."""
    k, m = question.k, len(question.labels)
    place_of = {label: _position(label, question) for label in dict.fromkeys(labels)}
    known = [place_of[label] for label in labels]
    distinct = tuple(dict.fromkeys(known))
    places = tuple(place for place in distinct if place is not None)
    unknown = None in distinct
    if unknown and (not places or not closed or _counts_from_zero(labels)):
        return _invalid("out_of_range")
    if question.reply != "ranking" and m > k and places == tuple(range(m)):
        return _invalid("echo")
    if unknown and len(places) > k > distinct.index(None):
        return _invalid("out_of_range", "extra")
    problems = ["repeated"] if len(known) - known.count(None) > len(places) else []
    problems += ["out_of_range"] if unknown else []
    if len(places) < k:
        return Parsed(places, "partial", (*problems, "short"))
    if question.reply == "ranking":
        ranking = places if len(places) == m else None
        return Parsed(places[:k], "repaired" if problems else "ok", tuple(problems), ranking)
    problems += ["extra"] if len(places) > k else []
    return Parsed(places[:k], "repaired" if problems else "ok", tuple(problems))


def _counts_from_zero(labels: Sequence[str]) -> bool:
    """A 0 means that the model may number the candidates from 0: then no label is sure."""
    return any(not label.strip("-0") for label in labels)


def _noted(parsed: Parsed, problem: str) -> Parsed:
    """`parsed` with a fix noted: picks that needed one are `repaired`."""
    if parsed.status == "invalid":
        return parsed
    status = "repaired" if parsed.status == "ok" else parsed.status
    return replace(parsed, status=status, problems=(*parsed.problems, problem))


# --- indices and rankings -----------------------------------------------------------------------


def _list(body: str, question: Question, cut: bool) -> Parsed:
    shape = grammar(_has_letters(question))
    if not is_only_a_list(body, shape):
        texts = candidate_texts(question)
        body = mask_quotes(mask_candidates(body, texts), texts)
    found = find_lists(body, shape)
    if cut:
        found = [each for each in found if each.closed and each.meant > PROSE]
    meant = meant_list(found, question.k, in_order=question.reply == "ranking")
    if isinstance(meant, str):
        return _invalid(meant)
    spare = len(meant.labels) - question.k
    if meant.exact and (spare < 0 or (spare > 0 and question.reply != "ranking")):
        return _invalid("no_answer")
    if not all(_owns(label, position, question) for label, position in meant.owns):
        return _invalid("ambiguous")
    return _picked(meant.labels, question, meant.closed)


def _owns(label: str, position: int, question: Question) -> bool:
    """Whether the candidate with this label has the text of the one at `position`."""
    place = _position(label, question)
    shown = question.shown
    return place is not None and shown[place].instruction == shown[position].instruction


# --- JSON objects -------------------------------------------------------------------------------


def _object(body: str, question: Question) -> Parsed:
    core = _FENCE.sub("", body)
    answers = [pair for pair in json_objects(core) if "picks" in pair[0]]
    if answers and not is_one_object(core):
        masked = mask_candidates(body, candidate_texts(question))
        answers = [pair for pair in json_objects(masked) if "picks" in pair[0]]
    shape = grammar(_has_letters(question))
    if not answers:
        listed = shape.bracket.fullmatch(readable(core))
        if listed is None:
            return _invalid("no_answer")
        return _noted(_picked(labels_in(listed[0], shape), question), "bare_list")
    if any("picks" in value.get(REPEATED_KEYS, ()) for value, _ in answers):
        return _invalid("ambiguous")
    read = [_labels(value["picks"], shape) for value, _ in answers]
    meant = meant_list([Found(labels, LINE, True) for labels, _ in read], question.k, False)
    if isinstance(meant, str):
        return _invalid(meant)
    parsed = _picked(meant.labels, question)
    loose = any(fixed for _, fixed in answers) or any(fixed for _, fixed in read)
    return _noted(parsed, "loose_json") if loose else parsed


def _labels(value: Any, shape: Grammar) -> tuple[tuple[str, ...], bool]:
    """The labels that the value of "picks" names, and whether it took a fix to read them."""
    if isinstance(value, list):
        return tuple(_label(each, shape) for each in value), any(isinstance(e, dict) for e in value)
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
        found = shape.token.fullmatch(value.strip().removeprefix("[").removesuffix("]"))
        return found[1] if found else _UNKNOWN
    return _UNKNOWN


# --- scores -------------------------------------------------------------------------------------


def _scores(body: str, question: Question, cut: bool) -> Parsed:
    """Picks by score: all m candidates need one; ties go by a hash of the item's id."""
    k, m = question.k, len(question.labels)
    shape = grammar(_has_letters(question))
    texts = candidate_texts(question)
    masked = mask_candidates(body, texts)
    objects = json_objects(masked)
    scored = [each for value, _ in objects for each in _in_object(value, shape)]
    loose = bool(scored) and any(fixed for _, fixed in objects)
    if not scored:
        lines = readable(mask_quotes(masked, texts))
        scored = _in_lines(lines.rpartition("\n")[0] if cut else lines, shape)
    placed = [(_position(label, question), score) for label, score, _ in scored]
    scores = {place: score for place, score in placed if place is not None}
    unknown = any(place is None for place, _ in placed)
    if unknown and _counts_from_zero([label for label, _, _ in scored]):
        return _invalid("out_of_range")
    if len(scores) < m:
        return _invalid("missing_scores")
    scales = {scale for _, _, scale in scored} - {None}
    if len(scales) > 1 or any(
        place is not None and scores[place] != score for place, score in placed
    ):
        return _invalid("ambiguous")
    best = tuple(sorted(scores, key=lambda i: (-scores[i], seeded_hash(question.shown[i].id))))
    tied = ("tied",) if k < m and scores[best[k - 1]] == scores[best[k]] else ()
    shown = tuple(float(scores[place]) for place in range(m))
    parsed = Parsed(best[:k], "ok", tied, best, shown)
    parsed = _noted(parsed, "out_of_range") if unknown else parsed
    return _noted(parsed, "loose_json") if loose else parsed


def _in_lines(text: str, shape: Grammar) -> list[Scored]:
    """The scores in lines, tables and lists: "[3]: 4", "3: 4/5", "| 3 | 4 |", ..."""
    found = _scored(shape.token.pattern).finditer(text)
    return [(each[1] or each[2], float(each[3]), each[4]) for each in found]


def _in_object(value: dict[str, Any], shape: Grammar) -> Iterator[Scored]:
    """The scores in one object: label to score, or one candidate's record, or "scores" of these.

    A label that an object gives twice scores NaN, which agrees with nothing.
    """
    inner = value.get("scores", value)
    for record in inner if isinstance(inner, list) else [inner]:
        if not isinstance(record, dict):
            continue
        pairs = [(record, record)] if "score" in record else list(record.items())
        for key, each in pairs:
            label, score = _label(key, shape), _score(each)
            if score is not None and label != _UNKNOWN:
                yield label, *score
        for key in record.get(REPEATED_KEYS, ()):
            yield _label(key, shape), math.nan, None


def _score(value: Any) -> tuple[float, str | None] | None:
    """A score and its scale (the 5 of 4/5), None if `value` is no score."""
    if isinstance(value, dict):
        value = value.get("score")
    if isinstance(value, str):
        found = _SCORE.fullmatch(value.strip())
        return (float(found[1]), found[2]) if found else None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ENDLESS:
        return value, None
    return None
