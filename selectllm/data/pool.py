"""Pools to items: which columns mean what, ids, and what becomes of rows that are bad."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.codec import canonical_json, sha256_texts
from selectllm.core.errors import PoolError, UsageError
from selectllm.core.files import atomic_write
from selectllm.core.shown import shortened
from selectllm.core.types import Item, Pool
from selectllm.data.item_builder import ItemBuilder
from selectllm.data.layouts import TURNS
from selectllm.data.readers import format_of, place, scan_rows
from selectllm.data.readers.memory import record_rows
from selectllm.data.readers.partitioned import is_partitioned
from selectllm.data.readers.records import BadRow
from selectllm.data.stored_items import PackedIds, StoredItems, parts_read
from selectllm.data.trees import conversations


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was left out: its number in the pool (from 1), why, and the row as read.

    `place`: for a pool of several files, which one it stands in and where.
    """

    line: int
    reason: str
    row: str | None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedPool:
    """A pool, and the rows of its file that `skip_bad` left out."""

    pool: Pool
    rejected: tuple[Rejected, ...] = ()


def load_pool(
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    in_place: Path | None = None,
) -> LoadedPool:
    """The items of a pool, text byte for byte, in file order.

    `path`: a pool file, or an `hf:` name as hub.py describes it (a Path keeps its text).

    `columns` (`--map`) says which column of the file is the instruction, input, response or id,
    also inside objects (`body.messages`). It overrides what is recognised in the first row: these
    names, Alpaca, Dolly, prompt/completion, chat, or a file of another tool (exports.py). Its key
    `turns` says which turns of chats are shown (chats.py). Items without an id are named by a hash
    of (instruction, input); repeats get `-2`, `-3`. `skip_bad` leaves bad rows out and reports them
    in `rejected`. The pool's `notes` say what is not shown, or not shown as it was written.
    `in_place` leaves the rows of a pool of many Parquet files in their files: they are read when
    they are used (stored_items.py), best in their order. It is a folder for temporary copies in
    another order (arranged_items.py).

    Raises PoolError, naming file, place and fix, on a file that cannot be read, a missing
    column, a bad row (without `skip_bad`) and a pool with no item; UsageError on a canonical
    column in `columns` that there is none of.
    """
    if not isinstance(path, Path | str):
        raise PoolError(
            f"the pool is {type(path).__name__}, not a file. To make a pool of records, use "
            "Pool.from_records(...)"
        )
    path, columns = Path(path), _checked(columns)
    if in_place is not None and is_partitioned(path):
        if (loaded := _stored(path, columns, skip_bad, in_place)) is not None:
            return loaded
    with contextlib.closing(scan_rows(path)) as rows:
        return _loaded(path, rows, columns, skip_bad)


def _loaded(
    path: Path, scanned: Iterator[tuple[int, Any]], columns: Mapping[str, str], skip_bad: bool
) -> LoadedPool:
    """`load_pool` of the rows that are `scanned`, all in memory."""
    rows, trees = conversations(scanned, columns)
    builder = ItemBuilder(partial(place, path), columns, rows)
    rejected: list[Rejected] = []

    def left_out(number: int, row: Any, bad: BadRow) -> None:
        if not skip_bad:
            raise bad.at(place(path, number)) from None
        rejected.append(_rejected(path, number, row, bad))

    try:
        items = [*chain.from_iterable(builder.made(left_out))]
    except PoolError as error:
        unread = format_of(path).notes(path)
        if error.argument != "columns" or not unread:
            raise
        raise PoolError(f"{error}. Note that {unread[0]}", argument="columns") from None
    if not items:
        raise _nothing_in(path, rejected)
    notes = (*format_of(path).notes(path), *(trees.notes() if trees else ()), *builder.notes())
    pool = Pool(tuple(items), sha256_texts(_identity(items)), str(path), notes)
    return LoadedPool(pool, tuple(rejected))


def _rejected(path: Path, number: int, row: Any, bad: BadRow) -> Rejected:
    text = json.dumps(row, ensure_ascii=False) if bad.text is None else bad.text
    return Rejected(number, bad.reason, text, place(path, number) if is_partitioned(path) else None)


