"""Conversations: which turn is the instruction, what came before it, and which turn answers it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import shortened
from selectllm.data.columns import mapping
from selectllm.data.readers.records import BadRow

Turns = Literal["first", "last", "all"]
"""Which user turns of a chat with several are shown; see `exchange_of`."""
DEFAULT_TURNS: Turns = "last"

SYSTEM = ("system", "developer")
USERS = ("user", "human", "prompter")
ASSISTANTS = ("assistant", "gpt", "model")
CALLS = ("tool_use", "tool_call", "function_call", "functionCall", "server_tool_use")
"""What calls a tool: the type of a part, or (Gemini) the key that it has."""
_TEXT_PARTS = ("text", "input_text", "output_text")
THINKING_PARTS = ("thinking", "redacted_thinking", "reasoning")
RESULT_PARTS = ("tool_result", "functionResponse", "function_response", "function_call_output")
"""What a tool gave back; it may stand in a turn of the user, and is not what the user says."""
_MARKS = re.compile(
    r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|prompter\|>|\[/INST\]"
    r"|\A\s*\[\s*\{\s*[\"'](?:role|from|content|value)[\"']\s*:"
    r"|^\#\#\#[ \t]*(?:Human|User)[ \t]*:[\s\S]*^\#\#\#[ \t]*Assistant[ \t]*:"
    r"|^[ \t]*(?:Human|User)[ \t]*:[\s\S]*^[ \t]*(?:Assistant|AI|Bot)[ \t]*:",
    re.MULTILINE,
)
"""Where a conversation as one text has an answer, or begins a turn."""
_LOOKED_AT = 4_000  # characters of a text
_SPEAKERS = {"human": "User", "gpt": "Assistant", "model": "Assistant"}
_SHOWN = {
    "first": "The first one is shown, without what comes after it",
    "last": "The last one is shown, with what came before as context",
    "all": "All of them are shown, as one text",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What of a chat an item shows.

    `asked`, `answered`: as the turns hold them, None where there is none. `context`: the turns
    before, as one text. `several`: whether there are several user turns. `hides_system`: whether
    there is a system turn that is not shown. `at`: the place of the turn that is asked.
    """

    asked: Any
    answered: Any
    context: str = ""
    several: bool = False
    hides_system: bool = False
    at: int | None = None


def exchange_of(turns: Sequence[Mapping[str, Any]], shown: Turns) -> Exchange:
    """The instruction that a chat holds, and the first assistant turn behind it.

    Of a chat with one user turn it is that turn. Of several that hold text, `first` takes the
    first; `last` the last, with all turns before it as context; `all` takes all turns up to the
    last as one text, which also begins with the system turn of a chat with one user turn.
    """
    places = [number for number, turn in enumerate(turns) if role_of(turn) in USERS]
    if not places:
        return Exchange(None, None)
    # What a tool said may stand in a user turn; it asks nothing.
    spoken = [place for place in places if _has_text(turns[place])] or places[:1]
    at = places[0] if shown == "first" else spoken[-1]
    asked, several = text_of(_own(said_in(turns[at]))), len(spoken) > 1
    begins = several or role_of(turns[0]) in SYSTEM
    before = _transcript(turns[:at]) if shown != "first" else ""
    context = before if shown == "last" and several else ""
    if shown == "all" and begins and before and isinstance(asked, str):
        asked = f"{before}\n\nUser: {asked}"
    return Exchange(
        asked=asked,
        answered=answer_of(turns[at:]),
        context=context,
        several=several,
        hides_system=shown != "all"
        and not context
        and any(role_of(turn) in SYSTEM for turn in turns),
        at=at,
    )


def answer_of(turns: Sequence[Mapping[str, Any]]) -> Any:
    """The first assistant turn that answers; None if there is none.

    One that calls a tool is on the way to the answer: what is said after the tool's result, before
    the user speaks again, comes first.
    """
    spoken: list[Mapping[str, Any]] = []
    for turn in turns:
        if role_of(turn) in USERS and spoken and _has_text(turn):
            break
        if role_of(turn) in ASSISTANTS:
            spoken.append(turn)
    answers = [turn for turn in spoken if not _calls_tool(turn)]
    said = [turn for turn in (*answers, *spoken) if _has_text(turn)] or answers
    return text_of(said_in(said[0])) if said else None


def _calls_tool(turn: Mapping[str, Any]) -> bool:
    """Whether a tool is called in it, beside what is said or alone."""
    said = said_in(turn)
    parts = [part for part in said if isinstance(part, dict)] if isinstance(said, list) else []
    return bool(turn.get("tool_calls") or turn.get("function_call")) or any(
        part.get("type") in CALLS or any(part.get(name) for name in CALLS) for part in parts
    )


