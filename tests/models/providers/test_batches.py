"""What batches are sent and what comes back is what calls send and what comes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.batch_anthropic import AnthropicBatches, anthropic_outcome
from selectllm.models.providers.batch_lines import openai_outcome
from selectllm.models.providers.batch_openai import OpenAIBatches
from selectllm.models.providers.batch_service import BatchService
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.model_table import price_in_batches, price_per_token
from selectllm.models.providers.outcome import Outcomes
from tests.support.provider_calls import at, request
from tests.support.provider_server import FAULTS, Answer, ProviderServer

SCHEMA = {
    "type": "object",
    "properties": {"picks": {"type": "array", "items": {"type": "integer"}, "minItems": 2}},
    "required": ["picks"],
}


def shown(came: Reply | ProviderError) -> tuple[Any, ...]:
    """All of an outcome that does not depend on the clock."""
    if isinstance(came, Reply):
        return came.text, came.finish_reason, came.tokens_in, came.tokens_out, came.cost_usd
    return str(came), came.status, came.retryable, came.fatal, came.kind


def by_call(server: ProviderServer, spec: ModelSpec, **fields: Any) -> tuple[Any, ...]:
    model = LiteLLMModel(spec, environment={})

    async def call() -> Reply | ProviderError:
        try:
            return await model.complete(request(spec, **fields))
        except ProviderError as error:
            return error
        finally:
            await model.close()

    return shown(asyncio.run(call()))


def line(service: BatchService, spec: ModelSpec, **fields: Any) -> Any:
    async def written() -> bytes:
        try:
            return await service.line(request(spec, **fields))
        finally:
            await service.close()

    return json.loads(asyncio.run(written()))


@pytest.mark.parametrize("fields", [{}, {"schema": SCHEMA}], ids=["text", "schema"])
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("anthropic/claude-sonnet-4-5", {}),
        ("anthropic/claude-3-haiku-20240307", {"top_k": 5, "stop": ("x",), "temperature": 0.5}),
        ("azure/gpt-4o-mini", {"extra": {"api_version": "2024-10-21"}}),
        ("azure/gpt-5-mini", {"extra": {"api_version": "2024-10-21"}, "temperature": 1.0}),
        ("openai/gpt-4o-mini", {"top_p": 0.5}),
        ("openai/gpt-5.1", {"reasoning": "low", "temperature": None}),
        (
            "anthropic/claude-sonnet-4-5",
            {"reasoning": "low", "temperature": None, "max_tokens": 4096},
        ),
    ],
)
def test_a_line_holds_the_body_of_a_call(
    server: ProviderServer, model: str, settings: Mapping[str, Any], fields: dict[str, Any]
) -> None:
    spec = at(server, model, **settings)
    by_call(server, spec, **fields)
    called = server.requests[-1]
    kind = AnthropicBatches if model.startswith("anthropic") else OpenAIBatches
    written = line(kind(spec, {}), spec, **fields)
    assert len(server.requests) == 1  # writing a line sends nothing
    assert written["custom_id"] == request(spec, **fields).key
    assert written.get("params", written.get("body")) == called.body


def message(**changes: Any) -> dict[str, Any]:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "served-model",
        "content": [{"type": "text", "text": "[1, 2]"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 5},
    }
    return {**body, **changes}


MESSAGES: Mapping[str, dict[str, Any]] = {
    "usual": message(),
    "cut": message(stop_reason="max_tokens"),
    "stopped": message(stop_reason="stop_sequence"),
    "refused": message(stop_reason="refusal", content=[]),
    "thinking": message(
        content=[
            {"type": "thinking", "thinking": "Say [3]?", "signature": "s"},
            {"type": "text", "text": "[1]"},
        ]
    ),
    "two parts": message(
        content=[{"type": "text", "text": "[1"}, {"type": "text", "text": ", 2]"}]
    ),
    "cached": message(
        usage={
            "input_tokens": 10,
            "cache_read_input_tokens": 80,
            "cache_creation_input_tokens": 10,
            "output_tokens": 5,
        }
    ),
}


def of_batch(spec: ModelSpec, outcome: Any) -> tuple[Any, ...]:
    assert outcome is not None
    return shown(Outcomes(spec, {}).told(request(spec), outcome, 0.0))


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_in_a_batch_is_read_as_that_of_a_call(server: ProviderServer, name: str) -> None:
    spec = at(server, "anthropic/claude-3-haiku-20240307", price=Price(1.0, 10.0))
    server.queue(Answer(200, MESSAGES[name]))
    row = {"custom_id": "k", "result": {"type": "succeeded", "message": MESSAGES[name]}}
    assert of_batch(spec, anthropic_outcome(row)) == by_call(server, spec)


ERRORS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_in_a_batch_of_anthropic_is_that_of_a_call(
    server: ProviderServer, kind: str
) -> None:
    spec = at(server, "anthropic/claude-3-haiku-20240307")
    body = {"type": "error", "error": {"type": kind, "message": "That will not do."}}
    server.queue(Answer(ERRORS[kind], body))
    row = {"custom_id": "k", "result": {"type": "errored", "error": body}}
    assert of_batch(spec, anthropic_outcome(row)) == by_call(server, spec)


WHOLE = [
    *("401", "403", "404", "400", "422", "context overflow", "429", "quota", "408", "409", "500"),
    *("503", "529", "no choices", "null content", "content filter", "refusal", "length"),
    *("usage missing", "reasoning"),
]


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_in_a_batch_of_openai_is_that_of_a_call(
    server: ProviderServer, name: str
) -> None:
    spec = at(server, "openai/some-model", price=Price(1.0, 10.0))
    fault = FAULTS[name]
    server.queue(fault)
    response = {"status_code": fault.status, "body": fault.body}
    row = {"custom_id": "k", "response": response, "error": None}
    assert of_batch(spec, openai_outcome(row)) == by_call(server, spec)


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_what_a_batch_did_not_come_to_may_be_asked_again(server: ProviderServer, kind: str) -> None:
    spec = at(server, "anthropic/claude-3-haiku-20240307")
    outcome = anthropic_outcome({"custom_id": "k", "result": {"type": kind}})
    _, _, retryable, fatal, _ = of_batch(spec, outcome)
    assert (retryable, fatal) == (True, False)


def test_prices_are_those_of_the_table_for_batches_else_half() -> None:
    listed = ModelSpec(name="m", id="openai/gpt-4o-mini")
    assert price_per_token(listed) == Price(0.15, 0.6)
    assert price_in_batches(listed) == Price(0.075, 0.3)
    own = ModelSpec(name="m", id="openai/mine", price=Price(2.0, 8.0))
    assert price_in_batches(own) == Price(1.0, 4.0)
    assert price_in_batches(ModelSpec(name="m", id="openai/mine")) is None
