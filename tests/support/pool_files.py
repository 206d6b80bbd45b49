"""Pool files for tests: every format that a pool may have, and a folder to load them from."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.data.pool import LoadedPool, load_pool

Row = Mapping[str, Any]
GOOD_ROW = b'{"instruction": "q", "output": "r"}'


def jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def escaped_jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row) + "\r\n" for row in rows).encode()


def json_array(rows: Sequence[Row]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


def csv_table(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def tsv_table(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), dialect="excel-tab")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def utf16_table(rows: Sequence[Row]) -> bytes:
    """What a spreadsheet calls Unicode text: tabs, UTF-16 with its mark."""
    return tsv_table(rows).decode().encode("utf-16")


def workbook(sheets: Mapping[str, Sequence[Sequence[str | float | None]]]) -> bytes:
    """An Excel file, of the parts that every reader needs."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    }
    named = linked = ""
    for number, (name, rows) in enumerate(sheets.items(), 1):
        named += f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
        target = f"worksheets/sheet{number}.xml"
        linked += f'<Relationship Id="r{number}" Type="{office}/worksheet" Target="{target}"/>'
        lines = "".join(
            f'<row r="{row}">{"".join(_cell(*placed, row) for placed in enumerate(cells))}</row>'
            for row, cells in enumerate(rows, 1)
        )
        parts[f"xl/{target}"] = (
            f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{named}</sheets></workbook>'
    )
    parts["xl/_rels/workbook.xml.rels"] = (
        f'<Relationships xmlns="{package}/relationships">{linked}</Relationships>'
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return data.getvalue()


def _cell(at: int, value: str | float | None, row: int) -> str:
    place = f'r="{chr(ord("A") + at)}{row}"'
    if value is None:
        return f"<c {place}/>"
    if isinstance(value, str):
        return f'<c {place} t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c {place}><v>{value}</v></c>"


def parquet(rows: Sequence[Row]) -> bytes:
    import polars as pl

    data = io.BytesIO()
    pl.DataFrame(rows).write_parquet(data)
    return data.getvalue()


def zipped(write: Callable[[Sequence[Row]], bytes]) -> Callable[[Sequence[Row]], bytes]:
    return lambda rows: gzip.compress(write(rows), mtime=0)


WRITERS = {
    "pool.jsonl": jsonl,
    "escaped.jsonl": escaped_jsonl,
    "pool.json": json_array,
    "pool.csv": csv_table,
    "pool.tsv": tsv_table,
    "utf-16.csv": utf16_table,
    "pool.parquet": parquet,
    "pool.jsonl.gz": zipped(jsonl),
    "pool.json.gz": zipped(json_array),
    "pool.csv.gz": zipped(csv_table),
    "POOL.JSONL.GZ": zipped(jsonl),
}


class Folder:
    """A temporary folder to load pools from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, name: str, content: bytes | str, **options: Any) -> LoadedPool:
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_pool(path, **options)

    def items(self, name: str, content: bytes | str, **options: Any) -> Sequence[Item]:
        return self.load(name, content, **options).pool.items

    def complaint(self, name: str, content: bytes | str, **options: Any) -> str:
        """The message of the one error, the folder's own path taken out."""
        with pytest.raises(UsageError) as caught:
            self.load(name, content, **options)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{self.path}/", "").replace(f"{self.path}\\", "")
