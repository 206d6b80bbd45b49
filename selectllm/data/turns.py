"""The turns of a conversation, whatever format it is in: who speaks, and what as text. Pure.

Read are messages as OpenAI has them (text or parts, `tool_calls`, `refusal`), ShareGPT (`from`,
`value`), Anthropic's content blocks (`tool_use`, `tool_result`) and Gemini's `parts`
(`functionCall`, `inlineData`). What is no text stands in square brackets in its place, as
`[image]` or `[tool call: NAME ARGUMENTS]`; only the thinking of a model is left out. Both are
counted, so that a pool can tell it.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from selectllm.core.shown import counted, shortened
from selectllm.core.types import Turn
from selectllm.core.whole_text import are_whole
from selectllm.data.chats import (
    ASSISTANTS,
    CALLS,
    RESULT_PARTS,
    SYSTEM,
    THINKING_PARTS,
    USERS,
    role_of,
    said_in,
)
from selectllm.data.readers.json_rows import MOST_DEPTH, is_deep
from selectllm.data.readers.records import BadRow

ROLES = ("system", "user", "assistant", "tool")
_OF_TOOLS = ("tool", "function", "observation", "tool_result", "function_call_output", "ipython")
_OF_CALLS = ("function_call", "tool_call", "gpt_tool_call")
_ROLES = {
    **dict.fromkeys(SYSTEM, "system"),
    **dict.fromkeys(USERS, "user"),
    **dict.fromkeys((*ASSISTANTS, *_OF_CALLS), "assistant"),
    **dict.fromkeys(_OF_TOOLS, "tool"),
}
_MEDIA = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "input_audio", "audio_url"), "audio"),
    **dict.fromkeys(("video", "video_url", "input_video"), "video"),
    **dict.fromkeys(("file", "input_file", "document", "fileData", "file_data"), "file"),
}
_TEXT_KINDS = ("text", "refusal", "output_text", "input_text")
_TEXTS = ("text", "refusal", "content")  # where a part has it
_SYSTEM_BESIDE = ("system", "systemInstruction", "system_instruction")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
THINKING, CALL, EMPTY = "thinking", "tool call", "no text"


class Conversation(NamedTuple):
    """The turns of a row. `odd`: how often something in them is no text, by its kind.

    `beside`: whether the first one is a system turn that stood outside the list of turns.
    """

    turns: tuple[Turn, ...]
    odd: Counter[str]
    beside: bool = False

    def with_own(self, asked: int, given: str, answer: str | None) -> Conversation:
        """The same with what the row has outside of its turns, at turn `asked`.

        `given`: follows what is asked. `answer`: is the last thing said before the user speaks
        again, in the place of an answer that is there; None leaves that.
        """
        turns = list(self.turns)
        if given:
            turns[asked] = turns[asked]._replace(text=f"{turns[asked].text}\n\n{given}")
        if answer is not None:
            end = next(
                (n for n, t in enumerate(turns) if n > asked and t.role == "user"), len(turns)
            )
            there = [n for n in range(asked + 1, end) if turns[n].role == "assistant"]
            place = slice(there[-1], there[-1] + 1) if there else slice(end, end)
            turns[place] = [Turn("assistant", answer)]
        return self._replace(turns=tuple(turns))


def read_turns(
    values: Sequence[Mapping[str, Any]], beside: Mapping[str, Any] | None = None
) -> Conversation:
    """Every turn of `values`, in order.

    `beside`: the object that they stand in, which may hold the system turn (Anthropic, Gemini).
    A turn of the user that holds the result of a tool, as Anthropic and Gemini write it, is one of
    the tool; a role that is none of ROLES is kept.
    """
    odd: Counter[str] = Counter()
    turns: list[Turn] = []
    for value in values:
        plain = _plain_turn(value)
        turns += _turns_in(value, odd) if plain is None else (plain,)
    system = None if any(turn.role == "system" for turn in turns) else _system_of(beside or {})
    if system:
        turns[:0] = _turns_in({"role": "system", "content": system}, odd)
    return Conversation(tuple(turns), odd, bool(system))


def _system_of(row: Mapping[str, Any]) -> Any:
    """What is said to the system outside of the turns, text or parts; None for nothing."""
    for name in _SYSTEM_BESIDE:
        value = row.get(name)
        value = value.get("parts") if isinstance(value, Mapping) else value
        if value and isinstance(value, str | list):
            return value
    return None


def spelled(said: Any) -> Any:
    """What a turn holds in parts, as the text that its turn has; anything else as it is."""
    parts = isinstance(said, list) and all(isinstance(part, str | Mapping) for part in said)
    if not parts:
        return said
    return _joined(
        [p for k, part in _parts_of({"content": said}) for p in _piece(k, part, Counter())]
    )


def listed(value: Any, column: str) -> Any:
    """`value`, or the list that it stands for.

    A cell may hold it as text, as JSON or as Python writes it; Hugging Face data sets may have an
    object with a list for every key. Raises BadRow for a text that begins as a list and is none.
    """
    if isinstance(value, Mapping):
        parts = [*value.values()]
        if not all(isinstance(part, list) and len(part) == len(parts[0]) for part in parts):
            return value
        return [dict(zip(value, turn, strict=True)) for turn in zip(*parts, strict=True)]
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError) as error:
        reason = f"{column} is not a list of turns ({error}): {shortened(value)}"
        try:
            read = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise BadRow(reason, "write the cell as JSON") from None
    if is_deep(read):
        reason = f"{column} nests lists more than {MOST_DEPTH} deep: {shortened(value)}"
        raise BadRow(reason, "flatten it")
    if not are_whole({column: read}):
        reason = f"{column} holds half of a surrogate pair: {shortened(value)}"
        raise BadRow(reason, "write the cell as JSON again")
    return read


def notes_on_odd(odd: Mapping[str, int]) -> tuple[str, ...]:
    """Sentences about what of the turns of a pool is no text, counted."""
    notes = []
    kinds = {kind: count for kind, count in odd.items() if kind not in (THINKING, EMPTY)}
    placed = {kind: count for kind, count in kinds.items() if not kind.startswith("role ")}
    if placed:
        told = ", ".join(counted(count, kind) for kind, count in sorted(placed.items()))
        notes.append(
            f"Some turns of its chats contain things other than text: {told}. Each is shown as a "
            "text in brackets, such as [image]."
        )
    if odd.get(THINKING):
        notes.append(f"Thinking is left out of {counted(odd[THINKING], 'turn')} of its chats.")
    if odd.get(EMPTY):
        notes.append(f"Its chats keep {counted(odd[EMPTY], 'turn')} without any text.")
    if others := {kind.removeprefix("role "): n for kind, n in kinds.items() if kind not in placed}:
        told = ", ".join(sorted(others))
        notes.append(
            f"The role of {counted(sum(others.values()), 'turn')} of its chats is none of "
            f"{', '.join(ROLES)}, and is kept: {shortened(told)}."
        )
    return tuple(notes)


def _plain_turn(value: Mapping[str, Any]) -> Turn | None:
    """The turn that is a role and a text, as nearly all are; None for what needs a closer look."""
    named, text = role_of(value), said_in(value)
    if len(value) != 2 or type(text) is not str or not text or type(named) is not str:
        return None
    role = _ROLES.get(named)
    return None if role is None or named in _OF_CALLS else Turn(role, text)


def _turns_in(value: Mapping[str, Any], odd: Counter[str]) -> Iterator[Turn]:
    """The turn that `value` is; several where results of tools stand among what is said."""
    named = role_of(value) or value.get("type") or "unknown"
    role = _ROLES.get(str(named), str(named))
    if role not in ROLES:
        odd[f"role {role}"] += 1
    pieces: list[tuple[bool, str]] = []  # whether it is said, and the text
    results = 0
    for kind, part in _parts_of(value):
        if kind in RESULT_PARTS and role != "tool":
            if pieces:
                yield Turn(role, _joined(pieces))
                pieces = []
            results += 1
            yield Turn("tool", _result(part, odd))
        else:
            pieces += _piece(kind, part, odd)
    if str(named) in _OF_CALLS and pieces:
        odd[CALL] += 1
        pieces = [(False, f"[{CALL}: {_joined(pieces)}]")]
    if pieces or not results:
        text = _joined(pieces)
        odd[EMPTY] += not text
        yield Turn(role, text)


def _parts_of(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(kind, part) of everything that a turn holds, in its order; `tool_calls` come last."""
    for name in _THOUGHTS:
        if value.get(name):
            yield THINKING, value[name]
            break
    said = said_in(value)
    if said is None and value.get("type") in (*CALLS, *RESULT_PARTS):
        said = [value]  # an item of OpenAI's responses
    for part in said if isinstance(said, list) else [said]:
        if isinstance(part, Mapping):
            yield _kind(part), part
        elif part is not None:
            yield "text", part if isinstance(part, str) else _as_json(part)
    if isinstance(refusal := value.get("refusal"), str):
        yield "text", refusal
    calls = value.get("tool_calls")
    for call in calls if isinstance(calls, list) else [value.get("function_call")]:
        if call:
            yield "tool_call", call