def check_turns(shown: str) -> Turns:
    """`shown` if it says which turns are shown. Raises UsageError."""
    if shown not in get_args(Turns):
        reason = unknown("choice", shown, get_args(Turns))
        raise UsageError(f"{mapping('turns', shown)}: {reason}", argument="columns")
    return cast(Turns, shown)


def is_chat(value: Any) -> bool:
    """Whether a value of JSON is a list of turns, each with a role."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and isinstance(role_of(turn), str) for turn in value)
    )


def turns_of(value: Any, column: str) -> list[dict[str, Any]]:
    """`value` as turns. Raises BadRow if it is no list of objects."""
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        reason = f"{column} is not a list of turns: {shortened(value)}"
        fix = "write each turn as an object with role and content"
        raise BadRow(reason, f"{fix}, name another column with {mapping('instruction', 'COL')}")
    return value


def text_of(value: Any) -> Any:
    """The text of a turn that is written in parts, without thinking; else `value` as it is."""
    parts = _parts(value)
    if parts is None or not all(isinstance(text, str) for _, text in parts):
        return value  # an image is no text
    return "".join(text or "" for _, text in parts)


def notes_on(chats: int, several: int, with_system: int, shown: Turns) -> tuple[str, ...]:
    """What is said of a pool of `chats`, counted."""
    notes = []
    if several:
        notes.append(
            f"{several:,} of {chats:,} chats have several user turns. {_SHOWN[shown]}. All turns "
            "are kept, for prompts that show them and for `export`."
        )
    if with_system:
        notes.append(f"{with_system:,} of {chats:,} chats have a system turn, which is not shown.")
    return tuple(notes)


def is_dialogue(text: str) -> bool:
    """Whether a text is a whole conversation, with the marks of its turns."""
    return _MARKS.search(text, 0, _LOOKED_AT) is not None


def dialogues_note(dialogues: int, items: int) -> tuple[str, ...]:
    """What is said where most of so many first items are whole conversations in one text."""
    if 2 * dialogues <= items:
        return ()
    return (
        f"Warning: {dialogues:,} of the first {items:,} instructions hold a whole conversation as "
        "one text, answers included, and are shown that way. To choose among turns, write each "
        'row as {"messages": [{"role": "user", "content": "..."}, ...]}. In a '
        "table, call the column messages, and write the list of turns into its cells as JSON.",
    )


def _own(said: Any) -> Any:
    """What is said without results of tools, where something else is."""
    if not isinstance(said, list):
        return said
    own = [p for p in said if not (isinstance(p, dict) and p.get("type") in RESULT_PARTS)]
    return own or said


def _has_text(turn: Mapping[str, Any]) -> bool:
    """Whether there is any text in it, beside images or alone."""
    said = said_in(turn)
    texts = [said] if isinstance(said, str) else [text for _, text in _parts(said) or ()]
    return any(text and not text.isspace() for text in texts)


def role_of(turn: Mapping[str, Any]) -> Any:
    """Who speaks, as its file calls it."""
    return turn.get("role", turn.get("from"))


def said_in(turn: Mapping[str, Any]) -> Any:
    """What is said, as its file has it: text, parts or null."""
    # Gemini has parts, and Open Assistant text.
    return turn.get("content", turn.get("value", turn.get("parts", turn.get("text"))))


def _parts(value: Any) -> list[tuple[str, str | None]] | None:
    """(type, text or None) of each part but thinking; None for what is not written in parts."""
    if not isinstance(value, list) or not value:
        return None
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in value]
    if not all(isinstance(part, dict) for part in parts):
        return None
    said = [part for part in parts if part.get("type") not in THINKING_PARTS]
    return [
        (str(kind), text if kind in _TEXT_PARTS and isinstance(text, str) else None)
        for part in said
        for kind, text in [(part.get("type", "text"), part.get("text"))]
    ]


def _transcript(turns: Sequence[Mapping[str, Any]]) -> str:
    """Turns as one text, each behind who speaks; what is no text is named in brackets."""
    return "\n\n".join(
        f"{_SPEAKERS.get(role, role.capitalize())}: {_spelled(said)}"
        for role, said in ((str(role_of(turn)), said_in(turn)) for turn in turns)
        if said is not None
    )


def _spelled(said: Any) -> str:
    if isinstance(said, str):
        return said
    parts = _parts(said)
    if parts is None:
        return "[no text]"
    return "".join(f"[{kind}]" if text is None else text for kind, text in parts)
