"""The direct way where the network, the server or the environment is odd, and its manners."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import ModelError, ProviderError
from selectllm.models.connect import Connections, connect
from selectllm.models.model import ModelSpec
from selectllm.models.providers.direct import DirectModel
from selectllm.models.wrappers.cache import ReplyCache
from tests.support.both_ways import BothWays, shown
from tests.support.certificates import CERTIFICATES, serving
from tests.support.provider_calls import KEY, ask, at, failure, load_litellm, request
from tests.support.provider_server import (
    FAULTS,
    Answer,
    ProviderServer,
    completion,
    echoing_key,
    error,
)


@pytest.fixture(scope="module")
def ways() -> Iterator[BothWays]:
    load_litellm()
    with ProviderServer() as server:
        both = BothWays(server, keep=False)
        yield both
        both.close()


def same(outcomes: tuple[Any, Any]) -> Any:
    """What came of both ways, which is the same."""
    through_litellm, direct = outcomes
    assert direct == through_litellm
    return direct


# The network


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_the_time_out_is_of_the_whole_call(fault: str, ways: BothWays) -> None:
    said, facts, _ = same(ways.of(FAULTS[fault], timeout=0.4))
    assert (facts["kind"], facts["retryable"]) == ("timeout", True)
    assert "within 0.4 s" in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://nowhere.invalid/v1"])
def test_a_server_that_is_not_there(url: str, ways: BothWays) -> None:
    _, facts, _ = same(ways.outcomes(ways.spec(api_base=url)))
    assert facts["kind"] == "unreachable"


@pytest.mark.parametrize("certificate", CERTIFICATES)
@pytest.mark.parametrize("trusted", [False, True])
def test_certificates_are_checked_and_those_of_ssl_cert_file_trusted(
    certificate: str, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, file = serving(certificate, tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with ProviderServer(tls=context) as server:
        spec = at(server)
        if trusted and certificate == "of 127.0.0.1":
            assert ask(spec, direct=True).text == "[1, 2]"
            return
        direct, through_litellm = (failure(spec, direct=way) for way in (True, False))
    assert shown(direct) == shown(through_litellm)
    assert (direct.kind, direct.fatal, direct.retryable) == ("certificate", True, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed_as_http_has_it(
    status: int, ways: BothWays
) -> None:
    moved = Answer(status, b"", {"Location": "/v1/elsewhere/chat/completions"})
    ways.server.queue(moved, completed(), moved, completed())
    same(ways.outcomes(ways.spec()))
    seen = ways.server.requests[-4:]
    assert [(each.method, each.path, each.raw) for each in seen[:2]] == [
        (each.method, each.path, each.raw) for each in seen[2:]
    ]
    assert seen[3].path == "/v1/elsewhere/chat/completions"


def completed() -> Answer:
    return Answer(200, completion("[2]"))


@pytest.mark.parametrize("location", ["/v1/chat/completions", "http://localhost:1/v1", None])
def test_a_redirect_that_leads_nowhere_is_one_try(location: str | None) -> None:
    headers = {} if location is None else {"Location": location}
    with ProviderServer(lambda *_: Answer(307, b"", headers)) as server:
        raised = failure(at(server), direct=True)
        assert (raised.kind, raised.fatal, raised.status) == ("redirect", True, 307)
        assert server.count <= 21


def test_no_key_goes_to_another_port_of_the_host() -> None:
    with ProviderServer() as server, ProviderServer() as other:
        server.queue(Answer(307, b"", {"Location": f"{other.root}/v1/chat/completions"}))
        spec = at(server, api_key_env="MY_KEY")
        assert ask(spec, {"MY_KEY": KEY}, direct=True).text == "[1, 2]"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in other.requests[0].headers


def test_calls_go_through_the_proxy_of_the_environment(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.root)
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    spec = ModelSpec(name="arm", id="openai/m", api_base="http://a-model.example/v1", timeout=5.0)
    assert ask(spec, direct=True).text == "[1, 2]"
    assert server.requests[0].headers["host"] == "a-model.example"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert ask(at(server), direct=True).text == "[1, 2]"
    assert server.requests[1].headers["host"].startswith("127.0.0.1")


def test_a_netrc_is_not_sent(
    server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    ask(at(server), direct=True)
    assert server.requests[0].headers["authorization"] == "Bearer none"


# What a server may send


@pytest.mark.parametrize(
    "sent",
    [
        Answer(200, gzip.compress(b'{"choices": []}'), {"Content-Encoding": "gzip"}),
        Answer(200, b"not compressed", {"Content-Encoding": "gzip"}),
        Answer(200, completion("x" * 3_000_000)),
        Answer(200, completion("[2]"), {"X-" + "y" * 20: "x"} | {f"X-{n}": "x" for n in range(90)}),
        Answer(200, completion("[2]"), {"Set-Cookie": "a=b; Path=/", "Content-Type": "text/html"}),
        Answer(400, b"\xff" * 100_000),
        Answer(200, completion("[2]"), {"Content-Length": "9999999"}, cut=30),
    ],
    ids=lambda sent: f"{sent.status} {list(sent.headers)[:1]} {str(sent.body)[:12]}",
)
def test_whatever_a_server_sends_comes_to_the_same(sent: Answer, ways: BothWays) -> None:
    same(ways.of(sent))


@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize(
    ("headers", "cut"), [({"Content-Length": "999"}, 9), ({"Content-Encoding": "gzip"}, None)]
)
def test_an_error_that_cannot_be_read_to_its_end_may_be_asked_again(
    status: int, headers: Mapping[str, str], cut: int | None, ways: BothWays
) -> None:
    sent = Answer(status, b"not compressed", {"Retry-After": "3", **headers}, cut=cut)
    said, facts, reply = same(ways.of(sent))
    assert (facts["kind"], facts["status"], facts["retry_after"]) == ("broken", status, 3.0)
    assert facts["retryable"]
    assert f"broke off (HTTP {status})" in said
    assert reply is None


@pytest.mark.parametrize("status", [400, 429, 503])
def test_an_error_that_never_ends_is_a_time_out(status: int, ways: BothWays) -> None:
    _, facts, _ = same(ways.of(Answer(status, b"x" * 1_000, drip=0.05), timeout=0.4))
    assert (facts["kind"], facts["retryable"]) == ("timeout", True)


def test_what_is_no_http_is_a_broken_connection_either_way(ways: BothWays) -> None:
    nonsense = Answer(200, completion("[2]"), {"Transfer-Encoding": "nonsense"})
    (_, through_litellm, _), (_, direct, _) = ways.of(nonsense)
    assert direct == through_litellm
    assert direct["kind"] == "broken"


def test_a_header_too_long_for_litellm_is_read(server: ProviderServer) -> None:
    server.queue(Answer(200, completion("[2]"), {"X-Long": "x" * 20_000}))
    assert ask(at(server), direct=True).text == "[2]"


@pytest.mark.parametrize("depth", [3_000, 200_000])
def test_json_of_any_depth_is_a_reply_or_an_error(depth: int, server: ProviderServer) -> None:
    deep = b"[" * depth + b"]" * depth
    server.queue(Answer(200, deep), Answer(400, b'{"error": ' + deep + b"}"))
    kinds = [failure(at(server), direct=True).kind for _ in range(2)]
    assert kinds == ["broken", "request"]


def test_a_key_that_the_server_echoes_is_masked_everywhere(server: ProviderServer) -> None:
    server.queue(echoing_key, Answer(200, completion(f"you sent {KEY}")))
    spec = at(server, api_key_env="MY_KEY")
    raised = failure(spec, {"MY_KEY": KEY}, direct=True)
    assert KEY not in f"{raised!r} {vars(raised)}"
    assert raised.__cause__ is None
    assert raised.__context__ is None
    assert ask(spec, {"MY_KEY": KEY}, direct=True).text == "you sent ***"


@pytest.mark.parametrize("fault", ["401", "500", "cut", "hang"])
def test_an_error_holds_on_to_nothing_of_the_client(fault: str, server: ProviderServer) -> None:
    server.queue(FAULTS[fault])
    raised = failure(at(server, timeout=0.4), direct=True)
    assert raised.__cause__ is None
    assert raised.__context__ is None


# What can be asked directly


@pytest.mark.parametrize(
    "model_id",
    ["anthropic/m", "gemini/m", "azure/m", "bedrock/m", "ollama_chat/m", "mock/oracle"],
)
def test_another_provider_is_refused_with_those_that_can(model_id: str, tmp_path: Path) -> None:
    spec = ModelSpec(name="arm", id=model_id, transport="direct")
    with pytest.raises(ModelError, match=r"model 'arm'.* hosted_vllm/.*openai/MODEL"):
        connect(spec, Connections(ReplyCache(tmp_path), {}))


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"metadata": {"a": "b"}}},
        {"extra": {"input_cost_per_token": 1}},
        {"id": "openai/gpt-5-codex"},
        {"id": "openai/gpt-4o-audio-preview-2024-12-17"},
        {"id": "openai/responses/gpt-5"},
        {"extra": {"api_key": "x"}},
    ],
    ids=str,
)
def test_what_only_litellm_knows_is_refused_before_anything_is_sent(
    fields: Mapping[str, Any],
) -> None:
    spec = ModelSpec(**{"name": "arm", "id": "openai/m", **fields})
    with pytest.raises(ModelError, match="model 'arm'"):
        DirectModel(spec, environment={})


# Manners


def test_calls_are_made_at_once_over_connections_that_are_kept(server: ProviderServer) -> None:
    server.state.latency = 0.1
    ports: set[str] = set()

    async def many() -> list[str]:
        spec = at(server)
        model = DirectModel(spec, environment={})
        texts = []
        for _ in range(2):
            replies = await asyncio.gather(*(model.complete(request(spec)) for _ in range(8)))
            texts += [reply.text for reply in replies]
            ports.update(str(id(transport)) for transport in server.state.open)
        await model.close()
        return texts

    assert asyncio.run(many()) == ["[1, 2]"] * 16
    assert server.peak == 8
    assert len(ports) == 8


def test_a_model_that_was_closed_can_be_asked_in_another_loop(server: ProviderServer) -> None:
    spec = at(server)
    model = DirectModel(spec, environment={})

    async def once() -> str:
        reply = await model.complete(request(spec))
        await model.close()
        return reply.text

    assert [asyncio.run(once()) for _ in range(2)] == ["[1, 2]"] * 2


def test_closing_a_model_that_was_never_asked_does_nothing(server: ProviderServer) -> None:
    asyncio.run(DirectModel(at(server), environment={}).close())


def test_a_cancelled_call_stays_cancelled(server: ProviderServer) -> None:
    server.queue(FAULTS["hang"])

    async def cancel() -> None:
        spec = at(server)
        model = DirectModel(spec, environment={})
        task = asyncio.create_task(model.complete(request(spec)))
        while not server.count:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.close()

    asyncio.run(cancel())


@pytest.mark.parametrize("first", ["litellm", "direct"])
def test_what_one_way_asked_the_other_finds_in_the_cache(
    first: str, server: ProviderServer, tmp_path: Path
) -> None:
    load_litellm()
    second = {"litellm": "direct", "direct": "litellm"}[first]
    shared = Connections(ReplyCache(tmp_path), {})

    async def through(transport: Any) -> tuple[str, bool]:
        spec = at(server, transport=transport)
        model = connect(spec, shared)
        reply = await model.complete(request(spec))
        await model.close()
        return reply.text, reply.cached

    assert asyncio.run(through(first)) == ("[1, 2]", False)
    assert asyncio.run(through(second)) == ("[1, 2]", True)
    assert server.count == 1


def test_the_transport_is_no_part_of_a_request_and_is_recorded_only_where_it_is_direct() -> None:
    usual, litellm, direct = (
        ModelSpec(name="arm", id="openai/m", transport=way) for way in (None, "litellm", "direct")
    )
    assert len({request(spec).key for spec in (usual, litellm, direct)}) == 1
    assert usual.fields() == litellm.fields()
    assert direct.fields() == usual.fields() | {"transport": "direct"}


def test_a_busy_server_is_asked_again_and_a_fatal_error_ends_at_once(
    server: ProviderServer, tmp_path: Path
) -> None:
    async def through() -> str:
        spec = at(server, transport="direct")
        model = connect(spec, Connections(ReplyCache(tmp_path), {}))
        try:
            return (await model.complete(request(spec))).text
        finally:
            await model.close()

    server.queue(Answer(429, error("busy"), {"Retry-After": "0"}), FAULTS["truncated json"])
    assert asyncio.run(through()) == "[1, 2]"
    assert server.count == 3
    server.queue(FAULTS["401"])
    (tmp_path / "other").mkdir()
    with pytest.raises(ProviderError):
        asyncio.run(ask_new(server, tmp_path / "other"))
    assert server.count == 4


async def ask_new(server: ProviderServer, cache: Path) -> None:
    spec = at(server, transport="direct")
    model = connect(spec, Connections(ReplyCache(cache), {}))
    try:
        await model.complete(request(spec))
    finally:
        await model.close()


ALONE = """
import sys
from selectllm.cli import main
code = main(sys.argv[1:])
print(sorted({"litellm", "openai", "httpx", "torch"} & sys.modules.keys()))
sys.exit(code)
"""


def test_a_run_without_litellm_imports_neither_it_nor_openai(
    server: ProviderServer, tmp_path: Path
) -> None:
    pool = "".join(f'{{"id": "{n}", "instruction": "Say {n}."}}\n' for n in range(6))
    (tmp_path / "pool.jsonl").write_text(pool, "utf-8")
    arguments = [
        *("select", "pool.jsonl", "-o", "picks.jsonl", "--model", "openai/gpt-4o-mini"),
        *("--prompt", "short@1"),
        *("--by", "random", "--cluster-size", "3", "--budget", "2", "--api-base", server.base_url),
        *("--model-arg", "transport=direct"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "SELECTLLM_CACHE_DIR": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert server.count >= 2