def _kind(part: Mapping[str, Any]) -> str:
    """What a part is: by its type, or, without one (Gemini), by the key that it has."""
    if isinstance(kind := part.get("type"), str):
        return "text" if kind in _TEXT_KINDS else kind
    if part.get("thought"):
        return THINKING
    for name in part:
        if part[name] is None:
            continue  # Parquet has every key in every part
        if name in ("inlineData", "inline_data"):
            kind = part[name].get("mimeType", "") if isinstance(part[name], Mapping) else ""
            return str(kind).partition("/")[0] or "file"
        if name in (*CALLS, *RESULT_PARTS, *_MEDIA, "text"):
            return name
    return "part"


def _piece(kind: str, part: Any, odd: Counter[str]) -> list[tuple[bool, str]]:
    if kind in (THINKING, *THINKING_PARTS):
        odd[THINKING] += 1
        return []
    if kind == "text":
        texts = (part.get(name) for name in _TEXTS) if isinstance(part, Mapping) else (part,)
        text = next((text for text in texts if text is not None), "")
        return [(True, text if isinstance(text, str) else _as_json(text))] if text else []
    if kind in RESULT_PARTS:
        return [(True, _result(part, odd))]
    if kind in CALLS:
        odd[CALL] += 1
        return [(False, f"[{CALL}: {_call(part)}]")]
    kind = _MEDIA.get(kind, kind)
    odd[kind] += 1
    return [(False, f"[{kind}]")]


