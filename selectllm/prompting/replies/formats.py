"""The forms that a prompt can ask its reply to take, one record each.

A prompt names its form in its front matter: `reply: indices`, or `reply: module:attr` for one of
the user's own. A new form is a new record: whatever depends on the form asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from selectllm.core.codec import canonical_json
from selectllm.core.errors import PromptError
from selectllm.core.plugins import Port, calling, find
from selectllm.core.types import Parsed, Question, ReplyKind
from selectllm.prompting.replies.constraints import (
    label_grammar,
    list_grammar,
    object_grammar,
    picks_schema,
    ranking_grammar,
    score_grammar,
)
from selectllm.prompting.replies.reading import (
    read_object,
    read_picks,
    read_ranking,
    read_scores,
)
from selectllm.prompting.replies.scale import read_point

Shows = Literal["cluster", "item", "some"]
P = ParamSpec("P")
T = TypeVar("T")
Read = Callable[[str, Question, bool], Parsed]
Write = Callable[[Question, Sequence[int]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFormat:
    """One form of a reply.

    `read(text, question, cut)`: what an answer says, without the reasoning before it (text.py);
    `cut`: it broke off. It gives a `Parsed` for any text and raises for none. `needed(question)`:
    a valid reply in words, which complete "Reply again with ...". `write(question, preference)`: a
    valid reply that prefers the positions (0-based) in this order, the best first; scripted
    models and demonstrations give it. `grammar`, `schema`: what holds a reply to the form, in
    GBNF and as a JSON schema; None for none. `scores`: every candidate gets a number, so that items
    can be rated one by one. `names_all`: unless held to a grammar, it names every candidate and
    not just k. `is_label`: a single pick may be the label alone, so that log-probabilities can
    answer. `shows_its_end`: a reply that broke off cannot be taken for a whole one. `shows`: what
    one question is about: the whole cluster, one item, or some of it, among which one is chosen;
    selection/ways puts the answers to several questions together.
    """

    read: Read
    needed: Callable[[Question], str]
    write: Write
    grammar: Callable[[Question], str] | None = None
    schema: Callable[[Question], Mapping[str, Any]] | None = None
    scores: bool = False
    names_all: bool = False
    is_label: bool = False
    shows_its_end: bool = False
    shows: Shows = "cluster"

    def tokens(self, question: Question, *, constrained: bool) -> int:
        """Tokens of a reply that says nothing else: 8 a label and 16 for what surrounds them.

        `constrained`: held to the grammar, which lets a ranking end with the best k.
        """
        everything = self.scores or (self.names_all and not constrained)
        return 8 * (len(question.labels) if everything else question.k) + 16


def _span(question: Question) -> str:
    return f"from {question.labels[0]} to {question.labels[-1]}"


def _count(question: Question) -> str:
    return f"{question.k} different label{'s' if question.k > 1 else ''} {_span(question)}"


def _labels(question: Question, preference: Sequence[int]) -> list[str]:
    return [question.labels[position] for position in preference]


def _indices_needed(question: Question) -> str:
    return f"a single line: {_count(question)}, separated by commas, in one pair of square brackets"


def _write_indices(question: Question, preference: Sequence[int]) -> str:
    return f"[{', '.join(_labels(question, preference)[: question.k])}]"


def _ranking_needed(question: Question) -> str:
    return (
        f"a single line: labels {_span(question)}, the best first, at least {question.k} of them, "
        "each once and in square brackets, with a greater-than sign between them"
    )


def _write_ranking(question: Question, preference: Sequence[int]) -> str:
    return " > ".join(f"[{label}]" for label in _labels(question, preference))


def _scores_needed(question: Question) -> str:
    return (
        f"one line for each of the {len(question.labels)} candidates: its label in "
        "square brackets, a colon and its score"
    )


def _write_scores(question: Question, preference: Sequence[int]) -> str:
    labels = _labels(question, preference)
    return "\n".join(f"[{label}]: {len(labels) - rank}" for rank, label in enumerate(labels))


def _object_needed(question: Question) -> str:
    return f'one JSON object whose key "picks" holds a list of {_count(question)}'


def _write_object(question: Question, preference: Sequence[int]) -> str:
    picked = _labels(question, preference)[: question.k]
    return canonical_json({"picks": [int(p) if p.isdigit() else p for p in picked]})


def _choice_needed(question: Question) -> str:
    return f"one label alone, {' or '.join(question.labels)}"


def _write_choice(question: Question, preference: Sequence[int]) -> str:
    return question.labels[preference[0]]


def _point_needed(question: Question) -> str:
    return f"one word or digit alone: {', '.join(question.labels)}"


def _write_point(question: Question, preference: Sequence[int]) -> str:
    return question.labels[-1]


REPLY_FORMATS: Mapping[ReplyKind, ReplyFormat] = {
    "indices": ReplyFormat(
        read=read_picks,
        needed=_indices_needed,
        write=_write_indices,
        grammar=list_grammar,
        is_label=True,
    ),
    "ranking": ReplyFormat(
        read=read_ranking,
        needed=_ranking_needed,
        write=_write_ranking,
        grammar=ranking_grammar,
        names_all=True,
    ),
    "scores": ReplyFormat(
        read=read_scores,
        needed=_scores_needed,
        write=_write_scores,
        grammar=score_grammar,
        scores=True,
        names_all=True,
    ),
    "json": ReplyFormat(
        read=read_object,
        needed=_object_needed,
        write=_write_object,
        grammar=object_grammar,
        schema=picks_schema,
        shows_its_end=True,
    ),
    "digit": ReplyFormat(
        read=read_point,
        needed=_point_needed,
        write=_write_point,
        shows="item",
    ),
    "choice": ReplyFormat(
        read=read_picks,
        needed=_choice_needed,
        write=_write_choice,
        grammar=label_grammar,
        is_label=True,
        shows="some",
    ),
}
"""The built-in forms by the name that a prompt gives them."""

_PORT: Port[ReplyFormat] = Port(
    what="reply kind",
    kind="ReplyFormat",
    contract="selectllm.prompting.replies.formats.ReplyFormat",
    is_one=lambda one: isinstance(one, ReplyFormat),
    known=REPLY_FORMATS,
    error=PromptError,
)


def reply_format(kind: ReplyKind, folders: tuple[Path, ...] = ()) -> ReplyFormat:
    """The form called `kind`: a built-in one, or `module:attr`.

    `folders`: where that module may be. Raises PromptError with the closest match for a name that
    is neither, and for code that cannot be used.
    """
    return REPLY_FORMATS.get(kind) or _own(kind, folders)


def load_reply_format(kind: ReplyKind, folders: tuple[Path, ...]) -> None:
    """Load the form as its code is now; `reply_format` gives it from then on. Raises as that."""
    if kind not in REPLY_FORMATS:
        _own.cache_clear()
    reply_format(kind, folders)


@cache
def _own(kind: ReplyKind, folders: tuple[Path, ...]) -> ReplyFormat:
    """A form of the user's own, whose mistakes become our errors."""
    form = find(_PORT, kind, *folders).object

    def read(text: str, question: Question, cut: bool) -> Parsed:
        parsed = form.read(text, question, cut)
        _check(kind, parsed, question)
        return parsed

    return ReplyFormat(
        read=_guarded(kind, read),
        needed=_guarded(kind, form.needed),
        write=_guarded(kind, form.write),
        grammar=form.grammar and _guarded(kind, form.grammar),
        schema=form.schema and _guarded(kind, form.schema),
        scores=form.scores,
        names_all=form.names_all,
        is_label=form.is_label,
        shows_its_end=form.shows_its_end,
    )


