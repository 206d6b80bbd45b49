"""Files that other tools write, recognised by their columns: where their instructions lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selectllm.data.chats import is_chat
from selectllm.data.columns import CHATS, COLUMNS

LIKELY = ("instruction", "prompt", "question", "query", "task", "text", "input")
"""Names of columns that hold an instruction, the likeliest first."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One tool's file.

    `columns`: the first row has all of them, and one of `beside` if there are any. `inside`: the
    object that holds the texts, "" for the row itself. `id`, `response`: columns of the row, where
    it has them. `chat`: the column that has to hold a list of turns, if there is one.
    """

    name: str
    columns: tuple[str, ...]
    inside: str = ""
    id: str = "id"
    response: str | None = None
    beside: tuple[str, ...] = ()
    chat: str | None = None

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether a file whose first row is `row` is one of these."""
        beside = not self.beside or any(name in row for name in self.beside)
        chat = self.chat is None or is_chat(row.get(self.chat))
        return beside and chat and all(name in row for name in self.columns)


EXPORTS = (
    ExportFormat("an OpenAI batch file", ("custom_id", "body"), "body", id="custom_id"),
    ExportFormat(
        "an OpenAI preference file",
        ("input", "preferred_output"),
        "input",
        response="preferred_output",
    ),
    ExportFormat(
        "records of Argilla",
        ("fields",),
        "fields",
        beside=("responses", "suggestions", "vectors", "_server_id"),
    ),
    ExportFormat(
        "an export of Label Studio",
        ("data",),
        "data",
        beside=("annotations", "predictions", "completions"),
    ),
    ExportFormat("an export of Label Studio", ("annotation_id", "lead_time")),
    ExportFormat("an OpenAI evals file", ("input", "ideal"), response="ideal"),
    ExportFormat("a file of chats", ("input",), chat="input"),
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A row of a tool's file: the format, and the path of each canonical column that it has."""

    format: ExportFormat
    paths: Mapping[str, str]


def recognised(row: Mapping[str, Any]) -> Recognised | None:
    """The format of a file whose first row is `row`; None if it is none of EXPORTS."""
    for format in EXPORTS:
        content = row.get(format.inside) if format.inside else row
        if format.fits(row) and isinstance(content, Mapping):
            instruction = _instruction(content)
            if instruction is not None:
                return Recognised(format, _paths(row, format, content, instruction))
    return None


def _paths(
    row: Mapping[str, Any], format: ExportFormat, content: Mapping[str, Any], instruction: str
) -> dict[str, str]:
    before = f"{format.inside}." if format.inside else ""
    paths = {"instruction": before + instruction}
    for field in ("input", "response"):
        names = (name for name in COLUMNS[field] if name in content and name != instruction)
        if name := next(names, None):
            paths[field] = before + name
    if format.response is not None and not _are_alternatives(row.get(format.response)):
        paths["response"] = format.response
    if row.get(format.id) is not None:
        paths["id"] = format.id
    return paths


def _are_alternatives(value: Any) -> bool:
    """Whether a value lists several answers that would all be right, none of them the response."""
    return isinstance(value, list) and all(isinstance(answer, str) for answer in value)


def _instruction(content: Mapping[str, Any]) -> str | None:
    """The name of the chat, or of the text, that asks."""
    chats = [name for name, value in content.items() if is_chat(value)]
    texts = [
        name
        for name, value in content.items()
        if isinstance(value, str) and value.strip() and name != "model"  # of a batch, who is asked
    ]
    for names, known in ((chats, (*CHATS, *LIKELY)), (texts, LIKELY)):
        if name := next((name for name in known if name in names), None):
            return name
        if len(names) == 1:
            return names[0]
    return None
