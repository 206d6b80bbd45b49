"""Why a model picked what it picked, in its own words, as its reply has it. Pure.

Reading reasons never changes what a reply answers: that is read first, by the readers of its form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from selectllm.core.shown import excerpt
from selectllm.core.types import Question
from selectllm.prompting.replies.formats import reply_format
from selectllm.prompting.replies.list_patterns import grammar
from selectllm.prompting.replies.lists import is_only_a_list
from selectllm.prompting.replies.reasoning import without_reasoning
from selectllm.prompting.replies.text import answer_text, json_objects, readable

LONGEST_REASON = 2_000  # characters; the whole reply stands in the decision log
_FEWEST_LETTERS = 10  # "Sure!" is no reason
_LABELS = ("label", "candidate", "id", "index", "number", "item", "instruction", "pick")
_REASON = re.compile(r"(?:reason(?:ing)?|why|rationale|explanation|justification|comment)s?", re.I)
_BESIDE_SCORE = re.compile(
    r"(?:score ?[:=]? ?)?\d{1,6}(?:\.\d{1,6})?(?: ?(?:/|out of) ?\d{1,6})?(?: ?points?)?"
    r"(?: ?[,;:|(–—-]+ ?| |$)(?:(?:because|since|as)\b ?)?",
    re.IGNORECASE,
)


def reasons_in(
    text: str, question: Question, picks: Sequence[int], finish_reason: str = "stop"
) -> Mapping[int, str]:
    """What the reply `text` says about each of the `picks`, by position (0-based) as shown.

    In a JSON object: a reason beside the label of a pick, a text for every label, a list of texts
    beside the list of picks, or one text, which is about all picks. In other replies: what follows
    a label on its line; where no label is followed by anything, the lines without labels, which are
    about all picks. Reasoning that models set apart is none. At most LONGEST_REASON characters.
    """
    cut = finish_reason == "length"
    objects = [value for value, _ in json_objects(without_reasoning(text, cut).text)]
    if objects:
        objects = [one for one in objects if "picks" in one or "scores" in one] or objects
        given = dict(entry for value in objects for entry in _in_object(value, question, picks))
    else:
        given = _in_lines(answer_text(text, cut).text, question, picks)
    kept = {place: " ".join(reason.split()) for place, reason in given.items() if place in picks}
    return {place: excerpt(reason, LONGEST_REASON) for place, reason in kept.items() if reason}


def _place(label: Any, question: Question) -> int | None:
    """The position of a label as JSON or a line may have it."""
    written = str(label).strip().strip("[]").strip().upper()
    plain = str(int(written)) if written.isdecimal() and len(written) < 10 else written
    return question.labels.index(plain) if plain in question.labels else None


def _in_object(
    value: Mapping[str, Any], question: Question, picks: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """(position, reason), what is about all picks before what is about one."""
    for key, said in value.items():
        if not _REASON.fullmatch(key):
            continue
        if isinstance(said, str):
            yield from ((place, said) for place in picks)
        elif isinstance(said, Mapping):
            yield from _labelled(said.items(), question)
        elif isinstance(said, list) and all(isinstance(one, str) for one in said):
            listed = value.get("picks")
            if isinstance(listed, list) and len(listed) == len(said):
                yield from _labelled(zip(listed, said, strict=True), question)
    for entry in (entry for list_ in value.values() for entry in _records(list_)):
        label = next((entry[name] for name in _LABELS if name in entry), None)
        reason = next((entry[key] for key in entry if _REASON.fullmatch(key)), None)
        yield from _labelled([(label, reason)], question)
    for label, entry in value.items():
        if isinstance(entry, Mapping):
            reason = next((entry[key] for key in entry if _REASON.fullmatch(key)), None)
            yield from _labelled([(label, reason)], question)


def _records(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, Mapping))


def _labelled(pairs: Iterable[tuple[Any, Any]], question: Question) -> Iterator[tuple[int, str]]:
    for label, reason in pairs:
        if isinstance(label, Mapping):
            label = next((label[name] for name in _LABELS if name in label), None)
        place = _place(label, question)
        if place is not None and isinstance(reason, str):
            yield place, reason


@cache
def _headed(letters: bool) -> re.Pattern[str]:
    label = "[a-z]" if letters else r"\d{1,9}"
    return re.compile(
        rf"(?:[-+*•] ?)?(?:\d{{1,3}}[.)] )?(?:candidate |item |instruction )?\[ ?({label}) ?\]"
        rf"(?: ?[:,–—(-]+ ?| )(.*)",
        re.IGNORECASE,
    )


def _in_lines(body: str, question: Question, picks: Sequence[int]) -> dict[int, str]:
    scored = reply_format(question.reply, question.folders).scores
    letters = question.labels[0].isalpha()
    shape = grammar(letters)
    own: dict[int, str] = {}
    free: list[str] = []
    for line in readable(body).split("\n"):
        if match := _headed(letters).fullmatch(line):
            score = _BESIDE_SCORE.match(match[2]) if scored else None
            said = match[2][score.end() :] if score else match[2]
            place = _place(match[1], question)
            if place is not None and any(map(str.isalpha, said)) and not shape.bracket.search(said):
                own.setdefault(place, said)
        elif not (line.endswith(":") or is_only_a_list(line, shape) or shape.bracket.search(line)):
            free.append(line)
    if own or not _is_said(" ".join(free)):
        return own
    return dict.fromkeys(picks, " ".join(free))


def _is_said(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= _FEWEST_LETTERS
