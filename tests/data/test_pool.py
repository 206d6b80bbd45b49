"""Pools: which items come out of a file's rows, and what is said about bad rows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import UsageError
from selectllm.core.types import Item, Pool
from selectllm.data.layouts import parse_mapping
from selectllm.data.pool import Rejected, load_pool, write_rejected
from tests.support.pool_files import GOOD_ROW, Folder, Row, jsonl, parquet

REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


# Layouts


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "q"}, ("q", "", None)),
        ({"instruction": "q", "input": "i", "response": "r"}, ("q", "i", "r")),
        ({"instruction": "q", "input": "i", "output": "r"}, ("q", "i", "r")),
        ({"instruction": "q", "context": "i", "response": "r", "category": "c"}, ("q", "i", "r")),
        ({"prompt": "q", "completion": "r"}, ("q", "", "r")),
        ({"instruction": "q", "input": None, "response": None}, ("q", "", None)),
        ({"instruction": "q", "input": "", "response": ""}, ("q", "", "")),
        ({"instruction": "q", "prompt": "p", "response": "r", "output": "o"}, ("q", "", "r")),
        ({"instruction": "q", "messages": "not looked at"}, ("q", "", None)),
    ],
)
def test_a_layout_is_recognised_by_its_columns(
    folder: Folder, row: Row, expected: tuple[str, str, str | None]
) -> None:
    (item,) = folder.items("pool.jsonl", jsonl([row]))
    assert (item.instruction, item.input, item.response) == expected
    assert item.row == row


SYSTEM = {"role": "system", "content": "Be kind."}
ASKED = {"role": "user", "content": "q"}
ANSWERED = {"role": "assistant", "content": "r"}


@pytest.mark.parametrize(
    ("row", "response"),
    [
        ({"messages": [SYSTEM, ASKED, ANSWERED]}, "r"),
        ({"messages": [ASKED]}, None),
        ({"messages": [{"role": "assistant", "content": "Hi"}, ASKED, ANSWERED, ASKED]}, "r"),
        ({"messages": [ASKED, {"role": "user", "content": "q2"}, ANSWERED]}, "r"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, None),
        ({"messages": [ASKED, ANSWERED], "prompt": "p", "prompt_id": "x"}, "r"),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]}, "r"),
    ],
)
def test_the_first_turn_of_a_chat_is_its_user_turn_and_the_answer_to_it(
    folder: Folder, row: Row, response: str | None
) -> None:
    (item,) = folder.items("pool.jsonl", jsonl([row]), columns={"turns": "first"})
    assert (item.instruction, item.input, item.response) == ("q", "", response)
    assert item.row == row


def test_a_chat_in_parquet_reads_as_in_jsonl(folder: Folder) -> None:
    (item,) = folder.items("pool.parquet", parquet([{"messages": [SYSTEM, ASKED, ANSWERED]}]))
    assert (item.instruction, item.response) == ("q", "r")


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        ("hello", "messages is not a list of turns: 'hello'. "),
        (["hello"], "messages is not a list of turns: ['hello']. "),
        ([SYSTEM], "instruction is missing (messages has no user turn). "),
        ([{"role": "user", "content": [1]}], "instruction (column 'messages') is a list, not text"),
    ],
)
def test_a_chat_that_asks_nothing_is_an_error(folder: Folder, turns: Any, complaint: str) -> None:
    message = folder.complaint("pool.jsonl", jsonl([{"messages": turns}]))
    assert message.startswith(f"pool.jsonl:1: {complaint}")


def test_the_first_row_decides_the_layout_for_all(folder: Folder) -> None:
    rows = [
        {"instruction": "a"},
        {"instruction": "b", "input": "i", "response": "r"},
        {"prompt": "c"},
    ]
    loaded = folder.load("pool.jsonl", jsonl(rows), skip_bad=True)
    assert [(i.instruction, i.input, i.response) for i in loaded.pool.items] == [
        ("a", "", None),
        ("b", "i", "r"),
    ]
    assert loaded.rejected == (Rejected(3, "instruction is missing", '{"prompt": "c"}'),)


def test_a_mapping_overrides_single_fields_of_a_layout(folder: Folder) -> None:
    row = {"id": 7, "key": "k", "instruction": "q", "question": "Q", "input": "i", "output": "r"}
    (item,) = folder.items(
        "pool.jsonl", jsonl([row]), columns={"instruction": "question", "id": "key"}
    )
    assert item == Item("k", "Q", "i", "r")


def test_a_mapping_overrides_the_turns_of_a_chat(folder: Folder) -> None:
    row = {"messages": [ASKED, ANSWERED], "gold": "g"}
    (item,) = folder.items("pool.jsonl", jsonl([row]), columns={"response": "gold"})
    assert (item.instruction, item.response) == ("q", "g")


def test_flags_become_a_mapping() -> None:
    assert parse_mapping([]) == {}
    assert parse_mapping(["instruction=my col", "id=a=b"]) == {"instruction": "my col", "id": "a=b"}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["instruction"], "`columns` instruction names no column. Write it like"),
        (["input="], "`columns` input= names no column. Write it like"),
        (
            ["instuction=q"],
            "`columns`: there is no part of an item 'instuction'. Did you mean 'instruction'?",
        ),
        (["id=a", "id=b"], "`columns` id=b: id is already mapped to 'a'. Give it once"),
    ],
)
def test_a_flag_that_maps_nothing_is_an_error(flags: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(complaint)}"):
        parse_mapping(flags)


# Ids


def test_items_without_ids_are_named_by_their_content(folder: Folder) -> None:
    rows = [{"instruction": "q", "input": "i", "output": "r"}, {"instruction": "q", "input": ""}]
    first, second = folder.items("pool.jsonl", jsonl(rows))
    assert first.id == sha256_texts(("q", "i"))[:16]
    assert second.id == sha256_texts(("q", ""))[:16]


def test_repeats_of_a_content_are_numbered_by_occurrence(folder: Folder) -> None:
    rows = [{"instruction": text} for text in "abaa"]
    a, b = (sha256_texts((text, ""))[:16] for text in "ab")
    ids = [item.id for item in folder.items("pool.jsonl", jsonl(rows))]
    assert ids == [a, b, f"{a}-2", f"{a}-3"]


@given(data=st.data(), texts=st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_made_ids_do_not_depend_on_the_order_of_rows(
    shared_folder: Folder, data: st.DataObject, texts: list[str]
) -> None:
    shuffled = data.draw(st.permutations(texts))

    def ids(order: Sequence[str]) -> list[tuple[str, str]]:
        items = shared_folder.items("ids.jsonl", jsonl([{"instruction": text} for text in order]))
        assert len({item.id for item in items}) == len(order)
        return sorted((item.instruction, item.id) for item in items)

    assert ids(texts) == ids(shuffled)


def test_explicit_ids_are_kept_and_whole_numbers_become_text(folder: Folder) -> None:
    rows = [{"id": "007", "instruction": "q"}, {"id": 7, "instruction": "q"}]
    assert [item.id for item in folder.items("pool.jsonl", jsonl(rows))] == ["007", "7"]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "id (column 'id') is empty. Give every row an id of its own or leave the row out"),
        (None, "id (column 'id') is empty. "),
        (1.5, "id (column 'id') is a number: 1.5. Write it as text or leave the row out"),
        (True, "id (column 'id') is a boolean: True. "),
        ([1], "id (column 'id') is a list: [1]. "),
        (1, "id '1' is already used by pool.jsonl:1. Make ids unique or leave the row out"),
    ],
)
def test_an_id_that_names_no_single_item_is_an_error(
    folder: Folder, value: Any, complaint: str
) -> None:
    rows = [{"id": "1", "instruction": "q"}, {"id": value, "instruction": "q"}]
    message = folder.complaint("pool.jsonl", jsonl(rows))
    assert message.startswith(f"pool.jsonl:2: {complaint}")


def test_a_row_that_lacks_the_id_of_the_others_is_an_error(folder: Folder) -> None:
    rows = [{"id": "1", "instruction": "q"}, {"instruction": "q"}]
    assert "pool.jsonl:2: id (column 'id') is empty" in folder.complaint("pool.jsonl", jsonl(rows))


# The pool's hash


def test_the_pool_hash_covers_every_field_and_the_order(folder: Folder) -> None:
    base = [
        {"id": "a", "instruction": "q", "input": "i", "response": "r"},
        {"id": "b", "instruction": "Q", "input": "", "response": None},
    ]
    variants = [
        base,
        base[::-1],
        base[:1],
        [base[0], base[1] | {"response": ""}],
        [base[0], base[1] | {"response": "none"}],
        [base[0], base[1] | {"input": "i"}],
        [base[0], base[1] | {"instruction": "q"}],
        [base[0], base[1] | {"id": "c"}],
        [base[0] | {"instruction": "qi", "input": ""}, base[1]],
    ]
    hashes = {folder.load("pool.jsonl", jsonl(rows)).pool.sha256 for rows in variants}
    assert len(hashes) == len(variants)


def test_the_pool_hash_ignores_other_columns_and_their_names(folder: Folder) -> None:
    plain = folder.load("a.jsonl", jsonl([{"id": "a", "instruction": "q", "response": "r"}]))
    other = folder.load("b.jsonl", jsonl([{"n": 1, "output": "r", "id": "a", "instruction": "q"}]))
    assert plain.pool.sha256 == other.pool.sha256


# Bad rows


BAD_ROWS = [
    (b'{"instruction": ""}', "instruction is empty. Fill it"),
    (b'{"instruction": " \\n\\u00a0"}', "instruction is empty. Fill it"),
    (b'{"instruction": null}', "instruction is missing. Fill it"),
    (b'{"instruction": ["q"]}', "instruction is a list, not text: ['q']. Write it as text"),
    (b'{"instruction": 7}', "instruction is a number, not text: 7. Write it as text"),
    (b'{"instruction": "q", "input": {}}', "input is an object, not text: {}. Write it as text"),
    (
        b'{"instruction": "q", "output": 42}',
        "response (column 'output') is a number, not text: 42. "
        "Write it as text, use `columns={'response': 'COL'}`",
    ),
    (b'["q"]', "the row is not an object: ['q']. Write it as {\"instruction\": ...}"),
    (b"null", 'the row is not an object: None. Write it as {"instruction": ...}'),
    (
        b'{"instruction": "q", "n": NaN}',
        "NaN is not JSON. Write null",
    ),
    (b'{"instruction": "q", "n": [-Infinity]}', "-Infinity is not JSON. Write null"),
    (b'{"instruction": "q", "n": 1e999}', "number '1e999' is too large. Write it as text"),
    (
        b'{"instruction": "q", "n": ' + b"9" * 5000 + b"}",
        "a number has too many digits. Write it as text",
    ),
    (
        b'{"instruction": "q", "n": {"a": 1, "a": 1}}',
        "key 'a' appears twice in one object. Remove one of them",
    ),
    (
        b'{"instruction": "q", "n": ' + b"[" * 201 + b"]" * 201 + b"}",
        "the JSON is nested too deeply",
    ),
    (b'{"instruction": "caf\xe9"}', "byte 21 (0xe9) is not UTF-8. Save the file as UTF-8"),
    (b'{"instruction": "\xed\xa0\x80"}', "byte 18 (0xed) is not UTF-8. Save the file as UTF-8"),
]


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_a_bad_row_is_named_with_file_line_value_and_fix(
    folder: Folder, row: bytes, complaint: str
) -> None:
    message = folder.complaint("pool.jsonl", GOOD_ROW + b"\n" + row + b"\n")
    assert message.startswith(f"pool.jsonl:2: {complaint}")
    assert message.endswith(" or leave the row out (select: `skip_bad`)")
    in_array = folder.complaint("pool.json", b"[" + GOOD_ROW + b",\n" + row + b"]")
    assert in_array.startswith(f"pool.json: element 2: {complaint}")


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_a_bad_row_can_be_left_out(folder: Folder, row: bytes, complaint: str) -> None:
    rows = [GOOD_ROW, row, b'{"instruction": "z"}']
    for name, content in {
        "pool.jsonl": b"\n".join(rows),
        "pool.json": b"[" + b",".join(rows) + b"]",
    }.items():
        loaded = folder.load(name, content, skip_bad=True)
        assert [item.instruction for item in loaded.pool.items] == ["q", "z"]
        (rejected,) = loaded.rejected
        assert rejected.line == 2
        assert complaint.startswith(rejected.reason[:40])


def test_two_hundred_thousand_brackets_are_an_error_with_their_line(folder: Folder) -> None:
    row = b'{"instruction": "q", "n": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    message = folder.complaint("pool.jsonl", GOOD_ROW + b"\n" + row)
    assert message.startswith("pool.jsonl:2: the JSON is nested too deeply. Flatten it")
    message = folder.complaint("pool.json", b"[" + GOOD_ROW + b",\n" + row + b"]")
    assert message == "pool.json:2: the JSON is nested too deeply. Flatten it"


def test_half_of_a_surrogate_pair_becomes_the_replacement_character(folder: Folder) -> None:
    rows = [
        b'{"instruction": "half \\ud83d", "\\uDFFF": ["\\ude00"]}',
        b'{"instruction": "whole \\ud83d\\ude00"}',
    ]
    pool = folder.load("pool.jsonl", b"\n".join(rows)).pool
    assert [item.instruction for item in pool.items] == ["half \ufffd", "whole \U0001f600"]
    assert pool.items[0].row["\ufffd"] == ["\ufffd"]
    assert pool.notes == (
        "1 row holds half of a surrogate pair, which is not a character: it was replaced by the "
        "character U+FFFD",
    )
    records = Pool.from_records([{"instruction": "half \ud83d"}, {"instruction": "\ud83d\ude00"}])
    assert [item.instruction for item in records.items] == ["half \ufffd", "\U0001f600"]
    assert len(records.notes) == 1


def turns(*said: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in said]}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Name 2 uses"}, {"type": "text", "text": " of a river."}],
        [{"type": "input_text", "text": "Name 2 uses of a river."}],
        [{"type": "thinking", "thinking": "Hm."}, {"text": "Name 2 uses of a river."}],
        ["Name 2 uses ", "of a river."],
    ],
)
def test_a_turn_in_parts_of_text_is_read(folder: Folder, content: Any) -> None:
    row = turns(("user", content), ("assistant", content))
    (item,) = folder.load("pool.jsonl", jsonl([row])).pool.items
    assert item.instruction == item.response == "Name 2 uses of a river."


def test_a_turn_with_an_image_is_no_text(folder: Folder) -> None:
    image = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": "x"}]
    assert "instruction (column 'messages') is a list, not text" in folder.complaint(
        "pool.jsonl", jsonl([turns(("user", image))])
    )


def test_a_long_value_is_shown_shortened(folder: Folder) -> None:
    message = folder.complaint("pool.jsonl", jsonl([{"instruction": ["x" * 10_000]}]))
    assert len(message) < 250
    assert "..." in message


def test_of_two_rows_with_one_id_the_later_is_left_out(folder: Folder) -> None:
    rows = [{"id": 1, "instruction": "a"}, {"id": 1, "instruction": "b"}]
    loaded = folder.load("pool.jsonl", jsonl(rows), skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a"]
    assert loaded.rejected[0].reason.startswith("id '1' is already used by ")


def test_rejected_rows_are_written_with_line_reason_and_row(folder: Folder) -> None:
    content = (
        b'{"instruction": "q"}\n{"instruction": "\xff"}\n{"instruction": "", "n": "\xc3\xa9"}\n'
    )
    rejected = folder.load("pool.jsonl", content, skip_bad=True).rejected
    out = folder.path / "new" / "out.rejected.jsonl"
    write_rejected(out, rejected)
    assert [json.loads(line) for line in out.read_bytes().splitlines()] == [
        {
            "line": 2,
            "reason": "byte 18 (0xff) is not UTF-8",
            "row": '{"instruction": "\\xff"}',
        },
        {"line": 3, "reason": "instruction is empty", "row": '{"instruction": "", "n": "é"}'},
    ]


def test_a_pool_of_bad_rows_only_is_an_error_even_when_they_are_skipped(folder: Folder) -> None:
    content = jsonl([{"instruction": ""}, {"instruction": 1}])
    assert folder.complaint("pool.jsonl", content, skip_bad=True) == (
        "pool.jsonl: none of its 2 rows can be read. Correct them (pool.jsonl:1: instruction is "
        "empty)"
    )


# Bad columns: the same with and without skip_bad


def test_a_file_without_an_instruction_column_names_the_columns_and_the_flag(
    folder: Folder,
) -> None:
    for row, column in (
        ({"Instruction": "q", "n": 1}, "Instruction"),
        ({"status": "done", "words": "Name a colour."}, "words"),
        ({"n": 1, "question": "q"}, "question"),
        ({"id": "a", "question": "q"}, "question"),
        ({"my text": "Name a colour."}, "my text"),
    ):
        assert folder.complaint("pool.jsonl", jsonl([row]), skip_bad=True) == (
            f"pool.jsonl:1: no column holds the instruction (columns: {', '.join(row)}). "
            f"Name it with `columns={{'instruction': '{column}'}}`"
        )


def test_a_mapping_to_a_column_that_is_not_there_is_an_error(folder: Folder) -> None:
    content = jsonl([{"instruction": "q", "answer": "r"}])
    for skip_bad in (False, True):
        message = folder.complaint(
            "pool.jsonl", content, columns={"response": "anwser"}, skip_bad=skip_bad
        )
        assert message == (
            "pool.jsonl:1: `columns={'response': 'anwser'}`: there is no column 'anwser'. "
            "Did you mean 'answer'? There are: answer, instruction"
        )
    message = folder.complaint("pool.jsonl", content, columns={"respons": "answer"})
    assert message.startswith(
        "`columns`: there is no part of an item 'respons'. Did you mean 'response'?"
    )


# Real data


@pytest.mark.skipif(
    not REAL_DATA.is_dir(),
    reason="left out: loading 2,000 Dolly rows and 91 adversarial rows, which are not shipped",
)
def test_real_pools_load_and_only_empty_instructions_are_rejected() -> None:
    dolly = load_pool(REAL_DATA / "dolly_dev2000.jsonl")
    assert (len(dolly.pool), dolly.rejected) == (2000, ())
    path = REAL_DATA / "adversarial.jsonl"
    traps = load_pool(path, skip_bad=True)
    assert {rejected.reason for rejected in traps.rejected} == {"instruction is empty"}
    assert len(traps.pool) + len(traps.rejected) == 91
    rows = {row["id"]: row for row in map(json.loads, path.read_bytes().split(b"\n")[:-1])}
    for item in traps.pool.items:
        assert item.row == rows[item.id]
        assert item.instruction == rows[item.id]["instruction"]
