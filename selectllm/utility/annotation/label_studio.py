"""Label Studio: items to be rated there, and its exports as JSON, JSON-MIN, CSV or TSV.

Layouts: https://labelstud.io/guide/tasks, https://labelstud.io/guide/export, and its converter
(label_studio_sdk/converter: converter.py, utils.py, exports/csv2.py). An item is known by the field
`item_id` of its task, since exports in columns call the number of the task `id`. One control of the
labelling configuration holds the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from selectllm.core.codec import load_json
from selectllm.core.errors import UtilityError
from selectllm.core.shown import shortened
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.scale import item_id

ITEM = "item_id"
CONFIG = ".config.xml"
"""Added to the name of the tasks: the labelling configuration that shows them."""
TEXTS = {"instruction": "Instruction", "input": "Input", "response": "Present answer"}
MOST_STARS = 10
EXPORT_AGAIN = "Export the project again, as JSON"

Response = tuple[str, str, Any]
"""(annotator, item id, what was answered: text, a number, or None for nothing)."""


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether an object is a task, as JSON has it with its annotations."""
    return isinstance(row.get("data"), dict)


def is_record(row: Mapping[str, Any]) -> bool:
    """Whether an object is an annotation in columns, as JSON-MIN and CSV have it."""
    return "annotation_id" in row and "lead_time" in row


def task_responses(where: str, task: Mapping[str, Any], control: str) -> Iterator[Response]:
    """What was answered to a task; one response of None if nothing was.

    Annotations that were cancelled (the task was skipped) are none. Raises UtilityError, which
    begins with `where`, for a task without an item's id, and for values that are none.
    """
    data = task["data"]
    item = item_id(data.get(ITEM, data.get("id")))
    if item is None:
        raise UtilityError(f"{where}: the task's data has no {ITEM}; import the tasks as written")
    count = 0
    for annotation in task.get("annotations") or task.get("completions") or ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result") or ()
        values = [
            result.get("value")
            for result in results
            if isinstance(result, dict) and result.get("from_name") == control
        ]
        for value in values:
            count += 1
            yield _name(annotation.get("completed_by")), item, _plain(where, value)
    if not count:
        yield "", item, None


def record_response(where: str, row: Mapping[str, Any], control: str) -> Response:
    """What an annotation in columns says. Raises UtilityError likewise."""
    item = item_id(row.get(ITEM))
    if item is None:
        raise UtilityError(f"{where}: has no {ITEM}; import the tasks as they were written")
    value = row.get(control)
    if isinstance(value, str) and value.startswith(("[{", '{"')):
        value = _decoded(value)  # in CSV what is no single text is JSON
    return _name(row.get("annotator")), item, _plain(where, value)


def _decoded(cell: str) -> Any:
    try:
        value = load_json(cell)
    except ValueError:
        return cell
    known = value[0] if isinstance(value, list) and value else value
    if isinstance(known, dict) and {"text", "rating", "number", "choices"} & known.keys():
        return value
    return cell  # an answer that is JSON itself


def _plain(where: str, value: Any) -> Any:
    """A value as an answer: the text, of several submissions one below the other, or the number."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    match value:
        case None | str() | int() | float():
            return value
        case {"text": str(text)}:
            return text
        case {"text": [*parts]} if all(isinstance(part, str) for part in parts):
            return "\n".join(parts)
        case {"rating": number} | {"number": number} | {"choices": [number]}:
            return number
        case []:
            return None
    raise UtilityError(
        f"{where}: {shortened(value)} is not an answer that Label Studio writes. {EXPORT_AGAIN}"
    )


def _name(annotator: Any) -> str:
    """Who answered: an e-mail address if the export has it, else the number of the user."""
    if isinstance(annotator, dict):
        annotator = annotator.get("email") or annotator.get("id")
    return "" if annotator is None else str(annotator)


def shown_texts(shown: Sequence[str]) -> str:
    """The tags of a configuration that show these texts of an item, names of TEXTS."""
    return "".join(
        f'  <Header value={quoteattr(TEXTS[name])}/>\n  <Text name="{name}" value="${name}"/>\n'
        for name in shown
    )


CONVERSATION = """\
  <Header value="Conversation"/>
  <Paragraphs name="turns" value="$turns" layout="dialogue" nameKey="role" textKey="content"/>
"""
"""The tags that show the turns of a task."""


def rating_tasks(rows: Sequence[Mapping[str, Any]], asking: Asking, ask_name: str) -> str:
    """The tasks in which `rows` are rated, for all raters together; the rubric stands in each."""
    texts = [name for name in TEXTS if name in rows[0]]
    tasks = [
        {
            "data": {
                ITEM: row["id"],
                **{name: row[name] or "" for name in texts},
                **({"turns": row["turns"]} if "turns" in row else {}),
                "rubric": asking.rubric,
                "ask": ask_name,
            }
        }
        for row in rows
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def rating_config(rows: Sequence[Mapping[str, Any]], asking: Asking) -> str:
    """The configuration: stars for a scale from 1 in whole numbers, else a field for a number."""
    low, high = asking.range
    texts = shown_texts([name for name in TEXTS if name in rows[0]])
    texts = (CONVERSATION if "turns" in rows[0] else "") + texts
    control = f'<Number name="rating" toName="instruction" min="{low:g}" max="{high:g}" step="any"'
    if low == 1 and float(high).is_integer() and high <= MOST_STARS:
        control = f'<Rating name="rating" toName="instruction" maxRating="{high:g}"'
    return (
        f'<View>\n  <Text name="rubric" value="$rubric"/>\n{texts}'
        f'  <Header value="Rating"/>\n  {control} required="true"/>\n</View>\n'
    )
