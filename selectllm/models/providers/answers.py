"""A reply with status 200: what it answers, what it cost, or the error that it is all the same.

Where litellm makes the calls it reads a reply first, since it knows every provider's form; what it
cannot read, or reads too kindly, is read here from what the server sent, as is every reply to a
call of the direct way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from selectllm.models.providers.body import (
    content_of,
    is_blocked,
    json_of,
    listed_in,
    text_of,
    thinks,
    written_in,
)
from selectllm.models.providers.failures import Fault, refusal
from selectllm.models.providers.said import error_in
from selectllm.models.providers.usage import Usage, count_of, usage_of
from selectllm.models.providers.wordings import finish_word
from selectllm.models.token_logprobs import Listed


@dataclass(frozen=True, slots=True)
class Answered:
    """What a provider answered. `finish`: as in Reply. `each`: the likeliest for each token.

    `thought`: it holds thinking, which is not in the text unless the server left it there.
    """

    text: str
    finish: str
    usage: Usage
    each: tuple[tuple[Listed, ...], ...] = ()
    thought: bool = False

    @property
    def listed(self) -> tuple[Listed, ...]:
        """The likeliest first tokens; empty if none are listed."""
        return self.each[0] if self.each else ()


def read_response(response: Any, heard: Sequence[Any]) -> Answered | Fault:
    """The answer in a response of litellm's; `heard` are the httpx responses that it came from."""
    data = _data(heard)
    if fault := _error(data, heard):
        return fault
    usage = usage_of(data) or _usage(response)
    if not response.choices:
        return _without_choices(data, usage)
    choice = response.choices[0]
    message = choice.message
    own = getattr(choice, "provider_specific_fields", None) or {}
    more = getattr(message, "provider_specific_fields", None) or {}
    finish = finish_word(own.get("native_finish_reason") or choice.finish_reason)
    if choice.finish_reason == "content_filter" or _refuses(message, more):
        finish = "refused"
    elif finish not in ("refused", "length", "broken"):
        finish = choice.finish_reason or "stop"
    text = text_of(message.content)
    return _finished(Answered(text, finish, usage, _each_listed(choice), thinks(message)))


def read_heard(heard: Sequence[Any]) -> Answered | Fault | None:
    """The answer in what the server sent; None if that is no JSON with status 200.

    A reply of OpenAI's form is an answer. Any other that is JSON is a fault that keeps what it
    cost.
    """
    data = _data(heard)
    if data is None:
        return None
    usage, written = usage_of(data) or Usage(None, None), written_in(data)
    if fault := _error(data, heard):
        return fault
    if written is None:
        return _without_choices(data, usage)
    finish = "refused" if written.refused else finish_word(written.finish)
    if finish not in ("refused", "length", "broken", "tool_calls", "function_call"):
        finish = "stop"
    return _finished(Answered(written.text, finish, usage, written.each, written.thought))


def _data(heard: Sequence[Any]) -> Any:
    """The JSON of the last response, if it is one with status 200 that was read to its end."""
    if not heard or heard[-1].status_code >= 300:
        return None
    content = content_of(heard[-1])
    return None if content is None else json_of(content)


def _error(data: Any, heard: Sequence[Any]) -> Fault | None:
    """The error that a reply with status 200 is, with what was written until then."""
    said = error_in(data)
    if said is None:
        return None
    written = written_in(data)
    return replace(refusal(said, heard[-1], usage_of(data)), text=written.text if written else "")


def _without_choices(data: Any, usage: Usage) -> Fault:
    if is_blocked(data):
        return Fault("refused", "", 200, usage=usage)
    known = isinstance(data, dict) and isinstance(data.get("choices"), list)
    reason = (
        "the reply holds no choices"
        if known and not data["choices"]
        else ("the reply is not of the provider's usual form")
    )
    return Fault("broken", reason, 200, usage=usage)


def _finished(answer: Answered) -> Answered | Fault:
    """The answer, unless the provider says that it failed while it wrote."""
    if answer.finish != "broken":
        return answer
    reason = "the provider failed while it wrote the reply"
    return Fault("broken", reason, 200, usage=answer.usage, text=answer.text)


def _refuses(message: Any, more: Any) -> bool:
    return bool(getattr(message, "refusal", None) or more.get("refusal"))


def _usage(response: Any) -> Usage:
    """Tokens as litellm counts them; it fills what is missing with zeros."""
    usage = getattr(response, "usage", None)
    tokens_in = count_of(getattr(usage, "prompt_tokens", None)) or None
    tokens_out = count_of(getattr(usage, "completion_tokens", None)) if tokens_in else None
    return Usage(tokens_in, tokens_out)


def _each_listed(choice: Any) -> tuple[tuple[Listed, ...], ...]:
    """The likeliest tokens in place of each one generated; empty if the reply has none."""
    tokens = getattr(getattr(choice, "logprobs", None), "content", None) or []
    return tuple(listed_in(token.top_logprobs or []) for token in tokens)
