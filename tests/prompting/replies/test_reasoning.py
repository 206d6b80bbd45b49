"""No list in somebody's reasoning is an answer, however the reasoning is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item, Parsed, Question
from selectllm.prompting.replies.marks import MARKS, THINKING
from selectllm.prompting.replies.parse import parse

TRIED = "First idea:\n[1, 2]\n"
MEANT = "[3, 5]"
PICKS = (2, 4)
QUESTION = Question(
    tuple(Item(f"c{i}", f"Explain what the {i}th thing does") for i in range(5)),
    ("1", "2", "3", "4", "5"),
    2,
    "indices",
)
SPELT = [
    (opening, closing + "".join(row.answers))
    for row in MARKS
    for opening in row.opens
    for closing in row.closes
]
TAGGED = [(f"<{name}>", f"</{name}>") for name in THINKING]
# What servers and models wrote, as a whole: rows of the tables come with more around them.
WRITTEN = [
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
    ),
    ("analysis", "assistantfinal"),
    ("<think>\n", "\n</think>\n<answer>\n"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</think>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("[REASONING]", "[/REASONING]"),
    ("<longcat_think>", "</longcat_think>"),
    ("<ifm|think_faster>", "</ifm|think_faster>"),
    ("<|channel>thought\n", "<channel|>"),
    (
        "<|message_model|><|content_thinking|>",
        "<|end_message|><|message_model|><|content_text|>",
    ),
    ("<|start|>assistant to=self<|message|>", "<|eom|><|start|>assistant to=user<|message|>"),
    ('<details type="reasoning" done="true">\n<summary>3 s</summary>\n', "</details>\n"),
    ("［ＴＨＩＮＫ］", "［／ＴＨＩＮＫ］"),
    ("<think><scratchpad>[4, 5]</scratchpad>", "</think>"),
]
EVERY = [*SPELT, *TAGGED, *WRITTEN]


def said(reply: str, finish: str = "stop") -> Parsed:
    return parse(reply, QUESTION, finish)


@pytest.mark.parametrize(("opening", "closing"), EVERY)
def test_only_what_follows_the_reasoning_is_picked(opening: str, closing: str) -> None:
    assert said(f"{opening}{TRIED}{closing}{MEANT}<|eot_id|>").picks == PICKS


@pytest.mark.parametrize("opening", dict.fromkeys(opening for opening, _ in EVERY))
def test_reasoning_that_never_ends_holds_no_answer(opening: str) -> None:
    for finish in ("stop", "length"):
        assert said(opening + TRIED, finish).picks == ()


@pytest.mark.parametrize(
    ("opening", "closing"),
    [pair for pair in EVERY if pair[0] != "<|im_start|>assistant/think"],
)
def test_reasoning_that_the_prompt_opened_ends_with_its_mark(opening: str, closing: str) -> None:
    assert said(f"{TRIED}{closing}{MEANT}").picks == PICKS


@given(
    pair=st.sampled_from(SPELT),
    inner=st.sampled_from(TAGGED),
    finish=st.sampled_from(["stop", "length"]),
)
def test_what_closes_inside_reasoning_does_not_end_it(
    pair: tuple[str, str], inner: tuple[str, str], finish: str
) -> None:
    assert said(f"{pair[0]}{inner[0]}{TRIED}{inner[1]}{TRIED}", finish).picks == ()


@pytest.mark.parametrize("name", ["ponder", "my-thoughts-so-far", "x:muse", "Gedanken"])
@pytest.mark.parametrize("form", ["<{}>", "<|{}|>", "<|{}>", "<{}|>"])
def test_a_mark_that_nobody_listed_leaves_no_answer(name: str, form: str) -> None:
    parsed = said(f"{form.format(name)}{TRIED}{form.format('/' + name)}{MEANT}")
    assert (parsed.status, parsed.problems) == ("invalid", ("unknown_mark",))


@given(text=st.lists(st.sampled_from(["a ", "<x>", "</x>", "\n", "[1, 2]"])).map("".join))
def test_what_stands_before_a_stray_closing_mark_is_forgotten(text: str) -> None:
    assert said(f"{text}</think>{MEANT}").picks == PICKS


def test_every_mark_says_who_writes_it() -> None:
    assert all(row.source for row in MARKS)


@pytest.mark.parametrize(
    "unit", ["<think>", "</think>", "a", "<", "[", "Reasoning:\n", "\x1b[", "é", "\n", "[1, 2]"]
)
def test_ten_million_characters_are_no_answer(unit: str) -> None:
    reply = unit * (10_000_000 // len(unit))
    for kind in ("indices", "json", "scores", "ranking"):
        asked = Question(QUESTION.shown, QUESTION.labels, 2, kind)
        assert parse(reply, asked).picks == ()
        assert parse(reply + MEANT, asked, "length").picks == ()
