"""Which host a model's calls go to, for people who have to know before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import endpoint
from selectllm.models.providers.providers import provider_of

HOSTS: Mapping[str, str] = {
    "openai": "api.openai.com",
    "text-completion-openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "anthropic_text": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
    "mistral": "api.mistral.ai",
    "xai": "api.x.ai",
    "groq": "api.groq.com",
    "deepseek": "api.deepseek.com",
    "openrouter": "openrouter.ai",
    "together_ai": "api.together.ai",
    "fireworks_ai": "api.fireworks.ai",
    "perplexity": "api.perplexity.ai",
    "cerebras": "api.cerebras.ai",
    "deepinfra": "api.deepinfra.com",
    "moonshot": "api.moonshot.ai",
    "nvidia_nim": "integrate.api.nvidia.com",
}
"""Where these providers are asked unless told otherwise (litellm 1.106.2)."""


def host_of(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The host that sees the prompts of `spec`, with its port; None if none does.

    Of a provider whose host is not known here, and of code of the user's, it says so in words.
    Raises ModelError as `endpoint` does.
    """
    if provider_of(spec).way in ("embedded", "scripted"):
        return None
    if provider_of(spec).way == "own":
        return f"your own code {spec.id}"
    url = endpoint(spec, environment)
    if url is not None:
        return urlsplit(url).netloc
    known = HOSTS.get(spec.provider) or provider_of(spec).default_endpoint
    if known is None:
        return f"the servers of {spec.provider}"
    return urlsplit(known).netloc or known
