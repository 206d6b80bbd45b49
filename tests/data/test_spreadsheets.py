"""What spreadsheets and editors save: read whatever the delimiter, or refused with what helps."""

from __future__ import annotations

import pytest

from tests.support.pool_files import Folder, workbook

TEXTS = ["Name a colour; or two, please.", 'Say "grün"\nin two lines.']
QUOTED = ['"Name a colour; or two, please."', '"Say ""grün""\nin two lines."']


def instructions(folder: Folder, name: str, content: bytes | str) -> list[str]:
    return [item.instruction for item in folder.items(name, content)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["pool.csv", "pool.tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_delimiter_and_encoding_are_found_out(
    folder: Folder, name: str, delimiter: str, encoding: str
) -> None:
    rows = [["id", "instruction"], ["a", QUOTED[0]], ["b", QUOTED[1]]]
    content = "".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding)
    assert instructions(folder, name, content) == TEXTS


def test_old_line_ends_of_a_mac_are_read(folder: Folder) -> None:
    assert instructions(folder, "pool.csv", "id;instruction\ra;one\rb;two\r") == ["one", "two"]


def test_a_header_without_delimiters_is_one_column(folder: Folder) -> None:
    content = 'instruction\n"One, two; three\tfour"\nFive\n'
    assert instructions(folder, "pool.csv", content) == ["One, two; three\tfour", "Five"]


def test_known_names_tell_the_delimiter_of_a_header_that_holds_several(folder: Folder) -> None:
    content = "instruction;notes, if any\nName a colour.;x\n"
    assert instructions(folder, "pool.csv", content) == ["Name a colour."]
    content = "instruction,notes; if any\nName a colour.,x\n"
    assert instructions(folder, "pool.csv", content) == ["Name a colour."]


def test_two_delimiters_that_fit_alike_are_refused_with_what_works(folder: Folder) -> None:
    content = "task,a;b\nName a colour.,1;2\n"
    complaint = folder.complaint("pool.csv", content, columns={"instruction": "task"})
    assert "commas and semicolons" in complaint
    assert "sep=," in complaint
    (item,) = folder.items("pool.csv", f"sep=,\n{content}", columns={"instruction": "task"})
    assert item.row == {"task": "Name a colour.", "a;b": "1;2"}


def test_empty_rows_and_columns_around_a_table_are_left_out(folder: Folder) -> None:
    content = "id;instruction;;\n;;;\na;one;;\nb;two;;\n;;;\n;;;\n"
    items = folder.items("pool.csv", content)
    assert [item.row for item in items] == [
        {"id": "a", "instruction": "one"},
        {"id": "b", "instruction": "two"},
    ]


def test_a_value_beside_the_table_is_named(folder: Folder) -> None:
    complaint = folder.complaint("pool.csv", "id;instruction;\na;one;\nb;two;x\n")
    assert complaint.startswith("pool.csv:3: 3 fields where the header names 2")


@pytest.mark.parametrize("name", ["pool.csv", "pool.tsv", "pool.txt"])
def test_a_code_page_is_refused_with_what_works(folder: Folder, name: str) -> None:
    head = "" if name == "pool.txt" else "instruction\n"
    complaint = folder.complaint(name, f"{head}Où est le café ?\n".encode("cp1252"))
    assert "0xf9" in complaint
    assert "'ù'" in complaint
    assert "CSV UTF-8" in complaint


def test_half_of_a_utf_16_file_is_refused(folder: Folder) -> None:
    content = "id\tinstruction\na\tone\n".encode("utf-16")[:-1]
    assert folder.complaint("pool.csv", content).startswith("pool.csv is broken UTF-16")


@pytest.mark.parametrize("content", ["id;instruction\n", "id,instruction", "sep=;\n"])
def test_a_header_alone_is_an_empty_pool(folder: Folder, content: str) -> None:
    assert "the pool is empty" in folder.complaint("pool.csv", content)


def test_a_text_is_an_instruction_a_line(folder: Folder) -> None:
    content = '\ufeffName a colour; or two, please.\r\n\r\n  Say "grün".\r\n7\r\n'
    items = folder.items("pool.txt", content)
    assert [item.instruction for item in items] == [
        "Name a colour; or two, please.",
        '  Say "grün".',
        "7",
    ]
    assert items[0].row == {"instruction": "Name a colour; or two, please."}
    assert instructions(folder, "pool.txt", content.lstrip("\ufeff").encode("utf-16"))[2] == "7"


# Excel


def test_a_workbook_is_read_as_text(folder: Folder) -> None:
    sheet = [
        ["id", "instruction", "rating", None],
        [1, TEXTS[0], 3.5],
        [2, TEXTS[1], 4],
        [None, None, None],
        [3, 42, None],
        [None, None, None, None],
    ]
    items = folder.items("pool.xlsx", workbook({"Tasks": sheet}))
    assert [item.row for item in items] == [
        {"id": "1", "instruction": TEXTS[0], "rating": "3.5"},
        {"id": "2", "instruction": TEXTS[1], "rating": "4"},
        {"id": "3", "instruction": "42", "rating": ""},
    ]


def test_the_first_sheet_that_holds_anything_is_read_and_the_others_are_told(
    folder: Folder,
) -> None:
    tasks, other = [["instruction"], ["one"]], [["instruction"], ["two"]]
    pool = folder.load("pool.xlsx", workbook({"Empty": [], "Tasks": tasks, "Other": other})).pool
    assert [item.instruction for item in pool.items] == ["one"]
    (note,) = pool.notes
    assert "'Tasks'" in note
    assert "'Other'" in note
    assert folder.load("pool.xlsx", workbook({"Empty": [], "Tasks": tasks})).pool.notes == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"PK\x03\x04", "pool.xlsx is not an Excel workbook"),
        (b"", "pool.xlsx is not an Excel workbook"),
        (workbook({"Empty": []}), "pool.xlsx: the pool is empty"),
        (workbook({"A": [["instruction"]]}), "pool.xlsx: the pool is empty"),
        (workbook({"A": [["a", "a"], ["x", "y"]]}), "pool.xlsx:1: two columns are named 'a'"),
        (
            workbook({"A": [["id", "instruction"], [1, None]]}),
            "pool.xlsx: row 2: instruction is empty",
        ),
        (
            workbook({"A": [[], [None], [], ["id", "instruction"], [1, None]]}),
            "pool.xlsx: row 5: instruction is empty",
        ),
        (
            workbook({"A": [["instruction"], ["x", "y"]]}),
            "pool.xlsx: row 2: 2 cells where the header names 1",
        ),
    ],
)
def test_what_cannot_be_read_is_named(folder: Folder, content: bytes, complaint: str) -> None:
    assert folder.complaint("pool.xlsx", content).startswith(complaint)


def test_a_table_with_tabs_is_no_list_of_instructions(folder: Folder) -> None:
    content = "id\tinstruction\r\na\tone\r\nb\ttwo\r\n".encode("utf-16")
    complaint = folder.complaint("pool.txt", content)
    assert "pool.tsv" in complaint  # the name under which it is read, as the next line shows
    assert instructions(folder, "pool.tsv", content) == ["one", "two"]


def test_a_tab_in_one_instruction_makes_no_table(folder: Folder) -> None:
    assert instructions(folder, "pool.txt", b"Sort:\tb, a\nName a colour.\n")[1] == "Name a colour."


def test_vertical_bars_divide_columns_too(folder: Folder) -> None:
    assert instructions(folder, "pool.csv", b"id|instruction\na|one, two\n") == ["one, two"]
