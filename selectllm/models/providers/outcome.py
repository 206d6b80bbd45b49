"""What came of a model's calls, in our words: a reply with its cost, or an error without any key.

It is the same whichever way a call was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.providers.answers import Answered
from selectllm.models.providers.body import only_thinks
from selectllm.models.providers.endpoint import (
    api_key,
    check_headers,
    check_model_id,
    endpoint,
    secrets,
)
from selectllm.models.providers.failures import Fault, told
from selectllm.models.providers.model_table import price_per_token
from selectllm.models.providers.providers import provider_of
from selectllm.models.providers.usage import Usage
from selectllm.models.secrets import scrub
from selectllm.models.token_logprobs import as_text

# Names that `extra` may not hold: each has a field of its own, or would change what a call is.
_OURS = frozenset(
    "model messages api_key api_base base_url max_tokens temperature top_p top_k stop seed "
    "reasoning_effort response_format timeout num_retries max_retries num_ctx caching cache "
    "stream n tools functions fallbacks mock_response mock_timeout custom_llm_provider "
    "drop_params additional_drop_params client shared_session".split()
)


def check_settings(spec: ModelSpec) -> None:
    """Raise ModelError for an id or a setting under `extra` that no call can be made with."""
    check_model_id(spec.id)
    if clash := sorted(_OURS & spec.extra.keys()):
        raise ModelError(
            f"model {spec.name!r}: extra.{clash[0]} cannot be set. Use the model's own field "
            "of that name where there is one, or leave it out"
        )
    check_headers(spec)


class Outcomes:
    """Tells what came of the calls of one model.

    `environment`: where keys and base URLs are looked up. `lists_logprobs`: the model is known to
    list log-probabilities; else its first reply shows. Raises ModelError as `endpoint` and
    `api_key` do.
    """

    def __init__(
        self, spec: ModelSpec, environment: Mapping[str, str], lists_logprobs: bool = False
    ) -> None:
        self._spec = spec
        self._endpoint = endpoint(spec, environment) or provider_of(spec).default_endpoint
        self._hidden = secrets(spec, environment)
        key = api_key(spec, environment)
        self._echoed = (key,) if key is not None and key in self._hidden else ()
        self._lists_logprobs = lists_logprobs

    @cached_property
    def _price(self) -> Price | None:
        return price_per_token(self._spec)

    def told(
        self, request: Request, outcome: Answered | Fault, seconds: float
    ) -> Reply | ProviderError:
        """`outcome` of a call that took `seconds`.

        A prompt that does not fit the model's context is a reply with finish reason `too_long`,
        and one that the provider's filter stopped is `refused`.
        """
        if isinstance(outcome, Answered) and request.top_logprobs is not None:
            outcome = self._ranked(outcome, request)
        if isinstance(outcome, Answered):
            usage = _with_thinking(outcome)
            return replace(self._reply(outcome.text, usage, seconds), finish_reason=outcome.finish)
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
        tokens_in, tokens_out, reasoning = usage or Usage(None, None)
        cost = None
        if tokens_in is not None and tokens_out is not None and self._price is not None:
            cost = self._price.cost(tokens_in, tokens_out, reasoning)
        return Reply(
            text=scrub(text, self._echoed) if self._echoed else text,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=cost,
            seconds=seconds,
            tokens_reasoning=reasoning,
        )


def _with_thinking(answer: Answered) -> Usage:
    """The usage of an answer; where all of it is thinking and nobody counts that, it is all of it.

    So it is seen that a reply thinks and says nothing, whatever the server counts.
    """
    usage = answer.usage
    if usage.reasoning or not answer.thought:
        return usage
    all_of_it = not answer.text.strip() or only_thinks(answer.text)
    return usage._replace(reasoning=usage.tokens_out) if all_of_it else usage
