"""Pools to items: which columns mean what, ids, and what becomes of rows that are bad."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from selectllm.core import names
from selectllm.core.codec import canonical_json, sha256_texts
from selectllm.core.errors import PoolError, UsageError
from selectllm.core.files import atomic_write
from selectllm.core.shown import shortened
from selectllm.core.types import Item, Pool
from selectllm.core.whole_text import all_whole, are_whole
from selectllm.data.readers import format_of, place, scan_rows
from selectllm.data.readers.records import BadRow, MendedRow

# What other data sets call the canonical columns (Alpaca: output; Dolly: context). The first
# name that a file has is taken, so that a canonical column always wins.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "instruction": ("instruction", "prompt"),
    "input": ("input", "context"),
    "response": ("response", "output", "completion"),
}
CHATS = ("messages", "conversations")
_SYSTEM = ("system", "developer")
_USERS = ("user", "human")
_ASSISTANTS = ("assistant", "gpt")
_TEXT_PARTS = ("text", "input_text", "output_text")
_THINKING_PARTS = ("thinking", "redacted_thinking", "reasoning")
_LIKELY = ("instruction", "prompt", "question", "query", "task", "text")
_KINDS = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was left out: its number in the file (from 1), why, and the row as read."""

    line: int
    reason: str
    row: str | None


@dataclass(frozen=True, slots=True)
class LoadedPool:
    """A pool, and the rows of its file that `skip_bad` left out."""

    pool: Pool
    rejected: tuple[Rejected, ...] = ()


def load_pool(
    path: Path | str, *, columns: Mapping[str, str] | None = None, skip_bad: bool = False
) -> LoadedPool:
    """The items of a pool, text byte for byte, in file order.

    `path`: a pool file, or an `hf:` name as hub.py describes it (a Path keeps its text).

    `columns` (`--map`) says which column of the file holds a canonical one, and overrides what
    the first row shows: canonical columns, Alpaca, Dolly, prompt/completion or chat. Items of a
    file without ids are named by a hash of (instruction, input), repeats get `-2`, `-3`.
    `skip_bad` leaves bad rows out and reports them in `rejected`. What of the file is not shown,
    or not as it was written, is counted in the pool's `notes`.

    Raises PoolError, naming file, place and fix, on a file that cannot be read, a missing
    column, a bad row (without `skip_bad`) and a pool with no item; UsageError on a canonical
    column in `columns` that there is none of.
    """
    if not isinstance(path, Path | str):
        raise PoolError(
            f"the pool is {type(path).__name__}, not a file; make records a pool with "
            "Pool.from_records(...)"
        )
    path = Path(path)
    builder = _Builder(partial(place, path), _checked(columns))
    items: list[Item] = []
    rejected: list[Rejected] = []
    for number, row in scan_rows(path):
        try:
            items.append(builder.item(number, row))
        except BadRow as bad:
            if not skip_bad:
                raise bad.at(place(path, number)) from None
            text = json.dumps(row, ensure_ascii=False) if bad.text is None else bad.text
            rejected.append(Rejected(number, bad.reason, text))
    if not items:
        raise _nothing_in(path, rejected)
    notes = (*format_of(path).notes(path), *builder.notes())
    pool = Pool(tuple(items), sha256_texts(_identity(items)), str(path), notes)
    return LoadedPool(pool, tuple(rejected))


def pool_of(records: Any, columns: Mapping[str, str] | None = None) -> Pool:
    """See `Pool.from_records`."""
    builder = _Builder("record {}".format, _checked(columns))
    items: list[Item] = []
    for number, row in enumerate(_rows_of(records), start=1):
        try:
            items.append(builder.item(number, _mended(row)))
        except BadRow as bad:
            raise bad.at(f"record {number}", of_file=False) from None
    if not items:
        raise PoolError("the pool is empty; give it at least one record")
    return Pool(tuple(items), sha256_texts(_identity(items)), notes=builder.notes())


def _mended(row: Any) -> Any:
    """A record as a file would have it: U+FFFD for each half of a surrogate pair."""
    if not isinstance(row, dict) or are_whole(row):
        return row
    return MendedRow(all_whole(row))


def _checked(columns: Mapping[str, str] | None) -> Mapping[str, str]:
    """`columns`, none if there are none. Raises UsageError for what is no mapping of names."""
    columns = {} if columns is None else columns
    named = isinstance(columns, Mapping) and all(
        isinstance(name, str) for pair in columns.items() for name in pair
    )
    if not named:
        raise UsageError(
            f"`columns` {shortened(columns)}: is no mapping of names; write it as "
            '{"instruction": "COL"}',
            argument="columns",
        )
    return columns


