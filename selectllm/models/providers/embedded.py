"""A `local/` model: the embedded engine, reached like any other server with OpenAI's API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers import embedded_server
from selectllm.models.providers.direct import DirectModel
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.providers import PROVIDERS

LOCAL_SLOTS = PROVIDERS["local"].slots or 1


class EmbeddedModel:
    """A `local/` model: the embedded engine, reached like any other server with OpenAI's API.

    litellm is in between only where the entry's `transport` says so. The engine starts with the
    first request and ends with the process.
    """

    def __init__(self, spec: ModelSpec, environment: Mapping[str, str]) -> None:
        self._spec = spec
        self._name = spec.id.removeprefix("local/")
        self._environment = environment
        self._slots = asyncio.Semaphore(LOCAL_SLOTS)
        self._inner: LiteLLMModel | DirectModel | None = None

    async def complete(self, request: Request) -> Reply:
        """The embedded engine's reply; it costs 0."""
        async with self._slots:
            if self._inner is None:
                server = await asyncio.to_thread(
                    embedded_server.start, self._name, slots=LOCAL_SLOTS
                )
                reached = replace(self._spec, id=f"openai/{self._name}", api_base=server.base_url)
                through = LiteLLMModel if self._spec.transport == "litellm" else DirectModel
                self._inner = through(reached, environment=self._environment, lists_logprobs=True)
            reply = await self._inner.complete(request)
        return replace(reply, cost_usd=0.0)

    async def close(self) -> None:
        """Close the connection; the engine goes with the process."""
        if self._inner is not None:
            await self._inner.close()
