"""Items to be answered in a spreadsheet (CSV, Excel) or as JSON lines. Pure: bytes of files.

No cell runs as a formula: Excel files hold text as text, and in CSV an apostrophe stands before
what a spreadsheet would take for a formula (sheet_files.disarmed).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.utility.annotation.sheet_files import disarmed
from selectllm.utility.handover.handed import HandedItem

LONGEST_CELL = 32_767  # characters that Excel keeps
_WIDTHS = {"instruction": 60, "input": 40, "response": 40, "answer": 60, "reason": 40, "rivals": 60}


def csv_files(handed: Sequence[HandedItem]) -> Mapping[str, bytes]:
    """A table with a byte order mark, by which spreadsheets know UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    rows = _rows(handed)
    writer.writerow(rows[0])
    writer.writerows([disarmed(cell) for cell in row.values()] for row in rows)
    return {"": f"\ufeff{text.getvalue()}".encode()}


def xlsx_files(handed: Sequence[HandedItem]) -> Mapping[str, bytes]:
    """A workbook of one sheet. Raises UsageError for text that Excel would cut."""
    try:
        import xlsxwriter
    except ImportError:
        raise UsageError(
            "Excel files are written by xlsxwriter, which is not installed. Write csv instead, or "
            "run: pip install xlsxwriter",
            argument="to",
        ) from None

    content = io.BytesIO()
    texts = ("strings_to_formulas", "strings_to_numbers", "strings_to_urls")
    with xlsxwriter.Workbook(content, {"in_memory": True, **dict.fromkeys(texts, False)}) as book:
        book.set_properties({"created": datetime(2000, 1, 1)})  # equal items, equal bytes
        sheet, bold = book.add_worksheet("items"), book.add_format({"bold": True})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        rows = _rows(handed)
        for column, name in enumerate(rows[0]):
            sheet.set_column(column, column, _WIDTHS.get(name, 12), wrapped)
            sheet.write_string(0, column, name, bold)
        for number, row in enumerate(rows, start=1):
            for column, (name, cell) in enumerate(row.items()):
                if len(cell) > LONGEST_CELL:
                    raise UsageError(
                        f"item {row['id']}: its {name} has {len(cell):,} characters, and a cell of "
                        f"Excel holds {LONGEST_CELL:,}. Write csv or jsonl instead",
                        argument="to",
                    )
                if cell:
                    sheet.write_string(number, column, cell, wrapped)
        sheet.freeze_panes(1, 0)
    return {"": content.getvalue()}


def jsonl_files(handed: Sequence[HandedItem]) -> Mapping[str, bytes]:
    """An object a line, with numbers as numbers and the rivals as a list."""
    lines = [json.dumps(_object(one), ensure_ascii=False) + "\n" for one in handed]
    return {"": "".join(lines).encode()}


def _rows(handed: Sequence[HandedItem]) -> list[dict[str, str]]:
    """The cells of every item by column; `response` only if an item has one."""
    answered = any(one.item.has_response for one in handed)
    return [
        {
            "id": one.item.id,
            "instruction": one.item.instruction,
            "input": one.item.input,
            **({"response": one.item.response or ""} if answered else {}),
            "answer": "",
            "annotator": "",
            "rank": _cell(one.choice.rank),
            "reason": one.choice.reason or "",
            "cluster": _cell(one.choice.cluster),
            "score": _cell(one.choice.score),
            "filled": "yes" if one.choice.filled else "",
            "rivals": one.rivals_text,
        }
        for one in handed
    ]


def _cell(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if isinstance(number, float) else str(number)


def _object(one: HandedItem) -> dict[str, Any]:
    item, choice = one.item, one.choice
    return {
        "id": item.id,
        "instruction": item.instruction,
        "input": item.input,
        **({"response": item.response} if item.has_response else {}),
        **({"turns": one.turns} if one.turns else {}),
        "answer": "",
        "annotator": "",
        "rank": choice.rank,
        "reason": choice.reason,
        "cluster": choice.cluster,
        "score": choice.score,
        "filled": choice.filled,
        "rivals": [{"id": rival.id, "text": rival.text} for rival in one.rivals],
    }
