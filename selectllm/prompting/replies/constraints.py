"""What constrains a reply while it is written: JSON schemas and GBNF grammars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any

from selectllm.core.types import Question

MOST_RULES = 2_000
"""A grammar that would need more rules than this allows repeated labels instead."""

_HIGHEST_SCORE = 10


def picks_schema(question: Question) -> dict[str, Any]:
    """A JSON schema of an object with `picks`, exactly k labels, and room for `reasons` before.

    Other keys are left open, though some providers close every object. A schema cannot say
    `distinct` to every provider, so that repeats are left to the parser.
    """
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


def list_grammar(question: Question) -> str:
    """A GBNF grammar (llama.cpp) of `[a, b]`: k distinct labels.

    Labels stay distinct by one rule per set of labels used so far; beyond MOST_RULES of them
    repeats are possible. So it is with the next two.
    """
    return _framed(question.labels, question.k, ("[", ", ", "]"))


def label_grammar(question: Question) -> str:
    """A GBNF grammar of one label alone."""
    return f"root ::= {' | '.join(map(_literal, question.labels))}\n"


def ranking_grammar(question: Question) -> str:
    """A GBNF grammar of `[a] > [b]`: the best k."""
    return _framed(question.labels, question.k, ("[", "] > [", "]"))


def object_grammar(question: Question) -> str:
    """A GBNF grammar of `{"picks": [a, b]}`."""
    labels = [json.dumps(_json_label(label)) for label in question.labels]
    return _framed(labels, question.k, ('{"picks": [', ", ", "]}"))


def score_grammar(question: Question) -> str:
    """A GBNF grammar of one line per candidate in shown order, `[a]: s` with s from 1 to 10."""
    lines = [f"{_literal(f'[{label}]: ')} score" for label in question.labels]
    scores = " | ".join(_literal(str(score)) for score in range(1, _HIGHEST_SCORE + 1))
    newline = f" {_literal(chr(10))} "
    return f"root ::= {newline.join(lines)}\nscore ::= {scores}\n"


def _framed(labels: Sequence[str], k: int, frame: tuple[str, str, str]) -> str:
    """The grammar of k labels between the first and the last text of `frame`."""
    opening, between, closing = frame
    rules = _distinct if _rules_needed(len(labels), k) <= MOST_RULES else _repeating
    lines = [f"root ::= {_literal(opening)} s {_literal(closing)}"]
    return "\n".join([*lines, *rules(labels, k, _literal(between))]) + "\n"


def _json_label(label: str) -> int | str:
    return int(label) if label.isdecimal() else label


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
