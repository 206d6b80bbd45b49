"""How long a provider asks to wait, in every way of saying it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.models.providers.waits import ASKED, LONGEST, RESETS, asked_wait


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "20s"}, 20.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "60"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "60"}, 60.0),
        ({"x-ms-retry-after-ms": "100"}, 0.1),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "1s"}, 1.0),
        ({"x-ratelimit-reset-tokens": "2m59.56s"}, 179.56),
        ({"x-ratelimit-reset-tokens": "6ms"}, 0.006),
        ({"x-ratelimit-reset-requests": "1h2m3s"}, 3723.0),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"ratelimit-reset": "30"}, 30.0),
        ({"retry-after": "3", "x-ratelimit-reset-requests": "6m0s"}, 3.0),
        ({"retry-after": "9" * 15}, LONGEST),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST),
        ({"x-ratelimit-reset-requests": "999999h"}, LONGEST),
        ({"retry-after": formatdate(time.time() - 999, usegmt=True)}, 0.0),
        ({"anthropic-ratelimit-requests-reset": later(-999)}, 0.0),
    ],
)
def test_every_header_is_read_in_seconds(headers: Mapping[str, str], seconds: float) -> None:
    assert asked_wait(429, headers, "") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": formatdate(time.time() + 600, usegmt=True)},
        {"anthropic-ratelimit-tokens-reset": later(600)},
        {"anthropic-ratelimit-input-tokens-reset": later(600)},
        {"x-ratelimit-reset": str(int(time.time() + 600))},
        {"x-ratelimit-reset": str(int((time.time() + 600) * 1000))},
        {"x-ratelimit-reset-requests": later(600)},
    ],
)
def test_a_moment_is_read_as_the_seconds_until_then(headers: Mapping[str, str]) -> None:
    assert 0.0 < (asked_wait(429, headers, "") or 0.0) <= 600.0


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("retry-after", lambda then: formatdate(then, usegmt=True)),
        (
            "anthropic-ratelimit-tokens-reset",
            lambda then: datetime.fromtimestamp(then, UTC).isoformat(),
        ),
        ("x-ratelimit-reset", lambda then: str(int(then))),
    ],
)
def test_a_moment_counts_from_the_date_of_the_reply_whatever_the_clock_here_says(
    name: str, said: Callable[[float], str], hours: int
) -> None:
    there = int(time.time()) + 3600 * hours
    headers = {"date": formatdate(there, usegmt=True), name: said(there + 7)}
    assert asked_wait(429, headers, "") == 7.0


@pytest.mark.parametrize(
    "value",
    ["soon", "-5", "nan", "inf", "1e9", "", "Mon, 99 Foo 2026", "Sun, 06 Nov 99999 08:49:37 GMT",
     "\u0663", "1.2.3", "9" * 400, "7 seconds", "-Fri, 01 Jan"],
)  # fmt: skip
def test_what_is_no_wait_is_none(value: str) -> None:
    for header in (*ASKED, *RESETS):
        assert asked_wait(429, {header.name: value}, "") is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "99",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-tokens": "0",
            },
            2.0,
        ),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-tokens": "0",
            },
            360.0,
        ),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "99",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-tokens": "10",
            },
            2.0,
        ),
    ],
)
def test_of_several_allowances_the_one_that_is_used_up_counts(
    headers: Mapping[str, str], seconds: float
) -> None:
    assert asked_wait(429, headers, "") == seconds


def test_allowances_come_with_every_reply_and_count_for_a_429_alone() -> None:
    assert asked_wait(500, {"x-ratelimit-reset-requests": "6m0s"}, "") is None
    assert asked_wait(503, {"retry-after": "7"}, "") == 7.0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "22.5s"}]}}', 22.5),
        ("Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s. Visit", 5.289),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 20ms.", 0.02),
        ('"retryDelay": "a while"', None),
        ("Please try again in a minute", None),
    ],
)
def test_a_body_may_say_it_too(body: str, seconds: float | None) -> None:
    assert asked_wait(429, {}, body) == seconds


NAMES = [header.name for header in (*ASKED, *RESETS)]
VALUES = st.text(max_size=40) | st.from_regex(
    r"-?\d{1,20}(\.\d{1,5})?(ms|s|m|h|d)?", fullmatch=True
)


@given(
    status=st.integers(100, 999),
    headers=st.dictionaries(st.sampled_from(NAMES), VALUES),
    body=st.text(max_size=200),
)
def test_whatever_is_sent_is_a_wait_within_bounds_or_none(
    status: int, headers: dict[str, str], body: str
) -> None:
    seconds = asked_wait(status, headers, body)
    assert seconds is None or (math.isfinite(seconds) and 0.0 <= seconds <= LONGEST)


def test_every_row_says_where_it_is_written() -> None:
    assert all(header.source for header in (*ASKED, *RESETS))