def _rows_of(records: Any) -> Iterable[Any]:
    """Rows as a file has them: of lists of dicts, polars, pandas and data sets of the hub."""
    library = type(records).__module__.partition(".")[0]
    if library == "polars":
        frame = records.collect() if hasattr(records, "collect") else records
        return cast("Iterable[Any]", frame.to_dicts())
    if library == "pandas":
        frame = records.astype(object)
        rows = frame.where(records.notna(), None).to_dict("records")
        return cast("Iterable[Any]", rows)
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise PoolError(
            f"records are {type(records).__name__}; give a list of dicts, a frame of polars or "
            "pandas, or one split of a data set (a file is read by load_pool)"
        )
    return records


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Writes JSONL, one `{"line", "reason", "row"}` a row, whole or not at all."""
    with atomic_write(path) as handle:
        handle.writelines(canonical_json(asdict(one)) + "\n" for one in rejected)


def parse_mapping(texts: Sequence[str]) -> dict[str, str]:
    """Repeated `instruction=COL` texts as canonical name -> the file's column.

    Raises UsageError on a text of another form, an unknown canonical name and a repeated one.
    """
    columns: dict[str, str] = {}
    for text in texts:
        field, equals, column = text.partition("=")
        if not (equals and column):
            raise UsageError(
                f"`columns` {text}: no column; write `columns` instruction=COL", argument="columns"
            )
        _check_canonical(field)
        if field in columns:
            raise UsageError(
                f"`columns` {text}: {field} is already mapped to {columns[field]!r}; give it once",
                argument="columns",
            )
        columns[field] = column
    return columns


def _check_canonical(field: str) -> None:
    if field not in COLUMNS:
        reason = names.unknown("canonical column", field, COLUMNS)
        raise UsageError(f"`columns`: {reason}", argument="columns")


def _nothing_in(path: Path, rejected: Sequence[Rejected]) -> PoolError:
    if not rejected:
        return PoolError(f"{path}: the pool is empty; give it at least one row")
    first = f"{place(path, rejected[0].line)}: {rejected[0].reason}"
    return PoolError(f"{path}: all of its {len(rejected)} rows are bad; correct them ({first})")


def _identity(items: Iterable[Item]) -> Iterator[str]:
    """What `Pool.sha256` covers; a mark sets the empty response apart from none."""
    for item in items:
        yield item.id
        yield item.instruction
        yield item.input
        yield "none" if item.response is None else f"text:{item.response}"


@dataclass(frozen=True, slots=True)
class _Layout:
    """The column of each field; the turns of `chat` tell what has none, and ids are made."""

    id: str | None
    instruction: str | None
    input: str
    response: str | None
    chat: str | None

    def texts(self, row: Mapping[str, Any]) -> tuple[str, str, str | None]:
        """Instruction, input and response of `row`. Raises BadRow."""
        asked, answered = (None, None) if self.chat is None else _exchange(row, self.chat)
        if self.instruction is not None:
            asked = row.get(self.instruction)
        if self.response is not None:
            answered = row.get(self.response)
        instruction = _text(asked, "instruction", self.instruction or self.chat)
        if instruction is None:
            source = f" ({self.chat} has no user turn)" if self.instruction is None else ""
            raise BadRow(f"instruction is missing{source}", "fill it")
        if not instruction or instruction.isspace():
            raise BadRow("instruction is empty", "fill it")
        response = _text(answered, "response", self.response or self.chat)
        return instruction, _text(row.get(self.input), "input", self.input) or "", response


def _layout_of(row: Mapping[str, Any], mapped: Mapping[str, str], where: str) -> _Layout:
    """The layout of a file whose first row is `row`. Raises PoolError on a missing column."""
    for field, column in mapped.items():
        _check_canonical(field)
        if column not in row:
            reason = names.unknown("column", column, row)
            raise PoolError(f"{where}: `columns` {field}={column}: {reason}", argument="columns")
    chat = next((name for name in CHATS if name in row and "instruction" not in row), None)
    found: dict[str, str | None] = {}
    for field, aliases in COLUMNS.items():
        # In a chat the turns are instruction and response, unless a canonical column says so.
        known = aliases[:1] if chat and field in ("instruction", "response") else aliases
        found[field] = mapped.get(field, next((name for name in known if name in row), None))
    if found["instruction"] is None and chat is None:
        raise _no_instruction(row, where)
    # A first row without input or response does not keep later ones from having them.
    return _Layout(
        id=found["id"],
        instruction=found["instruction"],
        input=found["input"] or "input",
        response=found["response"] if chat else found["response"] or "response",
        chat=chat,
    )


def _no_instruction(row: Mapping[str, Any], where: str) -> PoolError:
    spoken_for = {alias for aliases in COLUMNS.values() for alias in aliases}
    texts = [n for n, value in row.items() if isinstance(value, str) and n not in spoken_for]
    alike = (names.closest(word, texts) for word in _LIKELY)
    flag = f"instruction={next(filter(None, alike), 'COL')}"
    found = ", ".join(row) or "none"
    return PoolError(
        f"{where}: no column holds the instruction (columns: {found}); "
        f"name it with `columns` {shlex.quote(flag)}, in a suite under columns",
        argument="columns",
    )


def _exchange(row: Mapping[str, Any], chat: str) -> tuple[Any, Any]:
    """The first user turn of a chat and the first assistant turn after it; None where missing."""
    said = (
        (_role(turn), _content(turn.get("content", turn.get("value"))))
        for turn in _turns(row, chat)
    )
    asked = next((text for role, text in said if role in _USERS), None)
    return asked, next((text for role, text in said if role in _ASSISTANTS), None)


def _turns(row: Mapping[str, Any], chat: str) -> list[dict[str, Any]]:
    turns = row.get(chat)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        reason = f"{chat} is no list of turns: {shortened(turns)}"
        raise BadRow(reason, "write each turn as an object with role and content")
    return turns


def _role(turn: Mapping[str, Any]) -> Any:
    return turn.get("role", turn.get("from"))


def _content(value: Any) -> Any:
    """The text of a turn that is written in parts, without thinking; else `value` as it is."""
    if not isinstance(value, list) or not value:
        return value
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in value]
    if not all(isinstance(part, dict) for part in parts):
        return value
    said = [part for part in parts if part.get("type") not in _THINKING_PARTS]
    texts = [part.get("text") for part in said if part.get("type", "text") in _TEXT_PARTS]
    if len(texts) < len(said) or not all(isinstance(text, str) for text in texts):
        return value  # an image is no text
    return "".join(map(str, texts))


def _text(value: Any, field: str, column: str | None) -> str | None:
    """`value` if it is text or null. Raises BadRow."""
    if value is None or isinstance(value, str):
        return value
    label = field if column in (None, field) else f"{field} (column {column!r})"
    reason = f"{label} is {_kind(value)}, not text: {shortened(value)}"
    raise BadRow(reason, f"write it as text, use `columns` {field}=COL")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"of type {type(value).__name__}")


class _Builder:
    """Makes the rows of one file into items with unique ids."""

    def __init__(self, place: Callable[[int], str], mapped: Mapping[str, str]) -> None:
        self._place = place
        self._mapped = mapped
        self._layout: _Layout | None = None
        self._given: dict[str, int] = {}  # id -> number of its row
        self._repeats: dict[str, int] = {}  # made id -> last suffix tried
        self._chats = self._with_system = self._with_more = self._mended = 0

    def item(self, number: int, row: Any) -> Item:
        """The item of row `number`, as `scan_rows` yields it. Raises BadRow, PoolError."""
        if isinstance(row, BadRow):
            raise row
        if not isinstance(row, dict):
            reason = f"the row is no object: {shortened(row)}"
            raise BadRow(reason, 'write it as {"instruction": ...}')
        if self._layout is None:
            self._layout = _layout_of(row, self._mapped, self._place(number))
        instruction, given, response = self._layout.texts(row)
        if self._layout.id is None:
            name = self._free(sha256_texts((instruction, given))[:16])
        else:
            name = self._explicit(row.get(self._layout.id), self._layout.id)
        self._given[name] = number
        self._count(row)
        return Item(name, instruction, given, response, row)

    def _count(self, row: Mapping[str, Any]) -> None:
        """Count what of a row that became an item is not shown."""
        self._mended += isinstance(row, MendedRow)
        chat = self._layout.chat if self._layout and self._layout.instruction is None else None
        if chat is None:
            return
        roles = [_role(turn) for turn in _turns(row, chat)]
        self._chats += 1
        self._with_system += any(role in _SYSTEM for role in roles)
        self._with_more += sum(role in _USERS for role in roles) > 1

    def notes(self) -> tuple[str, ...]:
        """Sentences about what is not shown as it was written, each with its count."""
        notes = []
        unseen = [
            f"{count:,} have {what}"
            for count, what in (
                (self._with_system, "a system turn"),
                (self._with_more, "more than one user turn"),
            )
            if count
        ]
        if unseen:
            notes.append(
                f"of {self._chats:,} conversations, {' and '.join(unseen)}: only the first user "
                "turn and the answer to it are shown and exported, the other turns are not"
            )
        if self._mended:
            rows = "1 row holds" if self._mended == 1 else f"{self._mended:,} rows hold"
            notes.append(
                f"{rows} half of a surrogate pair, which is no character: "
                "the replacement character U+FFFD stands for it"
            )
        return tuple(notes)

    def _explicit(self, value: Any, column: str) -> str:
        if value is None or value == "":
            raise BadRow(f"id (column {column!r}) is empty", "give every row its own")
        if isinstance(value, bool) or not isinstance(value, str | int):
            reason = f"id (column {column!r}) is {_kind(value)}: {shortened(value)}"
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
