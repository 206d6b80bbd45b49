"""The sheets that people rate: every item once a rater, shuffled, nothing said about picks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UsageError
from selectllm.core.files import atomic_write, write_text
from selectllm.core.types import Item
from selectllm.utility.annotation.argilla import TURNS, Row, check_fits, write_folder
from selectllm.utility.annotation.asked import Asking, ask_path, write_asking
from selectllm.utility.annotation.label_studio import CONFIG, rating_config, rating_tasks
from selectllm.utility.annotation.sheet_files import write_csv

SUFFIXES = (".csv", ".jsonl", ".argilla", ".json")
SHARED = (".argilla", ".json")  # one for all raters
HOW_TO_FILL = (
    "Write a number into the column rating, and your name into the column rater (or leave it "
    "empty). Leave the column id as it is."
)
ASK_MARK = "ask: "  # before the name of the asking's file, in the last comment of a CSV sheet
SHEET_MARK = "asked: "  # before what was asked, in a sheet that has no file beside it


def write_sheets(
    path: Path,
    items: Sequence[Item],
    asking: Asking,
    *,
    seed: int = 0,
    with_responses: bool = False,
) -> list[Path]:
    """Write what raters fill in, and beside it `NAME.ask.json`; returns the sheets.

    The suffix of `path` says how: `.csv` (for spreadsheets), `.jsonl`, `.argilla` (a folder that
    Argilla 2 imports), or `.json` (tasks of Label Studio, with NAME.json.config.xml beside them).
    Several raters get a file each, `NAME-1.csv`, `NAME-2.csv` and on, in an order of their own;
    Argilla and Label Studio hand out the same to all. Orders are drawn from (seed, rater,
    id), so neither pool, cluster nor arm shows. Columns: rater, id, instruction, input, response
    (`with_responses`), turns, and the blank rating and comment; the rubric stands on top. Turns are
    there where an item is a conversation, those behind the instruction only `with_responses`.

    Text is never cut. In CSV an apostrophe stands before cells that a spreadsheet would take for
    a formula (they begin with = + - @, a tab or a line end); reading a sheet takes it off ids.

    `items`: those of `asking.ids`, in any order; else ValueError. Raises UsageError on another
    suffix, if a sheet exists (ratings may be in it), if `NAME.ask.json` exists and differs, and
    where Argilla cannot take the range or the rubric.
    """
    if sorted(item.id for item in items) != list(asking.ids):
        raise ValueError("the items to write are not those of the asking")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: no sheet has the suffix {path.suffix!r}. There are: {', '.join(SUFFIXES)}"
        )
    if path.suffix.lower() == ".argilla":
        check_fits(path, asking)
    sheets = _sheet_paths(path, asking.raters)
    for sheet in sheets:
        if sheet.exists():
            raise UsageError(
                f"{sheet} exists, and ratings may be in it. Write to another name, or remove it"
            )
    write_asking(ask_path(path), asking)
    for rater, sheet in enumerate(sheets, start=1):
        shuffled = sorted(items, key=lambda item: seeded_hash("sheet", seed, rater, item.id))
        _write(sheet, _rows(shuffled, with_responses), asking, ask_path(path).name)
    return sheets


def _rows(items: Sequence[Item], with_responses: bool) -> list[Row]:
    """One row an item; `rating` is what raters fill in."""
    talks = any(item.is_conversation for item in items)
    return [
        {
            "rater": "",
            "id": item.id,
            "instruction": item.instruction,
            "input": item.input,
            **({"response": item.response or ""} if with_responses else {}),
            **({TURNS: _turns(item, with_responses)} if talks else {}),
            "rating": None,
            "comment": "",
        }
        for item in items
    ]


def _turns(item: Item, with_responses: bool) -> list[dict[str, str]]:
    """The turns of a conversation as messages; none of a question and its answer alone."""
    if not item.is_conversation:
        return []
    turns = item.turns if with_responses else item.turns_asked
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _cell(value: Any) -> str:
    """A value in one cell: turns one below the other, each behind who speaks."""
    if isinstance(value, list):
        return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in value)
    return value or ""


def _sheet_paths(path: Path, raters: int) -> list[Path]:
    if raters == 1 or path.suffix.lower() in SHARED:
        return [path]
    return [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, raters + 1)]


def _write(sheet: Path, rows: list[Row], asking: Asking, ask_name: str) -> None:
    suffix = sheet.suffix.lower()
    if suffix == ".argilla":
        write_folder(sheet, rows, asking)
    elif suffix == ".json":
        write_text(sheet.with_name(f"{sheet.name}{CONFIG}"), rating_config(rows, asking))
        write_text(sheet, rating_tasks(rows, asking, ask_name))
    elif suffix == ".jsonl":
        with atomic_write(sheet) as handle:
            for row in ({"rubric": asking.rubric, "ask": ask_name}, *rows):
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        comments = [*asking.rubric.splitlines(), HOW_TO_FILL, ASK_MARK + ask_name]
        cells = [[_cell(value) for value in row.values()] for row in rows]
        write_csv(sheet, comments, list(rows[0]), cells)
