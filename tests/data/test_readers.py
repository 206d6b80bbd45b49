"""Tables: every file format gives the same rows, text byte for byte, or one error that says why."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selectllm.core.errors import PoolError
from selectllm.core.types import Item
from selectllm.data.pool import load_pool
from selectllm.data.readers import read_rows
from selectllm.data.readers.delimited import SAVE_AS_UTF8
from tests.support.pool_files import GOOD_ROW, WRITERS, Folder, jsonl, parquet

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
    assert folder.complaint("pool.csv", "\ninstruction,input\n\nq,\n\n,x\n").startswith(
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
    expected = "pool.parquet: row 1: the value b'q' is none that JSON can carry. "
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
    with pytest.raises(PoolError, match=r"rows\.jsonl:4: NaN is not JSON\. Write null"):
        next(rows)


# Bad lines

QUOTE = "Put fields that hold the delimiter in quotes"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            '{"instruction": "ü", bad}',
            "not JSON at column 22 (Expecting property name enclosed in double quotes), "
            'near \'on": "ü", bad}\'. Write one JSON object there',
        ),
        ('{"instruction": "q"', "not JSON at column 20 ("),
        ('{"instruction": "q"} {"instruction": "q"}', "not JSON at column 22 (Extra data)"),
        ('{"instruction": "a\tb"}', "not JSON at column 19 (Invalid control character at)"),
        ("{'instruction': 'q'}", "not JSON at column 2 ("),
        ("[" * 100_000, "the JSON is nested too deeply. Flatten it"),
    ],
)
def test_a_line_that_is_not_json_is_named_with_its_column(
    folder: Folder, line: str, complaint: str
) -> None:
    message = folder.complaint("pool.jsonl", f'{{"instruction": "q"}}\n{line}\n')
    assert message.startswith(f"pool.jsonl:2: {complaint}")
    loaded = folder.load("pool.jsonl", f'{{"instruction": "q"}}\n{line}\n', skip_bad=True)
    assert [rejected.row for rejected in loaded.rejected] == [line]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"caf\xe9,x", f"byte 0xe9 is not UTF-8 (in Windows-1252 it is 'é'). S{SAVE_AS_UTF8[1:]}"),
        (b"q", "1 fields where the header names 2. Put fields that hold the delimiter in quotes"),
        (
            b"q,r,s",
            "3 fields where the header names 2. Put fields that hold the delimiter in quotes",
        ),
        (b",x", "instruction is empty. Fill it in"),
        (
            b'"two\nlines \xff",x',
            f"byte 0xff is not UTF-8 (in Windows-1252 it is 'ÿ'). S{SAVE_AS_UTF8[1:]}",
        ),
    ],
)
def test_a_bad_csv_row_is_named_or_left_out(folder: Folder, line: bytes, complaint: str) -> None:
    content = b"instruction,input\r\na,b\r\n" + line + b"\r\nc,d\r\n"
    message = folder.complaint("pool.csv", content)
    assert message == f"pool.csv:3: {complaint} or leave the row out (select: `skip_bad`)"
    loaded = folder.load("pool.csv", content, skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a", "c"]
    assert [rejected.line for rejected in loaded.rejected] == [3]


# Bad files: the same with and without skip_bad


BROKEN_GZIP = gzip.compress(b'{"instruction": "q"}\n' * 1000, mtime=0)
NO_ARRAY = (
    "A .json pool is one array of objects. Correct it, or call the file .jsonl if it holds one "
    "object in each line"
)


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("pool.jsonl", b"", "pool.jsonl: the pool is empty. Give it at least one row"),
        ("pool.jsonl", b"\n\r\n", "pool.jsonl: the pool is empty. "),
        ("pool.json", b" ", "pool.json: the pool is empty. "),
        ("pool.json", b"[ ]", "pool.json: the pool is empty. "),
        ("pool.csv", b"", "pool.csv: the pool is empty. "),
        ("pool.csv", b"instruction\r\n", "pool.csv: the pool is empty. "),
        ("pool.parquet", parquet([{"instruction": "q"}])[:-9], "pool.parquet is broken Parquet ("),
        ("pool.parquet", b"", "pool.parquet is broken Parquet ("),
        ("pool.json", GOOD_ROW, "pool.json:1: not JSON at column 1 (Expecting '['), near "),
        ("pool.json", b"[" + GOOD_ROW, "pool.json:1: not JSON at column 37 (Expecting ',')"),
        (
            "pool.json",
            '[{"instruction": "é"},\n {"instruction": "é", x}]'.encode(),
            "pool.json:2: not JSON at column 23 (Expecting property name enclosed in double "
            f'quotes), near \'on": "é", x}}]\'. {NO_ARRAY}',
        ),
        ("pool.json", b"[" + GOOD_ROW + b",]", "pool.json:1: not JSON at column 38 (Expecting val"),
        ("pool.json", b"[" + GOOD_ROW + b"]]", "pool.json:1: not JSON at column 38 (text behind"),
        ("pool.json", b"[" * 100_000, "pool.json:1: the JSON is nested too deeply. Flatten it"),
        ("pool.csv", b"a,a\n", "pool.csv:1: two columns are named 'a'. Rename one"),
        (
            "pool.csv",
            b"caf\xe9\nx\n",
            f"pool.csv:1: the header is not UTF-8. S{SAVE_AS_UTF8[1:]}",
        ),
        ("pool.csv", b'instruction\nq\n"a"b\n', "pool.csv:3: broken CSV ("),
        ("pool.csv", b'instruction\nq\n"a\nb\n', "pool.csv:3: broken CSV (unexpected end of data)"),
        ("pool.csv", b"instruction\nq\na\rb\n", "pool.csv:3: broken CSV (new-line character"),
        ("pool.jsonl.gz", b"no gzip", "pool.jsonl.gz is broken gzip (Not a gzipped file"),
        ("pool.jsonl.gz", BROKEN_GZIP[:-30], "pool.jsonl.gz is broken gzip (Compressed file ended"),
        (
            "pool.json.gz",
            BROKEN_GZIP[:-8] + bytes(8),
            "pool.json.gz is broken gzip (CRC check failed",
        ),
        (
            "pool.ods",
            b"",
            "pool.ods: no pool format has the suffix '.ods'. There are: .jsonl, .json, .csv, .tsv, "
            ".txt, .xlsx, .parquet, .jsonl.gz, .json.gz, .csv.gz, .tsv.gz, .txt.gz",
        ),
        ("pool", b"", "pool: no pool format has the suffix ''. There are: .jsonl"),
        ("pool.parquet.gz", b"", "pool.parquet.gz: no pool format has the suffix '.parquet.gz'"),
        (".jsonl", b"", ".jsonl: no pool format has the suffix ''. There are: .jsonl"),
    ],
)
def test_a_file_that_is_no_pool_is_one_error(
    folder: Folder, name: str, content: bytes, complaint: str, skip_bad: bool
) -> None:
    assert folder.complaint(name, content, skip_bad=skip_bad).startswith(complaint)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for name in ("pool.jsonl", "pool.csv.gz", "pool.parquet"):
        with pytest.raises(PoolError, match=f"{re.escape(name)} does not exist. Check the path$"):
            load_pool(tmp_path / name)


def test_a_folder_is_not_a_pool(tmp_path: Path) -> None:
    for name in ("pool.jsonl", "pool.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(PoolError, match=f"{re.escape(name)} is a folder. Name a pool file"):
            load_pool(tmp_path / name)


@settings(max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text('{}[]",:instruco \n\r\\ud8é0e9-N', max_size=60).map(str.encode),
    ),
    skip_bad=st.booleans(),
)
@pytest.mark.parametrize(
    "name",
    ["pool.jsonl", "pool.json", "pool.csv", "pool.json.gz", "pool.tsv", "pool.txt", "pool.xlsx"],
)
def test_whatever_a_file_holds_it_is_a_pool_or_a_pool_error(
    shared_folder: Folder, name: str, content: bytes, skip_bad: bool
) -> None:
    content = b"instruction,input\n" + content if name == "pool.csv" else content
    with contextlib.suppress(PoolError):
        assert shared_folder.load(name, content, skip_bad=skip_bad).pool.items


# An object around the rows


def test_the_only_list_of_objects_in_a_json_file_is_read(folder: Folder) -> None:
    content = {
        "version": "1.0",
        "tags": ["a"],
        "data": [{"instruction": "q é"}, {"instruction": "r"}],
    }
    loaded = folder.load("pool.json", json.dumps(content, ensure_ascii=False).encode())
    assert [item.instruction for item in loaded.pool.items] == ["q é", "r"]
    (note,) = loaded.pool.notes
    assert (
        note == "its rows are the list 'data', and its other values are not read: 'version', 'tags'"
    )


def test_a_bad_row_inside_an_object_is_told_by_its_place(folder: Folder) -> None:
    complaint = folder.complaint("pool.json", b'{"rows": [{"instruction": "q"}, {"n": NaN}]}')
    assert complaint.startswith("pool.json: element 2: NaN is not JSON")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"train": [{"q": 1}], "test": [{"q": 2}]}', "jq -c '.[\"train\"][]' pool.json"),
        (b'{"messages": [{"role": "user", "content": "q"}]}', "call the file .jsonl"),
        (b'{"data": {"instruction": "q"}}', "call the file .jsonl"),
        (b'{"data": []}', "call the file .jsonl"),
        (b"{}", "call the file .jsonl"),
        (b'{"a": 1}\n{"a": 2}', "call the file .jsonl"),
        (b'{"data": [{"instruction": "q"}', "not JSON"),
        (b'{"data": [{"instruction": "q"}]} x', "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
    ],
)
def test_other_objects_are_refused_with_what_helps(
    folder: Folder, content: bytes, words: str
) -> None:
    complaint = folder.complaint("pool.json", content)
    assert complaint.startswith("pool.json:")
    assert words in complaint
