"""Who is going to see what of a pool is told before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.evaluation.planning.destinations import destinations
from selectllm.evaluation.planning.schema import destinations_told
from selectllm.models.model import ModelSpec
from selectllm.models.providers.hosts import HOSTS, host_of
from selectllm.models.providers.litellm_quirks import load_litellm
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.item_scorer import Ahead
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import BODY, HEAD, RATED, put_prompt, write_suite
from tests.support.provider_server import ProviderServer


@pytest.mark.parametrize(
    ("model_id", "settings", "environment", "host"),
    [
        ("openai/gpt-4o", {}, {}, "api.openai.com"),
        ("openai/m", {"api_base": "http://127.0.0.1:8000/v1"}, {}, "127.0.0.1:8000"),
        ("openai/m", {}, {"OPENAI_BASE_URL": "https://proxy.example/v1"}, "proxy.example"),
        ("ollama_chat/m", {}, {}, "localhost:11434"),
        ("bedrock/m", {}, {}, "the servers of bedrock"),
        ("python/mine:Model", {}, {}, "your own code python/mine:Model"),
        ("local/smollm2-135m", {}, {}, None),
        ("mock/first", {}, {}, None),
    ],
)
def test_the_host_is_where_the_calls_go(
    model_id: str, settings: dict[str, str], environment: dict[str, str], host: str | None
) -> None:
    spec = ModelSpec(name="m", id=model_id, **settings)  # type: ignore[arg-type]
    assert host_of(spec, environment) == host


@pytest.mark.parametrize("provider", sorted(HOSTS))
def test_known_hosts_are_those_that_litellm_asks(provider: str) -> None:
    litellm = load_litellm()
    base = litellm.get_llm_provider(f"{provider}/m", api_key="none")[3]
    assert base is None or HOSTS[provider] in base


def test_each_host_is_named_once_with_its_models_and_columns() -> None:
    prompt = PromptLibrary().load("criteria@1")
    specs = [ModelSpec(name=name, id=f"openai/{name}") for name in ("a", "b")]
    mock = ModelSpec(name="c", id="mock/first")
    found = destinations([(prompt, spec) for spec in (*specs, mock)], [Ahead(specs[0])], {})
    assert [each.host for each in found] == ["api.openai.com"]
    assert found[0].models == ("a", "b")
    assert set(found[0].columns) == {"instruction", "input"}
    assert destinations_told(found) == (
        "Sent to api.openai.com: the instruction and input of items and the key in OPENAI_API_KEY, "
        "for a, b."
    )
    assert destinations_told(destinations([(prompt, mock)], [], {})) == (
        "No text of the pool leaves this machine."
    )


OWN = """
from selectllm import Strategy

LAST = Strategy("last", lambda candidates, n: range(len(candidates.items))[-n:])
"""


def test_code_of_the_users_is_named_as_one_that_sees_whole_items(
    selectllm: Command, pool_file: Path
) -> None:
    Path("own.py").write_text(OWN, encoding="utf-8")
    told = selectllm("select", pool_file, "--budget", 3, "--strategy", "own:LAST", "--dry-run")
    assert (
        "Sent to your own code own:LAST: the instruction, input, response and other columns of "
        "items, for strategy:own:LAST."
    ) in told.out
    suite = write_suite(RATED, "strategies: ['own:LAST', longest]")
    assert "Sent to your own code own:LAST" in " ".join(selectllm("plan", suite).out.split())


def test_a_search_and_a_calibration_say_who_sees_what_before_they_ask(
    selectllm: Command, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.root.partition("//")[2]
    monkeypatch.setenv("MY_KEY", "sk-planted-0123456789abcdef")
    model = {"name": "m", "id": "openai/m", "api_base": server.base_url, "api_key_env": "MY_KEY"}
    front = HEAD.replace("labels:", "variables:\n  brief: [true, false]\nlabels:")
    put_prompt("mine@1", front + BODY.replace("Pick", "{% if brief %}Be brief. {% endif %}Pick"))
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    write_jsonl(Path("pool.jsonl"), pool_rows(300))
    suite = write_suite(
        RATED, f"mock/first -> {json.dumps(model)}", "short@1 -> mine@1", "picks: 2 -> picks: 1"
    )
    seen = f"Sent to {host}: the instruction of items and the key in MY_KEY, for m."
    searched = selectllm("optimize", suite, "--grid", "--max-requests", 0)
    assert searched.code == 4, searched.err
    assert seen in searched.err
    judged = ("--human", "rating", "--judge", "rating:quality@1+m")
    calibrated = selectllm("utility", "calibrate", suite, *judged, "--max-requests", 0)
    assert calibrated.code == 4, calibrated.err
    assert f"Sent to {host}: the instruction and input of items and the key in" in calibrated.err
    assert server.count == 0
