"""Models of every provider, through litellm (see litellm_quirks.py).

Nothing of litellm leaves this file. Its exceptions may hold the key (a provider that refuses a
key likes to repeat it), and their classes do not tell a refused connection from a server error.
So every failure is diagnosed by HTTP status and cause, and told anew with every key masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import read_heard, read_response
from selectllm.models.providers.endpoint import api_key, base_url, missing_key
from selectllm.models.providers.failures import diagnose
from selectllm.models.providers.litellm_quirks import (
    OLLAMA_SERVERS,
    QUIET,
    ServerFailedError,
    close_clients,
    load_litellm,
    ours,
)
from selectllm.models.providers.outcome import Outcomes, check_settings
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.reasoning import with_reasoning

PREPARING = 60.0  # seconds that litellm may take before it sends a call


class LiteLLMModel:
    """A provider's model. One call per `complete`: no retries, no cache, no limit on calls.

    `environment`: where keys and base URLs are looked up. `num_ctx`: the context that Ollama is
    told to make room for, tokens; other providers ignore it. `lists_logprobs`: it is known to list
    log-probabilities; else its first reply shows. Raises ModelError for a name or
    setting that cannot work; litellm is imported with the first request.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        environment: Mapping[str, str],
        num_ctx: int | None = None,
        lists_logprobs: bool = False,
    ) -> None:
        check_settings(spec)
        self._spec = spec = with_reasoning(spec)
        self._outcomes = Outcomes(spec, environment, lists_logprobs)
        self._lacking = missing_key(spec, environment)
        self._settings = _settings(
            spec, base_url(spec, environment), api_key(spec, environment), num_ctx
        )
        self._takes_seed: bool | None = None  # known once litellm is loaded

    async def complete(self, request: Request) -> Reply:
        """The model's reply to one call.

        A prompt that does not fit the model's context is a reply with finish reason `too_long`,
        and one that the provider's filter stopped is `refused`. Raises ProviderError, with what
        was billed where a reply came back that cannot be used, and ModelError without a key.
        """
        if self._lacking is not None:
            raise ModelError(self._lacking)
        outcome = await self._attempt(request)
        if isinstance(outcome, ProviderError):
            raise outcome  # here, where neither litellm's exception nor the key is in reach
        return outcome

    async def written(self, request: Request) -> WrittenCall:
        """What `complete` would send; nothing is sent.

        Raises ProviderError where litellm refuses the call.
        """
        outcome = await self._written(request)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Close the connections; with the last open model, the clients that they shared."""
        if self not in _OPEN:
            return
        _OPEN.discard(self)
        if not _OPEN:
            await close_clients()

    async def _attempt(self, request: Request) -> Reply | ProviderError:
        """What came of one call, without any key in it."""
        started = time.perf_counter()
        heard: list[Any] = []
        limit = _Limit(self._spec.timeout)
        try:
            with QUIET, ours(heard, limit.sent):
                litellm = self._load()
                call = self._call(request)
                started = time.perf_counter()
                async with limit.begun():
                    response = await litellm.acompletion(**call)
                outcome = read_response(response, heard)
        except (ServerFailedError, Exception) as error:  # providers, SDKs raise what they like
            outcome = read_heard(heard) or diagnose(error, heard)
        return self._outcomes.told(request, outcome, time.perf_counter() - started)

    async def _written(self, request: Request) -> WrittenCall | ProviderError:
        kept: list[WrittenCall] = []

        def keep(sent: Any) -> None:
            kept.append(WrittenCall(bytes(sent.content), dict(sent.headers)))
            raise _NotSentError

        try:
            with QUIET, ours([], keep):
                await self._load().acompletion(**self._call(request))
        except Exception as error:
            if not kept:
                fault = diagnose(error)
                told = self._outcomes.told(request, replace(fault, kind="setting"), 0.0)
                assert isinstance(told, ProviderError)  # of this kind it is never a reply
                return told
        return kept[0]

    def _load(self) -> Any:
        litellm = load_litellm()
        if self._takes_seed is None:
            provider, _, name = self._spec.id.partition("/")
            known = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider)
            self._takes_seed = "seed" in (known or ())
            if provider_of(self._spec).needs_num_ctx:
                OLLAMA_SERVERS.add(self._settings.get("api_base", ""))
            _OPEN.add(self)
        return litellm

    def _call(self, request: Request) -> dict[str, Any]:
        """The arguments of litellm's `acompletion`."""
        call = {
            **self._settings,
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
        }
        if self._takes_seed:
            call["seed"] = request.seed
        if request.schema is not None:
            # Not strict: OpenAI's strict mode refuses schemas that leave any key optional or open.
            schema = {"name": "reply", "schema": dict(request.schema), "strict": False}
            call["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.grammar is not None:
            call["extra_body"] = {**call.get("extra_body", {}), "grammar": request.grammar}
        if request.top_logprobs is not None:
            call |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        return call


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as litellm writes it: the body, and the headers by their lower-case names."""

    body: bytes
    headers: Mapping[str, str]


class _NotSentError(Exception):
    """A call was written, and is not to be sent."""


class _Limit:
    """The time-out of one call, `seconds` from when it is sent.

    litellm's own restarts with every byte; this one does not. Before that litellm prepares the call
    in a thread, where it loads much of itself the first time: that is no fault of the provider, and
    litellm loses what it has prepared if it is ended meanwhile. So this is waited for longer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout: asyncio.Timeout | None = None

    def begun(self) -> asyncio.Timeout:
        """The context in which the call is made."""
        self._timeout = timeout = asyncio.timeout(self._seconds + PREPARING)
        return timeout

    def sent(self, request: Any) -> None:
        """The time counts from now; a redirect does not give more."""
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


# Models that have been asked and not closed: they share litellm's HTTP clients.
_OPEN: weakref.WeakSet[LiteLLMModel] = weakref.WeakSet()


def _settings(
    spec: ModelSpec, url: str | None, key: str | None, num_ctx: int | None
) -> dict[str, Any]:
    """The arguments of `acompletion` that are the same in every call."""
    optional = {
        "api_base": url,
        "api_key": key,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "top_k": spec.top_k,
        "stop": list(spec.stop) or None,
        "reasoning_effort": spec.reasoning_effort,
        "num_ctx": num_ctx if provider_of(spec).needs_num_ctx else None,
    }
    return {
        "model": spec.id,
        "timeout": spec.timeout,
        "num_retries": 0,  # both are needed: each alone leaves hidden retries
        "max_retries": 0,
        "caching": False,
        **{name: value for name, value in optional.items() if value is not None},
        **spec.extra,
    }
