"""Answers that came back, from whichever tool wrote the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.shown import shortened
from selectllm.utility.annotation import label_studio
from selectllm.utility.annotation.argilla import exported
from selectllm.utility.annotation.scale import is_blank, item_id
from selectllm.utility.annotation.sheet_files import TABLES, read_csv, read_objects, rearmed

ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What a file says of one item.

    `place`: file and line. `item`: its id as the file has it; `disarmed`: as CSV is written, with
    an apostrophe before what looks like a formula. `text`: None if it is not answered.
    """

    place: str
    annotator: str
    item: str
    text: str | None
    disarmed: bool = False

    @property
    def ids(self) -> tuple[str, str]:
        """What the id may be, the likelier one first: spreadsheets move tables between formats."""
        bare = rearmed(self.item)
        return (bare, self.item) if self.disarmed else (self.item, bare)


def read_answers(path: Path) -> list[GivenAnswer]:
    """Every item that the file has, answered or not, in its order.

    Files: `.csv`, `.tsv`, `.xlsx` and `.jsonl` with an id and an answer; exports of Label Studio as
    JSON, JSON-MIN, CSV or TSV; of Argilla a folder or its records.json. Raises UtilityError, naming
    file and line, for what cannot be read and for answers that are no text.
    """
    if not path.exists():
        raise UtilityError(f"{path} does not exist. Check the path")
    suffix = path.suffix.lower()
    if path.is_dir():
        return list(_of_argilla(path))
    if suffix in TABLES:
        return list(_of_table(path))
    if suffix in (".json", ".jsonl"):
        return list(_of_objects(path))
    raise UtilityError(
        f"{path}: answers cannot be read from suffix {suffix!r}. Name a .csv, .tsv, .xlsx, .jsonl "
        "or .json file, or a folder that Argilla wrote"
    )


def _of_table(path: Path) -> Iterator[GivenAnswer]:
    for line, cells in read_csv(path, (ANSWER,)).rows:
        answer = _of_row(f"{path}:{line}", cells)
        yield replace(answer, disarmed=path.suffix.lower() != ".xlsx")


def _of_objects(path: Path) -> Iterator[GivenAnswer]:
    for place, row in read_objects(path):
        if label_studio.is_task(row):
            for annotator, item, value in label_studio.task_responses(place, row, ANSWER):
                yield _answer(place, annotator, item, value)
        elif isinstance(row.get("fields"), dict):
            yield from _of_argilla(path)
            return
        else:
            yield _of_row(place, row)


def _of_row(place: str, row: Mapping[str, Any]) -> GivenAnswer:
    if label_studio.is_record(row):
        return _answer(place, *label_studio.record_response(place, row, ANSWER))
    item = item_id(row.get("id", row.get(label_studio.ITEM)))
    if item is None:
        raise UtilityError(f"{place} has no id, so its answer belongs to no item. Restore the id")
    if ANSWER not in row:
        raise UtilityError(
            f"{place} has no column `answer`. Add one, and leave it empty where there is no answer"
        )
    annotator = row.get("annotator")
    return _answer(place, "" if is_blank(annotator) else str(annotator).strip(), item, row[ANSWER])


def _of_argilla(path: Path) -> Iterator[GivenAnswer]:
    """Records without a response are listed, too."""
    given: dict[str, list[GivenAnswer]] = {}
    for place, annotator, item, value in exported(path, ANSWER):
        given.setdefault(item, []).append(_answer(place, annotator, item, value))
    records = path if path.is_file() else path / "records.json"
    for place, record in read_objects(records):
        item = item_id(record.get("id")) or ""
        yield from given.pop(item, [GivenAnswer(place, "", item, None)])


def _answer(place: str, annotator: str, item: str, value: Any) -> GivenAnswer:
    if is_blank(value):
        return GivenAnswer(place, annotator, item, None)
    if not isinstance(value, str):
        raise UtilityError(
            f"{place}: item {item!r}: the answer {shortened(value)} is not a text. Write it as one"
        )
    return GivenAnswer(place, annotator, item, value)
