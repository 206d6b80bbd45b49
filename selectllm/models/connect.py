"""From a model's settings to a model that answers: the wrappers, in the order they act.

    Counted > Replayed(pack) > Cached > Retrying > TruncationGuard > Limited > Budgeted >
    LossGuard > LiteLLMModel or DirectModel; OwnModel or the embedded engine without LossGuard

Only the innermost one talks to a provider, and is imported by who asks one: a reply that the pack
or the cache holds loads neither it nor litellm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from selectllm.core.types import Reply, empty
from selectllm.models.model import Model, ModelSpec, Price
from selectllm.models.providers import weights
from selectllm.models.providers.endpoint import base_url, check_model_id, endpoint
from selectllm.models.providers.mock import MockModel, Write
from selectllm.models.providers.model_table import price_per_token
from selectllm.models.providers.openai_body import check_direct
from selectllm.models.providers.own import OwnModel, find_factory, own_identity
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.reasoning import check_reasoning
from selectllm.models.wrappers.batch import Batch, Batched
from selectllm.models.wrappers.budget import Budgeted, Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cached import Cached, Offline
from selectllm.models.wrappers.counted import CallCount, Counted
from selectllm.models.wrappers.loss_guard import LossGuard
from selectllm.models.wrappers.pace import Paces
from selectllm.models.wrappers.rates import Limited
from selectllm.models.wrappers.recorded import Replayed
from selectllm.models.wrappers.retry import Retrying, RetryPolicy
from selectllm.models.wrappers.shared_state import SharedState
from selectllm.models.wrappers.truncation_guard import TruncationGuard


@dataclass(frozen=True, slots=True)
class Connections:
    """What all models of a command share.

    `environment`: where keys and base URLs are looked up. `calls`: counts what is asked.
    `utility`: what mock/oracle and mock/skill:S pick by. `num_ctx`: the context that Ollama is
    told to make room for, tokens. `base`: a folder in which code of the user's own may be.
    `recorded`: the endpoints that a baseline holds, by model: an embedded model whose engine is
    not installed is known by its own there. `innermost`: what makes the model that talks to a
    provider; None for `innermost` below. `state`: where the rates of models are kept; None for
    nowhere. `batch`: what network models are asked in, None for calls. `under_way`: wraps
    those that are called, to tell of questions that a batch is to answer. `anew`: ask whatever pack
    and cache hold, and leave both as they are.
    """

    cache: ReplyCache
    environment: Mapping[str, str]
    ledger: Ledger = field(default_factory=Ledger)
    calls: CallCount = field(default_factory=CallCount)
    offline: bool = False
    pack: Mapping[str, Reply] = field(default_factory=empty)
    utility: Mapping[str, float] | None = None
    num_ctx: int | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    paces: Paces = field(default_factory=Paces)
    base: Path | None = None
    recorded: Mapping[str, str] = field(default_factory=empty)
    innermost: Callable[[ModelSpec, Connections], Model] | None = None
    state: SharedState | None = None
    batch: Batch | None = None
    under_way: Callable[[Model], Model] | None = None
    anew: bool = False


def request_endpoint(spec: ModelSpec, shared: Connections) -> str | None:
    """The `endpoint` of the model's request identity (model.Request)."""
    way = provider_of(spec).way
    if way == "scripted":
        return None
    if way == "embedded":
        return weights.identity(spec.id.removeprefix("local/"), shared.recorded.get(spec.name))
    if way == "own":
        return own_identity(spec, shared.base)
    return endpoint(spec, shared.environment)


def settled(spec: ModelSpec, base: Path | None = None) -> ModelSpec:
    """`spec` with what is known of an embedded model filled in.

    `base`: a folder in which code of the user's own may be. Raises ModelError for an embedded model
    that there is none of, and for code that cannot be used.
    """
    check_model_id(spec.id)
    if provider_of(spec).way == "own":
        find_factory(spec, base)
    if provider_of(spec).way != "embedded" or spec.context is not None:
        return spec
    return replace(spec, context=weights.local_model(spec.id.removeprefix("local/")).context)


def connect(spec: ModelSpec, shared: Connections, write: Write | None = None) -> Model:
    """A model ready to answer; nothing is loaded, started or sent before its first request.

    `write`: how a scripted model writes its reply, see MockModel. Raises ModelError for a name or
    setting that cannot work.
    """
    if spec.transport == "direct":
        check_direct(spec)  # whoever answers, a script or a cache: it could not be asked
    check_reasoning(spec)
    way, batch = provider_of(spec).way, shared.batch
    if way == "scripted":
        return Counted(MockModel(spec, shared.utility, write), shared.calls)
    base_url(spec, shared.environment)  # offline too: a password in it would go into manifests
    inner: Model = Offline() if shared.offline else _live(spec, shared)
    if shared.anew:
        return Counted(inner, shared.calls)
    if shared.under_way is not None and way == "network" and not shared.offline:
        inner = shared.under_way(inner)
    if batch is not None and (batch.whole or way == "network"):
        inner = Batched(spec, batch)
    return Counted(Replayed(Cached(inner, shared.cache), shared.pack), shared.calls)


def _live(spec: ModelSpec, shared: Connections) -> Model:
    model = (shared.innermost or innermost)(spec, shared)
    way = provider_of(spec).way
    if way == "network":
        model = LossGuard(model)
    if way != "embedded":
        price = _costs_nothing if way == "own" else price_per_token
        model = Budgeted(model, shared.ledger, price)
    where = spec.id if way != "network" else endpoint(spec, shared.environment) or spec.provider
    if shared.state is not None and (spec.rpm is not None or spec.tpm is not None):
        model = Limited(model, shared.state, f"{where} {spec.id}")
    return Retrying(TruncationGuard(model), shared.policy, shared.paces, where)


def _costs_nothing(spec: ModelSpec) -> Price:
    """What to set aside for a call of the user's own code; its reply says what it cost."""
    return Price(0.0, 0.0)


def innermost(spec: ModelSpec, shared: Connections) -> Model:
    """What talks to the provider of `spec`, without any wrapper."""
    way = provider_of(spec).way
    if way == "embedded":
        from selectllm.models.providers.embedded import EmbeddedModel

        return EmbeddedModel(spec, shared.environment)
    if way == "own":
        return OwnModel(spec, shared.base)
    return reached(spec, shared.environment, shared.num_ctx)


def reached(spec: ModelSpec, environment: Mapping[str, str], num_ctx: int | None = None) -> Model:
    """What talks to a provider over a network; `environment`, `num_ctx`: see Connections."""
    if spec.transport == "direct":
        from selectllm.models.providers.direct import DirectModel

        return DirectModel(spec, environment=environment)
    from selectllm.models.providers.litellm import LiteLLMModel

    return LiteLLMModel(spec, environment=environment, num_ctx=num_ctx)
