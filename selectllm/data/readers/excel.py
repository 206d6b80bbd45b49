"""Excel workbooks: the first sheet that holds anything, every cell as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import PoolError
from selectllm.data.readers.records import BadRow
from selectllm.data.readers.table import Table, check_names, table_of

if TYPE_CHECKING:
    import polars as pl

_AS_TEXT = {"dtypes": "string", "skip_rows": 0}  # 7, not 7.0; empty rows above count, too


def excel_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows as dicts; a cell is text as JSON would hold it, "" if it is empty."""
    table = excel_table(path)
    check_names(path, table)
    for number, fields in table.rows:
        if len(fields) > len(table.header):
            reason = f"{len(fields)} cells where the header names {len(table.header)}"
            yield (
                number,
                BadRow(
                    reason,
                    "name every column in the first row, with no title above it,",
                    repr(fields),
                ),
            )
        else:
            yield number, dict(zip(table.header, fields, strict=True))


def excel_table(path: Path, *, commented: bool = False) -> Table:
    """The table on the first sheet that holds anything; `commented`: see `table_of`.

    Raises PoolError for what is no workbook.
    """
    frame = next((sheet for sheet in _sheets(path).values() if sheet.height), None)
    rows = enumerate(() if frame is None else frame.iter_rows(), 1)
    records = ((number, [cell or "" for cell in cells]) for number, cells in rows)
    return table_of(records, commented=commented)


def other_sheets(path: Path) -> tuple[str, ...]:
    """A sentence about the sheets that are not read; none if one alone holds anything."""
    read, *others = [name for name, sheet in _sheets(path).items() if sheet.height] or [""]
    if not others:
        return ()
    return (
        f"it has {len(others) + 1} sheets, and only the first, {read!r}, is read. To read "
        f"{others[0]!r}, move it to the front or save it as a file of its own",
    )


def _sheets(path: Path) -> dict[str, pl.DataFrame]:
    """Every sheet by name, without a header."""
    import polars as pl

    try:
        import fastexcel
    except ImportError:
        raise PoolError(
            f"{path}: Excel files are read by fastexcel, which is not installed. Run pip install "
            "fastexcel, or save the sheet as 'CSV UTF-8' in the spreadsheet"
        ) from None
    try:
        return pl.read_excel(
            path,
            sheet_id=0,
            has_header=False,
            raise_if_empty=False,
            drop_empty_rows=False,
            read_options=_AS_TEXT,
        )
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise PoolError(
            f"{path} is not an Excel workbook ({reason}). Save it again as .xlsx, without a "
            "password, or as 'CSV UTF-8'"
        ) from None
