"""Which columns of a file hold what: by their names, by a mapping, or by the tool that wrote it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from selectllm.core import names
from selectllm.core.errors import PoolError, UsageError
from selectllm.core.shown import shortened
from selectllm.core.types import ChatItem, Item
from selectllm.data.chats import (
    DEFAULT_TURNS,
    Exchange,
    Turns,
    answer_of,
    check_turns,
    exchange_of,
    is_chat,
    role_of,
    text_of,
    turns_of,
)
from selectllm.data.columns import CHATS, COLUMNS, mapping
from selectllm.data.exports import recognised
from selectllm.data.likely import likely_instruction
from selectllm.data.paths import has, paths_of, value_at
from selectllm.data.readers.records import BadRow
from selectllm.data.turns import Conversation, listed, read_turns, spelled

TURNS = "turns"
"""The key of a mapping that says which turns of a chat are shown."""
_KINDS = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}
_SENTENCE = 4  # blanks in what is rather a text than the name of a column
_NOTHING = Exchange(None, None)
_NULLS_OR_TEXTS = frozenset({type(None), str})


class Texts(NamedTuple):
    """What an item is made of; `chat`: the exchange where its turns are the instruction.

    `said`: every turn, where the row holds a conversation.
    """

    instruction: str
    input: str
    response: str | None
    chat: Exchange | None = None
    said: Conversation | None = None

    def item(self, name: str, row: Mapping[str, Any]) -> Item:
        """The item whose id is `name`, which keeps the turns where its row holds a conversation."""
        if self.said is None:
            return Item(name, self.instruction, self.input, self.response, row)
        turns = self.said.turns
        return ChatItem(name, self.instruction, self.input, self.response, row, turns)


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """The path of each field; the turns of `chat` tell what has none, and ids are made.

    `shown`: which of them. `note`: what is said of a file that was recognised.
    """

    id: str | None
    instruction: str | None
    input: str | None
    response: str | None
    chat: str | None
    shown: Turns = DEFAULT_TURNS
    note: str | None = None
    plain: bool = dataclasses.field(init=False, default=False)

    def __post_init__(self) -> None:
        # All it names are columns: none in an object, and none a chat.
        paths = (self.instruction, self.input, self.response)
        plain = self.chat is None and self.instruction is not None
        plain = plain and "." not in "".join(filter(None, paths))
        object.__setattr__(self, "plain", plain)

    def texts(self, row: Mapping[str, Any]) -> Texts:
        """Instruction, input and response of `row`. Raises BadRow."""
        if self.plain and (texts := self._of_columns(row)) is not None:
            return texts
        turns = self._turns(row)
        exchange = self._exchange(turns)
        asked = exchange.asked if self.instruction is None else value_at(row, self.instruction)
        if (instruction := _text(asked, "instruction", self.instruction or self.chat)) is None:
            raise self._missing(turns, exchange)
        if not instruction or instruction.isspace():
            raise BadRow("instruction is empty", "fill it in")
        answered, behind = self._answered(row, exchange)
        response = _text(answered, "response", self.response or self.chat)
        given = None if self.input is None else value_at(row, self.input)
        given = _text(given, "input", self.input) or ""
        if self.instruction is not None or turns is None or exchange.at is None:
            return Texts(instruction, given, response)
        said = self._said(row, [*turns, *behind])
        own = response if self.response is not None and not behind else None
        if given or own is not None:
            after = read_turns([*turns[exchange.at + 1 :], *behind]).turns
            said = said.with_own(len(said.turns) - len(after) - 1, given, own)
        if said.beside:
            exchange = dataclasses.replace(exchange, hides_system=True)
        parts = filter(None, (exchange.context, given))
        return Texts(instruction, "\n\n".join(parts), response, exchange, said)

    def _answered(
        self, row: Mapping[str, Any], exchange: Exchange
    ) -> tuple[Any, list[dict[str, Any]]]:
        """The response of a row, and the turns that it is, where its column holds a chat."""
        if self.response is None:
            return spelled(exchange.answered), []
        answered = value_at(row, self.response)
        if is_chat(answered):
            return spelled(answer_of(answered)), answered
        return answered, []

    def _of_columns(self, row: Mapping[str, Any]) -> Texts | None:
        """The texts of a row that has texts or nulls there; None for what needs a closer look."""
        asked = row.get(self.instruction or "")
        given = row.get(self.input) if self.input is not None else None
        answered = row.get(self.response) if self.response is not None else None
        if type(asked) is not str or not asked or asked.isspace():
            return None
        if type(given) not in _NULLS_OR_TEXTS or type(answered) not in _NULLS_OR_TEXTS:
            return None
        return Texts(asked, given or "", answered)

    def columns(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[list[str], list[str], list[str | None]] | None:
        """Instructions, inputs and responses of rows; None where one needs a closer look.

        That is for `texts`, which then gives the same or raises.
        """
        if not self.plain:
            return None
        columns: list[list[Any]] = [
            [None] * len(rows) if name is None else [row.get(name) for row in rows]
            for name in (self.instruction, self.input, self.response)
        ]
        asked, given, answered = columns
        if {*map(type, asked)} != {str} or not all(asked) or any(map(str.isspace, asked)):
            return None
        if not _NULLS_OR_TEXTS.issuperset(map(type, chain(given, answered))):
            return None
        return asked, [text or "" for text in given], answered

    def _turns(self, row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The turns as the row has them; None where there is no chat. Raises BadRow."""
        if self.chat is None:
            return None
        return turns_of(listed(value_at(row, self.chat), self.chat), self.chat)

    def _exchange(self, turns: Sequence[Mapping[str, Any]] | None) -> Exchange:
        if turns is None:
            return _NOTHING
        return exchange_of(turns, self.shown if self.instruction is None else "first")

    def _said(self, row: Mapping[str, Any], turns: list[dict[str, Any]]) -> Conversation:
        """Every turn, those that stand outside of the list too."""
        inside = (self.chat or "").rpartition(".")[0]
        beside = value_at(row, inside) if inside else row
        return read_turns(turns, beside if isinstance(beside, Mapping) else None)

    def _missing(self, turns: Sequence[Mapping[str, Any]] | None, exchange: Exchange) -> BadRow:
        """What is said of a row without an instruction."""
        if self.instruction is not None or turns is None:
            return BadRow("instruction is missing", "fill it in")
        if exchange.at is not None:
            reason = f"instruction is missing (the user turn of {self.chat} holds nothing)"
            return BadRow(reason, "fill it in")
        roles = ", ".join(dict.fromkeys(str(role_of(turn)) for turn in turns)) or "none"
        return BadRow(
            f"instruction is missing ({self.chat} has no user turn). The roles of its turns are: "
            f"{shortened(roles)}",
            f"add a turn of the user to {self.chat}",
        )


