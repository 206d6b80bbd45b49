"""Sheets as Argilla 2 has them: the folder that `rg.Dataset.from_disk` reads, and its exports.

The layout is that of `argilla` 2.8 (datasets/_io/_disk.py, settings/_resource.py,
records/_resource.py, _models/_settings/_fields.py): `.argilla/dataset.json`,
`.argilla/settings.json` and `records.json`. Argilla itself is not needed: these are plain JSON
files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.files import write_text
from selectllm.core.shown import shortened
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.scale import item_id, shown
from selectllm.utility.annotation.sheet_files import read_objects

Row = Mapping[str, Any]
"""An id, texts, and under TURNS a list of messages."""
Files = Mapping[str, bytes]
"""The files of a dataset's folder, by their names in it, the one that makes it a dataset last."""

TEXTS = ("instruction", "input", "response")  # the columns that become fields
TURNS = "turns"  # the column that becomes a field of chat
LONGEST_MESSAGE = 20_000  # characters that the server takes, and of a role
LONGEST_ROLE = 20
HIGHEST = 10  # ratings are whole numbers from 0 to this
EXPORT_AGAIN = "Export the dataset again with dataset.to_disk or dataset.records.to_json"
LONGEST_GUIDELINES = 10_000  # characters that the server takes


def check_fits(path: Path, asking: Asking) -> None:
    """Raise UsageError if Argilla would refuse the range or the rubric."""
    low, high = map(float, asking.range)
    if not (low.is_integer() and high.is_integer() and 0 <= low < high <= HIGHEST):
        raise UsageError(
            f"{path}: range {shown(asking.range)} does not fit Argilla, whose ratings are whole "
            f"numbers from 0 to {HIGHEST}. Use a range such as 1 5, or write a .csv sheet"
        )
    if len(asking.rubric) > LONGEST_GUIDELINES:
        raise UsageError(
            f"{path}: the rubric has {len(asking.rubric)} characters, and Argilla takes "
            f"{LONGEST_GUIDELINES}. Shorten it, or write a .csv sheet"
        )


def write_folder(path: Path, rows: Sequence[Row], asking: Asking) -> None:
    """Write the dataset that all raters share, complete after `asking.raters` of them.

    In Argilla: `rg.Dataset.from_disk(path, workspace=..., client=...)`. The rubric becomes the
    guidelines, the columns of text become fields, an id stays the record's id. `asking` must
    pass `check_fits`.
    """
    low, high = (int(bound) for bound in asking.range)
    options = [{"value": value} for value in range(low, high + 1)]
    rating = _part("rating", True, "rating")
    form = Form(
        path.stem,
        tuple(name for name in (*TEXTS, TURNS) if name in rows[0]),
        ({**rating, "settings": {"type": "rating", "options": options}}, COMMENT),
        asking.rubric,
        asking.raters,
    )
    for name, content in dataset_files(rows, form).items():
        write_text(path / name, content.decode("ascii"))


@dataclass(frozen=True, slots=True)
class Form:
    """What is shown and asked: `fields` and `questions` in order; `raters`: asked of each record.

    A field is a column of text of the rows, and only the first must be filled.
    """

    name: str
    fields: tuple[str, ...]
    questions: tuple[Mapping[str, Any], ...]
    guidelines: str
    raters: int = 1


def answer_files(name: str, rows: Sequence[Row], guidelines: str) -> Files:
    """The dataset in which an answer is written to every row, in a field of text.

    `rows`: an id and the texts that are shown, the instruction first.
    """
    fields = tuple(column for column in rows[0] if column != "id")
    return dataset_files(rows, Form(name, fields, (ANSWER, COMMENT), guidelines))


def dataset_files(rows: Sequence[Row], form: Form) -> Files:
    """The dataset of `rows` as Argilla reads it from disk."""
    contents = {
        "records.json": [_record(row, form.fields) for row in rows],
        ".argilla/settings.json": _settings(form),
        # Last: without it Argilla does not take the folder for a dataset.
        ".argilla/dataset.json": _dataset(form),
    }
    # ASCII: Argilla opens these files in whatever encoding the machine prefers.
    return {
        name: (json.dumps(content, indent=1) + "\n").encode("ascii")
        for name, content in contents.items()
    }


def _record(row: Row, fields: Sequence[str]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "fields": {
            name: _messages(row[name]) if name == TURNS else row[name]
            for name in fields
            if row.get(name)
        },
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }


def _messages(turns: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Turns as the server takes them: a long one as several, and one of nothing says so."""
    return [
        {"role": re.sub(r"\s+", "_", turn["role"])[:LONGEST_ROLE] or "unknown", "content": part}
        for turn in turns
        for part in _cut(turn["content"] or "[nothing]")
    ]


def _cut(text: str) -> Iterator[str]:
    for start in range(0, len(text), LONGEST_MESSAGE):
        yield text[start : start + LONGEST_MESSAGE]


def _distribution(form: Form) -> dict[str, Any]:
    return {"strategy": "overlap", "min_submitted": form.raters}


def _dataset(form: Form) -> dict[str, Any]:
    return {
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", form.name).strip("-_")[:200] or "ratings",
        "guidelines": form.guidelines or None,
        "allow_extra_metadata": False,
        "distribution": _distribution(form),
    }


def _settings(form: Form) -> dict[str, Any]:
    return {
        "guidelines": form.guidelines or None,
        "fields": [
            _part(name, name == "instruction", "chat" if name == TURNS else "text")
            for name in form.fields
        ],
        "questions": list(form.questions),
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": _distribution(form),
        "mapping": None,
    }


def _part(name: str, required: bool, kind: str) -> dict[str, Any]:
    """A field or a question of the dataset."""
    settings = {"type": kind, "use_markdown": False}
    return {"name": name, "title": name.title(), "required": required, "settings": settings}


ANSWER = _part("answer", True, "text")
COMMENT = _part("comment", False, "text")


def exported(path: Path, question: str = "rating") -> Iterator[tuple[str, str, str, Any]]:
    """(place, rater, item id, value) for every response to `question`.

    Of a folder or a records.json.

    What `dataset.to_disk` and `dataset.records.to_json` write; the rater is Argilla's id of the
    user. A response whose own status is draft or discarded is left out, but the exports of 2.8
    do not say it: export a query for submitted responses if raters left drafts behind.

    Raises UtilityError, naming file and element, on anything else.
    """
    for place, record in read_objects(path if path.suffix == ".json" else path / "records.json"):
        item = item_id(record.get("id"))
        if item is None:
            raise UtilityError(f"{place} is not a record with an id. {EXPORT_AGAIN}")
        for response in _responses(place, record, question):
            match response:
                case {"status": "draft" | "discarded"} | {"value": None}:
                    continue
                case {"user_id": str(user), "value": value}:
                    yield place, user, item, value
                case _:
                    fault = f"{shortened(response)} is not a response with a user_id and a value"
                    raise UtilityError(f"{place}: item {item!r}: {fault}. {EXPORT_AGAIN}")


def _responses(place: str, record: Mapping[str, Any], question: str) -> list[Any]:
    """What the users answered to `question`."""
    match record.get("responses"):
        case dict() as others if question not in others:
            return []
        case dict() as responses if isinstance(responses[question], list):
            return list(responses[question])
    raise UtilityError(f"{place} is not a record with responses by question. {EXPORT_AGAIN}")
