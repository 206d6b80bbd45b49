"""Who is going to see what of a pool is told before anything is sent."""

from __future__ import annotations

import pytest

from selectllm.evaluation.planning.destinations import destinations
from selectllm.evaluation.planning.schema import destinations_told
from selectllm.models.model import ModelSpec
from selectllm.models.providers.hosts import HOSTS, host_of
from selectllm.models.providers.litellm_quirks import load_litellm
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.item_scorer import Ahead


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
        "api.openai.com is sent the instruction and input of items and the key in OPENAI_API_KEY, "
        "for a, b."
    )
    assert destinations_told(destinations([(prompt, mock)], [], {})) == (
        "No text of the pool leaves this machine."
    )
