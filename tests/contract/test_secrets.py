"""Keys: sent where they belong, and shown in no output, log, cache entry or run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, read_jsonl
from tests.support.cli_files import (
    AT_ONCE,
    KEY,
    LOG,
    assert_refused,
    at,
    files,
    select,
    served,
    write_suite,
)
from tests.support.provider_server import Answer, ProviderServer, Respond, completion, error


def assert_nowhere(secret: str, outcome: Outcome) -> None:
    """Not in the output, nor in any byte of any file, the cache's included."""
    assert secret not in outcome.out + outcome.err
    for path in Path().rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def sent(headers: Mapping[str, str]) -> str:
    return headers["authorization"].removeprefix("Bearer ")


def in_the_reply(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(200, completion(f"Your key is {sent(headers)}.\n[1, 2]"))


def in_the_reasoning(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(200, completion("[1, 2]", message={"reasoning_content": sent(headers)}))


def in_a_refusal(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(200, completion(None, message={"refusal": f"Not for {sent(headers)}."}))


def in_an_error(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(400, error(f"Bad request by {sent(headers)}, {n}."))


def in_a_page(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(502, f"<html>{sent(headers)}</html>".encode(), AT_ONCE)


def in_a_401(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    return Answer(401, error(f"Incorrect API key provided: {sent(headers)}."))


@pytest.mark.parametrize(
    ("echo", "code"),
    [
        (in_the_reply, 0),
        (in_the_reasoning, 0),
        (in_a_refusal, 0),
        (in_an_error, 6),
        (in_a_page, 6),
        (in_a_401, 6),
    ],
)
@pytest.mark.parametrize("source", ["environment", "file"])
@pytest.mark.usefixtures("no_waiting")
def test_a_key_that_the_server_echoes_shows_nowhere(
    selectllm: Command,
    pool_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    echo: Respond,
    code: int,
    source: str,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)  # so that it is restored, whoever sets it
    options: tuple[object, ...] = ("-o", "run", "--record", "pack.jsonl")
    if source == "file":
        monkeypatch.delenv("MY_KEY")
        env_file = tmp_path_factory.mktemp("env") / ".env"
        env_file.write_text(f"MY_KEY={KEY}\n", encoding="utf-8")
        options = (*options, "--env-file", env_file)
    with ProviderServer(echo) as server:
        suite = write_suite(served(server, api_key_env="MY_KEY"))
        outcome = selectllm("eval", suite, "--limit", 2, *options)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert outcome.code == code, outcome.err
    assert_nowhere(KEY, outcome)
    assert_nowhere(KEY, selectllm("cache", "ls", "--json"))


def test_a_providers_own_key_is_not_sent_to_another_server(
    selectllm: Command, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ProviderServer(in_a_401) as server:
        outcome = select(selectllm, *at(server), "-j", 1)
        assert KEY not in str(server.requests[0].headers)
    assert_refused(outcome, "No key was sent", "api_key_env", code=6)
    assert_nowhere(KEY, outcome)


@pytest.mark.parametrize("offline", [(), ("--offline",)])
@pytest.mark.parametrize("verb", ["select", "eval"])
def test_a_password_in_a_url_is_refused_and_shows_nowhere(
    selectllm: Command, pool_file: Path, verb: str, offline: tuple[str, ...]
) -> None:
    url = f"http://me:{KEY}@127.0.0.1:9/v1"
    if verb == "select":
        outcome = select(selectllm, "--model", "openai/m", "--api-base", url, *offline)
    else:
        suite = write_suite(f"mock/first -> {json.dumps({'id': 'openai/m', 'api_base': url})}")
        outcome = selectllm("eval", suite, "-o", "run", *offline)
        suite.unlink()
    assert_refused(outcome, "holds a user name or password", "api_key_env")
    assert_nowhere(KEY, outcome)
    assert list(files()) == ["pool.jsonl"]


def test_the_env_file_of_the_folder_is_read_only_if_it_is_named(
    selectllm: Command, pool_file: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)  # so that it is restored
    monkeypatch.delenv("MY_KEY")
    Path(".env").write_text(f"MY_KEY={KEY}\n", encoding="utf-8")
    keyed = (*at(server), "--model-arg", "api_key_env=MY_KEY")
    assert_refused(select(selectllm, *keyed), "MY_KEY, which is not set")
    assert select(selectllm, *keyed, "--env-file", ".env").code == 0
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_an_env_file_that_is_no_text_is_refused(selectllm: Command, pool_file: Path) -> None:
    Path(".env").write_bytes(b"MY_KEY=\xff\n")
    outcome = select(selectllm, "--model", "mock/first", "--env-file", ".env")
    assert_refused(outcome, "--env-file .env is not UTF-8")
    assert not LOG.exists()


def test_a_value_too_short_to_be_a_secret_is_left_in_replies(
    selectllm: Command, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT_KEY", "[1]")  # a flag, not a secret: too short to be one
    with ProviderServer(reply=lambda messages: "[1]") as server:
        assert select(selectllm, *at(server)).code == 0
    assert {row["attempts"][0]["reply"] for row in read_jsonl(LOG)[1:]} == {"[1]"}


@pytest.mark.parametrize(
    "argument", [f"x-api-key={KEY}", f"Authorization=Bearer {KEY}", f"headers={{Cookie: {KEY}}}"]
)
def test_a_secret_among_the_arguments_is_not_repeated(
    selectllm: Command, pool_file: Path, argument: str
) -> None:
    outcome = select(selectllm, "--model", "openai/m", "--model-arg", argument)
    assert_refused(outcome, f"--model-arg '{argument.partition('=')[0]}=***'")
    assert_nowhere(KEY, outcome)


def test_the_command_to_run_names_the_variable_of_a_key(
    selectllm: Command, pool_file: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    keyed = (*at(server), "--model-arg", "api_key_env=MY_KEY")
    assert_refused(select(selectllm, *keyed, "--offline"), "--model-arg api_key_env=MY_KEY", code=5)


def test_a_key_in_a_suites_settings_is_sent_and_written_nowhere(
    selectllm: Command, pool_file: Path
) -> None:
    extra = {"extra_headers": {"x-api-key": KEY, "X-Title": "mine"}}
    with ProviderServer() as server:
        suite = write_suite(served(server, extra=extra))
        outcome = selectllm("eval", suite, "--limit", 2, "-o", "run", "--record", "pack.jsonl")
        assert server.requests[0].headers["x-api-key"] == KEY
        again = selectllm("eval", suite, "--limit", 2, "-o", "run")
        assert server.count == 2
    assert (outcome.code, again.code) == (0, 0)
    suite.unlink()  # the user's own
    assert_nowhere(KEY, outcome)
    manifest = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["manifest"]
    (model,) = manifest["models"].values()
    assert model["extra"] == {"extra_headers": {"x-api-key": "***", "X-Title": "mine"}}
