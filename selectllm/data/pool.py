"""Pools to items: which columns mean what, ids, and what becomes of rows that are bad."""

from __future__ import annotations

import contextlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.codec import canonical_json, sha256_texts
from selectllm.core.errors import PoolError, UsageError
from selectllm.core.files import atomic_write
from selectllm.core.shown import shortened
from selectllm.core.types import Item, Pool
from selectllm.data.chats import ASSISTANTS, dialogues_note, is_dialogue, notes_on
from selectllm.data.columns import mapping
from selectllm.data.layouts import (
    TURNS,
    PoolLayout,
    Texts,
    kind_of,
    layout_of,
    no_instruction,
)
from selectllm.data.likely import SAMPLE
from selectllm.data.paths import value_at
from selectllm.data.readers import format_of, place, scan_rows
from selectllm.data.readers.memory import record_rows
from selectllm.data.readers.partitioned import is_partitioned
from selectllm.data.readers.records import BadRow, MendedRow
from selectllm.data.stored_items import PackedIds, StoredItems, parts_read
from selectllm.data.trees import conversations, of_assistants_note
from selectllm.data.turns import notes_on_odd

_FEW = 10  # items, of which nothing is said
_MANY = 100_000  # different texts, which are not nearly all equal whatever the pool
_SAMPLED = 1_000  # items that are looked at for conversations in one text
_ALIKE = 0.1  # of the texts are different where nearly all are equal


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
    builder = _Builder(partial(place, path), columns, rows)
    items: list[Item] = []
    rejected: list[Rejected] = []
    for number, row in rows:
        try:
            items.append(builder.item(number, row))
        except BadRow as bad:
            if not skip_bad:
                raise bad.at(place(path, number)) from None
            rejected.append(_rejected(path, number, row, bad))
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
    builder = _Builder(partial(place, path), columns, rows, unique=False)
    parts = parts_read(path)
    hashes, kept = array("q"), array("q")
    rejected: list[Rejected] = []

    def names() -> Iterator[str]:
        for number, row in rows:
            try:
                item = builder.item(number, row)
            except BadRow as bad:
                if not skip_bad:
                    raise bad.at(place(path, number)) from None
                rejected.append(_rejected(path, number, row, bad))
                continue
            hashes.append(hash(item.id))
            if skip_bad:
                kept.append(number - 1)
            yield item.id

    ids = PackedIds(names())
    if builder.layout is None or not len(ids):
        raise _nothing_in(path, rejected)
    if repeats := _repeats(ids, np.frombuffer(hashes, dtype=np.int64)):
        if builder.layout.id is not None:
            return None
        ids = PackedIds(name + repeats.get(place, "") for place, name in enumerate(ids))
    good = np.frombuffer(kept, dtype=np.int64) if rejected else None
    items = StoredItems(parts, builder.layout, ids, folder, good)
    pool = Pool(items, sha256_texts(_identity(items)), str(path), builder.notes())
    return LoadedPool(pool, tuple(rejected))