def _stored(
    path: Path, columns: Mapping[str, str], skip_bad: bool, folder: Path
) -> LoadedPool | None:
    """The pool of several Parquet files, whose rows stay there.

    None where an id is given twice, which `_loaded` names, and for trees of messages, whose rows do
    not stand alone. Raises as `load_pool` does.
    """
    rows, trees = conversations(scan_rows(path), columns)
    if trees is not None:
        return None
    builder = ItemBuilder(partial(place, path), columns, rows, unique=False)
    parts = parts_read(path)
    rejected: list[Rejected] = []

    def left_out(number: int, row: Any, bad: BadRow) -> None:
        if not skip_bad:
            raise bad.at(place(path, number)) from None
        rejected.append(_rejected(path, number, row, bad))

    def names() -> Iterator[str]:
        for items in builder.made(left_out):
            yield from (item.id for item in items)

    ids = PackedIds(names(), folder)
    if builder.layout is None or not len(ids):
        raise _nothing_in(path, rejected)
    if repeats := _repeats(ids):
        if builder.layout.id is not None:
            return None
        named = (name + repeats.get(place, "") for place, name in enumerate(ids))
        ids = PackedIds(named, folder)
    good = _but(rejected, len(ids)) if rejected else None
    items = StoredItems(parts, builder.layout, ids, folder, good)
    pool = Pool(items, sha256_texts(_identity(items)), str(path), builder.notes())
    return LoadedPool(pool, tuple(rejected))


def _but(rejected: Sequence[Rejected], items: int) -> NDArray[np.int64]:
    """The places of the rows that became items."""
    good = np.ones(items + len(rejected), dtype=bool)
    good[[each.line - 1 for each in rejected]] = False
    return np.flatnonzero(good)


def _repeats(ids: PackedIds) -> dict[int, str]:
    """What is added to the ids that came before: `-2`, `-3`, by their places."""
    met: Counter[str] = Counter()
    added: dict[int, str] = {}
    for place_of in ids.alike():
        name = ids[place_of]
        met[name] += 1
        if met[name] > 1:
            added[place_of] = f"-{met[name]}"
    return added


def load_beside(path: Path, columns: Mapping[str, str]) -> Pool:
    """The items of a file that goes with a pool, such as its test items.

    `columns`: those of the pool. Where the file lacks one of them, its own names count alone.
    Raises PoolError as `load_pool` does.
    """
    turns = {name: value for name, value in columns.items() if name == TURNS}
    try:
        return load_pool(path, columns=columns).pool
    except PoolError as error:
        if error.argument != "columns":
            raise
    return load_pool(path, columns=turns).pool


def pool_of(records: Any, columns: Mapping[str, str] | None = None) -> Pool:
    """See `Pool.from_records`."""
    rows, trees = conversations(record_rows(records), _checked(columns))
    builder = ItemBuilder("record {}".format, _checked(columns), rows)

    def left_out(number: int, row: Any, bad: BadRow) -> None:
        raise bad.at(f"record {number}", of_file=False) from None

    items = [*chain.from_iterable(builder.made(left_out))]
    if not items:
        raise PoolError("the pool is empty. Give it at least one record")
    notes = (*(trees.notes() if trees else ()), *builder.notes())
    return Pool(tuple(items), sha256_texts(_identity(items)), notes=notes)


def _checked(columns: Mapping[str, str] | None) -> Mapping[str, str]:
    """`columns`, none if there are none. Raises UsageError for what is no mapping of names."""
    columns = {} if columns is None else columns
    named = isinstance(columns, Mapping) and all(
        isinstance(name, str) for pair in columns.items() for name in pair
    )
    if not named:
        raise UsageError(
            f"`columns` {shortened(columns)} is not a mapping of names. Write it as "
            '{"instruction": "COL"}',
            argument="columns",
        )
    return columns


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Writes JSONL, one `{"line", "reason", "row"}` a row, whole or not at all.

    `place` is there as well for a pool of several files.
    """
    with atomic_write(path) as handle:
        for one in rejected:
            told = {name: value for name, value in asdict(one).items() if name != "place" or value}
            handle.write(canonical_json(told) + "\n")


def _nothing_in(path: Path, rejected: Sequence[Rejected]) -> PoolError:
    if not rejected:
        return PoolError(f"{path}: the pool is empty. Give it at least one row")
    first = f"{place(path, rejected[0].line)}: {rejected[0].reason}"
    return PoolError(
        f"{path}: none of its {len(rejected)} rows can be read. Correct them ({first})"
    )


def _identity(items: Iterable[Item]) -> Iterator[str]:
    """What `Pool.sha256` covers; a mark sets the empty response apart from none."""
    return chain.from_iterable(
        (item.id, item.instruction, item.input, _marked(item.response)) for item in items
    )


def _marked(response: str | None) -> str:
    return "none" if response is None else f"text:{response}"
