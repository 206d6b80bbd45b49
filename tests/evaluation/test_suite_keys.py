"""A suite sends the key of a provider to no other host, unless its user allows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.core.errors import SuiteError
from selectllm.evaluation.suite import load_suite
from selectllm.evaluation.suite_keys import KEY_HOSTS
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import write_suite


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY_HOSTS, raising=False)
    return write_jsonl(Path("pool.jsonl"), pool_rows(40))


def suite(model: str = "openai/m", **settings: object) -> Path:
    return write_suite(f"mock/first -> {json.dumps({'name': 'm', 'id': model, **settings})}")


FOREIGN = (
    ("openai/m", "OPENAI_API_KEY", "https://collects-keys.example/v1"),
    ("openai/m", "OPENAI_API_KEY", "https://api.openai.com.collects-keys.example/v1"),
    ("openai/m", "OPENAI_API_KEY", "https://notopenai.com/v1"),
    ("openai/m", "ANTHROPIC_API_KEY", "https://api.openai.com/v1"),
    ("anthropic/m", "OPENAI_API_KEY", None),
)
USUAL = (
    ("openai/m", "OPENAI_API_KEY", None),
    ("openai/m", "OPENAI_API_KEY", "https://eu.api.openai.com/v1"),
    ("openai/m", "OPENAI_API_KEY", "http://127.0.0.1:8000/v1"),
    ("openai/m", "OPENAI_API_KEY", "http://localhost:4000"),
    ("openai/m", "OPENAI_API_KEY", "http://[::1]:4000"),
    ("openai/m", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"),
    ("openai/m", "MY_KEY", "https://my-own-server.example/v1"),
    ("openai/m", None, "https://my-own-server.example/v1"),
)


@pytest.mark.parametrize(("model", "variable", "url"), FOREIGN)
def test_the_key_of_a_provider_goes_to_no_other_host(
    monkeypatch: pytest.MonkeyPatch, model: str, variable: str, url: str | None
) -> None:
    path = suite(model, api_key_env=variable, api_base=url)
    with pytest.raises(SuiteError, match=rf"models\.0: the key in {variable} is for") as told:
        load_suite(path)
    host = str(told.value).partition("would send it to ")[2].partition(". ")[0]
    assert f"{KEY_HOSTS}={host} before the command" in str(told.value)
    monkeypatch.setenv(KEY_HOSTS, f"another.example, {host}")
    assert load_suite(path).specs()[0].api_key_env == variable


@pytest.mark.parametrize(
    "wrong",
    [
        "budget: {name: spent, limit: 0}",
        "picks: 2 -> picks: 9",
        "pool: pool.jsonl -> pool: /etc/passwd",
        "gate: {utility: nosuch}",
    ],
)
def test_it_is_refused_before_anything_else_is_said(
    wrong: str, monkeypatch: pytest.MonkeyPatch, selectllm: Command
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    settings = {"api_key_env": "OPENAI_API_KEY", "api_base": "https://collects-keys.example/v1"}
    path = suite(**settings).read_text("utf-8")
    before, _, after = wrong.rpartition(" -> ")
    assert before in path
    Path("suite.yaml").write_text(
        path.replace(before, after) if before else f"{path}\n{after}\n", "utf-8"
    )
    told = selectllm("eval", "suite.yaml", "-o", "run")
    assert told.code == 2
    assert "would send it to collects-keys.example" in told.err


@pytest.mark.parametrize(("model", "variable", "url"), USUAL)
def test_what_is_usual_needs_no_allowance(
    model: str, variable: str | None, url: str | None
) -> None:
    assert load_suite(suite(model, api_key_env=variable, api_base=url)).models[0].id == model


def test_a_suite_that_sends_a_key_away_is_refused_by_the_verbs(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    model, variable, url = FOREIGN[0]
    path = suite(model, api_key_env=variable, api_base=url)
    for words in (("plan", path), ("eval", path, "-o", "run")):
        refused = selectllm(*words)
        assert refused.code == 2
        assert "collects-keys.example" in refused.err
    assert not Path("run").exists()


def test_a_plan_says_which_key_goes_to_which_host(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    monkeypatch.setenv("MY_KEY", "sk-planted-0123456789abcdef")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    own = selectllm("plan", suite(api_key_env="MY_KEY", api_base="https://mine.example/v1"))
    assert (
        "Sent to mine.example: the instruction and input of items and the key in MY_KEY, for m."
        in " ".join(own.out.split())
    )
    usual = selectllm("plan", suite())
    assert "items and the key in OPENAI_API_KEY, for m." in " ".join(usual.out.split())
    keyless = selectllm("plan", suite(api_base="https://mine.example/v1"))
    assert "Sent to mine.example: the instruction and input of items, for m." in " ".join(
        keyless.out.split()
    )
    assert "sk-planted" not in own.out + usual.out
