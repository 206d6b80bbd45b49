"""A pool without some of its items, as a file of its own with the rows of the first."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from selectllm.core.files import atomic_write
from selectllm.core.types import Pool
from selectllm.data.readers import FORMATS, format_of
from selectllm.data.readers.json_rows import jsonl_lines


def write_remainder(path: Path, pool: Pool, without: Collection[str]) -> None:
    """Write `pool` as JSON lines without the items of these ids, whole or not at all.

    `pool`: as `load_pool` read it from its `source`, no row left out. Lines of a JSONL file keep
    their bytes; rows of other formats keep their columns.
    """
    with atomic_write(path) as handle:
        for item, line in zip(pool.items, _lines(pool), strict=True):
            if item.id not in without:
                handle.write(line + "\n")


def _lines(pool: Pool) -> Iterator[str]:
    source = Path(pool.source)
    if format_of(source) is FORMATS[".jsonl"]:
        return (data.decode("utf-8") for _, data in jsonl_lines(source))
    return (json.dumps(item.row, ensure_ascii=False) for item in pool.items)
