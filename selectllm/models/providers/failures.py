"""Failed calls: what each one really was, told by its HTTP status and its chain of causes.

Nothing of litellm is imported or kept: its classes do not tell a refused connection from a
server error. Nothing here raises on what a provider sends.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.core.whole_text import whole
from selectllm.models.model import ModelSpec
from selectllm.models.providers.body import content_of, json_of, text_of_bytes
from selectllm.models.providers.endpoint import key_variable
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.said import MOST_OF_AN_ERROR, MOST_READ, Said, said_by
from selectllm.models.providers.usage import Usage, usage_of
from selectllm.models.providers.waits import asked_wait
from selectllm.models.providers.wordings import is_of_the_account, kind_in
from selectllm.models.secrets import scrub, scrub_echo, shown_url


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed call as told by its status and cause; holds nothing of litellm.

    `kind` is a key of TROUBLES, or too_long or refused, which are replies. `reason`: the
    provider's own words, not yet scrubbed. `status`: None when no response arrived. `usage`: what
    it cost all the same, None if the provider says nothing of it. `text`: what it wrote before it
    failed.
    """

    kind: str
    reason: str
    status: int | None = None
    retry_after: float | None = None
    usage: Usage | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one kind of fault means: in words, what to do, and whether asking again may help.

    `doubtful`: it may be about this one request, or about all of them.
    """

    what: str
    hint: str = ""
    retryable: bool = False
    fatal: bool = False
    doubtful: bool = False


REASON_LENGTH = 300  # characters of the provider's own words in a message
_SCRUBBED = 4_000  # characters of them that keys are looked for in

_TEXT_INSTEAD = "Let it answer in text: leave `answer: logprobs` out of the model's entry."
_FEWER_LOGPROBS = f"If it lists fewer tokens, set extra.top_logprobs. If none: {_TEXT_INSTEAD}"
TROUBLES: Mapping[str, Trouble] = {
    "key": Trouble("the provider refused the key", fatal=True),
    "forbidden": Trouble(
        "the provider forbids this request",
        "If every request meets this, check the key and what it may be used for.",
        doubtful=True,
    ),
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
    "package": Trouble(
        "litellm needs a package for this model that is not installed",
        "Install it beside selectllm with pip, or take another model.",
        fatal=True,
    ),
    "certificate": Trouble(
        "the server's certificate cannot be verified",
        "If the server is yours, set SSL_CERT_FILE to a file with the certificate that signed it.",
        fatal=True,
    ),
    "redirect": Trouble(
        "the server only sends the request on to another address",
        "Correct api_base: it should be the address that answers.",
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


def diagnose(error: BaseException, heard: Sequence[Any] = ()) -> Fault:
    """What `error`, raised by litellm's `acompletion`, really was.

    `heard`: the httpx responses of the call, oldest first. Without one that tells of an error, it
    may be at the end of the chain of causes; without any, the causes say how far the call came.
    """
    import httpx

    links = list(causes(error))
    told_by = [link.response for link in links if isinstance(link, httpx.HTTPStatusError)]
    last = next(iter((*heard[-1:], *told_by)), None)
    if any(isinstance(link, httpx.TooManyRedirects) for link in links):
        return Fault("redirect", "in a circle, or to another host", last and last.status_code)
    fault = by_cause(links, _by_cause())
    if last is not None and last.status_code >= 300:
        if fault is None or content_of(last) is not None:
            return refused(last)
        return cut_short(fault, last.status_code, last.headers)
    return fault or _unsent(error, links[-1], sent=bool(heard))


Causes = Mapping[tuple[type[BaseException], ...], Fault]
"""What a cause means where no response tells; the first row that fits counts."""

CUT = "the connection was closed before the reply was complete"
NOT_JSON = "the reply is not valid JSON"
NOT_COMPRESSED = "the reply is not compressed as it says"
ANY_CLIENT: Causes = {
    (ssl.SSLCertVerificationError,): Fault("certificate", ""),
    (TimeoutError,): Fault("timeout", ""),
    (ConnectionRefusedError,): Fault("unreachable", "connection refused"),
    (socket.gaierror,): Fault("unreachable", "no such host"),
}
"""The causes that are Python's own, whichever client meets them."""


def by_cause(links: Sequence[BaseException], rows: Causes) -> Fault | None:
    """The fault that one of `links`, an error and its causes, tells of; None if none does."""
    for classes, fault in rows.items():
        if any(isinstance(link, classes) for link in links):
            return replace(fault, reason=_why_not_verified(links) or fault.reason)
    return None


@cache
def _by_cause() -> Causes:
    """The causes that litellm's clients raise."""
    import httpx

    timeout = ANY_CLIENT[(TimeoutError,)]
    return {
        **ANY_CLIENT,
        (httpx.TimeoutException,): timeout,
        (json.JSONDecodeError,): Fault("broken", NOT_JSON, status=200),
        (httpx.TransportError, OSError): Fault("broken", CUT),
        (httpx.DecodingError,): Fault("broken", NOT_COMPRESSED, 200),
    }


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it was raised from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _why_not_verified(links: Sequence[BaseException]) -> str:
    """What OpenSSL says of a certificate: self-signed, expired, of another host; else ""."""
    said = (getattr(link, "verify_message", "") for link in links)
    return next((message for message in said if isinstance(message, str) and message), "")


