"""What providers say no with: real sentences of theirs, and what each is about."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from selectllm.models.providers.failures import diagnose
from selectllm.models.providers.wordings import (
    BROKEN_WORDS,
    CUT_WORDS,
    REFUSED_WORDS,
    WORDINGS,
    finish_word,
)


def said(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


def kind(status: int, body: Any) -> str:
    response = httpx.Response(status, json=body, request=httpx.Request("POST", "http://x"))
    return diagnose(Exception(), [response]).kind


# (provider, status, body): as their servers word it, numbers and names changed.
TOO_LONG: list[tuple[str, int, Any]] = [
    ("OpenAI", 400, said("This model's maximum context length is 8192 tokens. However, your "
     "messages resulted in 9000 tokens.", code="context_length_exceeded")),
    ("OpenAI", 400, said("Your input exceeds the context window of this model.")),
    ("OpenAI", 400, said("Input tokens exceed the configured limit of 272000 tokens.")),
    ("OpenAI", 429, said("Request too large for gpt-4o in organization org-x on tokens per min "
     "(TPM): Limit 30000, Requested 39000.", type="tokens", code="rate_limit_exceeded")),
    ("Groq", 413, said("Request too large for model `llama` in organization `o` service tier "
     "`on_demand` on tokens per minute (TPM): Limit 6000, Requested 7000", type="tokens")),
    ("OpenAI", 400, said("Invalid 'messages[0].content': string too long. Expected a string with "
     "maximum length 1048576", code="string_above_max_length")),
    ("litellm", 400, said("litellm.ContextWindowExceededError: the prompt is larger")),
    ("proxy", 400, said("no", code="context_window_exceeded")),
    ("Azure", 400, said("This model's maximum context length is 4096 tokens, however you requested "
     "4927 tokens (3927 in your prompt; 1000 for the completion).")),
    ("Anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "prompt is too long: 213462 tokens > 200000 maximum"}}),
    ("Anthropic", 413, {"type": "error", "error": {"type": "request_too_large",
     "message": "Request exceeds the maximum size"}}),
    ("Anthropic", 400, said("input length and `max_tokens` exceed context limit: 199211 + 20000 > "
     "200000, decrease input length or `max_tokens` and try again")),
    ("Anthropic", 400, said("prompt: length: 1..288000")),
    ("Gemini", 400, [said("The input token count (1196265) exceeds the maximum number of tokens "
     "allowed (1048575).", code=400, status="INVALID_ARGUMENT")]),
    ("Gemini", 400, said("Request payload size exceeds the limit: 20971520 bytes.", code=400)),
    ("Mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft "
     "tokens, too large for model with 32768 maximum context length", "code": "3051"}),
    ("DashScope", 400, said("<400> InternalError.Algo.InvalidParameter: Range of input length "
     "should be [1, 30720]", code="invalid_parameter_error")),
    ("Moonshot", 400, said("Invalid request: Your request exceeded model token limit: 8192 "
     "(requested: 9000)", type="invalid_request_error")),
    ("Moonshot", 400, said("Input token length too long", type="invalid_request_error")),
    ("Zhipu", 400, said("Prompt \u8d85\u957f", code="1261")),
    ("Qianfan", 400, said("Prompt tokens too long", code="tokens_too_long")),
    ("sglang", 400, {"object": "error", "message": "The input (9000 tokens) is longer than the "
     "model's context length (8192 tokens).", "type": "BadRequestError", "code": 400}),
    ("sglang", 400, {"message": "Requested token count exceeds the model's maximum context length "
     "of 8192 tokens."}),
    ("Poolside", 400, said("Input length 131393 exceeds the maximum allowed input length of 131040 "
     "tokens.")),
    ("vLLM", 400, {"object": "error", "message": "This model's maximum context length is 4096 "
     "tokens. However, you requested 0 output tokens and your prompt contains at least 4097 input "
     "tokens", "type": "BadRequestError", "code": 400}),
    ("vLLM", 400, said("Prompt too long: 5152 tokens exceeds max_seq_len 2048")),
    ("llama.cpp", 400, said("request (9000 tokens) exceeds the available context size (8192 "
     "tokens), try increasing it", type="exceed_context_size_error", code=400)),
    ("DS4", 400, said("Prompt has 32769 tokens, but the configured context size is 32768 tokens")),
    ("Ollama", 400, {"error": "prompt too long; exceeded max context length by 12 tokens"}),
    ("Ollama", 500, {"error": "the input length exceeds the context length"}),
    ("LM Studio", 400, {"error": "The number of tokens to keep from the initial prompt is greater "
     "than the context length."}),
    ("LM Studio", 400, {"error": "Context size has been exceeded."}),
    ("TGI", 422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
     "2048. Given: 2000 `inputs` tokens and 100 `max_new_tokens`", "error_type": "validation"}),
    ("TGI", 422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. "
     "Given: 1234", "error_type": "validation"}),
    ("Cohere", 400, {"message": "too many tokens: total number of tokens in the prompt cannot "
     "exceed 4081 - received 5000. Try using a shorter prompt."}),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}),
    ("Bedrock", 400, {"message": "Malformed input request: expected maxLength: 100000, actual: 2"}),
    ("Bedrock", 400, {"message": "validation_error: prompt tokens (9000) exceed model maximum "
     "(8192)"}),
    ("Groq", 400, said("Please reduce the length of the messages or completion.",
     code="context_length_exceeded")),
    ("Groq", 400, said("Please reduce the length of the messages or completion.")),
    ("xAI", 400, {"code": "Client specified an invalid argument", "error": "This model's maximum "
     "prompt length is 131072 but the request contains 537812 tokens."}),
    ("Cerebras", 400, {"message": "Current length is 9000 while limit is 8192"}),
    ("MiniMax", 400, said("invalid params, context window exceeds limit (2013)")),
    ("Copilot", 400, said("prompt token count of 200000 exceeds the limit of 128000")),
    ("Replicate", 400, {"detail": "Input text length should not exceed 4000"}),
    ("Together", 422, said("Input validation error: maximum input length is 8192 tokens")),
    ("Fireworks", 400, {"error": {"object": "error", "type": "invalid_request_error",
     "message": "The prompt is too long: 40177, model maximum context length: 32767"}}),
    ("OpenRouter", 400, said("Provider returned error", code=400, metadata={"raw": '{"error": '
     '{"message": "prompt is too long: 9 tokens > 8 maximum"}}', "provider_name": "P"})),
    ("OpenRouter", 400, said("The request is larger than it may be", code="token_limit_exceeded",
     metadata={})),
    ("OpenRouter", 400, said("token limit exceeded")),
]  # fmt: skip

REFUSED: list[tuple[str, int, Any]] = [
    ("Azure", 400, said("The response was filtered due to the prompt triggering Azure OpenAI's "
     "content management policy.", code="content_filter", status=400,
     innererror={"code": "ResponsibleAIPolicyViolation"})),
    ("Azure", 400, said("Filtered.", innererror={"code": "ResponsibleAIPolicyViolation"})),
    ("Azure", 400, said("The response was filtered due to the content management policy.")),
    ("Azure", 400, said("Bad.", innererror={"content_filter_result": {"x": {"filtered": True}}})),
    ("Azure", 500, said("The model produced invalid content. Consider modifying your prompt.")),
    ("OpenAI", 400, said("Invalid prompt: your prompt was flagged as potentially violating our "
     "usage policy.", type="invalid_request_error", code="invalid_prompt")),
    ("OpenAI", 400, said("It may be violating our usage policies.")),
    ("OpenAI", 400, said("This request has been flagged for potentially high-risk cyber activity.",
     type="invalid_request", code="cyber_policy")),
    ("OpenAI", 400, said("no", code="cyber_policy")),
    ("OpenAI", 400, said("This content was flagged for possible cybersecurity risk.")),
    ("OpenAI", 400, said("Your request was rejected as a result of our safety system.",
     code="content_policy_violation")),
    ("OpenAI", 400, said("Your request was rejected as a result of our safety system.")),
    ("litellm", 400, said("litellm.ContentPolicyViolationError: no")),
    ("Anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "Output blocked by content filtering policy"}}),
    ("xAI", 403, {"code": "The caller does not have permission to execute the specified operation",
     "error": "Content violates usage guidelines. Team: t, API key ID: k, Model: grok-4-0709, "
     "Failed check: SAFETY_CHECK_TYPE_BIO"}),
    ("OpenRouter", 403, said('x/y requires moderation on A. Your input was flagged for "violence".',
     code=403, metadata={"reasons": ["violence"], "flagged_input": "..."})),
    ("OpenRouter", 403, said("Forbidden", code=403, metadata={"reasons": ["violence"]})),
    ("OpenRouter", 403, said("Request blocked: prompt injection patterns detected", code=403)),
    ("OpenRouter", 403, said("No.", code=403, type="refusal")),
    ("gateway", 400, said("moderation blocked this")),
    ("Writer", 400, {"errors": [{"message": "We detected unsafe content in your text inputs.",
     "key": "fail.content.moderation.failed"}]}),
    ("Bedrock", 400, {"message": "The guardrail intervened"}),
    ("DashScope", 400, said("Input data may contain inappropriate content.",
     type="data_inspection_failed", code="data_inspection_failed")),
    ("DashScope", 400, said("<400> InternalError.Algo.DataInspectionFailed: Input text data may "
     "contain inappropriate content.")),
    ("DashScope", 400, said("Output data may contain inappropriate content.")),
    ("Zhipu", 400, said("System detected unsafe words", code="1301")),
    ("Moonshot", 400, said("The request was rejected because it was considered high risk",
     type="content_filter")),
    ("Moonshot", 400, said("The request was rejected because it was considered high risk")),
    ("Qianfan", 400, said("no", code="unsafe_request")),
    ("DeepSeek", 400, said("Content Exists Risk", type="invalid_request_error",
     code="invalid_request_error")),
    ("Vertex", 400, said("The response was blocked.")),
    ("Gemini", 400, said("PROHIBITED_CONTENT")),
]  # fmt: skip

# What sounds like it and is about something else.
OTHER: list[tuple[str, int, Any]] = [
    ("busy", 429, said("Rate limit reached on tokens per min: too many tokens. Try again in 2s.")),
    ("busy", 429, {"message": "Too many tokens, please wait before trying again."}),
    ("busy", 429, said("content moderation service: rate limit")),
    ("busy", 503, said("overloaded")),
    ("quota", 429, said("You exceeded your current quota", code="insufficient_quota")),
    ("quota", 402, said("Insufficient credits")),
    ("quota", 400, said("Insufficient Balance")),
    ("key", 401, said("No auth credentials found")),
    ("key", 403, said("Your API key does not have permission to use this model.")),
    ("key", 403, said("Country, region, or territory not supported", code="unsupported_country")),
    ("key", 400, said("API key not valid. Please pass a valid API key.")),
    ("forbidden", 403, {}),
    ("forbidden", 403, said("Forbidden")),
    ("model", 404, said("The model `x` does not exist")),
    ("model", 400, said("nope is not a valid model ID")),
    ("request", 400, said("temperature must be below 2.")),
    ("request", 422, {"detail": [{"loc": ["body"], "msg": "Field required",
     "input": "the context length exceeded, says this item of the pool: content_filter"}]}),
    ("request", 400, said("Value 1301 of top_k is not allowed, nor is 1261")),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "body"), TOO_LONG)
def test_overflow_is_told_by_every_wording(provider: str, status: int, body: Any) -> None:
    assert kind(status, body) == "too_long", provider


@pytest.mark.parametrize(("provider", "status", "body"), REFUSED)
def test_a_refusal_is_told_by_every_wording(provider: str, status: int, body: Any) -> None:
    assert kind(status, body) == "refused", provider


@pytest.mark.parametrize(("expected", "status", "body"), OTHER)
def test_what_is_about_something_else_is_not_taken_for_it(
    expected: str, status: int, body: Any
) -> None:
    assert kind(status, body) == expected


@pytest.mark.parametrize("status", [200, 400, 403, 413, 422, 500])
def test_what_is_said_of_a_prompt_counts_with_any_status(status: int) -> None:
    if status > 200:
        assert kind(status, said("prompt is too long")) == "too_long"
        assert kind(status, said("no", code="content_filter")) == "refused"


def test_every_row_has_a_source_and_a_sentence() -> None:
    import json

    texts = [json.dumps(body, ensure_ascii=False) for _, _, body in (*TOO_LONG, *REFUSED, *OTHER)]
    for row in WORDINGS:
        assert row.source
        pattern = re.compile(row.pattern.replace("^[^|]*", ""), re.IGNORECASE | re.DOTALL)
        if row.kind in ("too_long", "refused"):
            assert any(pattern.search(text) for text in texts), row.pattern


@pytest.mark.parametrize(
    ("words", "ours"), [(REFUSED_WORDS, "refused"), (CUT_WORDS, "length"), (BROKEN_WORDS, "broken")]
)
def test_finish_reasons_are_read_in_any_case(words: dict[str, str], ours: str) -> None:
    for word in words:
        assert finish_word(word) == finish_word(word.upper()) == ours


@pytest.mark.parametrize("word", [None, "", 7, 1.5, ["stop"], {"a": 1}, True])
def test_a_finish_reason_that_is_no_word_is_none(word: Any) -> None:
    assert finish_word(word) == "stop"


def test_another_word_stays_as_it_is() -> None:
    assert finish_word("tool_calls") == "tool_calls"
