"""A provider's model against a real server: what is sent, what comes back, what faults mean."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from selectllm.errors import ModelError, ProviderError
from selectllm.litellm_model import LiteLLMModel, price_per_token
from selectllm.model import ModelSpec, Price, Request
from selectllm.types import Message, Question, Reply
from tests.provider_server import (
    FAULTS,
    Answer,
    ProviderServer,
    Respond,
    completion,
    echoing_key,
    error,
    retry_after_date,
)

KEY = "sk-secret-0123456789abcdef"
SYSTEM = Message(role="system", content="Pick two.")
USER = Message(role="user", content="[1] a\n[2] b\n[3] c")
SCHEMA = {"type": "object", "properties": {"picks": {"type": "array"}}, "required": ["picks"]}

# Where each provider's path begins below the server's root.
BASES = {
    "openai": "/v1",
    "hosted_vllm": "/v1",
    "ollama_chat": "",
    "anthropic": "",
    "gemini": "",
    "mistral": "/v1",
    "groq": "/v1",
    "azure": "",
}
PROVIDER_KEYS = {
    name: f"real-{name.lower()}-0123456789"
    for name in (
        "OPENAI_API_KEY HOSTED_VLLM_API_KEY OLLAMA_API_KEY ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN "
        "GEMINI_API_KEY GOOGLE_API_KEY MISTRAL_API_KEY MISTRAL_AZURE_API_KEY GROQ_API_KEY "
        "AZURE_API_KEY AZURE_OPENAI_API_KEY AZURE_AD_TOKEN"
    ).split()
}


def request(spec: ModelSpec, **fields: Any) -> Request:
    question = Question(shown=(), labels=("1", "2", "3"), k=2, reply="indices")
    return Request(model=spec, messages=(SYSTEM, USER), question=question, **fields)


def at(server: ProviderServer, model_id: str = "openai/some-model", **fields: Any) -> ModelSpec:
    base = server.root + BASES[model_id.partition("/")[0]]
    return ModelSpec(name="arm", id=model_id, **{"api_base": base, "timeout": 10.0, **fields})


def ask(
    spec: ModelSpec,
    environment: Mapping[str, str] | None = None,
    num_ctx: int | None = None,
    **fields: Any,
) -> Reply:
    """One call on a loop of its own."""

    async def once() -> Reply:
        model = LiteLLMModel(spec, environment=environment or {}, num_ctx=num_ctx)
        try:
            return await model.complete(request(spec, **fields))
        finally:
            await model.close()

    return asyncio.run(once())


def failure(spec: ModelSpec, environment: Mapping[str, str] | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(spec, environment)
    return caught.value


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A provider that picks 1 and 2 unless told otherwise."""
    with ProviderServer() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Have the lazy parts of litellm loaded before any test with a short time-out."""
    with ProviderServer() as server:
        for model_id in ("openai/m", "hosted_vllm/m"):
            ask(at(server, model_id, timeout=120.0))


@pytest.fixture(params=["openai", "hosted_vllm"])
def provider(request: pytest.FixtureRequest) -> str:
    """The two routes to servers that speak OpenAI: through OpenAI's SDK, and litellm's own."""
    return str(request.param)


# What is sent


def test_a_call_sends_the_messages_and_every_setting_of_the_entry(server: ProviderServer) -> None:
    spec = at(
        server,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END",),
        extra={"min_p": 0.05},
        max_tokens=999,
    )
    ask(spec, max_tokens=64, seed=7)
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body == {
        "model": "some-model",
        "messages": [SYSTEM, USER],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop": ["END"],
        "min_p": 0.05,
        "max_tokens": 64,
        "seed": 7,
    }


def test_a_setting_of_none_is_not_sent(server: ProviderServer) -> None:
    ask(at(server, temperature=None))
    assert set(server.requests[0].body) == {"model", "messages", "max_tokens", "seed"}


def test_a_schema_is_sent_as_the_response_format(server: ProviderServer, provider: str) -> None:
    ask(at(server, f"{provider}/m"), schema=SCHEMA)
    assert server.requests[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
    }


def test_ollama_is_sent_the_schema_and_the_context_in_its_own_way(server: ProviderServer) -> None:
    ask(at(server, "ollama_chat/llama3.1:8b"), schema=SCHEMA, num_ctx=6000, seed=3)
    body = server.requests[0].body
    assert body["format"] == SCHEMA
    assert body["options"]["num_ctx"] == 6000
    assert body["options"]["seed"] == 3


def test_only_ollama_is_sent_a_context(server: ProviderServer) -> None:
    ask(at(server), num_ctx=6000)
    assert "num_ctx" not in server.requests[0].body


def test_a_grammar_is_sent_beside_other_extra_fields(server: ProviderServer) -> None:
    ask(at(server, extra={"extra_body": {"cache_prompt": False}}), grammar='root ::= "[1]"')
    body = server.requests[0].body
    assert (body["grammar"], body["cache_prompt"]) == ('root ::= "[1]"', False)


def test_a_provider_that_takes_no_seed_is_sent_none(server: ProviderServer) -> None:
    ask(at(server, "anthropic/claude-sonnet-4-5"), seed=7)
    assert "seed" not in server.requests[0].body


def test_the_callers_messages_are_left_as_they_are(server: ProviderServer) -> None:
    before = (dict(SYSTEM), dict(USER))
    ask(at(server, "anthropic/claude-sonnet-4-5"))
    assert (SYSTEM, USER) == before


@pytest.mark.parametrize("name", ["api_key", "stream", "temperature", "num_retries", "messages"])
def test_extra_may_not_hold_what_has_a_field_of_its_own(name: str) -> None:
    spec = ModelSpec(name="arm", id="openai/m", extra={name: 1})
    with pytest.raises(ModelError, match=rf"'arm': extra\.{name} cannot be set"):
        LiteLLMModel(spec, environment={})


def test_one_call_is_one_request_even_when_it_fails(server: ProviderServer, provider: str) -> None:
    server.queue(*[FAULTS["500"]] * 5)
    failure(at(server, f"{provider}/m"))
    assert server.count == 1


def test_calls_are_made_at_once(server: ProviderServer) -> None:
    server.state.latency = 0.3

    async def many() -> list[Reply]:
        spec = at(server)
        model = LiteLLMModel(spec, environment={})
        replies = await asyncio.gather(*(model.complete(request(spec)) for _ in range(8)))
        await model.close()
        return list(replies)

    assert [reply.text for reply in asyncio.run(many())] == ["[1, 2]"] * 8
    assert server.peak == 8


# Keys


@pytest.mark.parametrize("provider", BASES)
def test_no_provider_key_is_sent_to_an_api_base(
    provider: str, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PROVIDER_KEYS.items():
        monkeypatch.setenv(name, value)
    fields = {"extra": {"api_version": "2024-10-21"}} if provider == "azure" else {}
    reply = ask(at(server, f"{provider}/some-model", **fields), os.environ)
    assert reply.text == "[1, 2]"
    sent = str([(seen.path, seen.headers, seen.body) for seen in server.requests])
    assert not [name for name, value in PROVIDER_KEYS.items() if value in sent]


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [
        ("openai", "authorization", f"Bearer {KEY}"),
        ("hosted_vllm", "authorization", f"Bearer {KEY}"),
        ("ollama_chat", "authorization", f"Bearer {KEY}"),
        ("mistral", "authorization", f"Bearer {KEY}"),
        ("groq", "authorization", f"Bearer {KEY}"),
        ("anthropic", "x-api-key", KEY),
        ("gemini", "x-goog-api-key", KEY),
    ],
)
def test_a_named_key_is_sent(
    provider: str, header: str, value: str, server: ProviderServer
) -> None:
    ask(at(server, f"{provider}/m", api_key_env="MY_KEY"), {"MY_KEY": KEY})
    assert server.requests[0].headers[header] == value


def test_a_named_key_that_is_not_set_is_an_error_before_anything_is_sent(
    server: ProviderServer,
) -> None:
    with pytest.raises(ModelError, match="MY_KEY, which is not set"):
        ask(at(server, api_key_env="MY_KEY"))
    assert server.count == 0


def test_the_providers_own_key_and_url_are_found_in_the_environment_given(
    server: ProviderServer,
) -> None:
    spec = ModelSpec(name="arm", id="openai/m")
    ask(spec, {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY})
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_the_server_echoes_is_masked_in_the_reply(server: ProviderServer) -> None:
    server.queue(Answer(200, completion(f"you sent {KEY}")))
    reply = ask(at(server, api_key_env="MY_KEY"), {"MY_KEY": KEY})
    assert reply.text == "you sent ***"


# Replies


def test_a_reply_holds_text_tokens_and_seconds(server: ProviderServer, provider: str) -> None:
    server.queue(Answer(200, completion("[2, 3]")))
    reply = ask(at(server, f"{provider}/m"))
    assert (reply.text, reply.finish_reason) == ("[2, 3]", "stop")
    assert (reply.tokens_in, reply.tokens_out) == (100, 5)
    assert reply.cost_usd is None
    assert reply.seconds > 0
    assert not reply.cached


@pytest.mark.parametrize(
    ("fault", "text", "finish_reason"),
    [
        ("null content", "", "stop"),
        ("content filter", "", "refused"),
        ("refusal", "", "refused"),
        ("length", "[1,", "length"),
        ("reasoning", "[3]", "stop"),
    ],
)
def test_an_odd_reply_is_a_reply(
    fault: str, text: str, finish_reason: str, server: ProviderServer, provider: str
) -> None:
    server.queue(FAULTS[fault])
    reply = ask(at(server, f"{provider}/m"))
    assert (reply.text, reply.finish_reason) == (text, finish_reason)


def test_tokens_that_are_not_reported_are_unknown(server: ProviderServer, provider: str) -> None:
    server.queue(FAULTS["usage missing"])
    reply = ask(at(server, f"{provider}/m", price=Price(1.0, 1.0)))
    assert (reply.tokens_in, reply.tokens_out, reply.cost_usd) == (None, None, None)


def test_tokens_are_what_the_provider_reports(server: ProviderServer) -> None:
    server.queue(FAULTS["few prompt tokens"])
    assert ask(at(server)).tokens_in == 12


@pytest.mark.parametrize(
    "fault",
    [
        "context overflow",
        Answer(400, error("the request exceeds the available context size, try increasing it")),
        Answer(400, error("prompt is too long: 208310 tokens > 200000 maximum")),
        Answer(400, error("The input token count (1200000) exceeds the maximum of 1048576.")),
    ],
)
@pytest.mark.parametrize("model_id", ["openai/m", "hosted_vllm/m", "ollama_chat/m"])
def test_a_prompt_that_does_not_fit_the_context_is_data(
    fault: str | Answer, model_id: str, server: ProviderServer
) -> None:
    server.queue(FAULTS[fault] if isinstance(fault, str) else fault)
    reply = ask(at(server, model_id))
    assert (reply.text, reply.finish_reason) == ("", "too_long")
    assert (reply.tokens_in, reply.tokens_out, reply.cost_usd) == (0, 0, 0.0)


def test_a_prompt_that_a_filter_stopped_is_refused(server: ProviderServer) -> None:
    server.queue(Answer(400, error("The prompt was filtered.", code="content_filter")))
    assert ask(at(server)).finish_reason == "refused"


# Prices


def test_a_reply_costs_what_the_entry_says(server: ProviderServer) -> None:
    server.queue(Answer(200, completion("[1]")))
    reply = ask(at(server, price=Price(input=2.0, output=10.0)))
    assert reply.cost_usd == pytest.approx(100 * 2e-6 + 5 * 10e-6)


def test_a_reply_costs_what_the_table_says_of_our_id_not_of_the_servers_name(
    server: ProviderServer,
) -> None:
    server.queue(Answer(200, completion("[1]", model="gpt-4")))
    reply = ask(at(server, "openai/gpt-4o-mini"))
    price = price_per_token(ModelSpec(name="x", id="openai/gpt-4o-mini"))
    assert price == Price(input=pytest.approx(0.15), output=pytest.approx(0.6))
    assert reply.cost_usd == pytest.approx(price.cost(100, 5))


@pytest.mark.parametrize("model_id", ["openai/my-own-model", "hosted_vllm/gpt-4o", "azure/dep"])
def test_a_model_that_the_table_does_not_know_has_no_price(model_id: str) -> None:
    assert price_per_token(ModelSpec(name="x", id=model_id)) is None


# Faults

BUSY = {"retryable": True, "fatal": False}
FATAL = {"retryable": False, "fatal": True}
THIS_REQUEST = {"retryable": False, "fatal": False}


@pytest.mark.parametrize(
    ("fault", "status", "expected", "words"),
    [
        ("401", 401, FATAL, "refused the key (HTTP 401): Incorrect API key provided."),
        ("403", 403, FATAL, "Your organisation may not use this model."),
        ("404", 404, FATAL, "unknown model (HTTP 404): The model `nope` does not exist."),
        ("400", 400, THIS_REQUEST, "refused this request (HTTP 400): temperature must be below"),
        ("422", 422, THIS_REQUEST, "messages: field required."),
        ("quota", 429, FATAL, "quota is used up (HTTP 429): You exceeded your current quota"),
        ("408", 408, BUSY, "Request time-out."),
        ("409", 409, BUSY, "Conflict."),
        ("429", 429, BUSY, "busy or failed (HTTP 429): Rate limit reached."),
        ("500", 500, BUSY, "The server had an error."),
        ("502 html", 502, BUSY, "502 Bad Gateway nginx."),
        ("503", 503, BUSY, "The server is overloaded."),
        ("529", 529, BUSY, "Overloaded."),
        ("cut", None, BUSY, "the connection was closed before the reply was complete"),
        ("cut at once", None, BUSY, "the connection was closed before the reply was complete"),
        ("truncated json", 200, BUSY, "the reply is not valid JSON"),
        ("empty body", 200, BUSY, "the reply is not valid JSON"),
        ("not json", 200, BUSY, "the reply is not valid JSON"),
        ("no choices", 200, BUSY, "the reply holds no choices"),
        ("hang", None, BUSY, "within 0.5 s"),
        ("drip", None, BUSY, "within 0.5 s"),
    ],
)
def test_a_fault_is_told_by_its_status_and_cause(
    fault: str,
    status: int | None,
    expected: Mapping[str, bool],
    words: str,
    server: ProviderServer,
    provider: str,
) -> None:
    server.queue(FAULTS[fault])
    patience = {"timeout": 0.5} if fault in ("hang", "drip") else {}
    raised = failure(at(server, f"{provider}/some-model", **patience))
    assert words in str(raised)
    assert str(raised).startswith(f"arm ({provider}/some-model at {server.base_url}): ")
    assert raised.status == status
    assert {"retryable": raised.retryable, "fatal": raised.fatal} == expected


@pytest.mark.parametrize(
    ("model_id", "fault", "status", "expected"),
    [
        ("anthropic/m", "529", 529, BUSY),  # litellm calls it a 500
        ("anthropic/m", "truncated json", 200, BUSY),
        ("anthropic/m", "no choices", 200, BUSY),  # a KeyError inside litellm
        ("gemini/m", "502 html", 502, BUSY),  # litellm calls it a 500
        ("gemini/m", "truncated json", 200, BUSY),  # litellm calls it a 422
        ("gemini/m", "no choices", 200, BUSY),
        ("ollama_chat/m", "null content", 200, BUSY),
        ("ollama_chat/m", "cut", None, BUSY),
        ("ollama_chat/m", "409", 409, BUSY),  # litellm calls it a bad request
    ],
)
def test_the_route_through_litellm_does_not_change_what_a_fault_was(
    model_id: str, fault: str, status: int, expected: Mapping[str, bool], server: ProviderServer
) -> None:
    server.queue(FAULTS[fault])
    raised = failure(at(server, model_id))
    assert raised.status == status
    assert {"retryable": raised.retryable, "fatal": raised.fatal} == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, error("API key not valid. Please pass a valid API key.")), FATAL),
        (Answer(400, error("nope is not a valid model ID")), FATAL),
        (Answer(402, error("Insufficient credits")), FATAL),
        (Answer(400, error("Your credit balance is too low to access the API.")), FATAL),
        (Answer(404, {"error": "model 'nope' not found"}), FATAL),
        (Answer(413, {"detail": "too large"}), THIS_REQUEST),
        (Answer(500, b""), BUSY),
        (Answer(503, [{"error": {"message": "list"}}]), BUSY),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_providers_say_the_same_in_many_ways(
    answer: Answer, expected: Mapping[str, bool], server: ProviderServer, provider: str
) -> None:
    server.queue(answer)
    raised = failure(at(server, f"{provider}/m"))
    assert raised.status == answer.status
    assert {"retryable": raised.retryable, "fatal": raised.fatal} == expected


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        (FAULTS["429 seconds"], 7.0, 7.0),
        (lambda *_: retry_after_date(30.0), 1.0, 30.0),
        (lambda *_: retry_after_date(-30.0), 0.0, 0.0),
        (Answer(503, error("down"), {"Retry-After": "1.5"}), 1.5, 1.5),
        (Answer(429, {"error": {"message": "q", "details": [{"retryDelay": "22s"}]}}), 22.0, 22.0),
    ],
    ids=["seconds", "date", "past date", "fraction", "Google's"],
)
def test_the_wait_that_a_provider_asks_for_is_kept(
    answer: Answer | Respond, low: float, high: float, server: ProviderServer, provider: str
) -> None:
    server.queue(answer)
    raised = failure(at(server, f"{provider}/m"))
    assert raised.retry_after is not None
    assert low <= raised.retry_after <= high
    assert "It asks to wait" in str(raised)


@pytest.mark.parametrize("value", ["soon", "-5", "nan"])
def test_a_wait_that_cannot_be_read_is_none(value: str, server: ProviderServer) -> None:
    server.queue(Answer(429, error("busy"), {"Retry-After": value}))
    assert failure(at(server)).retry_after is None


@pytest.mark.parametrize(
    ("model_id", "hint"),
    [
        ("openai/m", "Start the server that should listen there, or correct api_base."),
        ("hosted_vllm/qwen", "Start it with: vllm serve qwen, or correct api_base."),
        ("ollama_chat/llama3.1:8b", "Start it with: ollama serve, or correct api_base."),
    ],
)
def test_a_server_that_is_not_there_is_named_with_how_to_start_it(
    model_id: str, hint: str, server: ProviderServer
) -> None:
    spec = at(server, model_id)
    server.__exit__()  # its port is now free, and nobody answers
    raised = failure(spec)
    server.__enter__()
    assert "cannot be reached: connection refused." in str(raised)
    assert f"at {spec.api_base}" in str(raised)
    assert str(raised).endswith(hint)
    assert (raised.status, raised.retryable, raised.fatal) == (None, True, False)


def test_a_host_that_does_not_exist_may_be_asked_again(provider: str) -> None:
    spec = ModelSpec(name="arm", id=f"{provider}/m", api_base="http://nowhere.invalid/v1")
    raised = failure(spec)
    assert "cannot be reached: no such host." in str(raised)
    assert (raised.status, raised.retryable, raised.fatal) == (None, True, False)


def test_an_unknown_provider_fails_before_anything_is_sent() -> None:
    raised = failure(ModelSpec(name="arm", id="nope/some-model"))
    assert str(raised).startswith("arm (nope/some-model): unknown model: LLM Provider NOT provided")
    assert (raised.exit_code, raised.fatal, raised.retryable) == (6, True, False)


@pytest.mark.parametrize(
    ("model_id", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_fails_before_anything_is_sent_and_names_its_variable(
    model_id: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    raised = failure(ModelSpec(name="arm", id=model_id))
    assert f"Set {variable} to a key that is valid for this model." in str(raised)
    assert (raised.exit_code, raised.fatal, raised.retryable) == (6, True, False)


@pytest.mark.parametrize(
    ("model_id", "fields", "words"),
    [
        ("openai/gpt-5-mini", {"temperature": 0.0}, "temperature=0.0"),
        ("openai/gpt-4o-mini", {"reasoning_effort": "low"}, "reasoning_effort"),
    ],
)
def test_a_setting_that_the_model_does_not_take_is_an_error_not_dropped(
    model_id: str, fields: Mapping[str, Any], words: str, server: ProviderServer
) -> None:
    raised = failure(at(server, model_id, **fields))
    assert words in str(raised)
    assert "a temperature of null sends none" in str(raised)
    assert "drop_params" not in str(raised)
    assert (raised.fatal, server.count) == (True, 0)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({}, "No key was sent: name the variable that holds it with api_key_env."),
        ({"api_key_env": "MY_KEY"}, "Set MY_KEY to a key that is valid for this model."),
    ],
)
def test_a_refused_key_is_told_with_the_variable_to_set(
    fields: Mapping[str, Any], hint: str, server: ProviderServer
) -> None:
    server.queue(FAULTS["401"])
    assert str(failure(at(server, **fields), {"MY_KEY": KEY})).endswith(hint)


def test_a_long_reason_is_cut(server: ProviderServer) -> None:
    server.queue(Answer(400, error("no " * 1000)))
    assert len(str(failure(at(server)))) < 450


# No key in any error


def everything(raised: BaseException) -> str:
    """All that a log or a crash report could print of an error, its attributes included."""
    shown = [str(raised), repr(raised), repr(raised.args), repr(vars(raised))]
    return "\n".join([*shown, *traceback.format_exception(raised)])


@pytest.mark.parametrize("model_id", ["openai/m", "hosted_vllm/m", "anthropic/m", "gemini/m"])
def test_a_key_that_the_provider_echoes_is_masked_everywhere(
    model_id: str, server: ProviderServer
) -> None:
    server.queue(echoing_key)
    raised = failure(at(server, model_id, api_key_env="MY_KEY"), {"MY_KEY": KEY})
    assert "Incorrect API key provided" in str(raised)
    assert "***" in str(raised)
    assert KEY not in everything(raised)


def test_no_frame_of_ours_that_raises_holds_the_key(server: ProviderServer) -> None:
    server.queue(echoing_key)
    raised = failure(at(server, api_key_env="MY_KEY"), {"MY_KEY": KEY})
    frames = [frame for frame, _ in traceback.walk_tb(raised.__traceback__)]
    ours = [frame for frame in frames if "litellm_model.py" in frame.f_code.co_filename]
    ours = [frame for frame in ours if "test_" not in frame.f_code.co_filename]
    assert ours
    assert KEY not in repr([frame.f_locals for frame in ours])


@pytest.mark.parametrize("fault", ["400", "404", "429", "500", "cut", "truncated json", "hang"])
def test_no_fault_shows_a_key_of_the_environment(fault: str, server: ProviderServer) -> None:
    other = "hf_another-secret-0123456789"
    answer = FAULTS[fault]
    if isinstance(answer.body, dict) and "error" in answer.body:
        answer = Answer(answer.status, error(f"{'x' * 290}{KEY} {other} end"))
    server.queue(answer)
    spec = at(server, api_key_env="MY_KEY", timeout=0.5)
    shown = everything(failure(spec, {"MY_KEY": KEY, "HF_TOKEN": other}))
    for start in (KEY[:8], other[:8]):
        assert start not in shown


@pytest.mark.parametrize("fault", ["401", "500", "cut", "truncated json", "hang"])
def test_an_error_holds_on_to_nothing_of_litellm(
    fault: str, server: ProviderServer, provider: str
) -> None:
    server.queue(FAULTS[fault])
    raised = failure(at(server, f"{provider}/m", timeout=0.5))
    assert raised.__cause__ is None
    assert raised.__context__ is None
    assert set(vars(raised)) == {"status", "retryable", "retry_after", "fatal"}


# Manners


def test_a_cancelled_call_stays_cancelled(server: ProviderServer) -> None:
    server.queue(FAULTS["hang"])

    async def cancel() -> None:
        spec = at(server)
        model = LiteLLMModel(spec, environment={})
        task = asyncio.create_task(model.complete(request(spec)))
        while not server.count:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.close()

    asyncio.run(cancel())


def test_closing_one_model_leaves_the_others_their_connections(server: ProviderServer) -> None:
    async def two() -> str:
        spec = at(server)
        first, second = (LiteLLMModel(spec, environment={}) for _ in range(2))
        await asyncio.gather(first.complete(request(spec)), second.complete(request(spec)))
        await first.close()
        reply = await second.complete(request(spec))
        await second.close()
        return reply.text

    assert asyncio.run(two()) == "[1, 2]"


def test_closing_a_model_that_was_never_asked_does_nothing(server: ProviderServer) -> None:
    asyncio.run(LiteLLMModel(at(server), environment={}).close())


SCRIPT = """
import asyncio, os, sys
from selectllm.litellm_model import LiteLLMModel
from tests.test_litellm_model import ModelSpec, request

async def main():
    spec = ModelSpec(name="arm", id="openai/m", api_base=sys.argv[1])
    model = LiteLLMModel(spec, environment={})
    assert "litellm" not in sys.modules, "loaded before the first request"
    print((await model.complete(request(spec))).text)
    try:
        await model.complete(request(spec))
    except Exception as error:
        print(type(error).__name__)
    await model.close()
    print(os.environ.get("FROM_DOTENV"))

asyncio.run(main())
"""


@pytest.fixture
def other_folder(tmp_path: Path) -> Path:
    """A folder with a .env that nobody asked for."""
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n", encoding="utf-8")
    return tmp_path


def test_litellm_is_loaded_late_prints_nothing_warns_of_nothing_and_reads_no_dotenv(
    server: ProviderServer, other_folder: Path
) -> None:
    server.queue(Answer(200, completion("[1]")), FAULTS["500"])
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, server.base_url],
        cwd=other_folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["[1]", "ProviderError", "None"]


# The server itself


def test_the_server_may_run_in_a_process_of_its_own() -> None:
    with ProviderServer(process=True, latency=0.01) as server:
        assert ask(at(server)).text == "[1, 2]"
        assert (server.count, server.peak) == (1, 1)
