"""Pools: what may be in a file, which items come out of it, and what is said about bad input."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selectllm.codec import sha256_texts
from selectllm.errors import PoolError, UsageError
from selectllm.pool import LoadedPool, Rejected, load_pool, parse_mapping, write_rejected
from selectllm.tables import read_rows
from selectllm.types import Item

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
Row = Mapping[str, Any]


def jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def escaped_jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row) + "\r\n" for row in rows).encode()


def json_array(rows: Sequence[Row]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


def csv_table(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(rows: Sequence[Row]) -> bytes:
    import polars as pl

    data = io.BytesIO()
    pl.DataFrame(rows).write_parquet(data)
    return data.getvalue()


def zipped(write: Callable[[Sequence[Row]], bytes]) -> Callable[[Sequence[Row]], bytes]:
    return lambda rows: gzip.compress(write(rows))


WRITERS = {
    "pool.jsonl": jsonl,
    "escaped.jsonl": escaped_jsonl,
    "pool.json": json_array,
    "pool.csv": csv_table,
    "pool.parquet": parquet,
    "pool.jsonl.gz": zipped(jsonl),
    "pool.json.gz": zipped(json_array),
    "pool.csv.gz": zipped(csv_table),
    "POOL.JSONL.GZ": zipped(jsonl),
}


class Folder:
    """A temporary folder to load pools from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, name: str, content: bytes | str, **options: Any) -> LoadedPool:
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_pool(path, **options)

    def items(self, name: str, content: bytes | str, **options: Any) -> Sequence[Item]:
        return self.load(name, content, **options).pool.items

    def complaint(self, name: str, content: bytes | str, **options: Any) -> str:
        """The message of the one error, the folder's own path taken out."""
        with pytest.raises(UsageError) as caught:
            self.load(name, content, **options)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{self.path}/", "").replace(f"{self.path}\\", "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("pools"))


# Formats


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_pool(folder: Folder, name: str) -> None:
    rows = [
        {"id": "a", "instruction": "Name a colour.", "input": "", "response": "red"},
        {"id": "b", "instruction": "Übersetze: 😀", "input": 'x, "y"\r\nz', "response": ""},
    ]
    pool = folder.load(name, WRITERS[name](rows)).pool
    assert list(pool.items) == [Item(**row) for row in rows]
    assert [item.row for item in pool.items] == rows
    assert pool.sha256 == folder.load("other.jsonl", jsonl(rows)).pool.sha256
    assert pool.source == str(folder.path / name)


def solid(text: str) -> bool:
    return bool(text) and not text.isspace()


TEXT = st.text(max_size=60)
INSTRUCTION = st.text(min_size=1, max_size=60).filter(solid)


@settings(max_examples=60, deadline=None)
@given(instruction=INSTRUCTION, given_input=TEXT, response=TEXT)
@example("\ufeffa", "\u2028 \u2029 \x85 \x0b \x0c \x1c", "a\x00b")
@example(" padded \t", "line\r\nline\rline\n", "\r")
@example('"quoted", and "', "e\u0301 é ﬁ Å \u212b", "\\ud83d \\n {{ x }} [7]")
@example("# comment", "'", "\n\n")
@example("=1+1", "NULL", "NaN")
@example("\U0010ffff\ufffe\uffff", "\x7f\x1b[0m", '""')
@pytest.mark.parametrize("name", WRITERS)
def test_text_survives_byte_for_byte(
    shared_folder: Folder, name: str, instruction: str, given_input: str, response: str
) -> None:
    row = {"instruction": instruction, "input": given_input, "response": response}
    (item,) = shared_folder.items(name, WRITERS[name]([row]))
    assert (item.instruction, item.input, item.response) == (instruction, given_input, response)
    assert item.row == row


@pytest.mark.parametrize("name", WRITERS)
def test_a_field_of_a_million_characters_is_read_whole(folder: Folder, name: str) -> None:
    rows = [{"instruction": "é" * 1_000_000}, {"instruction": "next"}]
    items = folder.items(name, WRITERS[name](rows))
    assert [item.instruction for item in items] == ["é" * 1_000_000, "next"]


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.json", "pool.csv"])
def test_a_byte_order_mark_at_the_start_is_not_text(folder: Folder, name: str) -> None:
    data = b"\xef\xbb\xbf" + WRITERS[name]([{"instruction": "q"}])
    assert folder.items(name, data)[0].row == {"instruction": "q"}


