"""What providers send, read whatever it is: bytes to JSON, text, counts of tokens, errors. Pure.

Nothing here raises: what cannot be read is None, or text with U+FFFD in place of what is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST_OF_AN_ERROR = 64 * 1024
"""Characters of an error's text that are looked at: no provider says more that matters."""

MOST_READ = 16 * 1024 * 1024
"""Bytes of an error that are read as JSON at all."""

MOST_TOKENS = 10**9
"""No call has more; a greater count is a mistake."""

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` as UTF-8 can carry it: halves of surrogate pairs become U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _HALF_PAIR.sub("\ufffd", text)
    return text


def text_of_bytes(content: bytes) -> str:
    """The text in `content`: UTF-8, or as its first bytes say; whatever the headers claim."""
    return content.decode(json.detect_encoding(content), "replace")


def json_of(content: bytes) -> Any:
    """The JSON in `content`; None if it is none that can be read. A number too long is None."""
    try:
        return json.loads(text_of_bytes(content), parse_int=_whole)
    except (ValueError, RecursionError, MemoryError):
        return None


def _whole(digits: str) -> int | None:
    """An integer; Python reads 4,300 digits at most, and nobody counts to as many as 30."""
    return int(digits) if len(digits) < 30 else None


def count_of(value: Any) -> int | None:
    """A count of tokens; None for what is none: text, fractions, what is below 0 or absurd."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)


class Usage(NamedTuple):
    """Tokens as billed, None where they are not known."""

    tokens_in: int | None
    tokens_out: int | None


class _UsageForm(NamedTuple):
    """How one kind of API counts: where, and by which names; several are added up.

    `cached`: prompt tokens that the count of the prompt leaves out.
    """

    place: str
    tokens_in: str
    tokens_out: tuple[str, ...]
    cached: tuple[str, ...] = ()


_USAGE_FORMS = (
    _UsageForm("usage", "prompt_tokens", ("completion_tokens",)),
    _UsageForm(
        "usage",
        "input_tokens",
        ("output_tokens",),
        ("cache_read_input_tokens", "cache_creation_input_tokens"),  # Anthropic's
    ),
    _UsageForm(
        "usage",
        "inputTokens",
        ("outputTokens",),
        ("cacheReadInputTokens", "cacheWriteInputTokens"),  # Bedrock's
    ),
    _UsageForm("usageMetadata", "promptTokenCount", ("candidatesTokenCount", "thoughtsTokenCount")),
    _UsageForm("", "prompt_eval_count", ("eval_count",)),  # Ollama's
)


def usage_of(data: Any) -> Usage | None:
    """What `data`, the JSON of a reply, says it cost; None if it has no form that is known.

    No real prompt has 0 tokens: that is unknown, and so is then the count of the reply.
    """
    for form in _USAGE_FORMS:
        counts = _at(data, form.place) if form.place else data
        if not isinstance(counts, Mapping) or form.tokens_in not in counts:
            continue
        tokens_in = count_of(counts[form.tokens_in]) or None
        if tokens_in is None:
            return Usage(None, None)
        tokens_in += sum(count_of(counts.get(name)) or 0 for name in form.cached)
        if form.tokens_in == "prompt_tokens":
            tokens_in = _with_cached(counts, tokens_in)
        written = [count_of(counts[name]) for name in form.tokens_out if name in counts]
        known = [each for each in written if each is not None]
        whole = len(known) == len(written) and (known or form.place == "usageMetadata")
        return Usage(tokens_in, _with_thinking(counts, tokens_in, sum(known)) if whole else None)
    return None


def _with_thinking(counts: Mapping[str, Any], tokens_in: int, tokens_out: int) -> int:
    """Tokens of the reply with those that only the total counts: thinking, which is billed."""
    total = count_of(counts.get("total_tokens")) or 0
    return max(tokens_out, total - tokens_in)


def _with_cached(counts: Mapping[str, Any], tokens_in: int) -> int:
    """Prompt tokens with those from a cache, which OpenAI counts among them.

    A server that passes on Anthropic's names may leave them out: it does if they are more than the
    prompt, or if the total is the sum of all.
    """
    names = ("cache_read_input_tokens", "cache_creation_input_tokens")
    cached = sum(count_of(counts.get(name)) or 0 for name in names)
    written = count_of(counts.get("completion_tokens")) or 0
    total = count_of(counts.get("total_tokens"))
    if cached > tokens_in or (cached and total == tokens_in + cached + written):
        return tokens_in + cached
    return tokens_in


@dataclass(frozen=True, slots=True)
class Written:
    """What a chat completion of OpenAI's form says.

    `finish`: the provider's own word, whatever it is. `logprobs`: of the first token, as sent.
    """

    text: str
    finish: Any
    refused: bool
    tops: tuple[tuple[str, float], ...] = ()


def is_blocked(data: Any) -> bool:
    """Whether Gemini says that it did not let the prompt through."""
    return bool(_at(_at(data, "promptFeedback"), "blockReason"))


def written_in(data: Any) -> Written | None:
    """The first choice of `data`; None if it has no choice with a message."""
    choices = _at(data, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = _at(choice, "message")
    if not isinstance(message, Mapping):
        return None
    return Written(
        text=text_of(message.get("content")),
        finish=_at(choice, "finish_reason"),
        refused=bool(message.get("refusal")),
        tops=_tops(_at(_at(choice, "logprobs"), "content")),
    )


def text_of(content: Any) -> str:
    """The text of a message: as it is, or its text parts joined; thinking is left out.

    Parts are those of OpenAI, Mistral, Anthropic and Gemini. "" for what is none of this.
    """
    if isinstance(content, str):
        return clean(content)
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list):
        return ""
    return clean("".join(_text_of_part(part) for part in parts))


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = _at(part, "text")
    says = _at(part, "type")
    if part is None or _at(part, "thought") is True or says not in (None, "text", "output_text"):
        return ""
    return text if isinstance(text, str) else ""


def _tops(tokens: Any) -> tuple[tuple[str, float], ...]:
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    return listed_in(_at(first, "top_logprobs"))


def listed_in(pairs: Any) -> tuple[tuple[str, float], ...]:
    """(token, log-probability) of every entry that has both, whatever else stands there.

    `pairs`: mappings or objects with `token` and `logprob`.
    """
    if not isinstance(pairs, Sequence) or isinstance(pairs, (str, bytes)):
        return ()
    found = ((_field(each, "token"), _field(each, "logprob")) for each in pairs)
    return tuple(
        (clean(token), float(value))
        for token, value in found
        if isinstance(token, str)
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
    )


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _at(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else None


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
    choices = _at(data, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    for holder in (data, choice):
        error = _at(holder, "error")
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
    error = _at(data, "error") or data
    if not isinstance(error, Mapping):
        return Said(_plain(error), _codes(data))
    named = (error.get(name) for name in _MESSAGES)
    message = _plain(next((each for each in named if each), None) or error)
    codes = _codes(error) if data is error else f"{_codes(error)} {_codes(data)}".strip()
    code = count_of(error.get("code")) or count_of(error.get("status"))
    status = code if code is not None and 400 <= code < 600 else None
    passed_on = _at(error.get("metadata"), "raw")
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
    inner = [_at(error, name) for name in ("innererror", "inner_error", "metadata")]
    places = [error, *inner]
    words = [_at(place, name) for place in places for name in _CODES]
    codes = [str(word)[:100] for word in words if isinstance(word, (str, int)) and word]
    if any(_at(place, name) for place in places for name in ("reasons", "flagged_input")):
        codes.append("moderated")
    if any(_filtered(_at(place, "content_filter_result")) for place in places):
        codes.append("content_filter")
    return clean(" ".join(codes))


def _filtered(result: Any) -> bool:
    """Whether any of Azure's filters stopped the prompt."""
    return isinstance(result, Mapping) and any(
        _at(each, "filtered") is True for each in result.values()
    )


def _plain(value: Any) -> str:
    """What an error says as text; of the entries of a list what they say, not what was sent."""
    if isinstance(value, list):
        said = [_at(each, "msg") or _at(each, "message") or each for each in value[:9]]
        return "; ".join(_as_text(each) for each in said)[:MOST_OF_AN_ERROR]
    return _as_text(value)


def _as_text(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return clean(text[:MOST_OF_AN_ERROR])
