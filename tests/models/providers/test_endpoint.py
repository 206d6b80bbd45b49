"""Where calls go, which key they carry, and what is never sent or shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import (
    NO_KEY,
    api_key,
    base_url,
    check_model_id,
    endpoint,
    key_variable,
    normalise,
    secrets,
)
from selectllm.models.providers.providers import takes_schema
from selectllm.models.secrets import scrub

KEY = "sk-0123456789abcdef"


def spec(model_id: str, **fields: Any) -> ModelSpec:
    return ModelSpec(name="m", id=model_id, **fields)


@pytest.mark.parametrize(
    "model_id",
    ["openai/gpt-4o-mini", "ollama_chat/llama3.1:8b", "openrouter/meta-llama/llama-3-8b",
     "text-completion-openai/x", "mock/reply:[1, 2]", "local/smollm2-135m"],
)  # fmt: skip
def test_an_id_of_provider_and_model_is_accepted(model_id: str) -> None:
    check_model_id(model_id)


def test_a_bare_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ModelError, match=r"'gpt-4o' names no provider.*openai/gpt-4o"):
        check_model_id("gpt-4o")


@pytest.mark.parametrize("model_id", ["openai/", "/gpt-4o", " /x", "open ai/x", "openai/ "])
def test_an_id_with_an_empty_half_is_refused(model_id: str) -> None:
    with pytest.raises(ModelError, match="provider/model"):
        check_model_id(model_id)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        ("HTTP://LocalHost:11434/", "http://localhost:11434"),
        ("https://API.example.com:443/v1/", "https://api.example.com/v1"),
        ("http://example.com:80/V1", "http://example.com/V1"),
        ("https://example.com:80/v1", "https://example.com:80/v1"),
        ("https://user:secret@example.com/v1", "https://example.com/v1"),
        ("https://example.com/v1?api-version=2024#top", "https://example.com/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("  http://example.com ", "http://example.com"),
    ],
)
def test_one_endpoint_has_one_spelling(url: str, expected: str) -> None:
    assert normalise(url) == expected


@given(
    scheme=st.sampled_from(["http", "https", "HTTP"]),
    host=st.from_regex(r"[a-zA-Z][a-zA-Z0-9]{0,10}(\.[a-z]{2,5})?", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
    path=st.from_regex(r"(/[a-zA-Z0-9]{1,5}){0,3}/?", fullmatch=True),
)
def test_normalising_twice_changes_nothing(
    scheme: str, host: str, port: int | None, path: str
) -> None:
    once = normalise(f"{scheme}://{host}{'' if port is None else f':{port}'}{path}")
    assert normalise(once) == once
    assert not once.endswith("/")


@pytest.mark.parametrize(
    "url", ["", "localhost:11434", "ftp://example.com", "http://", "http://a:99999", "http://[::1",
            "http://exa mple.com", "not a url"]
)  # fmt: skip
def test_what_is_no_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ModelError, match="Write it like http://localhost:11434"):
        normalise(url)


def test_a_bad_url_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ModelError) as caught:
        normalise("ftp://user:hunter2hunter2@example.com")
    assert "hunter2" not in str(caught.value)


def test_api_base_goes_before_the_providers_variables() -> None:
    there = spec("openai/m", api_base="http://localhost:8000/v1/")
    environment = {"OPENAI_BASE_URL": "https://elsewhere.example"}
    assert endpoint(there, environment) == "http://localhost:8000/v1"
    assert base_url(there, environment) == "http://localhost:8000/v1/"


@pytest.mark.parametrize(
    ("model_id", "variables"),
    [
        ("openai/m", ["OPENAI_BASE_URL", "OPENAI_API_BASE"]),
        ("anthropic/m", ["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"]),
        ("azure/m", ["AZURE_API_BASE"]),
        ("ollama/m", ["OLLAMA_API_BASE"]),
        ("ollama_chat/m", ["OLLAMA_API_BASE"]),
        ("hosted_vllm/m", ["HOSTED_VLLM_API_BASE"]),
        ("groq/m", ["GROQ_API_BASE"]),
        ("mistral/m", ["MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"]),
        ("gemini/m", ["GEMINI_API_BASE"]),
        ("openrouter/m", ["OPENROUTER_API_BASE"]),
        ("together_ai/m", ["TOGETHER_AI_API_BASE"]),
        ("deepseek/m", ["DEEPSEEK_API_BASE"]),
        ("xai/m", ["XAI_API_BASE"]),
        ("lm_studio/m", ["LM_STUDIO_API_BASE"]),
        ("llamafile/m", ["LLAMAFILE_API_BASE"]),
        ("fireworks_ai/m", ["FIREWORKS_API_BASE"]),
    ],
)
def test_the_providers_variables_are_read_in_litellms_order(
    model_id: str, variables: list[str]
) -> None:
    environment = {name: f"http://host{rank}" for rank, name in enumerate(variables)}
    for rank, name in enumerate(variables):
        assert endpoint(spec(model_id), environment) == f"http://host{rank}"
        del environment[name]


def test_without_any_url_the_provider_has_its_default() -> None:
    assert endpoint(spec("openai/gpt-4o"), {}) is None
    assert endpoint(spec("mock/first"), {"MOCK_API_BASE": "http://x"}) is None


def test_an_empty_variable_counts_as_not_set() -> None:
    assert endpoint(spec("openai/gpt-4o"), {"OPENAI_BASE_URL": ""}) is None


@pytest.mark.parametrize("provider", ["hosted_vllm", "lm_studio"])
def test_a_self_hosted_provider_without_a_url_is_refused(provider: str) -> None:
    with pytest.raises(ModelError, match=rf"api_base or {provider.upper()}_API_BASE"):
        endpoint(spec(f"{provider}/m"), {})


def test_a_url_with_a_password_is_not_called() -> None:
    there = spec("openai/m", api_base="http://user:hunter2hunter2@localhost/v1")
    assert endpoint(there, {}) == "http://localhost/v1"
    with pytest.raises(ModelError, match="api_key_env") as caught:
        base_url(there, {})
    assert "hunter2" not in str(caught.value)


def test_no_provider_key_goes_to_an_api_base() -> None:
    there = spec("openai/m", api_base="http://localhost:8000/v1")
    assert api_key(there, {"OPENAI_API_KEY": KEY}) == NO_KEY


def test_a_key_goes_to_an_api_base_when_its_variable_is_named() -> None:
    there = spec("openai/m", api_base="http://localhost:8000/v1", api_key_env="MY_KEY")
    assert api_key(there, {"OPENAI_API_KEY": "another-key", "MY_KEY": KEY}) == KEY


@pytest.mark.parametrize("api_base", [None, "http://localhost:8000/v1"])
@pytest.mark.parametrize("environment", [{}, {"MY_KEY": ""}])
def test_a_named_variable_that_is_not_set_is_named(
    api_base: str | None, environment: dict[str, str]
) -> None:
    with pytest.raises(ModelError, match=r"MY_KEY, which is not set") as caught:
        api_key(spec("openai/m", api_base=api_base, api_key_env="MY_KEY"), environment)
    assert caught.value.exit_code == 2


def test_without_api_base_the_providers_own_key_is_found() -> None:
    assert api_key(spec("openai/gpt-4o"), {"OPENAI_API_KEY": KEY}) == KEY
    assert api_key(spec("gemini/gemini-2.5-pro"), {"GOOGLE_API_KEY": KEY}) == KEY
    assert api_key(spec("openai/gpt-4o"), {"GROQ_API_KEY": KEY}) is None


@pytest.mark.parametrize("provider", ["vertex_ai", "gigachat", "watsonx"])
def test_a_provider_that_would_send_the_machines_token_is_kept_from_an_api_base(
    provider: str,
) -> None:
    there = spec(f"{provider}/m", api_base="http://localhost:8000")
    with pytest.raises(ModelError, match="api_key_env"):
        api_key(there, {})


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        (spec("openai/gpt-4o"), "OPENAI_API_KEY"),
        (spec("openai/gpt-4o", api_key_env="MINE"), "MINE"),
        (spec("groq/llama"), "GROQ_API_KEY"),
        (spec("vertex_ai/m"), "VERTEX_AI_API_KEY"),
    ],
)
def test_the_expected_variable_has_a_name(model: ModelSpec, variable: str) -> None:
    assert key_variable(model) == variable


def test_secrets_are_the_keys_of_the_environment_longest_first() -> None:
    environment = {
        "OPENAI_API_KEY": KEY,
        "HF_TOKEN": "hf_1234567890",
        "AWS_SECRET": "0123456789",
        "some_key": "lower-case-names-too",
        "DEBUG_KEY": "1",  # too short to be a secret
        "PATH": "/usr/bin:/bin",
        "KEYBOARD": "qwertyuiop",
    }
    found = secrets(spec("openai/m"), environment)
    assert found == ("lower-case-names-too", KEY, "hf_1234567890", "0123456789")


def test_a_named_key_is_a_secret_however_short_it_is() -> None:
    assert secrets(spec("openai/m", api_key_env="PASS"), {"PASS": "abc"}) == ("abc",)


def test_user_info_of_the_url_is_secret() -> None:
    found = secrets(spec("openai/m", api_base="http://me:p%40ssword@localhost/v1"), {})
    assert set(found) == {"me:p%40ssword", "p%40ssword", "p@ssword"}


def test_scrubbing_leaves_nothing_of_a_key_that_another_is_part_of() -> None:
    longer = KEY + "-extended"
    environment = {"A_KEY": KEY, "B_KEY": longer}
    hidden = secrets(spec("openai/m"), environment)
    assert scrub(f"got {longer} and {KEY}", hidden) == "got *** and ***"


@pytest.mark.parametrize(
    "model_id",
    ["openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4o-2024-08-06", "openai/gpt-4.1-nano",
     "openai/gpt-5-mini", "openai/gpt-6-luna", "openai/o1", "openai/o3-mini", "openai/o4-mini",
     "openai/ft:gpt-4o-mini-2024-07-18:org::id", "gemini/gemini-2.5-flash", "ollama/llama3",
     "ollama_chat/llama3.1:8b", "hosted_vllm/any", "lm_studio/any", "local/smollm2-135m",
     "mistral/mistral-small-latest", "xai/grok-4.5", "groq/openai/gpt-oss-20b",
     "anthropic/claude-sonnet-4-5", "anthropic/claude-opus-5"],
)  # fmt: skip
def test_a_schema_is_sent_where_it_is_known_to_be_taken(model_id: str) -> None:
    assert takes_schema(spec(model_id))


@pytest.mark.parametrize(
    "model_id",
    ["openai/gpt-3.5-turbo", "openai/gpt-3.5-turbo-0125", "openai/gpt-4", "openai/gpt-4-turbo",
     "openai/gpt-4-0613", "openai/gpt-4o-2024-05-13", "openai/gpt-4o-audio-preview",
     "openai/o1-mini", "openai/o1-preview", "openai/chatgpt-4o-latest", "openai/my-own-model",
     "azure/gpt-4o", "anthropic/claude-3-haiku-20240307", "groq/llama-3.3-70b-versatile",
     "deepseek/deepseek-chat", "openrouter/openai/gpt-4o", "mistral/codestral-mamba-latest",
     "unheard_of/model"],
)  # fmt: skip
def test_no_schema_is_sent_where_it_is_not(model_id: str) -> None:
    assert not takes_schema(spec(model_id))


def test_the_entry_overrides_what_is_known() -> None:
    assert takes_schema(spec("openai/my-own-model", structured=True))
    assert not takes_schema(spec("openai/gpt-4o", structured=False))


def test_an_unknown_server_behind_openai_is_told_by_its_models_name() -> None:
    assert not takes_schema(spec("openai/llama", api_base="http://localhost:8000/v1"))
    assert takes_schema(spec("openai/gpt-4o-mini", api_base="http://localhost:8000/v1"))


@pytest.mark.parametrize("value", ["sk-0123456789abcdef", "hf_0a1b2c3d4e5f6a7b8c9d", "my key"])
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ModelError, match="api_key_env holds no name of a variable") as caught:
        api_key(spec("openai/m", api_key_env=value), {})
    assert value not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"\t{KEY}", f"{KEY}\x00", f"{KEY}é", f"{KEY}\r\nX: 1"])
@pytest.mark.parametrize("named", [None, "MY_KEY"])
def test_a_key_that_no_header_can_carry_is_refused_with_its_variable(
    key: str, named: str | None
) -> None:
    variable = named or "OPENAI_API_KEY"
    with pytest.raises(ModelError, match=f"the key in {variable} ") as caught:
        api_key(spec("openai/m", api_key_env=named), {variable: key})
    assert KEY not in str(caught.value)


def test_secrets_are_found_in_extra_and_in_the_path_of_the_url() -> None:
    there = spec(
        "openai/m",
        api_base="https://gate.example/0a1b2c3d4e5f6a7b8c9d/v1",
        extra={"extra_headers": {"Authorization": "Bearer abcdefghij", "X-Title": "mine-to-show"}},
    )
    assert secrets(there, {}) == ("0a1b2c3d4e5f6a7b8c9d", "Bearer abcdefghij", "abcdefghij")