def _repeats(ids: PackedIds, hashes: NDArray[np.int64]) -> dict[int, str]:
    """What is added to the ids that came before: `-2`, `-3`, by their places."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    alike = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))  # in file order
    met: Counter[str] = Counter()
    added: dict[int, str] = {}
    for place_of in alike.tolist():
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
    builder = _Builder("record {}".format, _checked(columns), rows)
    items: list[Item] = []
    for number, row in rows:
        try:
            items.append(builder.item(number, row))
        except BadRow as bad:
            raise bad.at(f"record {number}", of_file=False) from None
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
    for item in items:
        yield item.id
        yield item.instruction
        yield item.input
        yield "none" if item.response is None else f"text:{item.response}"


class _Builder:
    """Makes the rows of one file into items with unique ids.

    `rows`: the same that are handed to `item`; what is still ahead shows what a file holds whose
    first row does not say it. `unique`: see to it that ids are; else somebody else does.
    """

    def __init__(
        self,
        place: Callable[[int], str],
        mapped: Mapping[str, str],
        rows: Iterator[tuple[int, Any]],
        *,
        unique: bool = True,
    ) -> None:
        self._place = place
        self._unique = unique
        self._mapped = mapped
        self._rows = rows
        self.layout: PoolLayout | None = None
        self._given: dict[str, int] = {}  # id -> number of its row
        self._repeats: dict[str, int] = {}  # made id -> last suffix tried
        self._chats = self._several = self._with_system = self._mended = self._dialogues = 0
        self._items = self._of_assistants = 0
        self._have_roles = False  # as far as the first row shows
        self._odd: Counter[str] = Counter()  # what is no text in turns
        self._seen: set[int] = set()  # hashes of different texts

    def item(self, number: int, row: Any) -> Item:
        """The item of row `number`, as `scan_rows` yields it. Raises BadRow, PoolError."""
        if isinstance(row, BadRow):
            raise row
        if not isinstance(row, dict):
            reason = f"the row is not an object: {shortened(row)}"
            raise BadRow(reason, 'write it as {"instruction": ...}')
        if self.layout is None:
            self.layout = layout_of(row, self._mapped, self._place(number))
            self._have_roles = "role" in row
            if self.layout is None:
                raise no_instruction([row, *self._ahead()], self._place(number))
        texts = self.layout.texts(row)
        if self.layout.id is None:
            name = self._free(sha256_texts((texts.instruction, texts.input))[:16])
        else:
            name = self._explicit(value_at(row, self.layout.id), self.layout.id)
        if self._unique:
            self._given[name] = number
        self._count(row, texts)
        return texts.item(name, row)

    def _ahead(self) -> list[dict[str, Any]]:
        """The next rows that are objects, until one cannot be read."""
        ahead: list[dict[str, Any]] = []
        with contextlib.suppress(PoolError):
            for _, row in islice(self._rows, SAMPLE):
                if isinstance(row, dict):
                    ahead.append(row)
        return ahead

    def _count(self, row: Mapping[str, Any], texts: Texts) -> None:
        """Count what of a row that became an item is not shown, and different texts."""
        self._items += 1
        if self._have_roles:
            self._of_assistants += row.get("role") in ASSISTANTS
        self._mended += isinstance(row, MendedRow)
        if texts.said is not None and texts.said.odd:
            self._odd.update(texts.said.odd)
        if texts.chat is not None:
            self._chats += 1
            self._several += texts.chat.several
            self._with_system += texts.chat.hides_system
        elif self._items <= _SAMPLED:
            self._dialogues += is_dialogue(texts.instruction)
        if len(self._seen) < _MANY:
            self._seen.add(hash((texts.instruction, texts.input)))

    def notes(self) -> tuple[str, ...]:
        """Sentences about what is not shown as it was written, each with its count."""
        layout = self.layout
        notes: list[str] = []
        if layout is not None:
            notes += filter(None, [layout.note])
            notes += notes_on(self._chats, self._several, self._with_system, layout.shown)
            notes += notes_on_odd(self._odd)
            notes += of_assistants_note(self._of_assistants, self._items)
            notes += dialogues_note(self._dialogues, min(self._items, _SAMPLED))
        if self._items >= _FEW and len(self._seen) <= min(_ALIKE * self._items, _MANY - 1):
            notes.append(
                f"Warning: nearly all of its texts are equal: {self._items:,} items have only "
                f"{len(self._seen):,} different ones. Is the instruction in another column? "
                f"{mapping('instruction', 'COL')} names it; `distinct` exact leaves repeats out."
            )
        if self._mended:
            rows = "1 row holds" if self._mended == 1 else f"{self._mended:,} rows hold"
            notes.append(
                f"{rows} half of a surrogate pair, which is not a character: it was replaced by "
                "the character U+FFFD"
            )
        return tuple(notes)

    def _explicit(self, value: Any, column: str) -> str:
        if value is None or value == "":
            raise BadRow(f"id (column {column!r}) is empty", "give every row its own")
        if isinstance(value, bool) or not isinstance(value, str | int):
            reason = f"id (column {column!r}) is {kind_of(value)}: {shortened(value)}"
            raise BadRow(reason, "write it as text")
        try:
            name = str(value)
        except ValueError:  # the interpreter's limit on the digits of an int
            reason = f"id (column {column!r}) is {shortened(value)}"
            raise BadRow(reason, "write it as text") from None
        if name in self._given:
            first = self._place(self._given[name])
            raise BadRow(f"id {shortened(name)} is taken by {first}", "make ids unique")
        return name

    def _free(self, base: str) -> str:
        """`base`, or with the first suffix from -2 on that no row has taken."""
        name = base
        while name in self._given:
            self._repeats[base] = self._repeats.get(base, 1) + 1
            name = f"{base}-{self._repeats[base]}"
        return name
