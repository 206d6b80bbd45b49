"""What is shown nowhere: keys in every spelling, and what stands in a place for keys."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.models.model import ModelSpec, Request
from selectllm.models.secrets import (
    is_secret_name,
    masked,
    path_secrets,
    scrub,
    scrub_echo,
    secret_values,
    shown_url,
)
from tests.support.provider_calls import request

KEY = "sk-Test0123456789ABCDEFwxyz"
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


# By place


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "x-api-key", "api-key", "apiKey", "API_KEY", "apikey",
     "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "token", "authToken", "x-auth-token",
     "access_tokens", "aws_session_token", "client_secret", "vertex_credentials", "password",
     "Cookie", "set-cookie", "Helicone-Auth", "cf-aig-authorization", "x-portkey-virtual-key"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["max_completion_tokens", "stop_token_ids", "eos_token", "budget_tokens", "prompt_cache_key",
     "skip_special_tokens", "top_k", "HTTP-Referer", "X-Title", "anthropic-beta", "author",
     "keyboard", "monkey", "", "--"],
)  # fmt: skip
def test_names_that_only_look_like_them(name: str) -> None:
    assert not is_secret_name(name)


def test_what_stands_below_a_secret_name_is_masked_at_any_depth() -> None:
    extra = {
        "extra_headers": {"Authorization": f"Bearer {KEY}", "X-Title": "mine", "x-api-key": "abc"},
        "extra_body": {"tools": [{"auth": {"inner": [KEY, 5]}}], "min_p": 0.1},
        "cookies": {"session": KEY},
        "headers": {"X-Forwarded": f"bearer {KEY}"},
    }
    assert masked(extra) == {
        "extra_headers": {"Authorization": "***", "X-Title": "mine", "x-api-key": "***"},
        "extra_body": {"tools": [{"auth": {"inner": ["***", 5]}}], "min_p": 0.1},
        "cookies": {"session": "***"},
        "headers": {"X-Forwarded": "***"},
    }
    assert KEY in set(secret_values(extra))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "min_p"]), inner),
    ).filter(lambda value: "earer" not in str(value) and " " not in str(value))
)
def test_what_is_innocent_stays_as_it_is(value: Any) -> None:
    assert masked(value) == value


def test_a_manifest_holds_no_secret_and_innocent_settings_as_before() -> None:
    spec = ModelSpec(
        name="m",
        id="openai/m",
        api_base="https://gate.example/0a1b2c3d4e5f60718293/v1",
        extra={"extra_headers": {"x-api-key": KEY, "X-Title": "mine"}, "min_p": 0.1},
    )
    recorded = spec.recorded("https://gate.example/0a1b2c3d4e5f60718293/v1")
    assert KEY not in json.dumps(recorded)
    assert recorded["extra"] == {
        "extra_headers": {"x-api-key": "***", "X-Title": "mine"},
        "min_p": 0.1,
    }
    assert recorded["api_base"] == recorded["endpoint"] == "https://gate.example/***/v1"


def test_another_key_in_extra_asks_the_same_and_another_setting_does_not() -> None:
    def key(value: str, title: str = "mine") -> str:
        headers = {"x-api-key": value, "X-Title": title}
        asked: Request = request(
            ModelSpec(name="m", id="openai/m", extra={"extra_headers": headers})
        )
        return asked.key

    assert key(KEY) == key("another-key-0123456789")
    assert key(KEY) != key(KEY, title="yours")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://gate.example/sk0123456789abcdef/v1", "https://gate.example/***/v1"),
        ("https://g.example/v1/9f8c1c1e-0000-4000-8000-0123456789ab", "https://g.example/v1/***"),
        ("https://g.example/key-A1b2C3d4E5f6G7h8", "https://g.example/***"),
        (
            "https://a.example/openai/deployments/gpt-4o-mini-2024-07-18",
            "https://a.example/openai/deployments/gpt-4o-mini-2024-07-18",
        ),
        ("https://a.example/compatible-mode/v1beta", "https://a.example/compatible-mode/v1beta"),
        ("https://a.example/internationalisation", "https://a.example/internationalisation"),
        ("http://[::1", "http://[::1"),
    ],
)
def test_what_may_be_a_key_in_a_path_is_masked(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert bool(path_secrets(url)) == (url != shown)


def test_the_identity_of_a_model_without_an_address_is_shown_whole() -> None:
    identity = f"sha256:{'b179c9523d0e6a0f' * 4} engine==2026.10.11549"
    assert shown_url(identity) == identity


# By value


@given(key=KEYS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_a_key_is_masked_in_every_spelling(key: str, before: bytes, after: bytes) -> None:
    around = before + key.encode() + after
    for spelled in (
        key,
        quote(key, safe=""),
        quote_plus(key),
        json.dumps(key)[1:-1],
        html.escape(key),
        base64.b64encode(around).decode(),
        base64.urlsafe_b64encode(around).decode(),
    ):
        shown = scrub(f"<{spelled}>", [key])
        assert key not in shown
        assert "***" in shown
        left = "".join(character for character in shown if character.isalnum())
        assert len(left) <= len(before + after) * 2 + 8


@pytest.mark.parametrize(
    ("echo", "shown"),
    [
        ("Incorrect API key provided: sk-Test0**********wxyz.", "provided: ***."),
        ("Incorrect API key provided: sk-*****xyz. You can", "provided: ***. You can"),
        ("key sk-Tes...wxyz is wrong", "key *** is wrong"),
        ("key sk-Tes\u2026wxyz is wrong", "key *** is wrong"),
        ("key=sk-Tes\u2022\u2022\u2022\u2022 is wrong", "*** is wrong"),
        ("the key that ends in ****wxyz", "ends in ***"),
        ("starts with sk-Test0123", "starts with ***"),
        ("has 456789ABCD in it", "has *** in it"),
        ("wait ... and see", "wait ... and see"),
        ("**bold** words", "**bold** words"),
    ],
)
def test_a_part_of_a_key_is_masked_in_what_a_provider_says(echo: str, shown: str) -> None:
    assert shown in scrub_echo(echo, [KEY])


@given(
    key=st.text(st.sampled_from("abcdefghijkABCDEFGH0123456789-"), min_size=20, max_size=40),
    start=st.integers(3, 8),
    end=st.integers(3, 6),
    stars=st.sampled_from(["***", "********", "...", "\u2026", "\u2022\u2022\u2022"]),
)
def test_beginning_and_end_around_stars_are_masked(
    key: str, start: int, end: int, stars: str
) -> None:
    shown = scrub_echo(f"wrong key ({key[:start]}{stars}{key[-end:]})!", [key])
    assert shown == "wrong key (***)!"


@given(text=st.text(), key=st.text(min_size=1))
def test_scrubbing_is_total(text: str, key: str) -> None:
    assert key not in scrub(text, [key]).replace("***", "") or key in "***"
    scrub_echo(text, [key])
