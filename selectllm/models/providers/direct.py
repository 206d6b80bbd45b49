"""Models behind OpenAI's API, asked without litellm: one POST through a pooled aiohttp client.

The bodies are litellm's byte for byte (openai_body.py), so that both ways share one cache; replies
and errors are read by the same tables. The headers that tell a server of its client differ: the
user agent, and those in which OpenAI's SDK describes itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import Answered, read_heard
from selectllm.models.providers.client import Client, fault_of, raised
from selectllm.models.providers.endpoint import api_key, base_url, missing_key
from selectllm.models.providers.failures import NOT_JSON, Fault, refused
from selectllm.models.providers.openai_body import body_of, check_direct
from selectllm.models.providers.outcome import Outcomes, check_settings
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.reasoning import with_reasoning

OPENAI = "https://api.openai.com/v1"


class DirectModel:
    """A model behind OpenAI's API. One call per `complete`, as of LiteLLMModel.

    `environment`: where keys and base URLs are looked up. `lists_logprobs`: it is known to list
    log-probabilities; else its first reply shows. Raises ModelError for a name or setting that
    cannot work, and for what only litellm can ask.
    """

    def __init__(
        self, spec: ModelSpec, *, environment: Mapping[str, str], lists_logprobs: bool = False
    ) -> None:
        check_settings(spec)
        check_direct(spec)
        self._spec = spec = with_reasoning(spec)
        self._outcomes = Outcomes(spec, environment, lists_logprobs)
        self._lacking = missing_key(spec, environment)
        self._url = (
            f"{(base_url(spec, environment) or OPENAI).strip().rstrip('/')}/chat/completions"
        )
        self._headers = headers_of(spec, api_key(spec, environment))
        self._client = Client()

    async def complete(self, request: Request) -> Reply:
        """The model's reply to one call; as LiteLLMModel's, it raises ProviderError and ModelError.

        The time-out of the model counts from the start of the connection to the last byte.
        """
        if self._lacking is not None:
            raise ModelError(self._lacking)
        started = time.perf_counter()
        outcome = await self._attempt(request)
        told = self._outcomes.told(request, outcome, time.perf_counter() - started)
        if isinstance(told, ProviderError):
            raise told
        return told

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, request: Request) -> Answered | Fault:
        """What came of one call."""
        body = body_of(self._spec, request)
        if isinstance(body, Fault):
            return body
        try:
            async with asyncio.timeout(self._spec.timeout):
                heard = await self._client.send("POST", self._url, self._headers, body)
        except raised() as error:
            return fault_of(error)
        if isinstance(heard, Fault):
            return heard
        if heard.status_code >= 300:
            return refused(heard)
        return read_heard([heard]) or Fault("broken", NOT_JSON, 200)


def headers_of(spec: ModelSpec, key: str | None) -> Mapping[str, str]:
    """The headers of every call; those under `extra` go over ours, in whatever case."""
    ours = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"selectllm/{version('selectllm')}",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Bearer {key or 'fake-api-key'}",
    }
    extra: Mapping[str, Any] = {
        **(spec.extra.get("headers") or {}),
        **(spec.extra.get("extra_headers") or {}),
    }
    given = {str(name).title(): str(value) for name, value in extra.items()}
    if provider_of(spec).direct == "vllm":  # where litellm puts its own log-in over any other
        given.pop("Authorization", None)
    return {**ours, **given}
