"""What the cache remembers of a reply's question: its settings, and hashes of its texts.

It stands beside the row, in a column that no reading of a reply touches, and says which settings
of two requests differ and which items a prompt showed. No text of a prompt is in it and no secret:
what is masked in manifests is masked here, and other texts of settings are hashed.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from selectllm.core.codec import canonical_json, load_json, sha256_json, sha256_texts
from selectllm.core.types import empty
from selectllm.models.model import OfSettings, Request
from selectllm.models.secrets import shown_url

FORMAT = 1
DIGITS = 12  # of a sha256: 10,000 items have two of the same by a chance of 1 in 5 million
CHECK = 8  # digits of a checksum before the text
_HASHED = frozenset({"schema", "grammar", "extra"})
"""Settings that are long, or may hold anything: their hashes are kept."""


class NewerFormat(ValueError):
    """It was written by a later version of selectllm."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a request was, as far as it is remembered.

    `settings`: the identity without its messages. `messages`: `role:hash` of each. `shown`: hashes
    of the items in shown order; None where it is not known which items the messages show.
    """

    settings: Mapping[str, Any] = field(default_factory=empty)
    messages: tuple[str, ...] = ()
    shown: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept; `asked_from` reads it."""
        fields = {"format": FORMAT, "messages": list(self.messages), "settings": self.settings}
        return fields if self.shown is None else {**fields, "shown": "".join(self.shown)}


def asked(request: Request) -> Fingerprint:
    """What is remembered of `request`."""
    shown = request.question.shown
    return Fingerprint(
        settings=_settings(request),
        messages=tuple(f"{one['role']}:{_hashed(one['content'])}" for one in request.messages),
        shown=tuple(item_hash(item.instruction, item.input) for item in shown) or None,
    )


def _settings(request: Request) -> dict[str, Any]:
    settings = request.identity()
    del settings["messages"]
    for name in _HASHED & settings.keys():
        value = settings.pop(name)
        if name == "extra":
            settings |= {f"extra.{key}": _kept(each) for key, each in value.items()}
        else:
            settings[name] = _digest(value)
    if "stop" in settings:
        settings["stop"] = [_kept(word) for word in settings["stop"]]
    if (endpoint := settings.get("endpoint")) is not None:
        public = shown_url(endpoint)
        settings["endpoint"] = public if public == endpoint else f"{public}#{_digest(endpoint)}"
    return settings


def _kept(value: Any) -> Any:
    """A number, true, false or none as it is, anything else as a hash."""
    return value if isinstance(value, int | float | None) else _digest(value)


def _digest(value: Any) -> str:
    return sha256_json(value)[:DIGITS]


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


@lru_cache(maxsize=1 << 16)
def item_hash(instruction: str, context: str) -> str:
    """A short hash of an item's texts; prompts show an item many times."""
    return sha256_texts((instruction, context))[:DIGITS]


def asked_text(request: Request) -> str:
    """`sealed(asked(request))`, in a third of the time: it is made for every reply."""
    parts = [f'"{one["role"]}:{_hashed(one["content"])}"' for one in request.messages]
    text = f'{{"format":{FORMAT},"messages":[{",".join(parts)}],"settings":{_text(request)}'
    if shown := request.question.shown:
        text += f',"shown":"{"".join([item_hash(item.instruction, item.input) for item in shown])}"'
    return _checked(f"{text}}}")


@OfSettings
def _text(request: Request) -> str:
    return canonical_json(_settings(request))


def sealed(remembered: Fingerprint) -> str:
    """As it stands in a row."""
    return _checked(canonical_json(remembered.to_json()))


def _checked(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8')):0{CHECK}x}{text}"


def read_asked(text: Any) -> Fingerprint:
    """The inverse. Raises NewerFormat, and ValueError for anything else that is not whole."""
    if not isinstance(text, str) or len(text) <= CHECK:
        raise ValueError("what was asked is not text")
    check, body = text[:CHECK], text[CHECK:]
    if check != f"{zlib.crc32(body.encode('utf-8', 'replace')):0{CHECK}x}":
        raise ValueError("what was asked was changed since")
    return asked_from(load_json(body))


def asked_from(fields: Any) -> Fingerprint:
    """The inverse of `Fingerprint.to_json`. Raises as `read_asked`."""
    if is_newer(fields):
        raise NewerFormat("what was asked is of a newer format")
    match fields:
        case {"format": 1, "settings": {"model": str()} as settings, "messages": [*messages]}:
            if all(isinstance(one, str) and ":" in one for one in messages):
                return Fingerprint(settings, tuple(messages), _shown(fields.get("shown")))
    raise ValueError("it does not say what was asked")


def is_newer(fields: Any) -> bool:
    """Whether a row says that it has a format which came after this version."""
    number = fields.get("format", FORMAT) if isinstance(fields, dict) else FORMAT
    return isinstance(number, int) and not isinstance(number, bool) and number > FORMAT


def _shown(text: Any) -> tuple[str, ...] | None:
    if text is None:
        return None
    if isinstance(text, str) and _HASHES.fullmatch(text):
        return tuple(text[at : at + DIGITS] for at in range(0, len(text), DIGITS))
    raise ValueError("it does not say which items were shown")


_HASHES = re.compile(rf"([0-9a-f]{{{DIGITS}}})+")
