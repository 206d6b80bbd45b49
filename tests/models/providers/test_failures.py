"""Failed calls against a real server: what each is told as, and that no error holds a key."""

from __future__ import annotations

import asyncio
import re
import sys
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.certificates import CERTIFICATES, serving
from tests.support.provider_calls import KEY, PROVIDER_KEYS, ask, at, failure, load_litellm, request
from tests.support.provider_server import (
    FAULTS,
    Answer,
    ProviderServer,
    Respond,
    echoing_key,
    error,
    retry_after_date,
)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


# What a fault is told as

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
        ("no choices", 200, THIS_REQUEST, "the reply holds no choices"),  # and was paid for
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


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_what_litellm_does_before_it_sends_is_no_time_of_the_provider(
    server: ProviderServer, provider: str
) -> None:
    spec = at(server, f"{provider}/m", timeout=1.0)

    async def behind_other_work() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))  # which litellm prepares its calls in
        busy = loop.run_in_executor(None, time.sleep, 1.5 * spec.timeout)
        model = LiteLLMModel(spec, environment={})
        reply = await model.complete(request(spec))
        assert busy.done()
        await model.close()
        return reply.text

    assert asyncio.run(behind_other_work()) == "[1, 2]"
    assert server.count == 1


@pytest.mark.parametrize(
    ("model_id", "fault", "status", "expected"),
    [
        ("anthropic/m", "529", 529, BUSY),  # litellm calls it a 500
        ("anthropic/m", "truncated json", 200, BUSY),
        ("anthropic/m", "no choices", 200, THIS_REQUEST),  # a KeyError inside litellm
        ("gemini/m", "502 html", 502, BUSY),  # litellm calls it a 500
        ("gemini/m", "truncated json", 200, BUSY),  # litellm calls it a 422
        ("gemini/m", "no choices", 200, THIS_REQUEST),
        ("ollama_chat/m", "cut", None, BUSY),
        ("anthropic/m", "429 cut", 429, BUSY),
        ("gemini/m", "429 cut", 429, BUSY),
        ("ollama_chat/m", "429 cut", 429, BUSY),
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
    assert (raised.status, raised.retryable, raised.fatal) == (None, True, True)


def test_a_host_that_does_not_exist_may_be_asked_again(provider: str) -> None:
    spec = ModelSpec(name="arm", id=f"{provider}/m", api_base="http://nowhere.invalid/v1")
    raised = failure(spec)
    assert "cannot be reached: no such host." in str(raised)
    assert (raised.status, raised.retryable, raised.fatal) == (None, True, True)


@pytest.mark.parametrize(
    "model_id", ["xai/grok-4.20-multi-agent", "openai/o1-pro", "azure/responses/a-deployment"]
)
def test_a_package_that_litellm_lacks_for_a_model_is_no_setting_of_it(
    model_id: str, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks what answers under /responses alone by code that imports mcp."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    raised = failure(at(server, model_id, temperature=None))
    assert "needs a package for this model that is not installed" in str(raised)
    assert "mcp" in str(raised)
    assert "Install it beside selectllm" in str(raised)
    assert "setting" not in str(raised)
    assert (raised.kind, raised.fatal, raised.retryable) == ("package", True, False)
    assert server.count == 0


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_a_certificate_that_cannot_be_verified_is_fatal_at_once(
    certificate: str, provider: str, tmp_path: Path
) -> None:
    context, _ = serving(certificate, tmp_path)
    with ProviderServer(tls=context) as server:
        raised = failure(at(server, f"{provider}/m"))
    assert re.search("certificate cannot be verified: (self.signed|certificate)", str(raised))
    assert "set SSL_CERT_FILE to a file" in str(raised)
    assert (raised.kind, raised.status) == ("certificate", None)
    assert {"retryable": raised.retryable, "fatal": raised.fatal} == FATAL


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("of 127.0.0.1", None),
        ("expired in 2001", "certificate has expired"),
        ("of elsewhere.example", "IP address mismatch"),
    ],
)
def test_the_certificate_that_ssl_cert_file_names_is_trusted_and_still_checked(
    certificate: str,
    reason: str | None,
    provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, file = serving(certificate, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with ProviderServer(tls=context) as server:
        if reason is None:
            assert ask(at(server, f"{provider}/m")).text == "[1, 2]"
        else:
            assert reason in str(failure(at(server, f"{provider}/m")))


def test_a_redirect_in_a_circle_is_one_try(server: ProviderServer, provider: str) -> None:
    server.state.respond = lambda *_: Answer(307, b"", {"Location": "/v1/chat/completions"})
    raised = failure(at(server, f"{provider}/m"))
    assert "in a circle, or to another host" in str(raised)
    assert "Correct api_base" in str(raised)
    assert (raised.kind, raised.status) == ("redirect", 307)
    assert {"retryable": raised.retryable, "fatal": raised.fatal} == FATAL
    assert server.count <= 21  # what a client follows, once


@pytest.mark.parametrize("model_id", ["openai/m", "hosted_vllm/m", "anthropic/m", "gemini/m"])
def test_no_redirect_to_another_host_is_followed(model_id: str, server: ProviderServer) -> None:
    with ProviderServer() as other:
        elsewhere = other.root.replace("127.0.0.1", "localhost")
        server.queue(Answer(307, b"", {"Location": f"{elsewhere}/v1/chat/completions"}))
        raised = failure(at(server, model_id, api_key_env="MY_KEY"), {"MY_KEY": KEY})
        assert (raised.kind, raised.status, raised.fatal) == ("redirect", 307, True)
        assert (server.count, other.count) == (1, 0)


def test_a_redirect_that_leads_nowhere_is_told(server: ProviderServer, provider: str) -> None:
    server.queue(Answer(307, b""))
    raised = failure(at(server, f"{provider}/m"))
    assert (raised.kind, raised.status, raised.fatal) == ("redirect", 307, True)


def test_a_403_without_a_word_of_the_key_may_be_about_the_prompt_alone(
    server: ProviderServer, provider: str
) -> None:
    server.queue(Answer(403, b"<html>Forbidden</html>"), Answer(403, error("Wrong API key.")))
    raised = failure(at(server, f"{provider}/m"))
    assert (raised.kind, raised.fatal, raised.doubtful) == ("forbidden", False, True)
    raised = failure(at(server, f"{provider}/m"))
    assert (raised.kind, raised.fatal, raised.doubtful) == ("key", True, False)


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
    with pytest.raises(
        ModelError, match=rf"^arm: {variable} .*is not set\. .*api_key_env"
    ) as raised:
        ask(ModelSpec(name="arm", id=model_id))
    assert raised.value.exit_code == 2


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
    ours = [frame for frame in frames if "providers/litellm.py" in frame.f_code.co_filename]
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
    known = {"status", "retryable", "retry_after", "fatal", "kind", "doubtful", "reply"}
    assert set(vars(raised)) == known
