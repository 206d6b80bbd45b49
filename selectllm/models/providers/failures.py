"""Failed calls: what each one really was, told by its HTTP status and its chain of causes.

Nothing of litellm is imported or kept: its classes do not tell a refused connection from a
server error.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from selectllm.core.errors import ProviderError
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import key_variable, scrub
from selectllm.models.providers.providers import provider_of


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed call as told by its status and cause; holds nothing of litellm.

    `kind` is a key of TROUBLES, or too_long or refused, which are replies. `reason`: the
    provider's own words, not yet scrubbed. `status`: None when no response arrived.
    """

    kind: str
    reason: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one kind of fault means: in words, what to do, and whether asking again may help."""

    what: str
    hint: str = ""
    retryable: bool = False
    fatal: bool = False


REASON_LENGTH = 300  # characters of the provider's own words in a message

_TEXT_INSTEAD = "Let it answer in text: leave `answer: logprobs` out of the model's entry."
_FEWER_LOGPROBS = f"If it lists fewer tokens, set extra.top_logprobs. If none: {_TEXT_INSTEAD}"
TROUBLES: Mapping[str, Trouble] = {
    "key": Trouble("the provider refused the key", fatal=True),
    "model": Trouble(
        "unknown model", "Check the model's id, and api_base if it has one.", fatal=True
    ),
    "quota": Trouble(
        "the account's quota is used up", "Add credit, or take another key.", fatal=True
    ),
    "setting": Trouble(
        "a setting of this model cannot be sent",
        "Leave it out of the model's entry; a temperature of null sends none.",
        fatal=True,
    ),
    "request": Trouble("the provider refused this request"),
    "busy": Trouble("the provider is busy or failed", retryable=True),
    "timeout": Trouble("time-out", retryable=True),
    # Fatal once the retries are used up: no other request would get through either.
    "unreachable": Trouble("the server cannot be reached", retryable=True, fatal=True),
    "broken": Trouble("the connection or the reply broke off", retryable=True),
    "logprobs": Trouble("the provider returns no log-probabilities", _TEXT_INSTEAD, fatal=True),
}

_TOO_LONG = re.compile(
    r"maximum (context|prompt) length|context[ _]?(length|window|size)|prompt is too long|"
    r"input (token count|is too long)|too many (input |prompt )?tokens|tokens \+ .max_new_tokens",
    re.IGNORECASE,
)
_NO_KEY = re.compile(r"missing .{0,40}(api.?key|credentials)|api key not valid", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"LLM Provider NOT provided|unmapped LLM provider|unknown provider|"
    r"(invalid|unknown|no such) model|not a valid model|"
    r"model.{0,100}(does not|doesn't|not) (exist|found)",
    re.IGNORECASE | re.DOTALL,
)
_NO_QUOTA = re.compile(
    r"insufficient_quota|insufficient_balance|billing_hard_limit_reached|billing_not_active|"
    r"credit balance is too low",
    re.IGNORECASE,
)


def diagnose(error: BaseException) -> Fault:
    """What `error`, raised by litellm's `acompletion`, really was.

    A response that arrived is at the end of the chain of causes whatever the route through
    litellm, as an httpx.HTTPStatusError; without one, the causes say how far the call came.
    """
    import httpx

    links = list(_causes(error))
    for link in links:
        if isinstance(link, httpx.HTTPStatusError):
            return _refusal(link.response)

    def caused_by(*classes: type[BaseException]) -> bool:
        return any(isinstance(link, classes) for link in links)

    if caused_by(TimeoutError, httpx.TimeoutException):
        return Fault("timeout", "")
    if caused_by(ConnectionRefusedError):
        return Fault("unreachable", "connection refused")
    if caused_by(socket.gaierror):
        return Fault("unreachable", "no such host")
    if caused_by(json.JSONDecodeError):
        return Fault("broken", "the reply is not valid JSON", status=200)
    if caused_by(httpx.TransportError, OSError):
        return Fault("broken", "the connection was closed before the reply was complete")
    return _unsent(error, links[-1])


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it was raised from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _unsent(error: BaseException, root: BaseException) -> Fault:
    """A failure without any response: litellm refused the call, or could not read the reply."""
    text = str(error).partition("Traceback (most recent call last)")[0]
    reason = re.sub(r"^((litellm\.)?\w*(Error|Exception)( -|:)\s*)+", "", text)
    reason = re.split(r"To drop (these|unsupported)|Handle with `|\n", reason)[0]
    if _NO_KEY.search(reason):
        return Fault("key", reason)
    if _NO_MODEL.search(reason):
        return Fault("model", reason)
    if isinstance(root, ImportError):
        return Fault("setting", reason)
    if type(root).__module__ == "builtins":  # its code stumbled over what the provider sent
        return Fault("broken", "the reply is not of the provider's usual form", status=200)
    kinds = {400: "setting", 401: "key", 403: "key", 404: "model", 422: "setting"}
    return Fault(kinds.get(getattr(error, "status_code", 0), "broken"), reason)


def _refusal(response: Any) -> Fault:
    """The fault that an HTTP error response tells of."""
    import httpx

    try:
        body = response.text
    except httpx.StreamError:  # closed before it was read
        body = ""
    reason, codes = _reason(body)
    status = response.status_code
    return Fault(_kind(status, reason, codes), reason, status, _retry_after(response, body))


def _kind(status: int, reason: str, codes: str) -> str:
    """The kind of fault behind an HTTP status, the provider's message and its error codes."""
    said = f"{codes} {reason}"
    if status == 402 or _NO_QUOTA.search(said):
        return "quota"
    if status in (401, 403) or (status == 400 and _NO_KEY.search(said)):
        return "key"
    if status in (400, 413, 422, 500) and _TOO_LONG.search(said):
        return "too_long"
    if status in (408, 409, 425, 429) or status >= 500:
        return "busy"
    if status == 404 or _NO_MODEL.search(said):
        return "model"
    if "content_filter" in codes:
        return "refused"
    return "request"


