"""Conversations keep every turn: whatever their format, their file, and where they go on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PoolError
from selectllm.core.types import Item, Pool
from selectllm.data.pool import load_pool
from selectllm.downstream.outcomes.export import LAYOUTS
from tests.support.pool_files import Folder, csv_table, jsonl, workbook

ASKED = ("user", "What is on it?")
LOOKED = '[tool call: look {"place": "Elbe"}]'
SAW = ("tool", "A bridge.")
TOLD = ("assistant", "A bridge over the Elbe.")
MORE = ("user", "And under it?")
LAST = ("assistant", "Water.")


def chat(*turns: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


def item_of(row: dict[str, Any], **columns: str) -> Item:
    (item,) = Pool.from_records([row], columns=columns).items
    return item


def notes_on(*rows: dict[str, Any]) -> str:
    return "\n".join(Pool.from_records(list(rows)).notes)


# Formats

OPENAI = {
    "messages": [
        {"role": "developer", "content": "Look first."},
        {"role": "user", "content": [{"type": "text", "text": ASKED[1]}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"place": "Elbe"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": SAW[1]},
        *chat(TOLD, MORE, LAST),
    ]
}
SHAREGPT = {
    "system": "Look first.",
    "conversations": [
        {"from": "human", "value": ASKED[1]},
        {"from": "function_call", "value": 'look {"place": "Elbe"}'},
        {"from": "observation", "value": SAW[1]},
        {"from": "gpt", "value": TOLD[1]},
        {"from": "human", "value": MORE[1]},
        {"from": "gpt", "value": LAST[1]},
    ],
}
ANTHROPIC = {
    "system": [{"type": "text", "text": "Look first."}],
    "messages": [
        *chat(ASKED),
        *chat(("assistant", [{"type": "tool_use", "name": "look", "input": {"place": "Elbe"}}])),
        *chat(("user", [{"type": "tool_result", "content": [{"type": "text", "text": SAW[1]}]}])),
        *chat(TOLD, MORE, LAST),
    ],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Look first."}]},
    "contents": [
        {"role": "user", "parts": [{"text": ASKED[1]}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "look", "args": {"place": "Elbe"}}}],
        },
        {
            "role": "function",
            "parts": [{"functionResponse": {"name": "look", "response": SAW[1]}}],
        },
        {"role": "model", "parts": [{"text": TOLD[1]}]},
        {"role": "user", "parts": [{"text": MORE[1]}]},
        {"role": "model", "parts": [{"text": LAST[1]}]},
    ],
}


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (OPENAI, {}),
        (SHAREGPT, {}),
        (ANTHROPIC, {}),
        (GEMINI, {"instruction": "contents"}),
        ({"body": ANTHROPIC, "custom_id": "a"}, {}),
    ],
    ids=["openai", "sharegpt", "anthropic", "gemini", "batch"],
)
@pytest.mark.parametrize("shown", ["first", "last", "all"])
def test_every_turn_is_kept_whatever_the_format_and_whatever_is_shown(
    row: dict[str, Any], columns: dict[str, str], shown: str
) -> None:
    item = item_of(row, **columns, turns=shown)
    assert item.turns == (
        ("system", "Look first."),
        ASKED,
        ("assistant", LOOKED),
        SAW,
        TOLD,
        MORE,
        LAST,
    )
    assert item.is_conversation
    assert "1 tool call" in "\n".join(Pool.from_records([row], columns=columns).notes)


def test_an_item_of_no_chat_has_no_turns_and_no_place_for_them() -> None:
    item = item_of({"instruction": "Name a river.", "response": "The Elbe."})
    assert item.turns == ()
    assert not item.is_conversation
    assert "turns" not in Item.__slots__


def test_a_question_and_its_answer_are_no_longer_conversation() -> None:
    item = item_of({"messages": chat(ASKED, TOLD)})
    assert item.turns == (ASKED, TOLD)
    assert not item.is_conversation


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "[image]", "1 image"),
        ({"type": "image", "source": {}}, "[image]", "1 image"),
        ({"type": "input_audio", "input_audio": {}}, "[audio]", "1 audio"),
        ({"type": "document", "source": {}}, "[file]", "1 file"),
        ({"inlineData": {"mimeType": "image/png", "data": "x"}}, "[image]", "1 image"),
        ({"type": "chart", "rows": []}, "[chart]", "1 chart"),
    ],
)
def test_what_is_no_text_stands_in_brackets_and_is_counted(
    part: dict[str, Any], text: str, told: str
) -> None:
    said = [{"type": "text", "text": "Here"}, part, {"type": "text", "text": "it is."}]
    row = {"messages": chat(ASKED, TOLD, ("user", said), TOLD, MORE, LAST)}
    assert item_of(row).turns[2].text == f"Here\n{text}\nit is."
    assert told in notes_on(row)


def test_thinking_is_left_out_and_that_is_said() -> None:
    thought = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": TOLD[1]}]
    spoken = {"role": "assistant", "content": LAST[1], "reasoning_content": "Hm."}
    row = {"messages": [*chat(ASKED, ("assistant", thought), MORE), spoken]}
    assert item_of(row).turns == (ASKED, TOLD, MORE, LAST)
    assert "Thinking is left out of 2 turns" in notes_on(row)


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "refusal": "I cannot."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
    ],
)
def test_a_refusal_is_what_was_said(turn: dict[str, Any]) -> None:
    row = {"messages": [*chat(ASKED), turn, *chat(MORE, LAST)]}
    assert item_of(row).turns[1] == ("assistant", "I cannot.")


def test_a_turn_of_nothing_and_one_of_another_role_are_kept_and_told() -> None:
    row = {"messages": chat(ASKED, ("assistant", None), ("critic", "Poor."), MORE, LAST)}
    assert item_of(row).turns[1:3] == (("assistant", ""), ("critic", "Poor."))
    notes = notes_on(row)
    assert "Its chats keep 1 turn without any text" in notes
    assert "critic" in notes


def test_results_of_tools_among_what_a_user_says_are_turns_of_the_tool() -> None:
    both = [{"type": "tool_result", "content": SAW[1]}, {"type": "text", "text": MORE[1]}]
    row = {"messages": chat(ASKED, TOLD, ("user", both), LAST)}
    assert item_of(row).turns == (ASKED, TOLD, SAW, MORE, LAST)


# What stands outside of the turns


def test_a_response_beside_the_turns_takes_the_place_of_the_answer() -> None:
    row = {"messages": chat(ASKED, TOLD, MORE), "response": "Fish."}
    assert item_of(row).turns == (ASKED, TOLD, MORE, ("assistant", "Fish."))
    answered = {"messages": chat(ASKED, TOLD, MORE, LAST), "response": "Fish."}
    assert item_of(answered).turns == (ASKED, TOLD, MORE, ("assistant", "Fish."))


def test_a_prompt_and_a_completion_of_turns_are_one_conversation() -> None:
    assert item_of({"prompt": chat(ASKED, TOLD, MORE), "completion": chat(LAST)}).turns == (
        ASKED,
        TOLD,
        MORE,
        LAST,
    )


def test_a_system_column_beside_the_turns_is_told_as_not_shown() -> None:
    assert "1 of 1 chats have a system turn, which is not shown" in notes_on(
        {"system": "Be brief.", "messages": chat(ASKED, TOLD)}
    )


def test_a_conversation_without_a_user_turn_names_the_roles_it_has(folder: Folder) -> None:
    rows = [{"messages": chat(ASKED, TOLD)}, {"messages": chat(("system", "x"), TOLD)}]
    complaint = folder.complaint("pool.jsonl", jsonl(rows))
    assert complaint.startswith("pool.jsonl:2: instruction is missing (messages has no user turn)")
    assert "system, assistant" in complaint
    loaded = folder.load("pool.jsonl", jsonl(rows), skip_bad=True)
    assert [each.line for each in loaded.rejected] == [2]


# Files

TALK = [{"id": "a", "messages": chat(("system", "Be brief."), ASKED, TOLD, MORE, LAST)}]
AS_TEXT = [{"id": "a", "messages": json.dumps(TALK[0]["messages"])}]
AS_PYTHON = [{"id": "a", "messages": repr(TALK[0]["messages"])}]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    content = io.BytesIO()
    pl.DataFrame(rows).write_parquet(content)
    return content.getvalue()


def sheet(rows: list[dict[str, Any]]) -> bytes:
    return workbook({"Data": [list(rows[0]), *(list(row.values()) for row in rows)]})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pool.jsonl", jsonl(TALK)),
        ("pool.parquet", parquet(TALK)),
        ("pool.csv", csv_table(AS_TEXT)),
        ("python.csv", csv_table(AS_PYTHON)),
        ("pool.xlsx", sheet(AS_TEXT)),
        ("text.jsonl", jsonl(AS_TEXT)),
    ],
)
def test_every_kind_of_file_holds_conversations(folder: Folder, name: str, content: bytes) -> None:
    (item,) = folder.items(name, content)
    assert item.turns == (("system", "Be brief."), ASKED, TOLD, MORE, LAST)
    assert (item.instruction, item.response) == (MORE[1], LAST[1])


def test_every_kind_of_file_makes_one_pool(folder: Folder) -> None:
    pools = [
        folder.load(name, content).pool.sha256
        for name, content in (("a.jsonl", jsonl(TALK)), ("b.csv", csv_table(AS_TEXT)))
    ]
    assert pools[0] == pools[1]


@pytest.mark.parametrize("cell", ['[{"role": "user", ', "[{'role': open('x')}]", "[" * 5000])
def test_a_cell_that_is_no_list_of_turns_is_told_with_its_place(folder: Folder, cell: str) -> None:
    complaint = folder.complaint("pool.csv", csv_table([{"id": "a", "messages": cell}]))
    assert complaint.startswith("pool.csv:2: messages ")
    assert "JSON" in complaint or "deep" in complaint


def test_chats_as_text_in_another_column_are_told(folder: Folder) -> None:
    rows = [{"talk": json.dumps(chat(ASKED, TOLD)), "id": n} for n in range(3)]
    pool = folder.load("pool.csv", csv_table(rows), columns={"instruction": "talk"}).pool
    assert "messages" in "\n".join(pool.notes)


def test_a_column_of_chats_as_text_is_named_with_what_helps(folder: Folder) -> None:
    rows = [{"talk": json.dumps(chat(ASKED, TOLD, ("user", f"And {n}?")))} for n in range(3)]
    assert "'talk' holds conversations as text. Call it messages" in folder.complaint(
        "pool.csv", csv_table(rows)
    )


def test_a_user_turn_of_null_is_not_called_missing(folder: Folder) -> None:
    complaint = folder.complaint("pool.jsonl", jsonl([{"messages": chat(("user", None), TOLD)}]))
    assert "the user turn of messages holds nothing" in complaint


def test_a_list_for_every_key_is_read_as_turns() -> None:
    columns = {"from": ["human", "gpt", "human"], "value": [ASKED[1], TOLD[1], MORE[1]]}
    assert item_of({"conversations": columns}).turns == (ASKED, TOLD, MORE)
    with pytest.raises(PoolError, match="conversations is not a list of turns"):
        item_of({"conversations": {"from": "human"}})


def test_frames_hold_conversations(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "pool.parquet").write_bytes(parquet(TALK))
    read = pandas.read_parquet(tmp_path / "pool.parquet")
    for records in (read, pl.DataFrame(TALK), pandas.DataFrame(TALK)):
        (item,) = Pool.from_records(records).items
        assert item.turns == (("system", "Be brief."), ASKED, TOLD, MORE, LAST)
        json.dumps(dict(item.row))


@pytest.mark.parametrize("stays", [True, False])
def test_many_files_hold_conversations_and_trees(tmp_path: Path, stays: bool) -> None:
    in_place = tmp_path / "cache" if stays else None
    (tmp_path / "talks").mkdir()
    for n in range(3):
        rows = [TALK[0] | {"id": f"{n}"}]
        (tmp_path / "talks" / f"{n}.parquet").write_bytes(parquet(rows))
    pool = load_pool(tmp_path / "talks", in_place=in_place).pool
    assert [item.turns[1:] for item in pool.items] == [(ASKED, TOLD, MORE, LAST)] * 3
    (tmp_path / "tree").mkdir()
    for n, (parent, role) in enumerate([(None, "prompter"), ("0", "assistant")]):
        row = {"message_id": f"{n}", "parent_id": parent, "role": role, "text": f"Text {n}."}
        (tmp_path / "tree" / f"{n}.parquet").write_bytes(parquet([row]))
    (item,) = load_pool(tmp_path / "tree", in_place=in_place).pool.items
    assert item.turns == (("user", "Text 0."), ("assistant", "Text 1."))


# Whatever stands there

KEYS = (
    *("type", "text", "role", "content", "function", "name", "arguments", "input", "tool_calls"),
    *("functionCall", "functionResponse", "inlineData", "refusal"),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=3),
            inner | st.sampled_from(["text", "tool_use", "tool_result", "image", "thinking"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
ODD_TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "judge"]), "content": JUNK},
    optional={"tool_calls": JUNK, "function_call": JUNK, "refusal": JUNK, "reasoning": JUNK},
)


def read_or_refused(row: dict[str, Any]) -> tuple[Item | None, str]:
    try:
        return item_of(row), ""
    except PoolError as error:
        return None, str(error)


@given(st.lists(ODD_TURN, max_size=4), JUNK, JUNK)
def test_whatever_stands_in_turns_is_read_or_refused_in_words(
    turns: list[dict[str, Any]], system: Any, response: Any
) -> None:
    asked = {"role": "user", "content": "q"}
    row = {"messages": [*turns, asked], "system": system, "response": response}
    item, complaint = read_or_refused(row)
    if item is None:
        assert "response is" in complaint  # no text
        return
    assert all(isinstance(turn.role, str) and isinstance(turn.text, str) for turn in item.turns)
    assert ("user", "q") in item.turns
    asking = [turn for turn in item.turns if turn.role != "system"]
    assert len(asking) >= len(turns)


@given(st.text(max_size=30).map("[{}".format) | st.text(max_size=10))
def test_whatever_stands_in_a_cell_is_read_or_refused_in_words(cell: str) -> None:
    item, complaint = read_or_refused({"messages": cell})
    assert item is not None or "messages" in complaint


# Out and in again

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
LATER = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), TEXTS), max_size=6
)


@given(before=LATER, asked=TEXTS.filter(str.strip), between=LATER, answered=TEXTS.filter(str.strip))
@pytest.mark.parametrize("layout", ["chat", "sharegpt"])
def test_what_is_read_and_exported_is_read_again_turn_by_turn(
    layout: Any,
    before: list[tuple[str, str]],
    asked: str,
    between: list[tuple[str, str]],
    answered: str,
) -> None:
    turns = [*before, ("user", asked), *between, ("user", asked), ("assistant", answered)]
    item = item_of({"messages": chat(*turns)})
    assert list(item.turns) == turns
    (again,) = Pool.from_records([LAYOUTS[layout].row(item)]).items
    assert again.turns == item.turns
    assert (again.id, again.response) == (item.id, item.response)


def test_a_selection_is_read_with_its_turns(tmp_path: Path) -> None:
    from selectllm import select

    pool = tmp_path / "pool.csv"
    rows = [
        {"id": str(n), "messages": AS_TEXT[0]["messages"].replace("under", f"under {n}")}
        for n in range(9)
    ]
    pool.write_bytes(csv_table(rows))
    selection = select(pool, budget=3, strategy="longest")
    selection.write(tmp_path / "picks.jsonl")
    again = load_pool(tmp_path / "picks.jsonl").pool
    assert [len(item.turns) for item in again.items] == [5] * 3
    assert [item.turns for item in again.items] == [each.item.turns for each in selection.chosen]