def test_a_large_whole_number_in_a_row_is_kept_exactly(folder: Folder) -> None:
    (item,) = folder.items(
        "pool.jsonl", '{"instruction": "q", "n": 123456789012345678901234567890}'
    )
    assert item.row["n"] == 123456789012345678901234567890


def test_blank_lines_are_no_rows_but_count_as_lines(folder: Folder) -> None:
    content = '\n{"instruction": "q"}\r\n \n{"instruction": ""}\n'
    assert folder.complaint("pool.jsonl", content).startswith("pool.jsonl:4: ")
    assert folder.complaint("pool.csv", "\ninstruction,input\n\nq,\n\n,\n").startswith(
        "pool.csv:6: "
    )


def test_a_csv_row_is_numbered_by_the_line_it_begins_on(folder: Folder) -> None:
    content = 'instruction,input\n"a\nb\nc",x\n,"y\nz"\n'
    assert folder.complaint("pool.csv", content).startswith("pool.csv:5: instruction is empty")


def test_elements_of_a_json_array_may_lie_anyhow(folder: Folder) -> None:
    content = (
        ' \n[\t{"instruction"\n: "a ] , [ }"} , {"instruction":"b"},\r\n{"instruction":"c"}\n]\n '
    )
    items = folder.items("pool.json", content)
    assert [item.instruction for item in items] == ["a ] , [ }", "b", "c"]


def test_parquet_values_that_json_lacks_become_null_or_text(folder: Folder) -> None:
    import datetime
    import decimal

    row = {
        "instruction": "q",
        "score": float("nan"),
        "day": datetime.date(2024, 2, 29),
        "price": decimal.Decimal("1.50"),
        "nested": [{"when": datetime.date(2024, 1, 1), "n": 1.5}],
    }
    (item,) = folder.items("pool.parquet", parquet([row]))
    assert item.row == {
        "instruction": "q",
        "score": None,
        "day": "2024-02-29",
        "price": "1.50",
        "nested": [{"when": "2024-01-01", "n": 1.5}],
    }


def test_a_file_name_is_no_pattern(folder: Folder) -> None:
    folder.load("pool1.parquet", parquet([{"instruction": "other"}]))
    (item,) = folder.items("pool[1].parquet", parquet([{"instruction": "q"}]))
    assert item.instruction == "q"


@pytest.mark.parametrize("name", WRITERS)
def test_rows_share_the_names_of_their_columns(folder: Folder, name: str) -> None:
    first, second = folder.items(name, WRITERS[name]([{"instruction": "a"}, {"instruction": "b"}]))
    assert next(iter(first.row)) is next(iter(second.row))


def test_parquet_bytes_are_refused_rather_than_guessed_at(folder: Folder) -> None:
    content = parquet([{"instruction": b"q"}])
    expected = "pool.parquet: row 1: the value b'q' is none that JSON can carry; "
    assert folder.complaint("pool.parquet", content).startswith(expected)


def test_a_parquet_pool_longer_than_one_slice_keeps_every_row_in_order(folder: Folder) -> None:
    texts = [f"q{number}" for number in range(50_001)]
    items = folder.items("pool.parquet", parquet([{"instruction": text} for text in texts]))
    assert [item.instruction for item in items] == texts


def test_read_rows_gives_numbers_and_rows_as_they_are(folder: Folder) -> None:
    path = folder.path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n[2, null]\nNaN\n', encoding="utf-8")
    rows = read_rows(path)
    assert [next(rows), next(rows)] == [(1, {"a": 1}), (3, [2, None])]
    with pytest.raises(PoolError, match=r"rows\.jsonl:4: NaN is not JSON; write null"):
        next(rows)


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
def test_a_chat_is_its_first_user_turn_and_the_answer_to_it(
    folder: Folder, row: Row, response: str | None
) -> None:
    (item,) = folder.items("pool.jsonl", jsonl([row]))
    assert (item.instruction, item.input, item.response) == ("q", "", response)
    assert item.row == row


