"""Pools in many Parquet files: a folder of them, or a pattern such as `parts/*.parquet`.

Files are read one after the other, by their paths in order, a slice at a time; their rows are
numbered on from file to file, and a bad row is named by its own file and place in it.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from selectllm.core.errors import PoolError
from selectllm.data.readers.columnar import parquet_rows
from selectllm.data.readers.records import reading

SUFFIX = ".parquet"


def is_partitioned(path: Path) -> bool:
    """Whether `path` is a folder with Parquet files in it, at whatever depth, or a pattern."""
    if path.is_dir():
        return next(path.rglob(f"*{SUFFIX}"), None) is not None
    pattern = path.suffix.lower() == SUFFIX and glob.has_magic(str(path))
    return pattern and not path.exists()  # a file may have any name


def without_pattern(path: Path) -> Path:
    """`path`, or of a pattern the folder below which its files are."""
    while glob.has_magic(path.name) and not path.exists():
        path = path.parent
    return path


def parts_of(path: Path) -> list[Path]:
    """The files, in order. Raises PoolError if there is none."""
    if path.is_dir():
        found = [part for part in path.rglob(f"*{SUFFIX}") if part.is_file()]
    else:
        found = [Path(part) for part in glob.glob(str(path), recursive=True)]
    if not found:
        raise PoolError(f"{path}: no file has such a name. Check the pattern")
    return sorted(found, key=lambda part: part.as_posix())


def would_join(path: Path, file: Path) -> bool:
    """Whether `file`, once it is written, is one more of the files of `path`."""
    if file.suffix != SUFFIX or not is_partitioned(path):
        return False
    if path.is_dir():
        return file.is_relative_to(path)
    return fnmatch(str(file), str(path)) if "**" in path.parts else file.match(str(path))


def partitioned_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of all files, as of one."""
    before = 0
    for part in parts_of(path):
        number = 0
        with reading(part):
            for number, row in parquet_rows(part):
                yield before + number, row
        before += number


def part_row(path: Path, number: int) -> tuple[Path, int]:
    """The file that holds row `number` of all, and its number there."""
    import polars as pl

    part = path
    for part in parts_of(path):
        rows = int(pl.scan_parquet(part, glob=False).select(pl.len()).collect().item())
        if number <= rows:
            break
        number -= rows
    return part, number
