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
from dataclasses import replace
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.providers.answers import Answered, read_heard, read_response
from selectllm.models.providers.endpoint import (
    api_key,
    base_url,
    check_headers,
    check_model_id,
    endpoint,
    missing_key,
    secrets,
)
from selectllm.models.providers.failures import Fault, diagnose, told
from selectllm.models.providers.litellm_quirks import (
    OLLAMA_SERVERS,
    QUIET,
    close_clients,
    load_litellm,
    ours,
)
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.usage import Usage
from selectllm.models.secrets import scrub
from selectllm.models.token_logprobs import as_text

PREPARING = 60.0  # seconds that litellm may take before it sends a call

# Names that `extra` may not hold: each has a field of its own, or would change what a call is.
_OURS = frozenset(
    "model messages api_key api_base base_url max_tokens temperature top_p top_k stop seed "
    "reasoning_effort response_format timeout num_retries max_retries num_ctx caching cache "
    "stream n tools functions fallbacks mock_response mock_timeout custom_llm_provider "
    "drop_params additional_drop_params client shared_session".split()
)


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
        check_model_id(spec.id)
        if clash := sorted(_OURS & spec.extra.keys()):
            raise ModelError(
                f"model {spec.name!r}: extra.{clash[0]} cannot be set. Use the model's own field "
                "of that name where there is one, or leave it out"
            )
        check_headers(spec)
        self._spec = spec
        self._endpoint = endpoint(spec, environment) or provider_of(spec).default_endpoint
        self._hidden = secrets(spec, environment)
        self._lacking = missing_key(spec, environment)
        self._settings = _settings(
            spec, base_url(spec, environment), api_key(spec, environment), num_ctx
        )
        self._price: Price | None = None
        self._takes_seed: bool | None = None  # known once litellm is loaded
        self._lists_logprobs = lists_logprobs

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
        except Exception as error:  # providers, SDKs and transports raise what they like
            outcome = read_heard(heard) or diagnose(error, heard)
        return self._outcome(request, outcome, time.perf_counter() - started)

    def _outcome(
        self, request: Request, outcome: Answered | Fault, seconds: float
    ) -> Reply | ProviderError:
        if isinstance(outcome, Answered) and request.top_logprobs is not None:
            outcome = self._ranked(outcome, request)
        if isinstance(outcome, Answered):
            reply = self._reply(outcome.text, outcome.usage, seconds)
            return replace(reply, finish_reason=outcome.finish)
        if outcome.kind in ("too_long", "refused"):
            # An error is billed by nobody, unless it says how many tokens it took.
            reply = self._reply("", outcome.usage, seconds)
            cost = reply.cost_usd if outcome.usage else 0.0
            return replace(reply, finish_reason=outcome.kind, cost_usd=cost)
        billed = None
        if outcome.usage is not None and outcome.usage.tokens_in is not None:
            billed = replace(
                self._reply(outcome.text, outcome.usage, seconds), finish_reason="error"
            )
        return told(outcome, self._spec, self._endpoint, self._hidden, billed)

    def _ranked(self, answer: Answered, request: Request) -> Answered | Fault:
        """The answer with the listed tokens as its text; a Fault if the provider lists none."""
        if answer.finish == "refused":
            return answer
        # A model that does list them may still fail to once, as where its token is half a
        # character: that is a reply without an answer, and no trouble of the provider.
        if not (answer.listed or self._lists_logprobs):
            return Fault("logprobs", "", status=200, usage=answer.usage)
        self._lists_logprobs = True
        text = as_text(answer.text, answer.listed, request.question.labels)
        return replace(answer, text=text)

    def _reply(self, text: str, usage: Usage | None, seconds: float) -> Reply:
        tokens_in, tokens_out = usage or (None, None)
        cost = None
        if self._price is not None and tokens_in is not None and tokens_out is not None:
            cost = self._price.cost(tokens_in, tokens_out)
        return Reply(
            text=self._without_key(text),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=cost,
            seconds=seconds,
        )

    def _load(self) -> Any:
        litellm = load_litellm()
        if self._takes_seed is None:
            provider, _, name = self._spec.id.partition("/")
            known = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider)
            self._takes_seed = "seed" in (known or ())
            self._price = price_per_token(self._spec)
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

    def _without_key(self, text: str) -> str:
        """`text` as it is, unless a server echoes the key that it was sent."""
        key = self._settings.get("api_key")
        return scrub(text, (key,)) if key in self._hidden else text


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

    def sent(self) -> None:
        """The time counts from now; a redirect does not give more."""
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


# Models that have been asked and not closed: they share litellm's HTTP clients.
_OPEN: weakref.WeakSet[LiteLLMModel] = weakref.WeakSet()


def price_per_token(spec: ModelSpec) -> Price | None:
    """USD per million tokens: the entry's own, else litellm's table by `spec.id`, else None.

    The table's plain rates: discounts for cached prompts and surcharges for very long ones are
    left out. Imports litellm unless the entry has a price.
    """
    if spec.price is not None:
        return spec.price
    for key in (spec.id, spec.id.partition("/")[2]):
        row = load_litellm().model_cost.get(key, {})
        rates = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if row.get("litellm_provider", "").startswith(spec.provider) and None not in rates:
            return Price(input=rates[0] * 1e6, output=rates[1] * 1e6)
    return None


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