def _guarded(kind: ReplyKind, function: Callable[P, T]) -> Callable[P, T]:
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with calling(f"reply kind {kind}", PromptError):
            return function(*args, **kwargs)

    return called


def _check(kind: ReplyKind, parsed: object, question: Question) -> None:
    """Raise PromptError unless code of the user's gave what can be said of its question."""
    if not isinstance(parsed, Parsed):
        raise PromptError(
            f"reply kind {kind}: read returned {type(parsed).__name__}. Return a "
            "selectllm.core.types.Parsed"
        )
    m = len(question.labels)
    usable = parsed.status in ("ok", "repaired")
    for positions in (parsed.picks, parsed.ranking or ()):
        if len({*positions}) < len(positions) or not {*positions} <= {*range(m)}:
            raise PromptError(
                f"reply kind {kind}: read returned the positions {positions!r}. They must be "
                f"different whole numbers from 0 to {m - 1}"
            )
    if usable and len(parsed.picks) != question.k:
        raise PromptError(
            f"reply kind {kind}: read returned {len(parsed.picks)} picks with status "
            f"{parsed.status}, but {question.k} were asked for. Use status partial for "
            "fewer picks and invalid for more"
        )
    if parsed.scores is not None and len(parsed.scores) != m:
        raise PromptError(
            f"reply kind {kind}: read returned {len(parsed.scores)} scores for {m} candidates"
        )


def write_reply(question: Question, preference: Sequence[int]) -> str:
    """A reply in the question's form that prefers positions in the order given, best first."""
    return reply_format(question.reply, question.folders).write(question, preference)
