"""Trees of messages, one row a message, as Open Assistant writes them: read as conversations. Pure.

A row has `message_id`, `parent_id`, `role` (prompter or assistant) and `text`. Each message of a
prompter is an item: what led to it comes before it, and the best reply to it behind it (the lowest
`rank`, else the first that was not deleted). Layout: the data sets OpenAssistant/oasst1 and oasst2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from selectllm.core.shown import counted, shortened
from selectllm.data.chats import ASSISTANTS, USERS
from selectllm.data.columns import ALIASES, CHATS
from selectllm.data.readers.records import BadRow, MendedRow

Numbered = tuple[int, Any]
COLUMNS = ("message_id", "parent_id", "role", "text")
_MOST_TURNS = 1_000  # messages above one another, in a file that goes round in circles


def conversations(
    rows: Iterator[Numbered], mapped: Mapping[str, str]
) -> tuple[Iterator[Numbered], MessageRows | None]:
    """The rows of a pool; of a file of messages those of its conversations, with what counts them.

    `mapped`: an instruction that is named is what it is.
    """
    first = next(rows, None)
    if first is None:
        return rows, None
    rows = chain([first], rows)
    plain = {*ALIASES, *CHATS} - {"id", "input", "context"}
    if "instruction" in mapped or not is_message(first[1]) or not plain.isdisjoint(first[1]):
        return rows, None
    messages = MessageRows(rows)
    return iter(messages), messages


def is_message(row: Any) -> bool:
    """Whether a row is one message of a tree."""
    if not isinstance(row, Mapping) or not all(name in row for name in COLUMNS):
        return False
    names = isinstance(row["message_id"], str | int) and isinstance(
        row["parent_id"], str | int | None
    )
    return names and row["role"] in (*USERS, *ASSISTANTS)


def of_assistants_note(answers: int, items: int) -> tuple[str, ...]:
    """What is said where rows of a pool are messages of an assistant, and yet items."""
    if not answers:
        return ()
    return (
        f"Warning: {answers:,} of {items:,} rows are messages of an assistant (column role), and "
        "are taken for instructions. Leave them out of the file. Trees of messages "
        f"({', '.join(COLUMNS)}) are read as conversations where no column is mapped.",
    )


class MessageRows:
    """The rows of a file of messages as rows of conversations, in the order of the file.

    Such a row is that of the message of a prompter, with `messages` beside its columns, and its
    `message_id` as `id`. All rows are read first, since replies stand anywhere.
    """

    def __init__(self, rows: Iterator[Numbered]) -> None:
        self._rows = rows
        self.messages = self.items = 0
        self._used: set[Any] = set()  # ids of messages that stand in a conversation

    def __iter__(self) -> Iterator[Numbered]:
        rows = list(self._rows)
        by_id = {row["message_id"]: row for _, row in rows if is_message(row)}
        replies: dict[Any, list[Mapping[str, Any]]] = {}
        for _, row in rows:
            if is_message(row) and row["role"] in ASSISTANTS:
                replies.setdefault(row["parent_id"], []).append(row)
        self.messages = len(by_id)
        for number, row in rows:
            if not is_message(row):
                yield number, row if isinstance(row, BadRow) else _no_message(row)
            elif row["role"] in USERS and not _deleted(row):
                self.items += 1
                yield number, self._conversation(row, by_id, replies.get(row["message_id"], []))

    def _conversation(
        self,
        row: Mapping[str, Any],
        by_id: Mapping[Any, Mapping[str, Any]],
        replies: list[Mapping[str, Any]],
    ) -> Any:
        before = _before(row, by_id)
        if isinstance(before, BadRow):
            return before
        kept = [reply for reply in replies if not _deleted(reply)]
        best = min(kept, key=_rank, default=None)
        turns = [*before, row, *([best] if best is not None else [])]
        self._used.update(turn["message_id"] for turn in turns)
        messages = [{"role": turn["role"], "content": turn["text"]} for turn in turns]
        made = {"id": row["message_id"], **row, "messages": messages}
        return MendedRow(made) if any(isinstance(t, MendedRow) for t in turns) else made

    def notes(self) -> tuple[str, ...]:
        """What became of the messages, counted; after all rows were taken."""
        told = (
            f"It is read as trees of messages: {self.items:,} of its {self.messages:,} messages "
            "are of prompters, and each of these is an item, with what led to it and the best "
            "reply. "
        )
        left = self.messages - len(self._used)
        words = "Deleted messages, and replies that are not the best, are left out"
        return (f"{told}{words}: {counted(left, 'message')}." if left else told.rstrip(),)


def _before(row: Mapping[str, Any], by_id: Mapping[Any, Mapping[str, Any]]) -> Any:
    """The messages that led to `row`, the first one first; a BadRow where one is missing."""
    path: list[Mapping[str, Any]] = []
    parent = row["parent_id"]
    while parent:  # null in JSON, empty in CSV
        if parent not in by_id:
            reason = f"a message that led to it is not in the file: {shortened(parent)}"
            return _bad(row, reason, "add that message")
        if len(path) >= _MOST_TURNS:
            reason = f"more than {_MOST_TURNS:,} messages led to it, or they go round in circles"
            return _bad(row, reason, "correct parent_id")
        path.append(by_id[parent])
        parent = path[-1]["parent_id"]
    return path[::-1]


def _no_message(row: Any) -> BadRow:
    reason = (
        "the row is not a message of a tree, although the first row is. Such a row has "
        f"{', '.join(COLUMNS)}, and the role prompter or assistant"
    )
    return _bad(row, reason, "write it so")


def _bad(row: Any, reason: str, fix: str) -> BadRow:
    return BadRow(reason, fix, json.dumps(row, ensure_ascii=False))


def _deleted(row: Mapping[str, Any]) -> bool:
    return str(row.get("deleted")).lower() == "true"  # which is text in CSV


def _rank(reply: Mapping[str, Any]) -> float:
    """Its place among the replies to one message, 0 the best; without one the last."""
    try:
        return float(reply.get("rank"))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("inf")
