"""What constrains a reply while it is written: a JSON schema, a GBNF grammar, a token limit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any

from selectllm.core.types import Question

MOST_RULES = 2_000
"""A grammar that would need more rules than this allows repeated labels instead."""

_FRAMES = {"indices": ("[", ", ", "]"), "ranking": ("[", "] > [", "]"), "json": ("[", ", ", "]")}
_HIGHEST_SCORE = 10


def json_schema(question: Question) -> dict[str, Any] | None:
    """A JSON schema for the reply, or None for kinds whose prompts ask for no JSON.

    An object with `picks`, exactly k labels, and room for `reasons` before them; other keys are
    left open, though some providers close every object. A schema cannot say `distinct` to every
    provider, so that repeats are left to the parser.
    """
    if question.reply != "json":
        return None
    labels = [_json_label(label) for label in question.labels]
    kind = "integer" if isinstance(labels[0], int) else "string"
    picks = {
        "type": "array",
        "items": {"type": kind, "enum": labels},
        "minItems": question.k,
        "maxItems": question.k,
    }
    properties = {"reasons": {"type": "string"}, "picks": picks}
    return {"type": "object", "properties": properties, "required": ["picks"]}


def grammar(question: Question) -> str:
    """A GBNF grammar (llama.cpp) of the replies that `parse` reads as k distinct picks.

    indices `[a, b]`, ranking `[a] > [b]` (the best k), json `{"picks": [a, b]}`, scores one line
    per candidate in shown order, `[a]: s` with s from 1 to 10. Labels stay distinct by one rule
    per set of labels used so far; beyond MOST_RULES of them repeats are possible.
    """
    if question.reply == "scores":
        return _score_grammar(question.labels)
    opening, between, closing = _FRAMES[question.reply]
    if question.reply == "json":
        opening, closing = f'{{"picks": {opening}', f"{closing}}}"
    labels = [_as_written(label, question) for label in question.labels]
    rules = _distinct if _rules_needed(len(labels), question.k) <= MOST_RULES else _repeating
    lines = [f"root ::= {_literal(opening)} s {_literal(closing)}"]
    return "\n".join([*lines, *rules(labels, question.k, _literal(between))]) + "\n"


def reply_tokens(question: Question) -> int:
    """The most tokens that a constrained reply needs: 8 a label and 16 for what surrounds them."""
    count = len(question.labels) if question.reply == "scores" else question.k
    return 8 * count + 16


def _json_label(label: str) -> int | str:
    return int(label) if label.isdecimal() else label


def _as_written(label: str, question: Question) -> str:
    return json.dumps(_json_label(label)) if question.reply == "json" else label


def _literal(text: str) -> str:
    """`text` as a GBNF literal, whose escapes are JSON's."""
    return json.dumps(text)


def _rules_needed(m: int, k: int) -> int:
    return sum(comb(m, used) for used in range(k))


def _distinct(labels: Sequence[str], k: int, between: str) -> Iterator[str]:
    """One rule per set of labels used so far: any other label, then the rule of the larger set."""
    for count in range(k):
        for used in combinations(range(len(labels)), count):
            free = [i for i in range(len(labels)) if i not in used]
            if count == k - 1:
                ways = [_literal(labels[i]) for i in free]
            else:
                ways = [
                    f"{_literal(labels[i])} {between} {_rule(sorted((*used, i)))}" for i in free
                ]
            yield f"{_rule(used)} ::= {' | '.join(ways)}"


def _rule(used: Sequence[int]) -> str:
    return "-".join(["s", *map(str, used)])


def _repeating(labels: Sequence[str], k: int, between: str) -> Iterator[str]:
    yield f"s ::= {f' {between} '.join(['label'] * k)}"
    yield f"label ::= {' | '.join(map(_literal, labels))}"


def _score_grammar(labels: Sequence[str]) -> str:
    lines = [f"{_literal(f'[{label}]: ')} score" for label in labels]
    scores = " | ".join(_literal(str(score)) for score in range(1, _HIGHEST_SCORE + 1))
    newline = f" {_literal(chr(10))} "
    return f"root ::= {newline.join(lines)}\nscore ::= {scores}\n"
