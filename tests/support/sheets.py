"""What a person does with a sheet: open it in a spreadsheet, write numbers, save."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path


def rows_of(sheet: Path) -> tuple[list[list[str]], list[dict[str, str]]]:
    """A CSV sheet's comment rows and its items."""
    table = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    comments = [row for row in table if row[0].startswith("#")]
    header, *rows = table[len(comments) :]
    return comments, [dict(zip(header, row, strict=True)) for row in rows]


def fill(sheet: Path, rate: Callable[[str], object], rater: str = "") -> None:
    """What a person does in a spreadsheet: a number per row, and save."""
    comments, rows = rows_of(sheet)
    with sheet.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows(comments)
        writer.writerow(rows[0].keys())
        for row in rows:
            writer.writerow({**row, "rating": rate(row["id"]), "rater": rater}.values())
