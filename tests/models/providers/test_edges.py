"""Whatever a provider sends is a reply or one of our errors: bytes, statuses, headers, numbers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import ProviderError
from selectllm.core.types import Reply
from selectllm.core.whole_text import whole
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.answers import Answered, read_heard
from selectllm.models.providers.body import json_of, listed_in, text_of
from selectllm.models.providers.failures import TROUBLES, Fault, diagnose, told
from selectllm.models.providers.said import said_by, said_in
from selectllm.models.providers.usage import MOST_TOKENS, count_of, usage_of
from selectllm.models.providers.waits import LONGEST
from tests.support.provider_calls import ask, at, failure, load_litellm
from tests.support.provider_server import Answer, ProviderServer, completion, error

PRICE = Price(input=1.0, output=10.0)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


def answer(
    server: ProviderServer, sent: Answer, model_id: str = "openai/m", **fields: Any
) -> Reply:
    server.queue(sent)
    return ask(at(server, model_id, price=PRICE, **fields))


def fails(server: ProviderServer, sent: Answer, model_id: str = "openai/m") -> ProviderError:
    server.queue(sent)
    return failure(at(server, model_id, price=PRICE))


# Text


def test_half_a_surrogate_pair_becomes_a_replacement_character(
    server: ProviderServer, provider: str
) -> None:
    body = json.dumps(completion("Good \ud83d\n[2]")).encode()
    assert rb"\ud83d" in body
    assert answer(server, Answer(200, body), f"{provider}/m").text == "Good \ufffd\n[2]"
    raised = fails(server, Answer(400, rb'{"error": {"message": "bad \ud83d thing"}}'))
    assert "bad \ufffd thing" in str(raised)
    str(raised).encode()


def test_half_a_surrogate_pair_in_the_tokens_of_log_probabilities(
    server: ProviderServer, provider: str
) -> None:
    tops = [{"token": "\ud83d", "logprob": -0.1}, {"token": "1", "logprob": -2.0}]
    content = [{"token": "\ud83d", "logprob": -0.1, "top_logprobs": tops}]
    body = completion("\ud83d", finish_reason="length")
    body["choices"][0]["logprobs"] = {"content": content}
    reply = answer(server, Answer(200, body), f"{provider}/m")
    assert reply.text == "\ufffd"
    server.queue(Answer(200, body))
    ranked = ask(at(server, f"{provider}/m"), top_logprobs=5, max_tokens=1)
    assert json.loads(ranked.text) == {
        "token": "\ufffd",
        "top_logprobs": [["\ufffd", -0.1], ["1", -2.0]],
    }


@pytest.mark.parametrize("charset", ["punycode", "idna", "rot13", "nonsense", "utf-16"])
def test_a_charset_changes_nothing(charset: str, server: ProviderServer, provider: str) -> None:
    header = {"Content-Type": f"application/json; charset={charset}"}
    assert answer(server, Answer(200, completion("[2]"), header), f"{provider}/m").text == "[2]"
    raised = fails(server, Answer(400, error("not so"), header), f"{provider}/m")
    assert "not so" in str(raised)


def test_a_reply_of_ten_million_characters_is_read(server: ProviderServer) -> None:
    assert (
        len(answer(server, Answer(200, completion("x" * 10_000_000)), timeout=60.0).text) == 10**7
    )


def test_an_error_of_a_million_characters_is_cut(server: ProviderServer, provider: str) -> None:
    raised = fails(server, Answer(400, error("no " * 300_000)), f"{provider}/m")
    assert len(str(raised)) < 450  # litellm takes seconds for each million


# Content in parts


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Maybe [1]."}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([THINKING, {"type": "text", "text": "[2"}, {"type": "text", "text": "]"}], "[2]"),
        ([{"type": "reasoning", "text": "[1]"}, {"type": "output_text", "text": "[2]"}], "[2]"),
        ([{"text": "[1]", "thought": True}, {"text": "[2]"}], "[2]"),
        (["[2", "]"], "[2]"),
        ({"type": "text", "text": "[2]"}, "[2]"),
        ([{"type": "image_url", "image_url": {"url": "x"}}], ""),
        ([THINKING], ""),
        ([], ""),
        (5, ""),
        (True, ""),
        ({"a": 1}, ""),
        ([None, 5, {"type": "text", "text": 7}], ""),
    ],
)
def test_text_parts_are_joined_and_thinking_is_left_out_and_paid_for(
    content: Any, text: str, server: ProviderServer, provider: str
) -> None:
    usage = {"prompt_tokens": 300, "completion_tokens": 1000, "total_tokens": 1300}
    reply = answer(server, Answer(200, completion(content, usage=usage)), f"{provider}/m")
    assert (reply.text, reply.finish_reason) == (text, "stop")
    assert (reply.tokens_in, reply.tokens_out) == (300, 1000)
    assert reply.cost_usd == pytest.approx(0.0103)
    assert server.count == 1


# Numbers


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": None, "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": -7, "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None)),
        ({"prompt_tokens": 1.5, "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": "12", "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": True, "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": 10**12, "completion_tokens": 5}, (None, None)),
        ({"prompt_tokens": 100, "completion_tokens": None}, (100, None)),
        ({"prompt_tokens": 100, "completion_tokens": -3}, (100, None)),
        ({"prompt_tokens": 100, "completion_tokens": [3]}, (100, None)),
        ({"prompt_tokens": 100.0, "completion_tokens": 5}, (100, 5)),
        ({}, (None, None)),
        ([], (None, None)),
        ("much", (None, None)),
        (7, (None, None)),
    ],
)
def test_odd_counts_are_unknown(
    usage: Any, tokens: tuple[int | None, int | None], server: ProviderServer, provider: str
) -> None:
    reply = answer(server, Answer(200, completion("[2]", usage=usage)), f"{provider}/m")
    assert reply.text == "[2]"
    assert (reply.tokens_in, reply.tokens_out) == tokens
    assert (reply.cost_usd is None) == (None in tokens)


@pytest.mark.parametrize("where", ['"created": 1700000000', '"prompt_tokens": 100'])
def test_an_integer_of_six_thousand_digits_is_unknown(
    where: str, server: ProviderServer, provider: str
) -> None:
    body = json.dumps(completion("[2]")).replace(where, f"{where.split(':')[0]}: {'9' * 6000}")
    reply = answer(server, Answer(200, body.encode()), f"{provider}/m")
    assert (reply.text, reply.tokens_in) == ("[2]", None if "prompt" in where else 100)


def test_a_header_that_is_no_text_is_one_of_our_errors(
    server: ProviderServer, provider: str
) -> None:
    header = {"Content-Type": "application/json; charset=\xff"}
    raised = fails(server, Answer(200, completion(), header), f"{provider}/m")
    assert (raised.kind, raised.retryable) == ("broken", True)


@pytest.mark.parametrize("depth", [900, 3_000, 200_000])
def test_json_of_any_depth_is_a_reply_or_an_error(
    depth: int, server: ProviderServer, provider: str
) -> None:
    deep = "[" * depth + "]" * depth
    body = json.dumps(completion("[2]"))[:-1] + f', "deep": {deep}}}'
    server.queue(Answer(200, body.encode()), Answer(400, f'{{"error": {deep}}}'.encode()))
    try:
        came = ask(at(server, f"{provider}/m")).text
    except ProviderError as raised:
        came = f"{raised.kind} {raised.status}"
    assert came in ("[2]", "broken 200")
    assert failure(at(server, f"{provider}/m")).kind == "request"


# Cached prompts


@pytest.mark.parametrize(
    ("data", "tokens_in"),
    [
        ({"usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 290,
                    "cache_creation_input_tokens": 10}}, 305),  # Anthropic
        ({"usage": {"inputTokens": 5, "outputTokens": 2, "cacheReadInputTokens": 290}}, 295),
        ({"usage": {"prompt_tokens": 300, "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 290}}}, 300),  # OpenAI
        ({"usage": {"prompt_tokens": 300, "completion_tokens": 2, "total_tokens": 302,
                    "cache_read_input_tokens": 290}}, 300),  # litellm's proxy
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 297,
                    "cache_read_input_tokens": 290}}, 295),
        ({"usage": {"prompt_tokens": 300, "completion_tokens": 2, "total_tokens": 592,
                    "cache_read_input_tokens": 290}}, 590),
        ({"usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1,
                            "thoughtsTokenCount": 1, "cachedContentTokenCount": 200}}, 300),
        ({"prompt_eval_count": 300, "eval_count": 2}, 300),
    ],
)  # fmt: skip
def test_prompt_tokens_from_a_cache_count_as_read(data: Any, tokens_in: int) -> None:
    usage = usage_of(data)
    assert usage is not None
    assert (usage.tokens_in, usage.tokens_out) == (tokens_in, 2)


def test_a_prompt_that_anthropic_has_cached_was_read(server: ProviderServer) -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 290, "output_tokens": 5}
    body = {"id": "m", "type": "message", "role": "assistant", "model": "x", "usage": usage,
            "content": [{"type": "text", "text": "[2]"}], "stop_reason": "end_turn"}  # fmt: skip
    assert answer(server, Answer(200, body), "anthropic/m").tokens_in == 295


# Refusals and cut replies


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("content_filter", "refused"), ("refusal", "refused"), ("SAFETY", "refused"),
        ("guardrail_intervened", "refused"), ("sensitive", "refused"), ("RECITATION", "refused"),
        ("max_tokens", "length"), ("model_length", "length"), ("MAX_TOKENS", "length"),
        ("model_context_window_exceeded", "length"), ("tool_calls", "tool_calls"),
        ("eos", "stop"), ("unheard_of", "stop"), (7, "stop"), (["x"], "stop"), ({}, "stop"),
    ],
)  # fmt: skip
def test_finish_reasons_are_told_as_ours(
    word: Any, ours: str, server: ProviderServer, provider: str
) -> None:
    reply = answer(server, Answer(200, completion("[2]", finish_reason=word)), f"{provider}/m")
    assert (reply.text, reply.finish_reason) == ("[2]", ours)


GEMINI = {"promptTokenCount": 200, "totalTokenCount": 200}


@pytest.mark.parametrize(
    ("model_id", "body", "tokens_in"),
    [
        (
            "gemini/m",
            {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": GEMINI},
            200,
        ),
        (
            "gemini/m",
            {"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": GEMINI},
            200,
        ),
        ("openai/m", {"promptFeedback": {"blockReason": "OTHER"}}, None),
        (
            "anthropic/m",
            {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
             "stop_reason": "refusal", "usage": {"input_tokens": 200, "output_tokens": 0}},
            200,
        ),
    ],
)  # fmt: skip
def test_a_prompt_that_did_not_get_through_is_refused(
    model_id: str, body: Any, tokens_in: int | None, server: ProviderServer
) -> None:
    reply = answer(server, Answer(200, body), model_id)
    assert (reply.text, reply.finish_reason, reply.tokens_in) == ("", "refused", tokens_in)


@pytest.mark.parametrize("kind", ["content_filter", "context_length_exceeded"])
def test_what_nobody_reports_is_unknown_and_an_error_costs_nothing(
    kind: str, server: ProviderServer, provider: str
) -> None:
    reply = answer(server, Answer(400, error("no", code=kind)), f"{provider}/m")
    assert (reply.tokens_in, reply.tokens_out, reply.cost_usd) == (None, None, 0.0)


def test_an_error_that_says_what_it_took_costs_that(server: ProviderServer, provider: str) -> None:
    usage = {"prompt_tokens": 200, "completion_tokens": 0, "total_tokens": 200}
    body = {**error("no", code="content_filter"), "usage": usage}
    reply = answer(server, Answer(400, body), f"{provider}/m")
    assert (reply.finish_reason, reply.tokens_in, reply.tokens_out) == ("refused", 200, 0)
    assert reply.cost_usd == pytest.approx(0.0002)


# A reply with status 200 that is none


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": {"message": "Slow down", "code": 429}}, "busy", 429),
        ({"error": {"message": "No credit", "code": 402}}, "quota", 402),
        ({"error": {"message": "Who?", "code": 401}}, "key", 401),
        ({"error": {"message": "It broke"}}, "busy", 200),
        ({"error": "model 'x' not found"}, "model", 200),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "busy", 200),
        ([1, 2], "broken", 200),
        ("text", "broken", 200),
        ({"choices": ["x"]}, "broken", 200),
        ({"choices": {"a": 1}}, "broken", 200),
        ({"choices": [{"message": "x"}]}, "broken", 200),
    ],
)
def test_an_error_with_status_200_is_that_error(
    body: Any, kind: str, status: int, server: ProviderServer, provider: str
) -> None:
    raised = fails(server, Answer(200, body), f"{provider}/m")
    assert (raised.kind, raised.status) == (kind, status)
    assert (raised.reply, raised.cost_usd) == (None, 0.0)
    assert raised.retryable == TROUBLES[kind].retryable


def test_moderation_with_status_200_is_a_refusal(server: ProviderServer, provider: str) -> None:
    body = {"error": {"message": "x requires moderation", "code": 403}}
    assert answer(server, Answer(200, body), f"{provider}/m").finish_reason == "refused"


def test_a_reply_that_cannot_be_used_is_not_paid_for_again_and_keeps_its_cost(
    server: ProviderServer, provider: str
) -> None:
    broken = {
        "index": 0,
        "finish_reason": "error",
        "message": {"role": "assistant", "content": "["},
    }
    for choices, text in (
        ([{**broken, "error": {"code": 502, "message": "lost"}}], "["),
        ([broken], "["),
        ([], ""),
        ([{"message": 7}], ""),
    ):
        raised = fails(server, Answer(200, {**completion(), "choices": choices}), f"{provider}/m")
        assert raised.reply is not None
        assert (raised.reply.text, raised.reply.finish_reason) == (text, "error")
        assert (raised.tokens_in, raised.tokens_out) == (100, 5)
        assert raised.cost_usd == pytest.approx(0.00015)
        assert (raised.retryable, raised.fatal) == (False, False)


# The edge functions, whatever comes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "error message code type status detail choices finish_reason content logprobs "
                "usage prompt_tokens completion_tokens input_tokens top_logprobs token logprob "
                "refusal metadata raw reasons innererror content_filter_result filtered "
                "usageMetadata promptTokenCount candidatesTokenCount promptFeedback "
                "blockReason".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)
BYTES = st.binary(max_size=200) | JSON.map(lambda data: json.dumps(data).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Retry-After-Ms", "X-RateLimit-Reset", "Content-Type"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
SPEC = ModelSpec(name="m", id="openai/m", api_base="http://x.example/v1")


def response(status: int, headers: dict[str, str], body: bytes) -> httpx.Response:
    sent = httpx.Request("POST", "http://x.example")
    return httpx.Response(status, headers=headers, content=body, request=sent)


@given(status=st.integers(300, 599), headers=HEADERS, body=BYTES)
def test_any_error_is_a_fault_that_can_be_told(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    fault = diagnose(Exception("x"), [response(status, headers, body)])
    assert fault.kind in {*TROUBLES, "too_long", "refused"}
    assert fault.retry_after is None or 0 <= fault.retry_after <= LONGEST
    if fault.kind in TROUBLES:
        str(told(fault, SPEC, "http://x.example/v1", ())).encode()


@given(headers=HEADERS, body=BYTES)
def test_any_body_with_status_200_is_an_answer_a_fault_or_nothing(
    headers: dict[str, str], body: bytes
) -> None:
    read = read_heard([response(200, headers, body)])
    if isinstance(read, Answered):
        read.text.encode()
        assert read.finish in ("stop", "length", "refused")
    else:
        assert read is None or isinstance(read, Fault)


@given(JSON)
def test_any_json_has_usage_and_an_error_or_none(data: Any) -> None:
    usage = usage_of(data)
    for tokens in usage or ():
        assert tokens is None or 0 <= tokens <= 3 * MOST_TOKENS
    said = said_in(data)
    f"{said.message}{said.codes}".encode()
    text_of(data).encode()
    listed_in(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_text(body: bytes) -> None:
    json_of(body)
    said_by(body).message.encode()


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_text_can_be_written_once_it_is_clean(text: str) -> None:
    assert whole(text).encode().decode() == whole(text)
    assert len(whole(text)) == len(text)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()))
def test_a_count_is_a_whole_number_or_unknown(value: Any) -> None:
    count = count_of(value)
    assert count is None or (type(count) is int and count == value)


def test_an_error_that_makes_patterns_work_hard_is_told_soon() -> None:
    """No pattern of ours tries a text in more than linear time: this would never end."""
    for text in ("model " * 20_000, "missing " * 20_000, "<" * 200_000, "a..." * 40_000):
        diagnose(Exception(), [response(400, {}, json.dumps(error(text)).encode())])
        told(Fault("request", text), SPEC, None, ("sk-0123456789abcdef",))
