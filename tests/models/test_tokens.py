"""The estimate of a prompt's tokens, and noticing a prompt that was cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Message
from selectllm.models.tokens import estimate_tokens, looks_cut, most_tokens

# Our own texts with their counts by tiktoken 0.14 under (cl100k_base, o200k_base).
COUNTED = {
    "Choose the two instructions that are most worth annotating, and reply with their numbers "
    "only. Do not explain your choice.": (24, 24),
    "[1] Write a poem about the sea.\n[2] Sort the numbers 3, 14, 159 and 2653 in ascending "
    "order.\n[3] What is 7 * 6?\n": (43, 43),
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2\n": (22, 22),
}
COUNTED_ELSEWHERE = {
    "Wähle die beiden Anweisungen aus und antworte nur mit ihren Nummern.": (20, 19),
    "Choisissez les deux instructions qui méritent le plus d'être annotées.": (17, 16),
    "Выберите две инструкции, которые больше всего заслуживают разметки.": (27, 14),
    "请从下面的指令中选出两条最值得标注的，并且只回答它们的编号。": (32, 25),
    "次の指示の中から、最も価値が高いものを二つ選んでください。": (27, 24),
    "다음 지시문 중에서 가장 가치가 높은 두 개를 골라 주세요.": (26, 18),
}


@pytest.mark.parametrize(("text", "counts"), COUNTED.items())
def test_english_and_code_are_within_a_tenth(text: str, counts: tuple[int, int]) -> None:
    for count in counts:
        assert estimate_tokens(text) == pytest.approx(count, rel=0.1)


@pytest.mark.parametrize(("text", "counts"), COUNTED_ELSEWHERE.items())
def test_other_languages_are_within_a_factor_of_two(text: str, counts: tuple[int, int]) -> None:
    for count in counts:
        assert 0.5 * count <= estimate_tokens(text) <= 2 * count


@pytest.mark.parametrize("text", ["", " ", "   \t  "])
def test_nothing_has_no_tokens(text: str) -> None:
    assert estimate_tokens(text) == 0


@pytest.mark.parametrize("mark", ["=", "-", "*", ".", " ", "\n", "!?"])
def test_a_run_of_marks_or_spaces_counts_once_however_long(mark: str) -> None:
    assert estimate_tokens(f"a {mark * 3000} b") == estimate_tokens(f"a {mark} b")


def test_a_run_of_letters_or_digits_grows_with_its_length() -> None:
    assert estimate_tokens("a" * 8000) == 1000
    assert estimate_tokens("7" * 3000) == 1000


@given(st.text(), st.text())
def test_a_text_is_never_estimated_shorter_than_its_beginning(text: str, more: str) -> None:
    assert estimate_tokens(text + more) >= estimate_tokens(text) >= 0


@given(st.lists(st.text(max_size=30), max_size=5))
def test_a_chat_counts_its_messages_and_its_template(texts: list[str]) -> None:
    chat = [Message(role="user", content=text) for text in texts]
    inside = sum(estimate_tokens(text) for text in texts)
    assert estimate_tokens(chat) == inside + 4 * (len(texts) + 1)


def test_text_that_cannot_be_encoded_is_still_counted() -> None:
    assert estimate_tokens("\ud800 lone surrogate") > 0


@pytest.mark.parametrize(
    ("estimate", "tokens_in"),
    [(4000, 1999), (4000, 12), (401, 200), (200, 0)],
)
def test_a_prompt_of_which_less_than_half_was_read_looks_cut(estimate: int, tokens_in: int) -> None:
    assert looks_cut(estimate, tokens_in)


@pytest.mark.parametrize(
    ("estimate", "tokens_in"),
    [(4000, 2000), (4000, 4400), (4000, None), (398, 199), (150, 0), (0, 0)],
)
def test_a_prompt_does_not_look_cut_for_an_estimates_error(
    estimate: int, tokens_in: int | None
) -> None:
    assert not looks_cut(estimate, tokens_in)


@pytest.mark.parametrize("counts", [0, 1])
def test_no_counted_text_looks_cut_even_when_repeated(counts: int) -> None:
    for text, real in {**COUNTED, **COUNTED_ELSEWHERE}.items():
        assert not looks_cut(estimate_tokens(text * 40), 40 * real[counts])


@given(st.text() | st.text("ab1 .\né漢ж", max_size=60))
def test_the_most_that_a_text_can_have_is_never_less_than_the_estimate(text: str) -> None:
    assert most_tokens(text) >= estimate_tokens(text)
    chat = [Message(role="system", content=text), Message(role="user", content=f"{text} a")]
    assert most_tokens(chat) >= estimate_tokens(chat)


def test_the_most_is_near_the_estimate_of_what_people_write() -> None:
    text = "Choose the two instructions that are most worth annotating. [1] Write a poem.\n" * 50
    assert most_tokens(text) < 2 * estimate_tokens(text)
