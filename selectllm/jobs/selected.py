"""A selection read back from its files: the rows that `select` wrote, and its log beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from selectllm.core.errors import RunError
from selectllm.core.jsonl_log import LogContent
from selectllm.core.types import Decision, Item
from selectllm.data.pool import load_pool
from selectllm.data.readers import FORMATS
from selectllm.data.readers.partitioned import is_partitioned
from selectllm.data.row_writers import WRITERS
from selectllm.selection.by_model import Chosen
from selectllm.selection.decision_log import Key, read_log
from selectllm.selection.schema import SelectionMark
from selectllm.utility.handover.joining import MARK

ENDING = ".selected.jsonl"  # of what `select` writes unless told otherwise
ROWS = ".selection.jsonl"
"""Added to the name of a hand-over: the items as `select` writes them, with all their columns."""
LOG = ".decisions.jsonl"
"""Added to the name of a selection."""


def read_selected(path: Path, columns: Mapping[str, str]) -> list[Chosen]:
    """The selected items in the order of the file, their rows without the mark.

    `columns`: as they were selected with. Raises PoolError for what is no pool, RunError for items
    that were not selected.
    """
    return [_marked(item, path) for item in load_pool(path, columns=columns).pool.items]


def _marked(item: Item, path: Path) -> Chosen:
    try:
        mark = SelectionMark.exactly(_without_nulls(item.row[MARK]))
    except (KeyError, ValueError):
        raise RunError(
            f"{path}: item {item.id!r} was not selected. Name a file that `select` wrote"
        ) from None
    row = {name: value for name, value in item.row.items() if name != MARK}
    return Chosen(replace(item, row=row), **dict(mark))


def _without_nulls(mark: Any) -> Any:
    """The mark as JSON has it: in Parquet, what one item lacks and another has is null."""
    if not isinstance(mark, dict):
        return mark
    absent = [name for name in SelectionMark.absent if mark.get(name) is None]
    return {name: value for name, value in mark.items() if name not in absent}


def log_beside(path: Path) -> LogContent[Key, Decision] | None:
    """The decisions behind a selection; None where no log is beside it, or an empty one.

    Raises RunError.
    """
    for name in (path.name, path.name.removesuffix(ROWS)):
        log = path.with_name(f"{name}{LOG}")
        if log.is_file() and (content := read_log(log)).manifest is not None:
            return content
    return None


def pool_beside(path: Path) -> Path | None:
    """The pool NAME of a selection NAME.selected.jsonl or .parquet, in the same folder."""
    name = path.name.removesuffix(ROWS)
    ending = Path(ENDING).stem  # .selected
    stem = Path(name).stem.removesuffix(ending)
    if Path(name).suffix not in WRITERS or not Path(name).stem.endswith(ending):
        return None
    if is_partitioned(folder := path.with_name(stem)):
        return folder
    endings = [each for each in FORMATS if each != ".gz"]
    beside = (path.with_name(f"{stem}{each}{gz}") for each in endings for gz in ("", ".gz"))
    return next((each for each in beside if each.is_file()), None)
