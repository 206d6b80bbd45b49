"""A provider's model against a real server: what is sent, what comes back, what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from selectllm.core.errors import ModelError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.model_table import price_per_token
from tests.support.provider_calls import (
    BASES,
    KEY,
    PROVIDER_KEYS,
    SYSTEM,
    USER,
    ask,
    at,
    failure,
    load_litellm,
    request,
)
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion, error

SCHEMA = {"type": "object", "properties": {"picks": {"type": "array"}}, "required": ["picks"]}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


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
        "json_schema": {"name": "reply", "schema": SCHEMA, "strict": False},
    }


def test_ollama_is_sent_the_schema_and_the_context_in_its_own_way(server: ProviderServer) -> None:
    ask(at(server, "ollama_chat/llama3.1:8b"), schema=SCHEMA, num_ctx=6000, seed=3)
    body = server.requests[0].body
    assert body["format"] == SCHEMA
    assert body["options"]["num_ctx"] == 6000
    assert body["options"]["seed"] == 3


def test_no_server_is_asked_about_a_model_of_ollama(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer() as usual:
        monkeypatch.setenv("OLLAMA_API_BASE", usual.root)
        ask(at(server, "ollama_chat/a-model-of-its-own"))
        assert [request.path for request in server.requests] == ["/api/chat"]
        assert usual.requests == []


def test_from_a_thread_of_its_own_litellm_asks_nothing_of_a_model_of_ollama(
    server: ProviderServer,
) -> None:
    from litellm import get_model_info

    ask(at(server, "ollama_chat/a-model-of-its-own"))
    with contextlib.suppress(Exception):  # which it raises of a model that it does not know
        get_model_info("another", "ollama_chat", server.root)
    assert len(server.requests) == 1
    with ProviderServer() as others:
        with contextlib.suppress(Exception):
            get_model_info("another", "ollama_chat", others.root)
        assert [request.path for request in others.requests] == ["/api/show"]


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
    assert (reply.tokens_in, reply.tokens_out, reply.cost_usd) == (None, None, 0.0)


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
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.provider_calls import ModelSpec, request

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
    root = Path(__file__).parents[3]
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
