"""Test items among other items: copies that were laid out anew are found, short look-alikes not."""

from __future__ import annotations

import pytest

from selectllm.core.codec import sha256_text
from selectllm.core.types import Item
from selectllm.data.deduplicate import normalised
from selectllm.data.leakage import asked_by, check_not_trained_on, leaked, letters

LONG = "Rabat is the capital of Morocco, and Casablanca is its largest city by far. "
ITEM = Item("i", "Which city is the capital of Morocco?", "Morocco lies in Africa.[7]", LONG)


def is_leak(a: Item, b: Item) -> bool:
    assert leaked([a], [b]) == (["i"] if leaked([b], [a]) else [])
    return bool(leaked([a], [b]))


@pytest.mark.parametrize(
    ("instruction", "input", "response"),
    [
        (ITEM.instruction, ITEM.input, ITEM.response),
        (ITEM.instruction, ITEM.input, "another response"),
        (" which city  is the capital of morocco ", "Morocco lies in Africa. [7]\n", LONG.upper()),
        ("Which city is the “capital” of Morocco?!", "Morocco lies in Africa (7).", LONG.strip()),
        (ITEM.instruction, "Morocco lies in Africa.", LONG.replace(",", " -")),
        (ITEM.instruction, "", LONG),
        ("Ｗｈｉｃｈ city is the capital of Morocco", "Morocco lies in Africa.⁷", LONG),
    ],
)
def test_a_copy_that_was_laid_out_anew_is_found(
    instruction: str, input: str, response: str | None
) -> None:
    assert is_leak(ITEM, Item("i", instruction, input, response))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (("2 + 2", "4"), ("2 * 2", "4")),
        (("What is 2 + 2?", "4"), ("What is 2 * 2?", "4")),
        (("Is C a language?", "Yes."), ("Is C++ a language?", "Yes.")),
        (("Is Ada a language?", "Yes, of course."), ("Is Lisp a language?", "Yes, of course.")),
        (
            ("Calculate the value of 3 + 4 * 2 now", "11"),
            ("Calculate the value of 3 * 4 + 2", "14"),
        ),
        (("Name the capital of Peru", "Lima is the capital"), ("Name it", "Lima is the capital")),
        (("Tell a story", "As a model, I cannot."), ("Tell a joke", "As a model, I cannot.")),
        (("!!!", ""), ("???", "")),
    ],
)
def test_short_items_that_only_look_alike_are_not(a: tuple[str, str], b: tuple[str, str]) -> None:
    assert not is_leak(Item("i", a[0], "", a[1]), Item("i", b[0], "", b[1]))


def test_one_long_response_tells_an_item_however_it_was_asked_for() -> None:
    assert is_leak(
        Item("i", "Name it", "", LONG * 4), Item("i", "What is it?", "x", LONG * 4 + "!")
    )
    assert not is_leak(Item("i", "Name it", "", LONG), Item("i", "What is it?", "x", LONG))


def test_a_student_of_0_1_0_is_held_to_what_it_kept() -> None:
    kept = (sha256_text(normalised(ITEM.text))[:16],)
    assert set(kept) < set(asked_by([ITEM]))
    with pytest.raises(Exception, match="1 of 1 test items are also in the items that the student"):
        check_not_trained_on([ITEM], kept)


def test_letters_are_of_any_script() -> None:
    assert letters("Ａ-b_C ² É 河 е\u0301!") == letters("abc2é河е\u0301")
    assert letters("河川") != letters("山")
