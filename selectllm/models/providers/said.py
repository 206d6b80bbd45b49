"""What a provider says went wrong, in the form of any provider. Pure; nothing here raises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from selectllm.models.providers.body import at, clean, json_of, text_of_bytes
from selectllm.models.providers.usage import count_of

MOST_OF_AN_ERROR = 64 * 1024
"""Characters of an error's text that are looked at: no provider says more that matters."""

MOST_READ = 16 * 1024 * 1024
"""Bytes of an error that are read as JSON at all."""


class Said(NamedTuple):
    """What a provider says went wrong. `codes`: its short words for it, in one text.

    `status`: the HTTP status that it gives in the body, None without one.
    """

    message: str
    codes: str
    status: int | None = None

    @property
    def all(self) -> str:
        """Codes and message, as wordings.py reads them."""
        return f"{self.codes} | {self.message}"


def error_in(data: Any) -> Said | None:
    """The error in the JSON of a reply with status 200; None if it is no error.

    OpenRouter's stands at the top or in the choice that it broke off.
    """
    choices = at(data, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    for holder in (data, choice):
        error = at(holder, "error")
        if error and not (holder is data and choice is not None):
            return said_in(holder)
    return None


def said_by(body: bytes) -> Said:
    """What the body of an error says, whatever it is: JSON of any form, HTML, plain text."""
    data = json_of(body[:MOST_READ])
    if data is None:
        text = clean(text_of_bytes(body[:MOST_OF_AN_ERROR]))
        return Said(" ".join(re.sub(r"<[^<>]*>", " ", text).split()), "")
    return said_in(data)


def said_in(data: Any, inside: bool = False) -> Said:
    """What `data`, the JSON of an error, says. `inside`: it was passed on in another error."""
    if isinstance(data, list) and data:
        data = data[0]
    error = at(data, "error") or data
    if not isinstance(error, Mapping):
        return Said(_plain(error), _codes(data))
    named = (error.get(name) for name in _MESSAGES)
    message = _plain(next((each for each in named if each), None) or error)
    codes = _codes(error) if data is error else f"{_codes(error)} {_codes(data)}".strip()
    code = count_of(error.get("code")) or count_of(error.get("status"))
    status = code if code is not None and 400 <= code < 600 else None
    passed_on = at(error.get("metadata"), "raw")
    if isinstance(passed_on, str) and not inside:
        upstream = said_in(_or_text(passed_on), inside=True)
        return Said(f"{message}: {upstream.message}", f"{codes} {upstream.codes}".strip(), status)
    return Said(message, codes, status)


_MESSAGES = ("message", "detail", "msg", "error_msg", "errors")
_CODES = ("code", "type", "status", "error_type", "error_code", "__type")


def _or_text(text: str) -> Any:
    data = json_of(text[:MOST_OF_AN_ERROR].encode("utf-8", "replace"))
    return {"message": text} if data is None else data


def _codes(error: Any) -> str:
    """The short words of an error: its codes, those within it, and marks of moderation."""
    inner = [at(error, name) for name in ("innererror", "inner_error", "metadata")]
    places = [error, *inner]
    words = [at(place, name) for place in places for name in _CODES]
    codes = [str(word)[:100] for word in words if isinstance(word, (str, int)) and word]
    if any(at(place, name) for place in places for name in ("reasons", "flagged_input")):
        codes.append("moderated")
    if any(_filtered(at(place, "content_filter_result")) for place in places):
        codes.append("content_filter")
    return clean(" ".join(codes))


def _filtered(result: Any) -> bool:
    """Whether any of Azure's filters stopped the prompt."""
    return isinstance(result, Mapping) and any(
        at(each, "filtered") is True for each in result.values()
    )


def _plain(value: Any) -> str:
    """What an error says as text; of the entries of a list what they say, not what was sent."""
    if isinstance(value, list):
        said = [at(each, "msg") or at(each, "message") or each for each in value[:9]]
        return "; ".join(_as_text(each) for each in said)[:MOST_OF_AN_ERROR]
    return _as_text(value)


def _as_text(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return clean(text[:MOST_OF_AN_ERROR])
