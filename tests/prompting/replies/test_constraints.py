"""Schemas, grammars and limits allow exactly the replies that the parser reads as k picks."""

from __future__ import annotations

import json
import re
from itertools import permutations, product
from typing import Any

import jsonschema
import pytest

from selectllm.core.types import Item, Question
from selectllm.prompting.replies.constraints import MOST_RULES
from selectllm.prompting.replies.formats import REPLY_FORMATS
from selectllm.prompting.replies.parse import parse

KINDS = tuple(kind for kind, form in REPLY_FORMATS.items() if form.shows == "cluster")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w-]+|\|')


def question(kind: str, m: int = 5, k: int = 2, letters: bool = False) -> Question:
    labels = tuple(chr(65 + i) if letters else str(i + 1) for i in range(m))
    return Question(tuple(Item(f"c{i}", f"Task {i}") for i in range(m)), labels, k, kind)


def grammar(asked: Question) -> str:
    write = REPLY_FORMATS[asked.reply].grammar
    assert write is not None
    return write(asked)


def json_schema(asked: Question) -> Any:
    write = REPLY_FORMATS[asked.reply].schema
    return None if write is None else write(asked)


def reply_tokens(asked: Question) -> int:
    return REPLY_FORMATS[asked.reply].tokens(asked, constrained=True)


def rules_of(text: str) -> dict[str, list[list[str]]]:
    """The rules of a grammar: name to alternatives, each a sequence of literals and names."""
    rules = {}
    for line in text.splitlines():
        name, _, body = line.partition(" ::= ")
        alternatives: list[list[str]] = [[]]
        for token in TOKEN.findall(body):
            if token == "|":
                alternatives.append([])
            else:
                alternatives[-1].append(token)
        rules[name] = alternatives
    return rules


def texts_of(rules: dict[str, list[list[str]]], name: str = "root") -> set[str]:
    """Every text that a finite grammar allows."""
    return {
        "".join(parts)
        for alternative in rules[name]
        for parts in product(
            *({json.loads(t)} if t.startswith('"') else texts_of(rules, t) for t in alternative)
        )
    }


# --- JSON schema --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"json"}))
def test_only_json_replies_have_a_schema(kind: str) -> None:
    assert json_schema(question(kind)) is None


@pytest.mark.parametrize(
    ("letters", "reply"),
    [
        (False, {"picks": [1, 5]}),
        (False, {"reasons": "1 is clear, 5 is rich", "picks": [5, 1]}),
        (True, {"picks": ["A", "E"]}),
    ],
)
def test_the_schema_takes_k_labels_with_or_without_reasons(letters: bool, reply: Any) -> None:
    asked = question("json", letters=letters)
    schema = json_schema(asked)
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(reply, schema)
    assert parse(json.dumps(reply), asked).status == "ok"


@pytest.mark.parametrize(
    "reply",
    [
        *[{"picks": [1]}, {"picks": [1, 2, 3]}, {"picks": [1, 6]}, {"picks": [0, 1]}],
        *[{"picks": ["1", "2"]}, {"picks": "1, 2"}, {"best": [1, 2]}, [1, 2], {}],
    ],
)
def test_the_schema_takes_nothing_else(reply: Any) -> None:
    schema = json_schema(question("json"))
    assert schema is not None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(reply, schema)


# --- grammar ------------------------------------------------------------------------------------


@pytest.mark.parametrize("letters", [False, True])
@pytest.mark.parametrize("kind", ["indices", "ranking", "json"])
@pytest.mark.parametrize(("m", "k"), [(2, 1), (4, 1), (5, 2), (5, 4), (11, 2)])
def test_a_grammar_allows_every_choice_of_k_distinct_labels_and_nothing_else(
    kind: str, m: int, k: int, letters: bool
) -> None:
    asked = question(kind, m, k, letters)
    texts = texts_of(rules_of(grammar(asked)))
    parsed = [parse(text, asked) for text in texts]
    assert all((each.status, each.problems) == ("ok", ()) for each in parsed)
    assert {each.picks for each in parsed} == set(permutations(range(m), k))
    assert len(texts) == len(parsed) == len({each.picks for each in parsed})


def test_the_forms_are_those_that_the_prompts_ask_for() -> None:
    def forms(kind: str, letters: bool) -> set[str]:
        return texts_of(rules_of(grammar(question(kind, 3, 2, letters))))

    assert "[3, 1]" in forms("indices", False)
    assert "[C, A]" in forms("indices", True)
    assert "[3] > [1]" in forms("ranking", False)
    assert '{"picks": [3, 1]}' in forms("json", False)
    assert '{"picks": ["C", "A"]}' in forms("json", True)


def test_a_score_grammar_scores_every_candidate_in_shown_order_from_1_to_10() -> None:
    asked = question("scores", m=2, k=1)
    texts = texts_of(rules_of(grammar(asked)))
    marks = range(1, 11)
    assert texts == {f"[1]: {one}\n[2]: {two}" for one in marks for two in marks}
    assert all(parse(text, asked).status == "ok" for text in texts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "k"), [(14, 3), (14, 7), (50, 2), (50, 20)])
def test_a_grammar_defines_each_rule_once_within_the_limit_and_uses_no_other(
    kind: str, m: int, k: int
) -> None:
    text = grammar(question(kind, m, k))
    rules = rules_of(text)
    assert len(rules) == len(text.splitlines()) <= MOST_RULES + 1
    used = {t for ways in rules.values() for way in ways for t in way if not t.startswith('"')}
    assert used == set(rules) - {"root"}


def test_beyond_the_limit_repeats_are_possible_and_the_parser_reports_them() -> None:
    asked = question("indices", m=20, k=8)
    rules = rules_of(grammar(asked))
    assert set(rules) == {"root", "s", "label"}
    assert len(rules["label"]) == 20
    assert rules["s"][0].count("label") == 8
    assert parse("[1, 1, 2, 3, 4, 5, 6, 7]", asked).problems == ("repeated", "short")


# --- token limit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "limit"), [("indices", 32), ("ranking", 32), ("json", 32), ("scores", 56)]
)
def test_a_reply_has_8_tokens_a_label_and_16_more(kind: str, limit: int) -> None:
    assert reply_tokens(question(kind, m=5, k=2)) == limit
