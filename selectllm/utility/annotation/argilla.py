"""Sheets as Argilla 2 has them: the folder that `rg.Dataset.from_disk` reads, and its exports.

The layout is that of `argilla` 2.8 (datasets/_io/_disk.py, settings/_resource.py,
records/_resource.py): `.argilla/dataset.json`, `.argilla/settings.json` and `records.json`.
Argilla itself is not needed: these are plain JSON files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.files import write_text
from selectllm.core.shown import shortened
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.scale import item_id, shown
from selectllm.utility.annotation.sheet_files import read_objects

Row = Mapping[str, str | None]

TEXTS = ("instruction", "input", "response")  # the columns that become fields
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
    _write_json(path / "records.json", [_record(row) for row in rows])
    _write_json(path / ".argilla/settings.json", _settings(rows[0], asking))
    # Last: without it Argilla does not take the folder for a dataset.
    _write_json(path / ".argilla/dataset.json", _dataset(path.stem, asking))


def _write_json(path: Path, content: Any) -> None:
    # ASCII: Argilla opens these files in whatever encoding the machine prefers.
    write_text(path, json.dumps(content, indent=1) + "\n")


def _record(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "fields": {name: row[name] for name in TEXTS if row.get(name)},
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }


def _distribution(asking: Asking) -> dict[str, Any]:
    return {"strategy": "overlap", "min_submitted": asking.raters}


def _dataset(name: str, asking: Asking) -> dict[str, Any]:
    return {
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:200] or "ratings",
        "guidelines": asking.rubric or None,
        "allow_extra_metadata": False,
        "distribution": _distribution(asking),
    }


def _settings(row: Row, asking: Asking) -> dict[str, Any]:
    low, high = (int(bound) for bound in asking.range)
    options = [{"value": value} for value in range(low, high + 1)]
    return {
        "guidelines": asking.rubric or None,
        "fields": [_part(name, name == "instruction", "text") for name in TEXTS if name in row],
        "questions": [
            {**_part("rating", True, "rating"), "settings": {"type": "rating", "options": options}},
            _part("comment", False, "text"),
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": _distribution(asking),
        "mapping": None,
    }


def _part(name: str, required: bool, kind: str) -> dict[str, Any]:
    """A field or a question of the dataset."""
    settings = {"type": kind, "use_markdown": False}
    return {"name": name, "title": name.title(), "required": required, "settings": settings}


def exported(path: Path) -> Iterator[tuple[str, str, str, Any]]:
    """(place, rater, item id, value) for every response of a folder or a records.json.

    What `dataset.to_disk` and `dataset.records.to_json` write; the rater is Argilla's id of the
    user. A response whose own status is draft or discarded is left out, but the exports of 2.8
    do not say it: export a query for submitted responses if raters left drafts behind.

    Raises UtilityError, naming file and element, on anything else.
    """
    for place, record in read_objects(path if path.suffix == ".json" else path / "records.json"):
        item = item_id(record.get("id"))
        if item is None:
            raise UtilityError(f"{place} is not a record with an id. {EXPORT_AGAIN}")
        for response in _responses(place, record):
            match response:
                case {"status": "draft" | "discarded"} | {"value": None}:
                    continue
                case {"user_id": str(user), "value": value}:
                    yield place, user, item, value
                case _:
                    fault = f"{shortened(response)} is not a response with a user_id and a value"
                    raise UtilityError(f"{place}: item {item!r}: {fault}. {EXPORT_AGAIN}")


def _responses(place: str, record: Mapping[str, Any]) -> list[Any]:
    """What the users answered to the question `rating`."""
    match record.get("responses"):
        case {"rating": [*responses]}:
            return responses
        case dict() as others if "rating" not in others:
            return []
    raise UtilityError(f"{place} is not a record with responses by question. {EXPORT_AGAIN}")
