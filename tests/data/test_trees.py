"""Trees of messages as Open Assistant has them are conversations, not one instruction a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selectllm.core.types import Pool
from selectllm.data.pool import load_pool
from tests.support.pool_files import Folder, csv_table, jsonl


def message(name: str, parent: str | None, role: str, **more: Any) -> dict[str, Any]:
    columns = {"message_id": name, "parent_id": parent, "role": role, "text": f"Text {name}."}
    return {**columns, "message_tree_id": "a", "lang": "en", **more}


TREE = [
    message("a", None, "prompter"),
    message("b", "a", "assistant", rank=1),
    message("c", "a", "assistant", rank=0),
    message("d", "c", "prompter"),
    message("e", "d", "assistant"),
    message("f", "c", "prompter"),
    message("g", "b", "prompter"),
]


def test_each_message_of_a_prompter_is_an_item_with_what_led_to_it_and_the_best_reply() -> None:
    pool = Pool.from_records(TREE)
    told = {item.id: [turn.text[5:-1] for turn in item.turns] for item in pool.items}
    assert told == {"a": ["a", "c"], "d": [*"acde"], "f": [*"acf"], "g": [*"abg"]}
    item = pool.by_id["d"]
    assert (item.instruction, item.response) == ("Text d.", "Text e.")
    assert item.input == "Prompter: Text a.\n\nAssistant: Text c."
    assert {turn.role for turn in item.turns} == {"user", "assistant"}


def test_what_became_of_the_messages_is_told() -> None:
    note = "\n".join(Pool.from_records(TREE).notes)
    assert "4 of its 7 messages are of prompters" in note
    assert "left out" not in note  # the worse reply led to another message
    worse = message("z", "a", "assistant", rank=2)
    assert "are left out: 1 message." in "\n".join(Pool.from_records([*TREE, worse]).notes)


def test_rows_keep_their_columns_and_a_selection_of_them_is_read_with_its_turns(
    folder: Folder, tmp_path: Path
) -> None:
    pool = folder.load("pool.jsonl", jsonl(TREE)).pool
    assert all(pool.by_id[row["message_id"]].row.items() >= row.items() for row in TREE[3:4])
    (tmp_path / "again.jsonl").write_bytes(jsonl([dict(item.row) for item in pool.items]))
    again = load_pool(tmp_path / "again.jsonl").pool
    assert again.sha256 == pool.sha256
    assert [item.turns for item in again.items] == [item.turns for item in pool.items]


def test_a_csv_of_messages_is_read_alike(folder: Folder) -> None:
    rows = [
        {"rank": "", "deleted": "False", **row, "parent_id": row["parent_id"] or ""} for row in TREE
    ]
    plain = folder.load("pool.jsonl", jsonl(TREE)).pool
    assert folder.load("pool.csv", csv_table(rows)).pool.sha256 == plain.sha256


def test_deleted_messages_are_neither_items_nor_replies() -> None:
    gone = [message("h", "c", "prompter", deleted=True), message("i", "d", "assistant", rank=-1)]
    gone[1]["deleted"] = True
    pool = Pool.from_records([*TREE, *gone])
    assert pool.sha256 == Pool.from_records(TREE).sha256
    assert "are left out: 2 messages." in "\n".join(pool.notes)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (message("x", "nowhere", "prompter"), "is not in the file: 'nowhere'"),
        (message("x", "x", "prompter"), "go round in circles"),
        ({"text": "Hello."}, "not a message of a tree"),
        (message("x", None, "judge"), "not a message of a tree"),
    ],
)
def test_a_row_that_does_not_fit_is_told_with_its_line(
    folder: Folder, row: dict[str, Any], words: str
) -> None:
    content = jsonl([*TREE, row])
    complaint = folder.complaint("pool.jsonl", content)
    assert complaint.startswith("pool.jsonl:8: ")
    assert words in complaint
    loaded = folder.load("pool.jsonl", content, skip_bad=True)
    assert [each.line for each in loaded.rejected] == [8]


def test_a_mapped_instruction_is_what_it_was_and_answers_among_it_are_told(folder: Folder) -> None:
    pool = folder.load("pool.jsonl", jsonl(TREE), columns={"instruction": "text"}).pool
    assert [item.instruction for item in pool.items] == [row["text"] for row in TREE]
    assert "3 of 7 rows are messages of an assistant" in "\n".join(pool.notes)
    assert Pool.from_records([{"instruction": "q", "role": "user"}]).notes == ()
