"""What a reply says about its picks besides naming them."""

from __future__ import annotations

import pytest

from selectllm.core.types import Item, Question
from selectllm.prompting.replies.reasons import LONGEST_REASON, reasons_in

ITEMS = tuple(Item(f"i{n}", f"Explain thing number {n}.") for n in range(4))
BOTH = {1: "Both need thought.", 3: "Both need thought."}
EACH = {1: "It needs thought.", 3: "It is rare."}


def asked(reply: str, labels: str = "1234") -> Question:
    return Question(ITEMS, tuple(labels), 2, reply)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ('{"reasons": "Both need thought.", "picks": [2, 4]}', BOTH),
        ('Here:\n```json\n{"picks": [2, 4], "rationale": "Both need thought."}\n```', BOTH),
        ('{"picks": [2, 4], "reasons": ["It needs thought.", "It is rare."]}', EACH),
        ('{"picks": [4, 2], "reasons": {"2": "It needs thought.", "[4]": "It is rare."}}', EACH),
        (
            '{"picks": [{"label": 2, "reason": "It needs thought."}, '
            '{"label": "4", "why": "It is rare."}]}',
            EACH,
        ),
        ('{"picks": [2, 4], "reasons": ["one alone"]}', {}),
        ('{"picks": [2, 4]}', {}),
        ('{"picks": [2, 4], "reasons": {"1": "Not picked."}}', {}),
        ('{"picks": [2, 4], "reasons": 7}', {}),
        ('{"reason": "a candidate"} {"picks": [2, 4]}', {}),
        (
            '{"picks": [2, 4], "reason": "Ça vaut、la peine"}',
            dict.fromkeys((1, 3), "Ça vaut、la peine"),
        ),
    ],
)
def test_json_gives_reasons_beside_picks_or_for_all(text: str, reasons: dict[int, str]) -> None:
    assert reasons_in(text, asked("json"), [1, 3]) == reasons


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("Both need thought.\nFinal answer: [2, 4]", BOTH),
        ("[2, 4]\nBoth need thought.", BOTH),
        ("[2]: It needs thought.\n[4] - It is rare.\n[2, 4]", EACH),
        ("Sure!\nHere are the best two:\n[2, 4]", {}),
        ("[2, 4]", {}),
        ("2, 4", {}),
        ("<think>The second is long, the fourth is rare.</think>[2, 4]", {}),
    ],
)
def test_lists_are_explained_by_the_lines_around_them(text: str, reasons: dict[int, str]) -> None:
    assert reasons_in(text, asked("indices"), [1, 3]) == reasons


def test_a_score_is_no_reason_and_what_follows_it_is_one() -> None:
    bare = "[1]: 3\n[2]: 9\n[3]: 1\n[4]: 8"
    assert reasons_in(bare, asked("scores"), [1, 3]) == {}
    text = "[1]: 3 - too plain\n[2]: 9 - It needs thought.\n[3]: 1\n[4]: 8/10, because It is rare."
    assert reasons_in(text, asked("scores"), [1, 3]) == EACH
    text = '{"scores": [{"label": 2, "score": 9, "reason": "It needs thought."}]}'
    assert reasons_in(text, asked("scores"), [1, 3]) == {1: "It needs thought."}


def test_letters_are_labels_too() -> None:
    text = "[B]: It needs thought.\n[D]: It is rare.\n[B, D]"
    assert reasons_in(text, asked("indices", "ABCD"), [1, 3]) == EACH


def test_a_long_reason_is_shortened_with_dots() -> None:
    (reason,) = reasons_in(
        f'{{"picks": [2], "reason": "{"x" * 9000}"}}', asked("json"), [1]
    ).values()
    assert len(reason) == LONGEST_REASON
    assert reason.endswith("...")
