"""The text that a student sees: one template, masks on the response only, honest cuts, leaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.data.leakage import check_no_leak, leaked
from selectllm.downstream.student.template import CUE, Cut, Ends, Example, cut, encode, prompts

ENDS = Ends(-1, -2)
ITEM = Item("a", "Add up", "1 and 2", "3")


def tokenise(texts: list[str]) -> list[list[int]]:
    return [[ord(letter) for letter in text] for text in texts]


def text_of(tokens: tuple[int, ...]) -> str:
    return "".join({-1: "<s>", -2: "</s>"}.get(token) or chr(token) for token in tokens)


def one(item: Item, max_length: int = 512) -> Example:
    (example,) = encode([item], tokenise, ENDS, max_length)
    return example


def test_an_example_is_start_instruction_input_cue_response_and_end() -> None:
    example = one(ITEM)
    assert text_of(example.prompt) == ("<s>Instruction:\nAdd up\n\nInput:\n1 and 2\n\nResponse:\n")
    assert text_of(example.response) == "3</s>"
    assert example.tokens == example.prompt + example.response


def test_without_an_input_there_is_no_heading_for_it() -> None:
    example = one(Item("a", "Add up", response="3"))
    assert text_of(example.prompt) == "<s>Instruction:\nAdd up\n\nResponse:\n"


def test_what_is_answered_has_the_prompt_that_is_learned() -> None:
    (asked,) = prompts([ITEM], tokenise, ENDS, 512)
    assert asked.prompt == one(ITEM).prompt
    assert asked.response == ()


def test_a_long_prompt_loses_the_end_of_what_it_asks_and_keeps_the_cue() -> None:
    example = one(Item("a", "x" * 100, response="yes"), 50)
    assert len(example.tokens) == 50
    assert text_of(example.prompt).startswith("<s>Instruction:\nxxx")
    assert text_of(example.prompt).endswith("x" + CUE)
    assert text_of(example.response) == "yes</s>"
    assert (example.lost_prompt, example.lost_response) == (113 - (50 - 1 - 12 - 4), 0)


def test_a_long_response_loses_its_end_and_the_end_token() -> None:
    example = one(Item("a", "x", response="y" * 100), 50)
    assert len(example.tokens) == 50
    assert set(text_of(example.response)) == {"y"}
    assert (example.lost_prompt, example.lost_response) == (0, 100 - len(example.response))


def test_where_both_are_long_each_has_half() -> None:
    example = one(Item("a", "x" * 100, response="y" * 100), 51)
    assert len(example.response) == (51 - 1 - len(CUE)) / 2
    assert len(example.tokens) == 51


def test_a_response_that_just_fits_is_not_cut_and_one_token_more_is() -> None:
    whole = one(Item("a", "x", response="y" * 60))
    assert one(Item("a", "x", response="y" * 60), len(whole.tokens)) == whole
    unended = one(Item("a", "x", response="y" * 61), len(whole.tokens))
    assert (unended.lost_response, text_of(unended.response)) == (0, "y" * 61)
    shorter = one(Item("a", "x", response="y" * 62), len(whole.tokens))
    assert (shorter.lost_response, text_of(shorter.response)) == (1, "y" * 61)


@given(
    st.text("x", max_size=90),
    st.text("z", max_size=90),
    st.text("y", min_size=1, max_size=90),
    st.integers(32, 120),
)
def test_nothing_is_longer_than_it_may_be_and_nothing_is_lost_uncounted(
    instruction: str, given_input: str, response: str, max_length: int
) -> None:
    item = Item("a", instruction, given_input, response)
    example, whole = one(item, max_length), one(item, 10_000)
    assert len(example.tokens) <= max_length
    assert len(example.prompt) + example.lost_prompt == len(whole.prompt)
    ended = example.response[-1] == ENDS.end
    assert len(example.response) - ended + example.lost_response == len(response)
    if len(whole.tokens) <= max_length:
        assert example == whole
    else:
        assert len(example.tokens) == max_length


def test_what_was_cut_is_counted() -> None:
    shown = [Item("a", "x" * 100, response="yes"), Item("b", "x", response="y" * 100), ITEM]
    examples = encode(shown, tokenise, ENDS, 60)
    assert cut(examples) == Cut(1, examples[0].lost_prompt, 1, examples[1].lost_response)
    assert cut(examples[2:]) == Cut(0, 0, 0, 0)


def test_no_items_have_no_prompts() -> None:
    assert prompts([], tokenise, ENDS, 64) == []


def test_test_items_that_a_student_has_seen_are_found_by_their_normalised_text() -> None:
    tests = [Item("t1", "What  is IT?"), Item("t2", "Add", "1"), Item("t3", "Add", "2")]
    seen = [Item("p1", "what is it?", response="x"), Item("p2", "Add", "2"), Item("p3", "Add")]
    assert leaked(tests, seen) == ["t1", "t3"]
    with pytest.raises(
        UsageError, match=r"2 of 3 test items are also in the pool: 't1', 't3'.* take them out"
    ):
        check_no_leak(tests, seen, "the pool")
    check_no_leak(tests[1:2], seen)
