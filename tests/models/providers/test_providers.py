"""What is known of providers, and what is assumed of one that nobody knows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import api_key, endpoint, key_variable, missing_key
from selectllm.models.providers.failures import Fault, told
from selectllm.models.providers.litellm_quirks import load_litellm
from selectllm.models.providers.providers import (
    PROVIDERS,
    Provider,
    check_lists_logprobs,
    provider_of,
    takes_schema,
    tokens_to_list,
)


def spec(model_id: str) -> ModelSpec:
    return ModelSpec(name=model_id, id=model_id)


def test_a_record_stands_under_its_name_and_its_pattern_compiles() -> None:
    for name, known in PROVIDERS.items():
        assert known.name == name
        re.compile(known.takes_schema or "")


@pytest.mark.parametrize("name", [n for n, known in PROVIDERS.items() if known.needs_key])
def test_a_provider_that_needs_a_key_names_it_as_litellm_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in PROVIDERS[name].key_variables:
        monkeypatch.delenv(variable, raising=False)
    found = load_litellm().validate_environment(f"{name}/m")["missing_keys"]
    if name not in ("cohere_chat", "deepseek"):  # of these its table says nothing, its code does
        assert found
    known = set(PROVIDERS[name].key_variables)
    assert set(found) <= known
    said = missing_key(spec(f"{name}/m"), {})
    assert said is not None
    assert f"{PROVIDERS[name].key_variables[0]} " in said
    assert missing_key(spec(f"{name}/m"), {PROVIDERS[name].key_variables[-1]: "k"}) is None
    assert missing_key(replace(spec(f"{name}/m"), api_base="http://h"), {}) is None


def test_nothing_is_taken_for_granted_of_a_provider_that_nobody_knows() -> None:
    unknown = spec("some-cloud/model")
    assert provider_of(unknown) == Provider(name="some-cloud")
    assert not takes_schema(unknown)
    assert tokens_to_list(unknown) == 20
    assert endpoint(unknown, {}) is None
    assert endpoint(unknown, {"SOME_CLOUD_API_BASE": "http://h/v1/"}) == "http://h/v1"
    assert api_key(unknown, {"SOME_CLOUD_API_KEY": "k"}) == "k"
    assert key_variable(unknown) == "SOME_CLOUD_API_KEY"


@pytest.mark.parametrize(
    ("model_id", "kind", "hint"),
    [
        ("ollama_chat/m", "model", "Try: ollama pull m"),
        ("ollama/m", "unreachable", "Start it with: ollama serve, or correct api_base."),
        ("hosted_vllm/m", "unreachable", "Start it with: vllm serve m, or correct api_base."),
        ("some-cloud/m", "unreachable", "Start the server that should listen there, or correct"),
        ("some-cloud/m", "model", "Check the model's id"),
    ],
)
def test_a_failure_says_what_to_do_about_this_provider(model_id: str, kind: str, hint: str) -> None:
    assert hint in str(told(Fault(kind, ""), spec(model_id), "http://localhost:1", ()))


def test_a_new_provider_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Provider(name="new", key=("NEW_TOKEN",), takes_schema="good-", most_logprobs=5)
    monkeypatch.setattr("selectllm.models.providers.providers.PROVIDERS", {"new": record})
    assert takes_schema(spec("new/good-1"))
    assert not takes_schema(spec("new/other"))
    assert tokens_to_list(spec("new/good-1")) == 5
    assert key_variable(spec("new/good-1")) == "NEW_TOKEN"


MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}


@pytest.mark.filterwarnings("ignore:Item.*ReadOnly:UserWarning")  # litellm's own, by pydantic
def test_a_provider_is_said_to_list_no_log_probabilities_where_litellm_asks_it_for_none() -> None:
    for name in (n for n, known in PROVIDERS.items() if known.way == "network"):
        model = MODELS.get(name, "gemini-2.5-flash" if name.startswith("vertex") else "some-model")
        taken = load_litellm().get_supported_openai_params(model, custom_llm_provider=name)
        assert PROVIDERS[name].lists_logprobs == ("top_logprobs" in (taken or ())), name


def test_litellm_can_be_told_to_ask_for_log_probabilities_all_the_same() -> None:
    known = spec("mistral/m")
    with pytest.raises(ModelError, match="x@1 needs log-probabilities"):
        check_lists_logprobs(known, "x@1")
    told = {"allowed_openai_params": ["logprobs", "top_logprobs"]}
    check_lists_logprobs(replace(known, extra=told), "x@1")
