"""The direct way beside litellm's: the same bytes go out, and the same comes of what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from selectllm.core.errors import ModelError
from selectllm.models.providers.direct import DirectModel
from selectllm.models.providers.model_table import Row, table
from selectllm.models.providers.openai_body import KNOWN_EXTRA
from tests.support.both_ways import BothWays
from tests.support.provider_calls import KEY, load_litellm
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion, error

SCHEMA = {"type": "object", "properties": {"picks": {"type": "array"}}, "required": ["picks"]}
PROVIDERS = ("openai", "hosted_vllm", "lm_studio")


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


@pytest.fixture(scope="module")
def ways() -> Iterator[BothWays]:
    """One server for all of these calls."""
    with ProviderServer() as server:
        both = BothWays(server, keep=True)
        yield both
        both.close()


# What is sent

FIELDS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": None},
    {"temperature": 0.7},
    {"temperature": 1},
    {"top_p": 0.9},
    {"top_k": 40},
    {"stop": ("END", "\u00e9\n")},
    {"extra": {"min_p": 0.05}},
    {"extra": {"min_p": None}},
    {"extra": {"extra_body": {"a": None, "temperature": 3, "model": "another"}}},
    {"extra": {"frequency_penalty": 0.1, "presence_penalty": 0.2, "logit_bias": {"5": -100}}},
    {"extra": {"user": "me", "service_tier": "flex", "store": True}},
    {"extra": {"parallel_tool_calls": False, "modalities": ["text"]}},
    {"extra": {"max_completion_tokens": 7, "safety_identifier": "x"}},
    {"extra": {"prompt_cache_key": "x"}},
    {"reasoning_effort": "low"},
    {"extra": {"prediction": {"type": "content", "content": "[1]"}}},
    {"extra": {"logprobs": True, "top_logprobs": 3}},
    {"extra": {"top_logprobs": 3, "min_p": 0.1}, "top_k": 4, "top_p": 0.5, "stop": ("x",)},
    {"ask": {"schema": SCHEMA}},
    {"ask": {"grammar": 'root ::= "[1]"'}},
    {"ask": {"grammar": "root"}, "extra": {"extra_body": {"cache_prompt": False}}},
    {"ask": {"top_logprobs": 5}, "answers": "logprobs"},
    {"ask": {"top_logprobs": 5}, "extra": {"top_logprobs": 2}, "answers": "logprobs"},
    {"ask": {"schema": SCHEMA, "seed": 12345, "max_tokens": 1}},
    {
        "top_p": 0.5,
        "top_k": 3,
        "stop": ("a", "b"),
        "ask": {"schema": SCHEMA, "grammar": "root"},
        "extra": {
            name: 1
            for name in sorted(KNOWN_EXTRA - {"headers", "extra_headers", "extra_body"})
            if name not in ("prediction", "modalities", "logit_bias")
        },
    },
)


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_both_ways_send_the_same_bytes(fields: Mapping[str, Any], ways: BothWays) -> None:
    for provider in PROVIDERS:
        assert_the_same_bytes(dict(fields), f"{provider}/a-model", ways)


def assert_the_same_bytes(fields: dict[str, Any], model_id: str, ways: BothWays) -> None:
    asked, listed = fields.pop("ask", {}), fields.pop("answers", None)
    if listed:
        tops = [{"token": "1", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
        tops[0]["top_logprobs"] = [{"token": "1", "logprob": -0.1, "bytes": None}]
        body = completion("1")
        body["choices"][0]["logprobs"] = {"content": tops, "refusal": None}
        ways.server.queue(Answer(200, body), Answer(200, body))
    spec = ways.spec(model_id, **fields)
    replies = ways.outcomes(spec, **{"seed": 7, **asked})
    assert replies[0] == replies[1]
    if "reasoning_effort" in fields and model_id.startswith("lm_studio/"):
        assert replies[0][1]["kind"] == "setting"  # and nothing was sent
        return
    through_litellm, direct = ways.sent
    assert direct.raw == through_litellm.raw
    assert direct.path == through_litellm.path


@pytest.mark.parametrize("model_id", [f"{each}/a-model" for each in PROVIDERS])
@pytest.mark.parametrize(
    ("fields", "environment"),
    [
        ({}, {}),
        ({"api_key_env": "MY_KEY"}, {"MY_KEY": KEY}),
        ({"extra": {"headers": {"X-One": "1"}, "extra_headers": {"X-Two": "2"}}}, {}),
        ({"extra": {"headers": {"X-One": "1"}, "extra_headers": {"X-One": "2"}}}, {}),
        ({"extra": {"extra_headers": {"Authorization": "Basic abc"}}}, {}),
    ],
    ids=str,
)
def test_both_ways_send_the_same_headers_but_for_those_that_tell_of_the_client(
    fields: Mapping[str, Any],
    environment: Mapping[str, str],
    model_id: str,
    ways: BothWays,
) -> None:
    spec = ways.spec(model_id, **fields)
    assert len(set(map(str, ways.outcomes(spec, environment)))) == 1
    through_litellm, direct = (
        {
            name: value
            for name, value in seen.headers.items()
            if name not in ("accept", "connection", "user-agent") and "stainless" not in name
        }
        for seen in ways.sent
    )
    assert direct == through_litellm


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/some/where", "/a%20b/v1"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_both_ways_ask_at_the_same_address(end: str, provider: str, ways: BothWays) -> None:
    spec = ways.spec(f"{provider}/m", api_base=f"{ways.server.root}{end}")
    assert len(set(map(str, ways.outcomes(spec)))) == 1
    through_litellm, direct = ways.sent
    assert direct.path == through_litellm.path


@pytest.mark.parametrize(
    ("provider", "environment"),
    [
        ("openai", {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": KEY}),
        ("hosted_vllm", {"HOSTED_VLLM_API_BASE": ""}),
        ("lm_studio", {"LM_STUDIO_API_BASE": ""}),
    ],
)
def test_the_address_and_key_of_the_environment_are_those_of_both_ways(
    provider: str, environment: Mapping[str, str], ways: BothWays
) -> None:
    filled = {name: value or ways.server.base_url for name, value in environment.items()}
    spec = ways.spec(f"{provider}/m", api_base=None)
    assert len(set(map(str, ways.outcomes(spec, filled)))) == 1
    through_litellm, direct = ways.sent
    assert direct.path == through_litellm.path
    assert direct.headers["authorization"] == through_litellm.headers["authorization"]


# What OpenAI's own models take


def kind(name: str, row: Row) -> str:
    """What tells models apart: all but their price and their date."""
    facts = {key: value for key, value in row.items() if "cost" not in key}
    return f"{re.sub(r'-?20[0-9-]*', '', name)} {facts}"


OPENAI_MODELS = tuple(
    {
        kind(name, row): name
        for name, row in table().items()
        if row.get("litellm_provider") == "openai" and row.get("mode") in ("chat", "responses")
    }.values()
)
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": None},
    {"temperature": None, "top_p": 0.9},
    {"temperature": None, "stop": ("x",)},
    {"temperature": None, "reasoning_effort": "low"},
    {"temperature": None, "reasoning_effort": "minimal"},
    {"temperature": None, "reasoning_effort": "xhigh"},
    {"temperature": 0.0, "reasoning_effort": "none", "top_p": 0.5},
    {"temperature": 1, "extra": {"user": "me", "frequency_penalty": 0.1}},
    {"temperature": None, "extra": {"parallel_tool_calls": False, "logit_bias": {"5": 1}}},
    {"temperature": None, "ask": {"schema": SCHEMA}},
    {"temperature": 0.0, "ask": {"top_logprobs": 5}},
)


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
def test_every_model_of_openai_is_sent_the_same_or_refused_what_it_does_not_take(
    fields: Mapping[str, Any], ways: BothWays
) -> None:
    fields = dict(fields)
    asked = fields.pop("ask", {})
    names = (*OPENAI_MODELS, "gpt-5-unheard-of", "gpt-4", "o9", "ft:gpt-4o-mini:me::x")
    different, asked_both = [], 0
    for name in names:
        spec = ways.spec(f"openai/{name}", **fields)
        try:
            DirectModel(spec, environment={})
        except ModelError:  # only litellm knows how to ask it
            continue
        before = ways.server.count
        through_litellm, direct = ways.outcomes(spec, **asked)
        sent = [(seen.path, seen.raw) for seen in ways.server.requests[before:]]
        asked_both += 1
        if direct != through_litellm or len(sent) not in (0, 2) or len(set(sent)) > 1:
            different.append((name, direct, through_litellm, sent))
    assert not different
    assert asked_both > 40


# What comes back

USAGES: tuple[Any, ...] = (
    {"prompt_tokens": None, "completion_tokens": 5},
    {"prompt_tokens": 0, "completion_tokens": 0},
    {"prompt_tokens": "12", "completion_tokens": 5},
    {"prompt_tokens": 10**12, "completion_tokens": 5},
    {"prompt_tokens": 100, "completion_tokens": None},
    {"prompt_tokens": 300, "completion_tokens": 2, "total_tokens": 330},
    {"prompt_tokens": 5, "completion_tokens": 2, "cache_read_input_tokens": 290},
    {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 290},
    {},
    [],
    7,
)
CONTENTS: tuple[Any, ...] = (
    "<think>Is it [1]? No.</think>\n[2]",
    "<thinking>[1]</thinking>[2]",
    "<think>[1]",
    "a <think>[1]</think>[2]",
    "Good \ud83d\n[2]",
    [{"type": "thinking", "thinking": "[1]"}, {"type": "text", "text": "[2]"}],
    [{"type": "reasoning", "text": "[1]"}, {"type": "output_text", "text": "[2]"}],
    ["[2", "]"],
    {"type": "text", "text": "[2]"},
    [None, 5, {"type": "text", "text": 7}],
    5,
    "",
)
MESSAGES: tuple[dict[str, Any], ...] = (
    {"reasoning_content": "Say [1]?"},
    {"reasoning": "Say [1]?", "content": "<think>x</think>[2]"},
    {"refusal": "I can't help with that."},
    {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
)
FINISHES: tuple[Any, ...] = (
    *("content_filter", "refusal", "SAFETY", "sensitive", "max_tokens", "MAX_TOKENS", "length"),
    *("model_context_window_exceeded", "tool_calls", "function_call", "eos", "unheard_of"),
    *("error", "network_error", None, 7, ["x"], {}),
)
BODIES: Mapping[str, Any] = {
    **{f"usage {usage}": completion("[2]", usage=usage) for usage in USAGES},
    **{f"content {content!r}": completion(content) for content in CONTENTS},
    **{f"message {message}": completion("[2]", message=message) for message in MESSAGES},
    **{f"finish {finish}": completion("[2]", finish_reason=finish) for finish in FINISHES},
    "error inside": {"error": {"message": "Provider returned error", "code": 502}},
    "error in a choice": {
        **completion("[1"),
        "choices": [{**completion("[1")["choices"][0], "error": {"message": "x", "code": 502}}],
    },
    "error beside the choices": {**completion("[2]"), "error": None},
    "blocked": {"promptFeedback": {"blockReason": "OTHER"}},
    "no choices and paid for": {**completion(), "choices": []},
    "choices of null": {**completion(), "choices": None},
    "another form": {"message": {"content": "[2]"}, "prompt_eval_count": 3, "eval_count": 2},
    "list": [],
    "number": 5,
    "digits": json.dumps(completion("[2]")).replace("1700000000", "9" * 6_000).encode(),
    "latin-1": json.dumps(completion("\u00e9"), ensure_ascii=False).encode("latin-1"),
    "utf-16": json.dumps(completion("[2]")).encode("utf-16"),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_reply_is_read_the_same(body: str, ways: BothWays) -> None:
    for provider in ("openai", "hosted_vllm"):
        through_litellm, direct = ways.of(Answer(200, BODIES[body]), f"{provider}/m")
        assert direct == through_litellm, provider


@pytest.mark.parametrize("charset", ["punycode", "idna", "rot13", "nonsense", "utf-16"])
@pytest.mark.parametrize("status", [200, 400])
def test_a_charset_changes_nothing(status: int, charset: str, ways: BothWays) -> None:
    header = {"Content-Type": f"application/json; charset={charset}"}
    body = completion("[2]") if status == 200 else error("not so")
    through_litellm, direct = ways.of(Answer(status, body, header))
    assert direct == through_litellm


SAID: tuple[Any, ...] = (
    *(error("no", code=code) for code in ("content_filter", "context_length_exceeded")),
    {**error("no", code="content_filter"), "usage": {"prompt_tokens": 9, "completion_tokens": 0}},
    error("API key not valid. Please pass a valid API key."),
    error("nope is not a valid model ID"),
    error("Insufficient credits"),
    error("no " * 10_000),
    {"error": "model 'nope' not found"},
    {"detail": "too large"},
    {"error": {"message": "q", "details": [{"retryDelay": "22s"}]}},
    [{"error": {"message": "list"}}],
    {"error": json.loads("[" * 500 + "]" * 500)},
    b"",
    b"<html>Forbidden</html>",
    rb'{"error": {"message": "bad \ud83d thing"}}',
    b"\xff\xfe\xfa",
)
STATUSES = (300, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 529)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_an_error_is_told_the_same(status: int, provider: str, ways: BothWays) -> None:
    for body in SAID:
        through_litellm, direct = ways.of(Answer(status, body), f"{provider}/m")
        assert direct == through_litellm, str(body)[:100]


WAITS: tuple[Mapping[str, str], ...] = (
    {"Retry-After": "7"},
    {"Retry-After": "1.5"},
    {"Retry-After": "soon"},
    {"retry-after-ms": "1500", "Retry-After": "9"},
    {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"},
    {"X-RateLimit-Reset-Tokens": "20ms"},
    {},
)


@pytest.mark.parametrize("headers", WAITS, ids=str)
@pytest.mark.parametrize("status", [429, 503])
def test_both_ways_hear_how_long_to_wait(
    status: int, headers: Mapping[str, str], ways: BothWays
) -> None:
    sent = Answer(status, error("busy"), headers)
    ways.server.queue(sent, sent)
    spec = ways.spec("openai/m")
    through_litellm, direct = ways.outcomes(spec)
    assert direct == through_litellm


CUT_SHORT = ("hang", "drip")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in CUT_SHORT])
def test_of_every_fault_comes_the_same(fault: str, ways: BothWays) -> None:
    for provider in ("openai", "hosted_vllm"):
        through_litellm, direct = ways.of(FAULTS[fault], f"{provider}/m")
        assert direct == through_litellm, provider