def layout_of(row: Mapping[str, Any], mapped: Mapping[str, str], where: str) -> PoolLayout | None:
    """The layout of a file whose first row is `row`; None if nothing says what it asks.

    `mapped`: canonical column -> path, and which TURNS are shown. Raises PoolError on a path that
    leads nowhere, UsageError on what is no canonical column and on turns that there are none of.
    """
    shown = check_turns(mapped.get(TURNS, DEFAULT_TURNS))
    mapped = {field: path for field, path in mapped.items() if field != TURNS}
    for field, path in mapped.items():
        check_canonical(field)
        if not has(row, path):
            reason = names.unknown("column", path, dict.fromkeys([*row, *paths_of(row)]))
            raise PoolError(f"{where}: {mapping(field, path)}: {reason}", argument="columns")
    named = next((name for name in CHATS if name in row and "instruction" not in row), None)
    paths = {**_named(row, named, mapped.get("instruction")), **mapped}
    note = None
    if "instruction" not in paths and named is None:
        export = recognised(row)
        if export is None:
            return None
        paths = {**export.paths, **mapped}
        note = f"It is read as {export.format.name}: the instruction is {paths['instruction']}."
    asked, chat = paths.get("instruction"), named
    # A first row without input or response does not keep later ones from having them.
    later = {name: name for name in ("input", "response") if not note and not _holds(name, asked)}
    if asked is not None and is_chat(value_at(row, asked)):
        asked, chat = None, asked
    return PoolLayout(
        id=paths.get("id"),
        instruction=asked,
        input=paths.get("input", later.get("input")),
        response=paths.get("response", later.get("response") if chat is None else None),
        chat=chat,
        shown=shown,
        note=note,
    )