def _unsent(error: BaseException, root: BaseException, sent: bool) -> Fault:
    """A failure without any error of the provider's.

    litellm refused the call, or, where one was `sent`, could not read the reply.
    """
    text = whole(str(error)[:_SCRUBBED]).partition("Traceback (most recent call last)")[0]
    reason = re.sub(r"^((litellm\.)?\w*(Error|Exception)( -|:)\s*)+", "", text)
    reason = re.split(r"To drop (these|unsupported)|Handle with `|\n", reason)[0]
    if not sent and kind_in(reason, "key"):
        return Fault("key", reason)
    if not sent and kind_in(reason, "model"):
        return Fault("model", reason)
    if any(isinstance(each, ImportError) for each in causes(error)):
        return Fault("package", reason)
    if sent or type(root).__module__ == "builtins":  # its code stumbled over what was sent
        status = 200 if sent else None
        return Fault("broken", "the reply is not of the provider's usual form", status=status)
    kinds = {400: "setting", 401: "key", 403: "key", 404: "model", 422: "setting"}
    return Fault(kinds.get(getattr(error, "status_code", 0), "broken"), reason)


def refused(response: Any) -> Fault:
    """The fault that an HTTP error response tells of: httpx's, or one of body.Heard."""
    content = content_of(response) or b""
    return refusal(said_by(content), response, usage_of(json_of(content[:MOST_READ])))


def cut_short(fault: Fault, status: int, headers: Mapping[str, str]) -> Fault:
    """`fault` that kept an error from being read to its end: with what its head says all the same.

    A time-out stays one, however far the reply came.
    """
    if fault.kind == "timeout":
        return fault
    return replace(fault, status=status, retry_after=asked_wait(status, headers, ""))


def refusal(said: Said, response: Any, usage: Usage | None) -> Fault:
    """The fault behind an error that a provider sent, in `response`, with any status."""
    status = response.status_code
    if status < 300 and said.status is not None:
        status = said.status
    body = text_of_bytes((content_of(response) or b"")[:MOST_OF_AN_ERROR])
    return Fault(
        _kind(status, said),
        said.message or said.codes,
        status,
        asked_wait(status, response.headers, body),
        usage,
    )


def _kind(status: int, said: Said) -> str:
    """The kind of fault behind a status and what the provider says.

    What it says of one prompt goes first: it comes with any status.
    """
    if kind_in(said.all, "too_long"):
        return "too_long"
    if status != 429 and kind_in(said.all, "refused"):
        return "refused"
    if status == 402 or kind_in(said.all, "quota"):
        return "quota"
    if status == 401 or (status in (400, 403) and kind_in(said.all, "key")):
        return "key"
    if status in (408, 409, 425, 429) or status >= 500:
        return "busy"
    if status == 404 or kind_in(said.all, "model"):
        return "model"
    if status == 403:
        return "key" if is_of_the_account(said.all) else "forbidden"
    if status < 300:  # an error in a reply, without a status of its own
        return "busy"
    return "redirect" if status < 400 else "request"


def told(
    fault: Fault,
    spec: ModelSpec,
    endpoint: str | None,
    hidden: Collection[str],
    reply: Reply | None = None,
) -> ProviderError:
    """`fault` of a call to `spec` in words that a user can act on, without what is `hidden`.

    `reply`: what came back and was billed, which is why the call is not made again at once.
    """
    trouble = TROUBLES[fault.kind]
    shown = endpoint and shown_url(endpoint)
    where = f"{spec.id} at {shown}" if shown else spec.id
    model = where if spec.name == spec.id else f"{spec.name} ({where})"
    status = "" if fault.status is None else f" (HTTP {fault.status})"
    reason = scrubbed(fault.reason, hidden)
    if len(reason) > REASON_LENGTH:
        reason = f"{reason[:REASON_LENGTH]}..."
    parts = [
        f"{model}: {trouble.what}{status}",
        f": {reason.rstrip('.')}." if reason else ".",
        f" {hint}" if (hint := _hint(fault, spec, endpoint)) else "",
        f" It asks to wait {fault.retry_after:g} s." if fault.retry_after is not None else "",
    ]
    return ProviderError(
        scrub("".join(parts), hidden),
        status=fault.status,
        retryable=trouble.retryable and reply is None,
        retry_after=fault.retry_after,
        fatal=trouble.fatal,
        kind=fault.kind,
        doubtful=trouble.doubtful,
        reply=reply,
    )


def scrubbed(reason: str, hidden: Collection[str]) -> str:
    """A provider's words on one line, without what is `hidden` or shows a part of it."""
    return scrub_echo(" ".join(whole(reason[:_SCRUBBED]).split()), hidden)


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
        return f"No complete reply came within {spec.timeout:g} s (the model's timeout)."
    if kind in ("setting", "request") and "logprobs" in fault.reason:
        return _TEXT_INSTEAD if kind == "setting" else _FEWER_LOGPROBS
    return TROUBLES[kind].hint
