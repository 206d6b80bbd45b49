"""What may be shown nowhere: keys by their value, and by the place where they stand.

By value: `scrub` takes a key out of a text in every spelling that servers echo. By place: whatever
stands under a name such as `x-api-key` in a model's settings is masked wherever the settings are
written (`masked`), and so is what looks like a key in the path of a URL (`shown_url`). Pure.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

MASK = "***"
SHORTEST_SECRET = 8  # characters; what is shorter is a flag or a word, and would mask half a text
PIECE = 8  # characters of a key that give it away, wherever they stand

_WORDS = frozenset(
    "authorization auth secret secrets password passwd passphrase pwd credential credentials "
    "cookie cookies bearer signature jwt apikey".split()
)
_LAST_WORDS = frozenset({"key", "keys", "token"})
_JOINED = re.compile(r"(api|access|secret|private|auth|subscription|session|bearer)_?(key|token)s?")
# Names that end like a key's and hold none: what a tokenizer or a prompt cache is told.
_NO_SECRET = re.compile(
    r"(bos|eos|eot|pad|unk|sep|cls|mask|stop|start|end|begin|think\w*|special|image)_token|cache_key"
)
_SCHEME = re.compile(r"\s*(?:bearer|basic|token|digest)\s+(\S.*)", re.IGNORECASE | re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Whether a setting or header of this name holds a secret: x-api-key, authToken, Cookie."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = [word for word in re.split(r"[^a-z0-9]+", snake.lower()) if word]
    plain = "_".join(words)
    if not words or _NO_SECRET.search(plain):
        return False
    return (
        not _WORDS.isdisjoint(words)
        or words[-1] in _LAST_WORDS
        or _JOINED.search(plain) is not None
    )


def masked(value: Any, secret: bool = False) -> Any:
    """`value` with every text below a secret name, or behind `Bearer`, replaced by ***.

    Equal to `value` where nothing in it is secret. `secret`: it stands below such a name itself.
    """
    if isinstance(value, Mapping):
        return {k: masked(v, secret or is_secret_name(str(k))) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(each, secret) for each in value]
    if isinstance(value, str) and value and (secret or _SCHEME.fullmatch(value)):
        return MASK
    return value


def secret_values(value: Any, secret: bool = False) -> Iterator[str]:
    """The texts that `masked` replaces; of `Bearer KEY` the key too."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from secret_values(each, secret or is_secret_name(str(name)))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from secret_values(each, secret)
    elif isinstance(value, str):
        scheme = _SCHEME.fullmatch(value)
        if secret or scheme:
            yield value
        if scheme:
            yield scheme[1]


def shown_url(url: str) -> str:
    """`url` with what may be a key in its path replaced by ***.

    A segment may be one if it has 16 letters and digits in a row, of both kinds, or the form of a
    UUID: names of models and deployments are shorter or have words in them.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # of brackets that do not match; then it is called nowhere either
        return url
    if not parts.netloc:  # it is no address, but the identity of an embedded or own model
        return url
    path = "/".join(MASK if may_be_key(each) else each for each in parts.path.split("/"))
    return urlunsplit(parts._replace(path=path))


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def path_secrets(url: str) -> list[str]:
    """The segments of the path of `url` that `shown_url` masks."""
    try:
        return [each for each in urlsplit(url).path.split("/") if may_be_key(each)]
    except ValueError:
        return []


def may_be_key(segment: str) -> bool:
    """Whether a part of a path, or a name, has the form of a key rather than of a word."""
    if _UUID.search(segment):
        return True
    runs = re.findall(r"[A-Za-z0-9]{16,}", segment)
    return any(re.search(r"\d", run) and re.search(r"[A-Za-z]", run) for run in runs)


def scrub(text: str, hidden: Iterable[str]) -> str:
    """`text` with every value of `hidden` replaced by ***, in every spelling of it.

    As it is, %-encoded, escaped for JSON and HTML, and within base64 at any of its alignments.
    """
    for value in hidden:
        for spelling in _spellings(value):
            text = text.replace(spelling, MASK)
    return text


def scrub_echo(text: str, hidden: Iterable[str]) -> str:
    """As `scrub`, and without parts of the values: for what a provider says of a key.

    Parts are PIECE characters or more of a value in a row, and its beginning or end before or
    behind the stars or dots that stand for the rest of it (sk-abc***xyz).
    """
    values = tuple(value for value in hidden if len(value) >= SHORTEST_SECRET)
    text = scrub(text, hidden)
    if any(mark in text for mark in _MARKS):
        text = _ELIDED.sub(lambda echo: MASK if _is_of(echo, values) else echo[0], text)
    for value in values:
        text = _without_pieces(text, value)
    return text


_MARKS = ("**", "...", "\u2026", "\u2022", "\u00b7\u00b7", "xxx", "XXX")
_ELIDED = re.compile(
    r"([\w\-/+=~]{0,64}?)(?:\*{2,}|\.{3,}|\u2026+|\u2022{2,}|\u00b7{2,}|[xX]{3,})([\w\-/+=~]{0,64})"
)
_SHOWN = 2  # characters of a key's beginning or end that an elided echo shows at least


def _is_of(echo: re.Match[str], values: Iterable[str]) -> bool:
    """Whether an elided text shows the beginning or the end of one of `values`."""
    before, after = echo[1], echo[2]
    return any(
        (len(before) >= _SHOWN and value.startswith(before))
        or (len(after) >= _SHOWN and value.endswith(after))
        or (len(before) > _SHOWN and any(before.endswith(value[:n]) for n in range(3, 17)))
        for value in values
    )


def _without_pieces(text: str, value: str) -> str:
    start = 0
    while start + PIECE <= len(value):
        end = start + PIECE
        if value[start:end] not in text:
            start += 1
            continue
        while end < len(value) and value[start : end + 1] in text:
            end += 1
        text = text.replace(value[start:end], MASK)
    return text


@lru_cache(maxsize=256)
def _spellings(value: str) -> tuple[str, ...]:
    """`value` as servers may echo it, longest first."""
    spelled = {
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        json.dumps(value)[1:-1],
        html.escape(value),
    }
    if len(value) >= SHORTEST_SECRET:
        spelled.update(_in_base64(value))
    return tuple(sorted(spelled - {""}, key=lambda each: (-len(each), each)))


def _in_base64(value: str) -> Iterator[str]:
    """The part of every base64 text around `value` that depends on nothing but `value`."""
    data = value.encode("utf-8", "replace")
    yield base64.b64encode(data).decode("ascii")
    for offset in range(3):  # bytes that stand before it in its group of three
        whole = (offset + len(data)) // 3 * 4  # characters of full groups
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * offset + data)[:whole][(0, 2, 3)[offset] :].decode("ascii")