def test_a_chat_in_parquet_reads_as_in_jsonl(folder: Folder) -> None:
    (item,) = folder.items("pool.parquet", parquet([{"messages": [SYSTEM, ASKED, ANSWERED]}]))
    assert (item.instruction, item.response) == ("q", "r")


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        ("hello", "messages is no list of turns: 'hello'; "),
        (["hello"], "messages is no list of turns: ['hello']; "),
        ([SYSTEM], "instruction is missing (messages has no user turn); "),
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
        (["instruction"], "--map instruction: no column; write --map instruction=COL"),
        (["input="], "--map input=: no column; write --map instruction=COL"),
        (["instuction=q"], "--map: no canonical column 'instuction'; did you mean 'instruction'?"),
        (["id=a", "id=b"], "--map id=b: id is already mapped to 'a'; give it once"),
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


@settings(max_examples=40, deadline=None)
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
        ("", "id (column 'id') is empty; give every row its own or pass --skip-bad"),
        (None, "id (column 'id') is empty; "),
        (1.5, "id (column 'id') is a number: 1.5; write it as text or pass --skip-bad"),
        (True, "id (column 'id') is a boolean: True; "),
        ([1], "id (column 'id') is a list: [1]; "),
        (1, "id '1' is taken by pool.jsonl:1; make ids unique or pass --skip-bad"),
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
    (b'{"instruction": ""}', "instruction is empty; fill it"),
    (b'{"instruction": " \\n\\u00a0"}', "instruction is empty; fill it"),
    (b'{"instruction": null}', "instruction is missing; fill it"),
    (b'{"instruction": ["q"]}', "instruction is a list, not text: ['q']; write it as text"),
    (b'{"instruction": 7}', "instruction is a number, not text: 7; write it as text"),
    (b'{"instruction": "q", "input": {}}', "input is an object, not text: {}; write it as text"),
    (
        b'{"instruction": "q", "output": 42}',
        "response (column 'output') is a number, not text: 42; "
        "write it as text, use --map response=COL",
    ),
    (b'["q"]', "the row is no object: ['q']; write it as {\"instruction\": ...}"),
    (b"null", 'the row is no object: None; write it as {"instruction": ...}'),
    (
        b'{"instruction": "q", "n": NaN}',
        "NaN is not JSON; write null",
    ),
    (b'{"instruction": "q", "n": [-Infinity]}', "-Infinity is not JSON; write null"),
    (b'{"instruction": "q", "n": 1e999}', "number '1e999' is too large; write it as text"),
    (
        b'{"instruction": "q", "n": ' + b"9" * 5000 + b"}",
        "a number has too many digits; write it as text",
    ),
    (
        b'{"instruction": "q", "n": {"a": 1, "a": 1}}',
        "key 'a' appears twice in one object; remove one of them",
    ),
    (b'{"instruction": "\\ud800"}', "a \\u escape names half of a surrogate pair, which is no "),
    (b'{"instruction": "q", "\\uDFFF": 1}', "a \\u escape names half of a surrogate pair"),
    (b'{"instruction": "caf\xe9"}', "byte 21 (0xe9) is not UTF-8; save the file as UTF-8"),
    (b'{"instruction": "\xed\xa0\x80"}', "byte 18 (0xed) is not UTF-8; save the file as UTF-8"),
]
GOOD_ROW = b'{"instruction": "q", "output": "r"}'


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_a_bad_row_is_named_with_file_line_value_and_fix(
    folder: Folder, row: bytes, complaint: str
) -> None:
    message = folder.complaint("pool.jsonl", GOOD_ROW + b"\n" + row + b"\n")
    assert message.startswith(f"pool.jsonl:2: {complaint}")
    assert message.endswith(" or pass --skip-bad to leave the row out")
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


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            '{"instruction": "ü", bad}',
            "not JSON at column 22 (Expecting property name enclosed in double quotes), "
            'near \'on": "ü", bad}\'; write one JSON object there',
        ),
        ('{"instruction": "q"', "not JSON at column 20 ("),
        ('{"instruction": "q"} {"instruction": "q"}', "not JSON at column 22 (Extra data)"),
        ('{"instruction": "a\tb"}', "not JSON at column 19 (Invalid control character at)"),
        ("{'instruction': 'q'}", "not JSON at column 2 ("),
        ("[" * 100_000, "the JSON is nested too deeply; flatten it"),
    ],
)
def test_a_line_that_is_not_json_is_named_with_its_column(
    folder: Folder, line: str, complaint: str
) -> None:
    message = folder.complaint("pool.jsonl", f'{{"instruction": "q"}}\n{line}\n')
    assert message.startswith(f"pool.jsonl:2: {complaint}")
    loaded = folder.load("pool.jsonl", f'{{"instruction": "q"}}\n{line}\n', skip_bad=True)
    assert [rejected.row for rejected in loaded.rejected] == [line]


