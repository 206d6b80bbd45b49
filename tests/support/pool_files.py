"""Pool files for tests: every format that a pool may have, and a folder to load them from."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
