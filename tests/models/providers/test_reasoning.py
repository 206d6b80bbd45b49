"""`reasoning`: what every provider is sent for it, what is refused, what is counted."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from selectllm.core.errors import ModelError
from selectllm.models.connect import Connections, connect
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.model_table import price_per_token
from selectllm.models.providers.providers import PROVIDERS
from selectllm.models.providers.reasoning import FORMS, stops_thinking, with_reasoning
from selectllm.models.providers.usage import usage_of
from selectllm.models.wrappers.cache import ReplyCache
from tests.support.both_ways import BothWays
from tests.support.provider_calls import ask, at, load_litellm, request
from tests.support.provider_server import Answer, ProviderServer, completion

ON, OFF = ({"enable_thinking": each, "thinking": each} for each in (True, False))
ROOM: dict[str, Any] = {"temperature": None, "max_tokens": 8192}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


SENT: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("openai/gpt-5.1", "off", ROOM, {"reasoning_effort": "none"}),
    ("openai/gpt-5.1", "low", ROOM, {"reasoning_effort": "low"}),
    ("openai/o3", "high", ROOM, {"reasoning_effort": "high"}),
    ("openai/qwen3.5", "off", {}, {"reasoning_effort": "none", "chat_template_kwargs": OFF}),
    ("openai/qwen3.5", "high", {}, {"reasoning_effort": "high", "chat_template_kwargs": ON}),
    ("hosted_vllm/qwen3.5", "off", {}, {"reasoning_effort": None, "chat_template_kwargs": OFF}),
    ("hosted_vllm/qwen3.5", "low", {}, {"reasoning_effort": "low", "chat_template_kwargs": ON}),
    ("ollama_chat/qwen3.5:9b", "off", {}, {"think": False}),
    ("ollama_chat/qwen3.5:9b", "medium", {}, {"think": True}),
    ("ollama_chat/gpt-oss:20b", "low", {}, {"think": "low"}),
    ("anthropic/claude-sonnet-4-5", "off", {}, {"thinking": None}),
    (
        "anthropic/claude-sonnet-4-5",
        "low",
        ROOM,
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    (
        "anthropic/claude-haiku-4-5",
        "high",
        ROOM,
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
    ),
    ("groq/openai/gpt-oss-20b", "low", {}, {"reasoning_effort": "low"}),
    ("azure/gpt-5.1", "off", ROOM, {"reasoning_effort": "none"}),
    ("deepseek/deepseek-reasoner", "off", {}, {"thinking": {"type": "disabled"}}),
    ("deepseek/deepseek-v4-pro", "high", {}, {"thinking": {"type": "enabled"}}),
    ("openrouter/qwen/qwen3-32b", "off", {}, {"reasoning_effort": "none"}),
    ("openrouter/openai/gpt-5.1", "high", {}, {"reasoning_effort": "high"}),
    ("xai/grok-4.3", "low", {}, {"reasoning_effort": "low"}),
    ("xai/grok-4.3", "off", {}, {"reasoning_effort": "none"}),
    ("xai/grok-4.7", "medium", {}, {"reasoning_effort": "medium"}),
    ("xai/grok-3-mini", "high", {}, {"reasoning_effort": "high"}),
    # which litellm's table does not know, so that it would refuse to send it
    ("azure/a-deployment", "low", {}, {"reasoning_effort": "low", "allowed_openai_params": None}),
    ("groq/qwen/qwen3-32b", "off", {}, {"reasoning_effort": "none"}),
    ("xai/grok-999", "high", {}, {"reasoning_effort": "high"}),
]


@pytest.mark.parametrize(("model_id", "level", "fields", "expected"), SENT, ids=str)
def test_every_provider_is_sent_what_it_takes(
    model_id: str,
    level: str,
    fields: dict[str, Any],
    expected: dict[str, Any],
    server: ProviderServer,
) -> None:
    spec = at(server, model_id, reasoning=level, **fields)
    ask(spec, max_tokens=spec.max_tokens)
    body = server.requests[-1].body
    assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("model_id", "level", "think"),
    [("ollama/qwen3.5:9b", "off", False), ("ollama/gpt-oss:20b", "high", "high")],
)
def test_ollama_is_told_so_where_it_completes_texts_too(
    model_id: str, level: str, think: object, server: ProviderServer
) -> None:
    server.queue(Answer(200, {"model": "m", "response": "[1, 2]", "done": True}))
    ask(at(server, model_id, reasoning=level))
    sent = server.requests[-1]
    assert (sent.path, sent.body["think"]) == ("/api/generate", think)


@pytest.mark.parametrize(
    ("model_id", "level", "effort"),
    [
        ("vertex_ai/gemini-2.5-flash", "off", "none"),
        ("vertex_ai/gemini-2.5-flash", "medium", "medium"),
        ("vertex_ai/claude-sonnet-4-5", "low", "low"),
    ],
)
def test_models_of_vertex_are_told_as_where_they_come_from(
    model_id: str, level: Any, effort: str
) -> None:
    """Up to litellm's parameter: a call would need a log-in at Google's."""
    told = with_reasoning(ModelSpec(name="m", id=model_id, reasoning=level, **ROOM))
    assert (told.reasoning, told.reasoning_effort, told.extra) == (None, effort, {})


@pytest.mark.parametrize(
    ("model_id", "level", "expected"),
    [
        ("gemini/gemini-2.5-flash", "off", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini/gemini-2.5-flash", "medium", {"thinkingBudget": 2048, "includeThoughts": True}),
        ("gemini/gemini-3-flash-preview", "low", {"thinkingLevel": "low", "includeThoughts": True}),
    ],
)
def test_gemini_is_sent_a_thinking_config(
    model_id: str, level: str, expected: dict[str, Any], server: ProviderServer
) -> None:
    spec = at(server, model_id, reasoning=level, **ROOM)
    ask(spec, max_tokens=spec.max_tokens)
    assert server.requests[-1].body["generationConfig"]["thinkingConfig"] == expected


@pytest.mark.parametrize("model_id", ["openai/a-model", "hosted_vllm/a-model"])
@pytest.mark.parametrize("level", ["off", "low", "high"])
@pytest.mark.parametrize("extra", [{}, {"chat_template_kwargs": {"custom": 1}, "min_p": 0.1}])
def test_both_ways_send_the_same_bytes(model_id: str, level: str, extra: dict[str, Any]) -> None:
    with ProviderServer() as server:
        ways = BothWays(server, keep=True)
        replies = ways.outcomes(ways.spec(model_id, reasoning=level, extra=extra), seed=7)
        through_litellm, direct = ways.sent
        ways.close()
    assert replies[0] == replies[1]
    assert direct.raw == through_litellm.raw
    kept = {**extra.get("chat_template_kwargs", {}), **(OFF if level == "off" else ON)}
    assert direct.body["chat_template_kwargs"] == kept


def test_unset_it_changes_nothing_that_is_sent_or_kept() -> None:
    spec = ModelSpec(name="m", id="openai/m")
    assert with_reasoning(spec) is spec
    assert "reasoning" not in request(spec).identity()
    assert "reasoning" not in spec.fields()
    off = ModelSpec(name="m", id="openai/m", reasoning="off")
    assert request(off).identity()["reasoning"] == "off"
    assert off.fields()["reasoning"] == "off"


# --- what is refused before anything is paid


@pytest.mark.parametrize(
    ("model_id", "level", "fields", "said"),
    [
        ("openai/gpt-4o-mini", "low", {}, "does not think"),
        ("openai/o3", "off", ROOM, "always thinks"),
        ("openai/gpt-5", "off", ROOM, "always thinks"),
        ("openai/gpt-5.1", "low", {}, "Set temperature to null"),
        ("anthropic/claude-sonnet-4-5", "low", {"max_tokens": 4096}, "Set temperature to null"),
        ("anthropic/claude-sonnet-4-5", "low", {"temperature": None}, "Set max_tokens to 2,048"),
        ("gemini/gemini-2.5-flash", "high", {}, "Set max_tokens to 5,120"),
        ("gemini/gemini-2.5-pro", "off", {}, "always thinks"),
        ("gemini/gemini-3-pro-preview", "off", {}, "always thinks"),
        ("gemini/gemma-3-27b-it", "low", ROOM, "does not think"),
        ("ollama_chat/gpt-oss:20b", "off", {}, "always thinks"),
        ("vertex_ai/gemini-2.5-pro", "off", {}, "always thinks"),
        ("vertex_ai/claude-sonnet-4-5", "low", {}, "Set temperature to null"),
        ("deepseek/deepseek-chat", "low", {}, "does not think"),
        ("xai/grok-4.5", "off", {}, "always thinks"),
        ("xai/grok-4.20-multi-agent", "off", {}, "says how many agents think"),
        ("xai/grok-4.20-multi-agent-0309", "off", {}, "Leave `reasoning` out"),
        ("xai/grok-4", "off", {}, "takes no setting of how much it thinks"),
        ("xai/grok-4-0709", "low", {}, "name a model that takes one, such as xai/grok-4.3"),
        ("xai/grok-4-1-fast-reasoning", "low", {}, "takes no setting of how much it thinks"),
        ("xai/grok-4.20-0309-reasoning", "high", {}, "takes no setting of how much it thinks"),
        ("xai/grok-3", "low", {}, "takes no setting of how much it thinks"),
        ("xai/grok-3-mini", "medium", {}, "takes low or high"),
        ("xai/grok-code-fast-1", "low", {}, "takes no setting of how much it thinks"),
        ("vertex_ai/xai/grok-4.20-reasoning", "low", {}, "Grok takes no setting of it there"),
        ("cohere/command-r", "low", {}, "not known to take it. These take it: anthropic/,"),
        ("local/smollm2-135m", "off", {}, "not known to take it"),
        ("mock/first", "off", {}, "not known to take it"),
        (
            "openai/m",
            "off",
            {"reasoning_effort": "low"},
            "reasoning_effort also sets how the model thinks",
        ),
        ("openai/m", "low", {"answer": "logprobs"}, "Set reasoning to off"),
        (
            "ollama_chat/m",
            "off",
            {"extra": {"think": False}},
            "extra.think also sets how the model thinks",
        ),
        (
            "openai/m",
            "off",
            {"extra": {"chat_template_kwargs": {"enable_thinking": True}}},
            "extra.chat_template_kwargs also sets",
        ),
        (
            "hosted_vllm/m",
            "off",
            {"extra": {"extra_body": {"chat_template_kwargs": {}}}},
            "extra.extra_body.chat_template_kwargs also sets",
        ),
    ],
)
def test_what_a_provider_or_model_does_not_take_is_told_with_what_to_write(
    model_id: str, level: Any, fields: dict[str, Any], said: str, tmp_path: Any
) -> None:
    spec = ModelSpec(name="m", id=model_id, reasoning=level, **fields)
    cache = closing(ReplyCache(tmp_path))
    with cache as kept, pytest.raises(ModelError) as refused:
        connect(spec, Connections(kept, {"HOSTED_VLLM_API_BASE": "http://127.0.0.1:1/v1"}))
    assert said in str(refused.value)
    assert f"reasoning: {level}" in str(refused.value)


def test_every_form_of_a_provider_is_known() -> None:
    assert {facts.reasoning for facts in PROVIDERS.values()} - {None} == FORMS.keys()


def test_whether_thinking_can_be_stopped_is_known() -> None:
    assert stops_thinking(ModelSpec(name="m", id="ollama_chat/qwen3.5:9b", reasoning="high"))
    assert not stops_thinking(ModelSpec(name="m", id="openai/o3"))


# --- thinking is counted and priced


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 50,
                    "completion_tokens_details": {"reasoning_tokens": 40}}}, 40),
        ({"usage": {"input_tokens": 9, "output_tokens": 50,
                    "output_tokens_details": {"thinking_tokens": 40}}}, 40),
        ({"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 10,
                            "thoughtsTokenCount": 40}}, 40),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 5,
                    "completion_tokens_details": {"reasoning_tokens": 0}}}, None),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 5,
                    "completion_tokens_details": {"reasoning_tokens": 99}}}, 5),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 5}}, None),
        ({"prompt_eval_count": 9, "eval_count": 5}, None),
    ],
)  # fmt: skip
def test_tokens_of_thinking_are_read_from_every_form_of_usage(data: Any, count: int | None) -> None:
    usage = usage_of(data)
    assert usage is not None
    assert usage.reasoning == count


def _answered(
    server: ProviderServer, body: dict[str, Any], model_id: str = "openai/m", **fields: Any
) -> Any:
    server.queue(Answer(200, body))
    return ask(at(server, model_id, **fields))


USAGE = {"prompt_tokens": 100, "completion_tokens": 64, "total_tokens": 164}


def test_a_reply_that_only_thinks_counts_as_thinking_whatever_the_server_counts(
    server: ProviderServer,
) -> None:
    beside = completion("", message={"reasoning_content": "hm"}, usage=USAGE)
    assert _answered(server, beside).tokens_reasoning == 64
    closed = completion("<think>hm</think>", usage=USAGE)
    assert _answered(server, closed).tokens_reasoning == 64
    cut = completion("<think>hm", usage=USAGE, finish_reason="length")
    assert _answered(server, cut).tokens_reasoning == 64
    both = completion("[1, 2]", message={"reasoning_content": "hm"}, usage=USAGE)
    assert _answered(server, both).tokens_reasoning is None  # how much of it is not known
    ollama = {
        "model": "m",
        "message": {"role": "assistant", "content": "", "thinking": "hm"},
        "done": True,
        "done_reason": "length",
        "prompt_eval_count": 100,
        "eval_count": 64,
    }
    reply = _answered(server, ollama, "ollama_chat/m")
    assert (reply.tokens_reasoning, reply.finish_reason) == (64, "length")


def test_thinking_costs_its_own_price_where_it_has_one(server: ProviderServer) -> None:
    usage = USAGE | {"completion_tokens_details": {"reasoning_tokens": 40}}
    price = Price(1.0, 2.0, 10.0)
    reply = _answered(server, completion(usage=usage), price=price)
    assert reply.cost_usd == pytest.approx((100 * 1 + 24 * 2 + 40 * 10) / 1e6)
    same = _answered(server, completion(usage=usage), price=Price(1.0, 2.0))
    assert same.cost_usd == pytest.approx((100 * 1 + 64 * 2) / 1e6)
    listed = price_per_token(ModelSpec(name="m", id="perplexity/sonar-deep-research"))
    assert listed == Price(2.0, 8.0, 3.0)
