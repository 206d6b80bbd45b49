"""Sheets that an HTML report saves say themselves what was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.core.errors import UtilityError
from selectllm.utility.annotation.filled_sheets import find_asking, read_sheets
from selectllm.utility.annotation.sheet_files import write_csv
from selectllm.utility.annotation.sheets import HOW_TO_FILL, SHEET_MARK

ASKED = {"suite": "demo", "pool_sha256": "a" * 64, "range": [1, 5], "differing": True}
HEAD = ("rater", "id", "instruction", "input", "rating", "comment")


def sheet(folder: Path, asked: str, *rows: tuple[str, ...]) -> Path:
    path = folder / "sheet.csv"
    write_csv(path, ["Is it useful?", HOW_TO_FILL, SHEET_MARK + asked], HEAD, rows)
    return path


def test_a_saved_sheet_needs_no_file_beside_it(tmp_path: Path) -> None:
    rows = (("Ada", "=2", "text", "", "4", ""), ("Ada", "b", "text", "", "2.5", ""))
    path = sheet(tmp_path, json.dumps(ASKED), *rows)
    asking = find_asking(path)
    assert (asking.suite, asking.range, asking.ids) == ("demo", (1.0, 5.0), ("=2", "b"))
    assert asking.rubric == "Is it useful?"
    assert read_sheets([path], asking) == {"=2": {"Ada": 4.0}, "b": {"Ada": 2.5}}


def test_items_without_a_rating_are_told_as_of_any_sheet(tmp_path: Path) -> None:
    rows = (("", "a", "text", "", "4", ""), ("", "b", "text", "", "", ""))
    path = sheet(tmp_path, json.dumps(ASKED), *rows)
    with pytest.raises(UtilityError, match="1 of 2 items have no rating: 'b'"):
        read_sheets([path], find_asking(path))


@pytest.mark.parametrize("asked", ["{", "[]", json.dumps(ASKED | {"range": [5, 1]}), "{}"])
def test_a_damaged_comment_is_one_clear_error(tmp_path: Path, asked: str) -> None:
    path = sheet(tmp_path, asked, ("", "a", "text", "", "4", ""))
    with pytest.raises(UtilityError, match=r"sheet\.csv: the comment that says what was asked"):
        find_asking(path)
