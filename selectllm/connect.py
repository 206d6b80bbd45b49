"""From a model's settings to a model that answers: the wrappers, in the order they act.

    Replayed(pack) > Cached > Uncut > Budgeted > Retrying > LiteLLMModel or the embedded engine

Only the innermost one talks to a provider; a reply that the pack or the cache holds never loads
litellm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from selectllm import embedded, weights
from selectllm.ask import Selector
from selectllm.budget import Budgeted, Ledger
from selectllm.cache import Cached, Offline, ReplyCache
from selectllm.endpoint import base_url, check_model_id, endpoint
from selectllm.litellm_model import LiteLLMModel, price_per_token
from selectllm.mock import MockModel, Write
from selectllm.model import Model, ModelSpec, Request
from selectllm.models.providers.providers import PROVIDERS, provider_of
from selectllm.pack import Replayed
from selectllm.prompt import Prompt
from selectllm.prompting.replies.formats import write_reply
from selectllm.retry import Retrying, RetryPolicy
from selectllm.truncation import Uncut
from selectllm.types import Reply, empty

LOCAL_SLOTS = PROVIDERS["local"].slots or 1


@dataclass(frozen=True, slots=True)
class Connections:
    """What all models of a command share.

    `environment`: where keys and base URLs are looked up. `utility`: what mock/oracle picks by.
    `num_ctx`: the context that Ollama is told to make room for, tokens.
    """

    cache: ReplyCache
    environment: Mapping[str, str]
    ledger: Ledger = field(default_factory=Ledger)
    offline: bool = False
    pack: Mapping[str, Reply] = field(default_factory=empty)
    utility: Mapping[str, float] | None = None
    num_ctx: int | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)


def request_endpoint(spec: ModelSpec, environment: Mapping[str, str]) -> str | None:
    """The `endpoint` of the model's request identity (model.Request)."""
    way = provider_of(spec).way
    if way == "scripted":
        return None
    if way == "embedded":
        return weights.identity(spec.id.removeprefix("local/"))
    return endpoint(spec, environment)


def open_selector(prompt: Prompt, spec: ModelSpec, shared: Connections) -> Selector:
    """`prompt` run through the model of `spec`, ready to be asked."""
    spec = settled(spec)
    return Selector(
        prompt=prompt,
        spec=spec,
        model=connect(spec, shared, write_reply),
        endpoint=request_endpoint(spec, shared.environment),
    )


def settled(spec: ModelSpec) -> ModelSpec:
    """`spec` with what is known of an embedded model filled in; raises ModelError if unknown."""
    check_model_id(spec.id)
    if provider_of(spec).way != "embedded" or spec.context is not None:
        return spec
    return replace(spec, context=weights.local_model(spec.id.removeprefix("local/")).context)


def connect(spec: ModelSpec, shared: Connections, write: Write | None = None) -> Model:
    """A model ready to answer; nothing is loaded, started or sent before its first request.

    `write`: how a scripted model writes its reply, see MockModel. Raises ModelError for a name or
    setting that cannot work.
    """
    if provider_of(spec).way == "scripted":
        return MockModel(spec, shared.utility, write)
    base_url(spec, shared.environment)  # offline too: a password in it would go into manifests
    inner: Model = Offline() if shared.offline else _live(spec, shared)
    return Replayed(Cached(inner, shared.cache), shared.pack)


def _live(spec: ModelSpec, shared: Connections) -> Model:
    if provider_of(spec).way == "embedded":
        return Uncut(Retrying(EmbeddedModel(spec, shared.environment), shared.policy))
    model = LiteLLMModel(spec, environment=shared.environment, num_ctx=shared.num_ctx)
    return Uncut(Budgeted(Retrying(model, shared.policy), shared.ledger, price_per_token))


class EmbeddedModel:
    """A `local/` model: the embedded engine, reached through litellm like any other server.

    The engine starts with the first request and ends with the process.
    """

    def __init__(self, spec: ModelSpec, environment: Mapping[str, str]) -> None:
        self._spec = spec
        self._name = spec.id.removeprefix("local/")
        self._environment = environment
        self._slots = asyncio.Semaphore(LOCAL_SLOTS)
        self._inner: LiteLLMModel | None = None

    async def complete(self, request: Request) -> Reply:
        """The embedded engine's reply; it costs 0."""
        async with self._slots:
            if self._inner is None:
                server = await asyncio.to_thread(embedded.start, self._name, slots=LOCAL_SLOTS)
                reached = replace(self._spec, id=f"openai/{self._name}", api_base=server.base_url)
                self._inner = LiteLLMModel(
                    reached, environment=self._environment, lists_logprobs=True
                )
            reply = await self._inner.complete(request)
        return replace(reply, cost_usd=0.0)

    async def close(self) -> None:
        """Close the connection; the engine goes with the process."""
        if self._inner is not None:
            await self._inner.close()
