"""Rows to items: ids, what counts as bad, and what is noted of rows that are not shown whole."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import PoolError
from selectllm.core.shown import shortened
from selectllm.core.types import Item
from selectllm.data.chats import ASSISTANTS, dialogues_note, is_dialogue, notes_on
from selectllm.data.columns import mapping
from selectllm.data.layouts import PoolLayout, Texts, kind_of, layout_of, no_instruction
from selectllm.data.likely import SAMPLE
from selectllm.data.paths import value_at
from selectllm.data.readers.records import BadRow, MendedRow
from selectllm.data.trees import of_assistants_note
from selectllm.data.turns import notes_on_odd

_FEW = 10  # items, of which nothing is said
_MANY = 100_000  # different texts, which are not nearly all equal whatever the pool
_SAMPLED = 1_000  # items that are looked at for conversations in one text
_ALIKE = 0.1  # of the texts are different where nearly all are equal
_AT_ONCE = 200  # rows, which still lie in the cache of the processor when they are looked at
_PLACES = [getattr(Item, name).__set__ for name in Item.__match_args__]


class ItemBuilder:
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

    def made(self, left_out: Callable[[int, Any, BadRow], None]) -> Iterator[list[Item]]:
        """The items of all rows, in lists; what is done about a bad row is up to `left_out`.

        Raises PoolError, and what `left_out` raises.
        """
        for some in self._at_once():
            if (items := self._plain(some)) is not None:
                yield items
                continue
            items = []
            for number, row in some:
                try:
                    items.append(self.item(number, row))
                except BadRow as bad:
                    left_out(number, row, bad)
            yield items

    def _at_once(self) -> Iterator[list[tuple[int, Any]]]:
        """The rows, many at once; those before an error of their reader come before it."""
        while True:
            some: list[tuple[int, Any]] = []
            try:
                # One by one as long as what is ahead may be asked for.
                some.extend(islice(self._rows, _AT_ONCE if self.layout else 1))
            except PoolError:
                if some:
                    yield some
                raise
            if not some:
                return
            yield some

    def _plain(self, numbered: Sequence[tuple[int, Any]]) -> list[Item] | None:
        """The items of rows as `item` makes them; None where one of them needs a closer look.

        None does so whose id, texts and nulls stand in columns, as in nearly all rows.
        """
        layout = self.layout
        if layout is None or self._have_roles or self._items < _SAMPLED:
            return None
        numbers, rows = zip(*numbered, strict=True)
        if {*map(type, rows)} != {dict} or (texts := layout.columns(rows)) is None:
            return None
        asked, given, answered = texts
        names = self._names(rows, asked, given)
        if names is None:
            return None
        if self._unique:
            if len({*names}) < len(names) or not self._given.keys().isdisjoint(names):
                return None
            self._given.update(zip(names, numbers, strict=True))
        self._items += len(rows)
        if len(self._seen) < _MANY:
            self._seen.update(map(hash, zip(asked, given, strict=True)))
        return _items(names, asked, given, answered, rows)

    def _names(
        self, rows: Sequence[Mapping[str, Any]], asked: Sequence[str], given: Sequence[str]
    ) -> list[str] | None:
        """The ids of rows; None where one of them is neither text nor a whole number."""
        column = self.layout.id if self.layout else None
        if column is None:
            return [sha256_texts(texts)[:16] for texts in zip(asked, given, strict=True)]
        names = [row.get(column) for row in rows]
        kinds = {*map(type, names)}
        if kinds == {int}:
            with contextlib.suppress(ValueError):  # the interpreter's limit on the digits of an int
                return [*map(str, names)]
        return names if kinds == {str} and all(names) else None  # type: ignore[return-value]

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
            raise BadRow(f"id (column {column!r}) is empty", "give every row an id of its own")
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
            raise BadRow(f"id {shortened(name)} is already used by {first}", "make ids unique")
        return name

    def _free(self, base: str) -> str:
        """`base`, or with the first suffix from -2 on that no row has taken."""
        name = base
        while name in self._given:
            self._repeats[base] = self._repeats.get(base, 1) + 1
            name = f"{base}-{self._repeats[base]}"
        return name


def _items(*columns: Sequence[Any]) -> list[Item]:
    """The items whose fields are `columns`, in a third of the time that a call for each takes."""
    items = [*map(object.__new__, repeat(Item, len(columns[0])))]
    for put, values in zip(_PLACES, columns, strict=True):
        deque(map(put, items, values), maxlen=0)
    return items