def test_a_long_value_is_shown_shortened(folder: Folder) -> None:
    message = folder.complaint("pool.jsonl", jsonl([{"instruction": ["x" * 10_000]}]))
    assert len(message) < 250
    assert "..." in message


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"caf\xe9,x", "a byte is not UTF-8; save the file as UTF-8"),
        (b"q", "1 fields where the header names 2; put fields that hold commas in quotes"),
        (b"q,r,s", "3 fields where the header names 2; put fields that hold commas in quotes"),
        (b",x", "instruction is empty; fill it"),
        (b'"two\nlines \xff",x', "a byte is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_bad_csv_row_is_named_or_left_out(folder: Folder, line: bytes, complaint: str) -> None:
    content = b"instruction,input\r\na,b\r\n" + line + b"\r\nc,d\r\n"
    message = folder.complaint("pool.csv", content)
    assert message == f"pool.csv:3: {complaint} or pass --skip-bad to leave the row out"
    loaded = folder.load("pool.csv", content, skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a", "c"]
    assert [rejected.line for rejected in loaded.rejected] == [3]


def test_of_two_rows_with_one_id_the_later_is_left_out(folder: Folder) -> None:
    rows = [{"id": 1, "instruction": "a"}, {"id": 1, "instruction": "b"}]
    loaded = folder.load("pool.jsonl", jsonl(rows), skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a"]
    assert loaded.rejected[0].reason.startswith("id '1' is taken by ")


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
        "pool.jsonl: all of its 2 rows are bad; correct them (pool.jsonl:1: instruction is empty)"
    )


# Bad files: the same with and without skip_bad


def test_a_file_without_an_instruction_column_names_the_columns_and_the_flag(
    folder: Folder,
) -> None:
    for row, flag in (
        ({"Instruction": "q", "n": 1}, "instruction=Instruction"),
        ({"n": 1, "question": "q"}, "instruction=question"),
        ({"my text": "q"}, "'instruction=my text'"),
        ({"n": 1}, "instruction=COL"),
    ):
        assert folder.complaint("pool.jsonl", jsonl([row]), skip_bad=True) == (
            f"pool.jsonl:1: no column holds the instruction (columns: {', '.join(row)}); "
            f"name it with --map {flag}"
        )


def test_a_mapping_to_a_column_that_is_not_there_is_an_error(folder: Folder) -> None:
    content = jsonl([{"instruction": "q", "answer": "r"}])
    for skip_bad in (False, True):
        message = folder.complaint(
            "pool.jsonl", content, columns={"response": "anwser"}, skip_bad=skip_bad
        )
        assert message == (
            "pool.jsonl:1: --map response=anwser: no column 'anwser'; did you mean 'answer'? "
            "There are: answer, instruction"
        )
    message = folder.complaint("pool.jsonl", content, columns={"respons": "answer"})
    assert message.startswith("--map: no canonical column 'respons'; did you mean 'response'?")


BROKEN_GZIP = gzip.compress(b'{"instruction": "q"}\n' * 1000)
NO_ARRAY = (
    "a .json pool is one array of objects: correct it, or name the file .jsonl if it holds one "
    "object a line"
)


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("pool.jsonl", b"", "pool.jsonl: the pool is empty; give it at least one row"),
        ("pool.jsonl", b"\n\r\n", "pool.jsonl: the pool is empty; "),
        ("pool.json", b" ", "pool.json: the pool is empty; "),
        ("pool.json", b"[ ]", "pool.json: the pool is empty; "),
        ("pool.csv", b"", "pool.csv: the pool is empty; "),
        ("pool.csv", b"instruction\r\n", "pool.csv: the pool is empty; "),
        ("pool.parquet", parquet([{"instruction": "q"}])[:-9], "pool.parquet: broken Parquet ("),
        ("pool.parquet", b"", "pool.parquet: broken Parquet ("),
        ("pool.json", GOOD_ROW, "pool.json:1: not JSON at column 1 (Expecting '['), near "),
        ("pool.json", b"[" + GOOD_ROW, "pool.json:1: not JSON at column 37 (Expecting ',')"),
        (
            "pool.json",
            '[{"instruction": "é"},\n {"instruction": "é", x}]'.encode(),
            "pool.json:2: not JSON at column 23 (Expecting property name enclosed in double "
            f'quotes), near \'on": "é", x}}]\'; {NO_ARRAY}',
        ),
        ("pool.json", b"[" + GOOD_ROW + b",]", "pool.json:1: not JSON at column 38 (Expecting val"),
        ("pool.json", b"[" + GOOD_ROW + b"]]", "pool.json:1: not JSON at column 38 (text behind"),
        ("pool.json", b"[" * 100_000, "pool.json: the JSON is nested too deeply; flatten it"),
        ("pool.csv", b"a,a\n", "pool.csv:1: two columns are named 'a'; rename one"),
        (
            "pool.csv",
            b"caf\xe9\nx\n",
            "pool.csv:1: the header is not UTF-8; save the file as UTF-8",
        ),
        ("pool.csv", b'instruction\nq\n"a"b\n', "pool.csv:3: broken CSV ("),
        ("pool.csv", b'instruction\nq\n"a\nb\n', "pool.csv:3: broken CSV (unexpected end of data)"),
        ("pool.csv", b"instruction\nq\na\rb\n", "pool.csv:3: broken CSV (new-line character"),
        ("pool.jsonl.gz", b"no gzip", "pool.jsonl.gz: broken gzip (Not a gzipped file"),
        ("pool.jsonl.gz", BROKEN_GZIP[:-30], "pool.jsonl.gz: broken gzip (Compressed file ended"),
        (
            "pool.json.gz",
            BROKEN_GZIP[:-8] + bytes(8),
            "pool.json.gz: broken gzip (CRC check failed",
        ),
        (
            "pool.xlsx",
            b"",
            "pool.xlsx: no pool format has the suffix '.xlsx'; there are: "
            ".jsonl, .json, .csv, .parquet, .jsonl.gz, .json.gz, .csv.gz",
        ),
        ("pool", b"", "pool: no pool format has the suffix ''; there are: .jsonl"),
        ("pool.parquet.gz", b"", "pool.parquet.gz: no pool format has the suffix '.parquet.gz'"),
        (".jsonl", b"", ".jsonl: no pool format has the suffix ''; there are: .jsonl"),
    ],
)
def test_a_file_that_is_no_pool_is_one_error(
    folder: Folder, name: str, content: bytes, complaint: str, skip_bad: bool
) -> None:
    assert folder.complaint(name, content, skip_bad=skip_bad).startswith(complaint)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for name in ("pool.jsonl", "pool.csv.gz", "pool.parquet"):
        with pytest.raises(PoolError, match=f"{re.escape(name)}: no such file; check the path$"):
            load_pool(tmp_path / name)


def test_a_folder_is_not_a_pool(tmp_path: Path) -> None:
    for name in ("pool.jsonl", "pool.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(PoolError, match=f"{re.escape(name)}: is a folder; name the pool file"):
            load_pool(tmp_path / name)


@settings(max_examples=150, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text('{}[]",:instruco \n\r\\ud8é0e9-N', max_size=60).map(str.encode),
    ),
    skip_bad=st.booleans(),
)
@pytest.mark.parametrize("name", ["pool.jsonl", "pool.json", "pool.csv", "pool.json.gz"])
def test_whatever_a_file_holds_it_is_a_pool_or_a_pool_error(
    shared_folder: Folder, name: str, content: bytes, skip_bad: bool
) -> None:
    content = b"instruction,input\n" + content if name == "pool.csv" else content
    with contextlib.suppress(PoolError):
        assert shared_folder.load(name, content, skip_bad=skip_bad).pool.items


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
