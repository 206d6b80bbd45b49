"""How long a provider asks to wait: a row for every way of saying it. Pure but for the clock.

A moment counts from the provider's own, where its reply says (`Date`): the clock of this machine
may be hours off, or be set anew.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LONGEST = 7 * 86_400.0
"""Seconds; whoever asks for more is told to have asked for this."""

_NUMBER = re.compile(r"\d{1,15}(\.\d{0,15})?", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EPOCH = 1e9  # greater numbers are seconds since 1970
_EPOCH_MS = 1e12  # and greater ones milliseconds since then


Way = Callable[[str, float], float | None]
"""Seconds to wait, of what a header says and the moment in which it was said, in Unix seconds."""


def number(value: str, now: float = 0.0) -> float | None:
    """Seconds in `7` or `1.5`."""
    return float(value) if _NUMBER.fullmatch(value) else None


def milliseconds(value: str, now: float = 0.0) -> float | None:
    """Seconds in `1500`, which are milliseconds."""
    seconds = number(value)
    return None if seconds is None else seconds / 1000


def duration(value: str, now: float = 0.0) -> float | None:
    """Seconds in `6m0s`, `1.5s`, `500ms`."""
    parts = _DURATION.findall(value)
    if not parts or "".join(size + unit for size, unit in parts) != value:
        return None
    return sum(float(size) * _SECONDS[unit] for size, unit in parts)


def date(value: str, now: float) -> float | None:
    """Seconds until `Sun, 29 Nov 2026 10:00:00 GMT` or `2026-11-29T10:00:00Z`; 0 if it is past."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return max(0.0, moment.timestamp() - now)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def moment(value: str, now: float) -> float | None:
    """Seconds until `1741305600` or `1741305600000`; a smaller number is seconds to wait."""
    seconds = number(value)
    if seconds is None or seconds < _EPOCH:
        return seconds
    since_1970 = seconds / 1000 if seconds > _EPOCH_MS else seconds
    return max(0.0, since_1970 - now)


class Header(NamedTuple):
    """A header that says how long to wait, the ways to read it, and where that is written."""

    name: str
    read: tuple[Way, ...]
    source: str


_GUIDES = "developers.openai.com/api/docs/guides/rate-limits, console.groq.com/docs/rate-limits"

ASKED: tuple[Header, ...] = (
    Header(
        "retry-after-ms", (milliseconds,), "OpenAI, Azure: openai/openai-python _base_client.py"
    ),
    Header(
        "x-ms-retry-after-ms", (milliseconds,), "Azure: learn.microsoft.com, common REST headers"
    ),
    Header("retry-after", (number, duration, date), "RFC 9110, 10.2.3"),
)
"""The wait itself; the first one that can be read counts."""

RESETS: tuple[Header, ...] = (
    Header("x-ratelimit-reset-requests", (duration, moment, date), _GUIDES),
    Header("x-ratelimit-reset-tokens", (duration, moment, date), _GUIDES),
    *(
        Header(f"anthropic-ratelimit-{what}-reset", (date,), "docs.claude.com/en/api/rate-limits")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
    Header(
        "x-ratelimit-reset", (moment, duration, date), "openrouter.ai/docs/api/reference/limits"
    ),
    Header(
        "ratelimit-reset", (moment, duration, date), "IETF draft-ietf-httpapi-ratelimit-headers"
    ),
)
"""When an allowance is full again; providers send these with every reply."""

BODY: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r'"retryDelay":\s{0,9}"([^"]{1,20})"'), "google.rpc.RetryInfo"),
    (
        re.compile(r"try again in (\d[\d.]{0,12}(?:ms|[smhd])(?:\d[\d.]{0,12}[ms]s?){0,2})"),
        "OpenAI, Groq: Aider-AI/aider 3265",
    ),
)


def asked_wait(status: int, headers: Mapping[str, str], body: str) -> float | None:
    """Seconds that a provider asks to wait, from 0 to LONGEST; None if it does not say.

    `headers`: by lower-case name, or ignoring case. Allowances are looked at for a 429 only, and of
    those the ones that are used up: where none says so, the one that is full again first.
    """
    now = provider_now(headers)
    for header in ASKED:
        seconds = _read(header, headers, now)
        if seconds is not None:
            return min(seconds, LONGEST)
    for pattern, _ in BODY:
        written = pattern.search(body)
        seconds = duration(written[1]) if written else None
        if seconds is not None:
            return min(seconds, LONGEST)
    return _reset(headers, now) if status == 429 else None


def provider_now(headers: Mapping[str, str]) -> float:
    """The moment of a reply, by the clock that its moments go by."""
    with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    return time.time()


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    waits = {
        header.name: seconds
        for header in RESETS
        if (seconds := _read(header, headers, now)) is not None
    }
    left = {name: headers.get(name.replace("reset", "remaining")) for name in waits}
    used_up = [waits[name] for name in waits if left[name] is None or number(left[name] or "") == 0]
    if used_up:
        return min(max(used_up), LONGEST)
    return min(min(waits.values()), LONGEST) if waits else None


def _read(header: Header, headers: Mapping[str, str], now: float) -> float | None:
    value = (headers.get(header.name) or "").strip()
    read = (way(value, now) for way in header.read)
    return next((seconds for seconds in read if seconds is not None), None)
