"""What Label Studio exports, in the layouts that https://labelstud.io/guide/export documents.

`tasks`: what was imported, `[{"data": {...}}]`. `values`: by item id, for every annotation the
user, and the value of the control `name`, such as {"text": ["..."]} or {"rating": 4}.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Annotations = Mapping[str, Sequence[tuple[int, Mapping[str, Any]]]]
TIMES = {"created_at": "2026-11-01T10:00:00.000Z", "updated_at": "2026-11-01T10:05:00.000Z"}
TYPES = {"text": "textarea", "rating": "rating", "number": "number"}


def as_json(tasks: Sequence[Any], values: Annotations, name: str) -> list[dict[str, Any]]:
    """JSON: every task with its annotations."""
    return [
        {
            "id": number,
            "annotations": [
                {
                    "id": 100 * number + user,
                    "completed_by": user,
                    "result": [
                        {
                            "value": value,
                            "id": "Dx_aB91ISN",
                            "from_name": name,
                            "to_name": "instruction",
                            "type": TYPES[next(iter(value))],
                            "origin": "manual",
                        }
                    ],
                    "was_cancelled": False,
                    "ground_truth": False,
                    "lead_time": 30.5,
                    "task": number,
                    **TIMES,
                }
                for user, value in values.get(task["data"]["item_id"], ())
            ],
            "drafts": [],
            "predictions": [],
            "data": task["data"],
            "meta": {},
            "project": 3,
            **TIMES,
        }
        for number, task in enumerate(tasks, start=1)
    ]


def as_json_min(tasks: Sequence[Any], values: Annotations, name: str) -> list[dict[str, Any]]:
    """JSON-MIN: a row an annotation, the fields of the task beside the answer."""
    return [
        {
            **task["data"],
            "id": number,
            name: _pretty(value),
            "annotator": user,
            "annotation_id": 100 * number + user,
            "lead_time": 30.5,
            **TIMES,
        }
        for number, task in enumerate(tasks, start=1)
        for user, value in values.get(task["data"]["item_id"], ())
    ]


def as_csv(tasks: Sequence[Any], values: Annotations, name: str) -> str:
    """CSV: the same; what is no text is JSON, and the task's own fields come last."""
    rows = []
    for row in as_json_min(tasks, values, name):
        cell = row[name]
        rows.append({**row, name: cell if isinstance(cell, str) else json.dumps(cell)})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, sorted(rows[0]), quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _pretty(value: Mapping[str, Any]) -> Any:
    """One text alone stands for itself; other values are lists of objects."""
    if len(value.get("text", ())) == 1:
        return value["text"][0]
    return dict(value) if "text" in value else [dict(value)]
