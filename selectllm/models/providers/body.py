"""What providers send, read whatever it is: bytes to JSON, messages to text. Pure.

Nothing here raises: what cannot be read is None, or text with U+FFFD in place of what is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.whole_text import whole


@dataclass(frozen=True, slots=True)
class Heard:
    """A response as it was read to its end, with the names that httpx gives the same things.

    `headers`: ignoring case. `content`: the body, uncompressed.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes


def content_of(response: Any) -> bytes | None:
    """The body of a response, httpx's or Heard; None if it was not read to its end."""
    try:
        content: bytes = response.content
    except RuntimeError:  # httpx: it broke off, was closed before, or nobody has read it
        return None
    return content


def text_of_bytes(content: bytes) -> str:
    """The text in `content`: UTF-8, or as its first bytes say; whatever the headers claim."""
    return content.decode(json.detect_encoding(content), "replace")


def json_of(content: bytes) -> Any:
    """The JSON in `content`; None if it is none that can be read. A number too long is None."""
    try:
        return _DECODER.decode(text_of_bytes(content))
    except (ValueError, RecursionError, MemoryError):
        return None


def _whole(digits: str) -> int | None:
    """An integer; Python reads 4,300 digits at most, and nobody counts to as many as 30."""
    return int(digits) if len(digits) < 30 else None


_DECODER = json.JSONDecoder(parse_int=_whole)  # made once: that takes longer than a short reply


def at(thing: Any, name: str) -> Any:
    """What stands under `name`; None if `thing` is no JSON object."""
    return thing.get(name) if isinstance(thing, dict) else None


@dataclass(frozen=True, slots=True)
class Written:
    """What a chat completion of OpenAI's form says.

    `finish`: the provider's own word, whatever it is. `each`: the likeliest tokens in place of
    each token, as sent. `thought`: it thinks, in the text or beside it.
    """

    text: str
    finish: Any
    refused: bool
    each: tuple[tuple[tuple[str, float], ...], ...] = ()
    thought: bool = False


def is_blocked(data: Any) -> bool:
    """Whether Gemini says that it did not let the prompt through."""
    return bool(at(at(data, "promptFeedback"), "blockReason"))


def written_in(data: Any) -> Written | None:
    """The first choice of `data`; None if it has no choice with a message."""
    choices = at(data, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = at(choice, "message")
    if not isinstance(message, dict):
        return None
    return Written(
        text=_without_thinking(message),
        finish=_finish(choice, message),
        refused=bool(message.get("refusal")),
        each=_each(at(at(choice, "logprobs"), "content")),
        thought=thinks(message),
    )


def thinks(message: Any) -> bool:
    """Whether a message, JSON or litellm's object, holds thinking: beside its text or in it."""
    beside = (_field(message, name) for name in ("reasoning_content", "reasoning", "thinking"))
    if any(isinstance(each, str) and each.strip() for each in beside):
        return True
    content = _field(message, "content")
    parts = content if isinstance(content, list) else []
    if any(at(part, "type") == "thinking" or at(part, "thought") is True for part in parts):
        return True
    return isinstance(content, str) and _OPENS_THINKING.match(content) is not None


def only_thinks(text: str) -> bool:
    """Whether a reply's text is thinking that was never closed."""
    return _OPENS_THINKING.match(text) is not None and "</" not in text


def _finish(choice: Any, message: Mapping[str, Any]) -> Any:
    """The finish reason; a reply that calls tools ends with that, whatever the server calls it."""
    finish = at(choice, "finish_reason")
    return "tool_calls" if message.get("tool_calls") and finish in (None, "stop") else finish


_THINKING = re.compile(
    r"<(?:think|thinking|budget:thinking)>.*?</(?:think|thinking|budget:thinking)>(.*)", re.DOTALL
)


_OPENS_THINKING = re.compile(r"\s*<(?:think|thinking|budget:thinking)>")


def _without_thinking(message: Mapping[str, Any]) -> str:
    """The text of a message; what it thinks in tags before it is left out, as litellm does.

    Not where the server has taken the thinking out itself: then tags belong to the text.
    """
    text = text_of(message.get("content"))
    apart = "reasoning_content" in message or "reasoning" in message
    thought = (
        None if apart or not isinstance(message.get("content"), str) else _THINKING.match(text)
    )
    return thought[1] if thought else text


def text_of(content: Any) -> str:
    """The text of a message: as it is, or its text parts joined; thinking is left out.

    Parts are those of OpenAI, Mistral, Anthropic and Gemini. "" for what is none of this.
    """
    if isinstance(content, str):
        return whole(content)
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list):
        return ""
    return whole("".join(_text_of_part(part) for part in parts))


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = at(part, "text")
    says = at(part, "type")
    if part is None or at(part, "thought") is True or says not in (None, "text", "output_text"):
        return ""
    return text if isinstance(text, str) else ""


def _each(tokens: Any) -> tuple[tuple[tuple[str, float], ...], ...]:
    if not isinstance(tokens, list):
        return ()
    return tuple(listed_in(at(token, "top_logprobs")) for token in tokens)


def listed_in(pairs: Any) -> tuple[tuple[str, float], ...]:
    """(token, log-probability) of every entry that has both, whatever else stands there.

    `pairs`: mappings or objects with `token` and `logprob`.
    """
    if not isinstance(pairs, Sequence) or isinstance(pairs, (str, bytes)):
        return ()
    found = ((_field(each, "token"), _field(each, "logprob")) for each in pairs)
    return tuple(
        (whole(token), float(value))
        for token, value in found
        if isinstance(token, str)
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
    )


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