def _named(row: Mapping[str, Any], chat: str | None, asked: str | None) -> dict[str, str]:
    """The columns that are called like canonical ones, but that which holds what is asked."""
    named = {}
    for field, aliases in COLUMNS.items():
        # In a chat the turns are instruction and response, unless a canonical column says so.
        known = aliases[:1] if chat and field in ("instruction", "response") else aliases
        name = next((name for name in known if name in row and not _holds(name, asked)), None)
        if name is not None:
            named[field] = name
    return named


def _holds(name: str, path: str | None) -> bool:
    """Whether `path` is the column `name`, or leads into it."""
    return path is not None and (path == name or path.startswith(f"{name}."))


def no_instruction(rows: Sequence[Mapping[str, Any]], where: str) -> PoolError:
    """What is said of a file whose first rows are `rows`, with the column that looks likely."""
    likely = likely_instruction(rows)
    found = ", ".join(dict.fromkeys(paths_of(rows[0]))) or "none"
    none = "" if likely else ", and none looks like one"
    if likely and likely.count(" ") >= _SENTENCE and likely in rows[0]:
        return PoolError(
            f"{where}: no column holds the instruction, and the first row seems to be an item, not "
            f"the names of the columns ({shortened(likely)}). Add a row of names above it, such as "
            "instruction",
            argument="columns",
        )
    if likely and _holds_chat_as_text(rows[0], likely):
        return PoolError(
            f"{where}: no column holds the instruction, and column {likely!r} holds conversations "
            f"as text. Call it messages, and its turns are read",
            argument="columns",
        )
    return PoolError(
        f"{where}: no column holds the instruction{none} (columns: {found}). Name it "
        f"with {mapping('instruction', likely or 'COL')}",
        argument="columns",
    )


def _holds_chat_as_text(row: Mapping[str, Any], path: str) -> bool:
    value = value_at(row, path)
    try:
        return isinstance(value, str) and is_chat(listed(value, path))
    except BadRow:
        return False


def parse_mapping(texts: Sequence[str]) -> dict[str, str]:
    """Repeated `instruction=COL` texts as canonical name -> the file's column.

    Raises UsageError on a text of another form, an unknown canonical name and a repeated one.
    """
    columns: dict[str, str] = {}
    for text in texts:
        field, equals, column = text.partition("=")
        if not (equals and column):
            raise UsageError(
                f"`columns` {text} names no column. Write it like `columns` instruction=COL",
                argument="columns",
            )
        check_canonical(field)
        if field in columns:
            raise UsageError(
                f"`columns` {text}: {field} is already mapped to {columns[field]!r}. Give it once",
                argument="columns",
            )
        columns[field] = column
    return columns


def check_canonical(field: str) -> None:
    """Raise UsageError for what is no canonical column, nor TURNS."""
    if field not in (*COLUMNS, TURNS):
        reason = names.unknown("part of an item", field, COLUMNS)
        raise UsageError(f"`columns`: {reason}", argument="columns")


def _text(value: Any, field: str, column: str | None) -> str | None:
    """`value` if it is text, or parts of text, or null. Raises BadRow."""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        value = text_of(value)
    if value is None or isinstance(value, str):
        return value
    label = field if column in (None, field) else f"{field} (column {column!r})"
    reason = f"{label} is {kind_of(value)}, not text: {shortened(value)}"
    raise BadRow(reason, f"write it as text, use {mapping(field, 'COL')}")


def kind_of(value: Any) -> str:
    """What a value of a row is called in messages."""
    return _KINDS.get(type(value), f"of type {type(value).__name__}")
