"""Reply to picks: the form that was asked for is read, listed fixes only, never a guess.

Reasoning is left out before anything is read. Which forms there are, formats.py lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from selectllm.core.types import Parsed, Question
from selectllm.prompting.replies.formats import reply_format
from selectllm.prompting.replies.reading import invalid, noted
from selectllm.prompting.replies.text import answer_text

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "empty": "the reply has no text",
        "no_answer": "the reply holds no answer in the format asked for",
        "ambiguous": "the reply can be read in more than one way",
        "echo": "the reply names every candidate, which is no choice",
        "cut": "the reply was cut off before its answer was complete",
        "all_thinking": "the reply is thinking alone, without an answer",
        "missing_scores": "the reply does not score every candidate",
        "out_of_range": "the reply names labels that no candidate has",
        "repeated": "the reply names a label more than once",
        "short": "the reply names fewer labels than asked for",
        "extra": "the reply names more labels than asked for; the first ones count",
        "tied": "equal scores or votes meet where the picks end; a hash of the item's id decides",
        "bare_list": "the reply is a list where a JSON object was asked for",
        "loose_json": "the reply's JSON needed a fix: a comma, quotes, literals, or a missing list",
        "other_key": "the reply's JSON has the labels under another key than the one asked for",
        "escape_codes": "codes that colour a terminal stood in the reply",
        "unknown_mark": "the reply has a mark that may set reasoning apart and is not a known one",
        "unlisted": "labels are missing from the likeliest tokens; they come after those listed",
        "stray_token": "the model would have written something else than a label",
        "partial_ballots": "some ballots name fewer labels than asked for",
        "missing_ballots": "some replies of a vote could not be used; the others decide",
        "missing_answers": "some questions about the cluster have no usable answer; others decide",
        "refused": "the provider says that the model refused",
        "too_long": "the prompt does not fit the model's context",
    }
)
"""Every problem that `Parsed.problems` can name, and what it means."""

_STOPPED_EARLY = ("refused", "too_long")


def parse(text: str, question: Question, finish_reason: str = "stop") -> Parsed:
    """What `text` says in answer to `question`. Never raises on a model's text.

    `finish_reason` as in Reply: after `length` only closed structures count that the answer begins
    with, for what comes later may be reasoning that nothing marks. Out-of-range labels are dropped;
    if that brings a label beyond the k-th into the picks, the reply is invalid.
    """
    if finish_reason in _STOPPED_EARLY:
        return invalid(finish_reason)
    if not text.strip():
        return invalid("empty")
    cut = finish_reason == "length"
    form = reply_format(question.reply, question.folders)
    answer = answer_text(text, cut)
    if answer.unknown:
        return invalid("unknown_mark")
    parsed = form.read(answer.text, question, cut)
    parsed = noted(parsed, "escape_codes") if answer.escaped else parsed
    unfinished = parsed.problems in (("no_answer",), ("missing_scores",)) or (
        parsed.status == "partial" and not form.shows_its_end
    )
    return invalid("cut") if cut and unfinished else parsed


def complaint(parsed: Parsed, question: Question) -> str:
    """What to tell a model whose reply could not be used: what was wrong, and what is needed."""
    wrong = "; ".join(PROBLEMS.get(word, word) for word in parsed.problems) or PROBLEMS["no_answer"]
    needed = reply_format(question.reply, question.folders).needed(question)
    return (
        f"Your reply could not be used: {wrong}. "
        f"Reply again with {needed}. Write nothing else after it."
    )