def _call(part: Any) -> str:
    """The name of a tool and what it is called with."""
    inner = part
    for name in ("function", "functionCall", "function_call"):
        if isinstance(part, Mapping) and isinstance(part.get(name), Mapping):
            inner = part[name]
    if not isinstance(inner, Mapping):
        return inner if isinstance(inner, str) else _as_json(inner)
    given = next(
        (inner[name] for name in ("arguments", "input", "args") if inner.get(name) is not None),
        None,
    )
    words = (inner.get("name"), given)
    return " ".join(w if isinstance(w, str) else _as_json(w) for w in words if w is not None)


def _result(part: Any, odd: Counter[str]) -> str:
    """What a tool gave back, as text."""
    for name in ("functionResponse", "function_response"):
        if isinstance(part.get(name), Mapping):
            part = part[name]
    given = next(
        (part[n] for n in ("content", "output", "response") if part.get(n) is not None), None
    )
    if isinstance(given, list) and all(isinstance(one, Mapping) for one in given):
        return _joined([piece for one in given for piece in _piece(_kind(one), one, odd)])
    return given if isinstance(given, str) else "" if given is None else _as_json(given)


def _joined(pieces: Sequence[tuple[bool, str]]) -> str:
    """Texts as they are, with what stands in brackets on lines of its own."""
    text, said_before = "", True
    for said, piece in pieces:
        gap = "" if not text or (said and said_before) or text.endswith("\n") else "\n"
        text, said_before = text + gap + piece, said
    return text


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
