"""One call to a test provider, through litellm or not, and the keys that it must not give away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.models.providers.direct import DirectModel
from selectllm.models.providers.litellm import LiteLLMModel
from tests.support.provider_server import ProviderServer

KEY = "sk-secret-0123456789abcdef"
SYSTEM = Message(role="system", content="Pick two.")
USER = Message(role="user", content="[1] a\n[2] b\n[3] c")

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
    "deepseek": "/v1",
    "openrouter": "/v1",
    "xai": "/v1",
    "ollama": "",
}
PROVIDER_KEYS = {
    name: f"real-{name.lower()}-0123456789"
    for name in (
        "OPENAI_API_KEY HOSTED_VLLM_API_KEY OLLAMA_API_KEY ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN "
        "GEMINI_API_KEY GOOGLE_API_KEY MISTRAL_API_KEY MISTRAL_AZURE_API_KEY GROQ_API_KEY "
        "DEEPSEEK_API_KEY OPENROUTER_API_KEY XAI_API_KEY "
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
    direct: bool = False,
    **fields: Any,
) -> Reply:
    """One call on a loop of its own."""

    async def once() -> Reply:
        model: Model = (
            DirectModel(spec, environment=environment or {})
            if direct
            else LiteLLMModel(spec, environment=environment or {}, num_ctx=num_ctx)
        )
        try:
            return await model.complete(request(spec, **fields))
        finally:
            await model.close()

    return asyncio.run(once())


def failure(
    spec: ModelSpec, environment: Mapping[str, str] | None = None, direct: bool = False
) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(spec, environment, direct=direct)
    return caught.value


def load_litellm() -> None:
    """Have the lazy parts of litellm loaded, which a short time-out would not allow for."""
    with ProviderServer() as server:
        for model_id in ("openai/m", "hosted_vllm/m"):
            ask(at(server, model_id, timeout=120.0))
