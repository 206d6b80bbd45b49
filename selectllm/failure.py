"""Failed calls: what each one really was, told by its HTTP status and its chain of causes.

Nothing of litellm is imported or kept: its classes do not tell a refused connection from a
server error.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any


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