def _reason(body: str) -> tuple[str, str]:
    """The provider's message, and its codes in one string, from the body of an error."""
    try:
        data = json.loads(body)
    except json.JSONDecodeError:
        return re.sub(r"<[^>]*>", " ", body), ""
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return str(error), ""
    message = error.get("message") or error.get("detail") or error.get("msg") or body
    codes = (str(error[name]) for name in ("code", "type", "status") if error.get(name))
    return str(message), " ".join(codes)


def _retry_after(response: Any, body: str) -> float | None:
    """Seconds that the provider asks to wait: its header, in seconds or as a date; None if none.

    Google puts it into the body instead (`"retryDelay": "22s"`).
    """
    value = response.headers.get("retry-after")
    if value is None:
        delay = re.search(r'"retryDelay":\s*"([\d.]+)s"', body)
        value = delay[1] if delay else ""
    if re.fullmatch(r"\d+(\.\d*)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def told(
    fault: Fault, spec: ModelSpec, endpoint: str | None, hidden: Collection[str]
) -> ProviderError:
    """`fault` of a call to `spec` in words that a user can act on, without what is `hidden`."""
    trouble = TROUBLES[fault.kind]
    where = f"{spec.id} at {endpoint}" if endpoint else spec.id
    status = "" if fault.status is None else f" (HTTP {fault.status})"
    reason = " ".join(fault.reason.split())
    if len(reason) > REASON_LENGTH:
        reason = f"{reason[:REASON_LENGTH]}..."
    parts = [
        f"{spec.name} ({where}): {trouble.what}{status}",
        f": {reason.rstrip('.')}." if reason else ".",
        f" {hint}" if (hint := _hint(fault, spec, endpoint)) else "",
        f" It asks to wait {fault.retry_after:g} s." if fault.retry_after is not None else "",
    ]
    return ProviderError(
        scrub("".join(parts), hidden),
        status=fault.status,
        retryable=trouble.retryable,
        retry_after=fault.retry_after,
        fatal=trouble.fatal,
    )


def _hint(fault: Fault, spec: ModelSpec, endpoint: str | None) -> str:
    """What to do about a failure; "" if there is nothing."""
    kind, name, facts = fault.kind, spec.id.partition("/")[2], provider_of(spec)
    if kind == "key" and spec.api_base and not spec.api_key_env:
        return "No key was sent: name the variable that holds it with api_key_env."
    if kind == "key":
        return f"Set {key_variable(spec)} to a key that is valid for this model."
    if kind == "model" and facts.model_hint is not None:
        return facts.model_hint.format(name=name)
    if kind == "unreachable" and endpoint is None:
        return "Check the network connection."
    if kind == "unreachable":
        return f"{facts.start_hint.format(name=name)}, or correct api_base."
    if kind == "timeout":
        return f"Nothing complete came within {spec.timeout:g} s (the model's timeout)."
    if kind in ("setting", "request") and "logprobs" in fault.reason:
        return _TEXT_INSTEAD if kind == "setting" else _FEWER_LOGPROBS
    return TROUBLES[kind].hint
