"""A log with damaged lines: these are named and left out, and every other line stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import RunError
from selectllm.core.jsonl_log import RowFormat, RowLog, read_rows
from selectllm.core.log_repair import ASIDE, examine, mend

Row = tuple[int, str]
MANIFEST = {"format": 1}


def _from_json(fields: Mapping[str, Any]) -> Row:
    if fields.keys() != {"key", "text"} or type(fields["key"]) is not int:
        raise TypeError("no row")
    return fields["key"], fields["text"]


FORM: RowFormat[int, Row] = RowFormat(
    "row", lambda row: row[0], lambda row: {"key": row[0], "text": row[1]}, _from_json
)
OTHER: RowFormat[int, int] = RowFormat(
    "number", lambda row: row, lambda row: {"number": row}, lambda fields: int(fields["number"])
)
FORMS = (OTHER, FORM)


def written(folder: Path, rows: int = 6) -> Path:
    path = folder / "log.jsonl"
    path.unlink(missing_ok=True)
    with RowLog(path, MANIFEST, FORM) as log:
        for number in range(rows):
            log.append((number, f"text {number}"))
    return path


@given(
    damage=st.dictionaries(
        st.integers(1, 6),
        st.binary(max_size=30).filter(lambda junk: b"\n" not in junk and junk != b"null"),
        max_size=6,
    ),
    torn=st.booleans(),
)
def test_what_is_whole_stays_byte_for_byte_and_what_is_not_is_named(
    tmp_path_factory: pytest.TempPathFactory, damage: dict[int, bytes], torn: bool
) -> None:
    path = written(tmp_path_factory.mktemp("log"))
    manifest, *lines = path.read_bytes().splitlines(keepends=True)
    for number, junk in damage.items():
        lines[number - 1] = junk + b"\n"
    before = manifest + b"".join(lines) + (b'{"key":9' if torn else b"")
    path.write_bytes(before)
    state = mend(path, FORMS)
    assert state.damaged == tuple(sorted(number + 1 for number in damage))
    assert (state.whole, state.torn) == (6 - len(damage), torn)
    assert list(read_rows(path, FORM).latest) == [n for n in range(6) if n + 1 not in damage]
    if damage:
        assert path.with_name(path.name + ASIDE).read_bytes() == before
        kept = [line for number, line in enumerate(lines, 1) if number not in damage]
        assert path.read_bytes() == manifest + b"".join(kept)
    else:
        assert path.read_bytes() == before
    assert examine(path, FORMS).damaged == ()


def test_a_log_is_told_where_it_is_damaged_and_how_it_is_mended(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"text 3"', b"\xff"))
    with pytest.raises(RunError, match=rf"{path}:5 is not a row.* selectllm log repair {path}"):
        read_rows(path, FORM)
    assert examine(path, FORMS).damaged == (5,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a log"),
        (b"some text\n", "is not a log"),
        (b'{"manifest": 3\n{"key":1,"text":""}\n', ":1: The first line"),
        (b'\x00\xff": 3\n{"key":1,"text":""}\n', ":1: The first line"),
        (b'{"manifest":{"format":2},"manifest_sha256":"0"}\n', ":1: The first line"),
    ],
)
def test_what_is_no_log_is_not_touched(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunError, match=words):
        mend(path, FORMS)
    assert path.read_bytes() == content


def test_a_log_that_is_being_written_is_not_touched(tmp_path: Path) -> None:
    path = written(tmp_path)
    with (
        RowLog(path, MANIFEST, FORM),
        pytest.raises(RunError, match="Another process is writing"),
    ):
        mend(path, FORMS)


def test_an_earlier_repair_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.with_name(path.name + ASIDE).write_text("earlier")
    path.write_bytes(path.read_bytes() + b"junk\n")
    with pytest.raises(RunError, match="from an earlier repair"):
        mend(path, FORMS)
    assert path.read_bytes().endswith(b"junk\n")
