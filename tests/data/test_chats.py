"""Chats with several turns: what an item shows of them, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from selectllm.core.types import Pool
from tests.support.pool_files import Folder, jsonl

SYSTEM = ("system", "Answer like a pirate.")
ASKED = ("user", "Name 2 uses of a river.")
ANSWERED = ("assistant", "Arr, two.")
THEN = ("user", "Now in rhyme.")
RHYMED = ("assistant", "A rhyme.")
LONG = (SYSTEM, ASKED, ANSWERED, THEN, RHYMED)
BEFORE = "System: Answer like a pirate.\n\nUser: Name 2 uses of a river.\n\nAssistant: Arr, two."


def chat(*said: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def shown(row: dict[str, Any], turns: str | None) -> tuple[str, str, str | None]:
    columns = {} if turns is None else {"turns": turns}
    (item,) = Pool.from_records([row], columns=columns).items
    return item.instruction, item.input, item.response


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (None, (THEN[1], BEFORE, RHYMED[1])),
        ("last", (THEN[1], BEFORE, RHYMED[1])),
        ("first", (ASKED[1], "", ANSWERED[1])),
        ("all", (f"{BEFORE}\n\nUser: {THEN[1]}", "", RHYMED[1])),
    ],
)
def test_of_several_turns_the_wanted_ones_are_shown(
    turns: str | None, expected: tuple[str, str, str]
) -> None:
    assert shown(chat(*LONG), turns) == expected


@pytest.mark.parametrize("turns", [None, "first", "last", "all"])
def test_a_chat_with_one_user_turn_is_that_turn(turns: str | None) -> None:
    assert shown(chat(ASKED, ANSWERED), turns) == (ASKED[1], "", ANSWERED[1])
    assert shown(chat(("assistant", "Hello."), ASKED), turns) == (ASKED[1], "", None)


def test_a_system_turn_before_one_user_turn_is_shown_among_all() -> None:
    row = chat(SYSTEM, ASKED, ANSWERED)
    assert shown(row, "last") == (ASKED[1], "", ANSWERED[1])
    assert shown(row, "all") == (f"System: {SYSTEM[1]}\n\nUser: {ASKED[1]}", "", ANSWERED[1])


def test_a_last_turn_that_nobody_answered_has_no_response() -> None:
    assert shown(chat(ASKED, ANSWERED, THEN), None)[2] is None


def test_a_user_turn_that_holds_what_a_tool_said_asks_nothing() -> None:
    result = ("user", [{"type": "tool_result", "content": "7"}])
    row = chat(ASKED, ("assistant", None), result, RHYMED)
    assert shown(row, None) == (ASKED[1], "", RHYMED[1])
    assert shown(chat(ASKED, ANSWERED, THEN, RHYMED, result), None)[0] == THEN[1]
    assert shown(chat(ASKED, ANSWERED, ("user", " ")), None)[0] == ASKED[1]


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLS = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
    {"role": "assistant", "content": "", "function_call": CALL["function"]},
    {"role": "assistant", "content": [{"type": "tool_use", "name": "look", "input": {}}]},
    {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
    {"from": "function_call", "value": "look"},
]
RESULT = {"role": "tool", "content": "A bridge."}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_turn_that_calls_a_tool_is_on_the_way_to_the_answer(call: dict[str, Any]) -> None:
    behind = chat(ANSWERED, THEN, RHYMED)["messages"]
    row = {"messages": [*chat(ASKED)["messages"], call, RESULT, call, RESULT, *behind]}
    assert shown(row, "first") == (ASKED[1], "", ANSWERED[1])


@pytest.mark.parametrize("turns", ["first", "last"])
def test_what_is_said_behind_a_later_question_answers_no_earlier_one(turns: str) -> None:
    row = chat(ASKED)
    row["messages"] += [CALLS[0], RESULT, *chat(THEN, RHYMED)["messages"]]
    assert shown(row, turns)[2] == (None if turns == "first" else RHYMED[1])


def test_a_call_alone_is_no_answer_but_what_is_said_beside_it_is() -> None:
    for call in CALLS:
        row = {"messages": [*chat(ASKED)["messages"], call]}
        said = "Let me look.\n[tool call: look {}]" if call is CALLS[1] else None
        assert (shown(row, None)[2] or "").startswith((said or "")[:12])
        assert bool(shown(row, None)[2]) == (said is not None)


def test_a_pool_without_several_turns_is_the_same_whatever_is_shown(folder: Folder) -> None:
    content = jsonl([chat(SYSTEM, ASKED, ANSWERED), chat(THEN, RHYMED)])
    plain, first, last = (
        folder.load("pool.jsonl", content, columns=columns).pool.sha256
        for columns in ({}, {"turns": "first"}, {"turns": "last"})
    )
    assert plain == first == last


def test_context_comes_before_an_input_of_the_row() -> None:
    assert shown(chat(*LONG) | {"input": "A note."}, None)[1] == f"{BEFORE}\n\nA note."


def test_a_context_names_what_is_no_text_and_passes_over_what_is_nothing() -> None:
    row = chat(
        ("human", [{"type": "text", "text": "What is it?"}, {"type": "image_url"}]),
        ("gpt", None),
        ("tool", {"name": "look"}),
        THEN,
    )
    assert shown(row, None)[1] == "User: What is it?[image_url]\n\nTool: [no text]"


@pytest.mark.parametrize(
    ("turns", "words", "system"),
    [
        ("last", ("The last one is shown", "context"), 1),
        ("first", ("The first one is shown",), 2),
        ("all", ("All of them are shown",), 0),
    ],
)
def test_several_turns_and_hidden_system_turns_are_counted(
    turns: str, words: tuple[str, ...], system: int
) -> None:
    rows = [chat(*LONG), chat(ASKED, THEN), chat(SYSTEM, ASKED), chat(ASKED, ANSWERED)]
    several, *hidden = Pool.from_records(rows, columns={"turns": turns}).notes
    assert several.startswith("2 of 4 chats have several user turns. ")
    assert all(word in several for word in words)
    assert [note.partition(",")[0] for note in hidden] == [
        f"{system} of 4 chats have a system turn"
    ] * bool(system)
    assert Pool.from_records(rows[3:]).notes == ()


def test_a_mapped_instruction_leaves_the_answer_of_the_first_turn() -> None:
    row = chat(*LONG) | {"task": "Name a river."}
    (item,) = Pool.from_records([row], columns={"instruction": "task"}).items
    assert (item.instruction, item.input, item.response) == ("Name a river.", "", ANSWERED[1])


def test_turns_that_there_are_none_of_are_an_error(folder: Folder) -> None:
    complaint = folder.complaint("pool.jsonl", jsonl([chat(*LONG)]), columns={"turns": "frist"})
    assert "'turns': 'frist'" in complaint
    assert "'first'" in complaint


@pytest.mark.parametrize(
    "text",
    [
        "\n\nHuman: Name a river.\n\nAssistant: The Rhine.",
        "User: Name a river.\nAssistant: The Rhine.\nUser: Another?",
        "<|im_start|>user\nName a river.<|im_end|>",
        "[INST] Name a river. [/INST] The Rhine.",
    ],
)
def test_conversations_as_one_text_are_told(text: str) -> None:
    rows = [{"instruction": f"{text} {number}"} for number in range(12)]
    plain = [{"instruction": f"The user: a drama, act {number}"} for number in range(11)]
    (note,) = Pool.from_records(rows + plain).notes
    assert "12 of the first 23 instructions" in note
    assert Pool.from_records([*rows, *plain, *plain]).notes == ()
