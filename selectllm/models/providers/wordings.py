"""What providers say no with: one row for every wording, with where it was read. Pure.

A refusal of one prompt and a prompt that is too long are about that prompt; a wrong key, an unknown
model and a used-up quota are about every call. Status codes tell them apart nowhere: all of them
come as 400, 403, 413, 422, 429, 500, or inside a reply with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple


class Wording(NamedTuple):
    """A way to say no: `pattern`, in a provider's codes or message, means `kind`.

    Case does not count; codes stand before ` | `. `source`: where it was read, a page or a
    repository's path or thread.
    """

    kind: str
    pattern: str
    source: str


_LITELLM = "BerriAI/litellm litellm/litellm_core_utils/exception_mapping_utils.py"
_PI = "earendil-works/pi packages/ai/src/utils/overflow.ts"
_OPENROUTER = "openrouter.ai/docs/api/reference/errors-and-debugging"
_ZHIPU = "docs.bigmodel.cn/cn/api/api-code"
_DASHSCOPE = "alibabacloud.com/help/zh/model-studio/error-code"
_QIANFAN = "cloud.baidu.com/doc/qianfan-api/s/rmwbl43x7"
_KIMI = "platform.kimi.com/docs/api/errors"
_TGI = "huggingface/text-generation-inference router/src/validation.rs"
_GEMINI = "cloud.google.com/vertex-ai/generative-ai/docs/multimodal/process-blocked-responses"

WORDINGS: tuple[Wording, ...] = (
    # The prompt does not fit.
    Wording("too_long", r"context[ _]?length[ _]?exceeded|context_window_exceeded", _LITELLM),
    Wording("too_long", r"ContextWindowExceeded", _LITELLM),
    Wording("too_long", r"maximum context (length|limit)", "OpenAI, Azure, vLLM: " + _LITELLM),
    Wording("too_long", r"exceeds? the (model'?s )?context (window|length)", "OpenAI: " + _PI),
    Wording("too_long", r"input tokens exceed the configured limit", "OpenAI: " + _LITELLM),
    Wording("too_long", r"request too large for", "OpenAI, Groq: " + _LITELLM),
    Wording("too_long", r"string_above_max_length|string too long\. expected", _LITELLM),
    Wording("too_long", r"prompt (is )?too long", "Anthropic, Fireworks, Ollama: " + _PI),
    Wording("too_long", r"prompt: length: 1\.\.|request_too_large", "Anthropic: " + _LITELLM),
    Wording("too_long", r"exceeds? context limit", "Anthropic: openclaw/openclaw pull 20539"),
    Wording(
        "too_long", r"input token count.{0,40}exceeds", "Gemini: google-gemini/gemini-cli 6678"
    ),
    Wording("too_long", r"request payload size exceeds", "Gemini: " + _LITELLM),
    Wording("too_long", r"too large for model with \d+", "Mistral: " + _PI),
    Wording("too_long", r"range of input length should be", "DashScope: " + _DASHSCOPE),
    Wording("too_long", r"exceeded model token limit", "Moonshot: " + _KIMI),
    Wording("too_long", r"input token length too long", "Moonshot: " + _KIMI),
    Wording("too_long", r"^[^|]*\b1261\b|prompt ?\u8d85\u957f", "Zhipu: " + _ZHIPU),
    Wording("too_long", r"(tokens|characters)_too_long|prompt tokens too long", _QIANFAN),
    Wording("too_long", r"longer than the (model'?s )?context length", "sglang, Together: " + _PI),
    Wording(
        "too_long", r"input (length|is longer).{0,60}(exceeds|than)", "sglang, Poolside: " + _PI
    ),
    Wording("too_long", r"max_(seq|model)_len\b", "vLLM: 0xBakeer/inference-atlas pull 186"),
    Wording("too_long", r"prompt contains.{0,20}\d+ input tokens", "vLLM: " + _PI),
    Wording("too_long", r"exceed_context_size_error|available context size", "llama.cpp: " + _PI),
    Wording("too_long", r"configured context size", "DS4: " + _PI),
    Wording("too_long", r"exceeded (max )?context length", "Ollama: " + _PI),
    Wording(
        "too_long", r"input length exceeds", "Ollama 0.12, of which 0.40 passes on llama.cpp's"
    ),
    Wording("too_long", r"greater than the context length", "LM Studio: " + _PI),
    Wording("too_long", r"context (overflow|size has been exceeded)", "LM Studio: " + _PI),
    Wording("too_long", r"inputs.? tokens \+ .?max_new_tokens", "TGI: " + _TGI),
    Wording("too_long", r"inputs.? must have less than \d+ tokens", "TGI: " + _TGI),
    Wording(
        "too_long", r"too many (input |prompt )?tokens", "Cohere: cohere-ai/sandbox-topically 4"
    ),
    Wording("too_long", r"input is too long|expected maxLength:", "Bedrock: " + _LITELLM),
    Wording("too_long", r"prompt tokens \(\d+\) exceed", "Bedrock: " + _LITELLM),
    Wording("too_long", r"reduce the length of the (input|messages|prompt)", "Groq: " + _PI),
    Wording("too_long", r"maximum prompt length", "xAI: " + _PI),
    Wording("too_long", r"current length is \d+ while limit is", "Cerebras: " + _LITELLM),
    Wording("too_long", r"context window exceeds limit", "MiniMax: " + _PI),
    Wording("too_long", r"token count.{0,20}exceeds the limit of \d+", "Copilot: " + _PI),
    Wording("too_long", r"(maximum )?input (text )?length (is|should not exceed)", _LITELLM),
    Wording("too_long", r"(token|length)[ _]limit[ _]exceeded|max_tokens_exceeded", _OPENROUTER),
    # This prompt, or the reply to it, was stopped by a filter.
    Wording("refused", r"content_?filter", "OpenAI, Azure, Moonshot: " + _KIMI),
    Wording("refused", r"content[ _-]?policy[ _-]?violation", "OpenAI: " + _LITELLM),
    Wording("refused", r"ResponsibleAIPolicyViolation", "Azure: " + _LITELLM),
    Wording("refused", r"content management policy|content_filter_policy", "Azure: " + _LITELLM),
    Wording("refused", r"content filtering policy", "Anthropic: anthropics/claude-code 58367"),
    Wording("refused", r"(our|the) safety system", "OpenAI: " + _LITELLM),
    Wording("refused", r"produced invalid content", "Azure: " + _LITELLM),
    Wording("refused", r"invalid_prompt\b", "OpenAI: openai/codex 7250"),
    Wording("refused", r"violat\w+ (of )?(our|the|openai'?s) (usage|content)", "openai/codex 7250"),
    Wording(
        "refused",
        r"(cyber|bio)_policy|misalignment_policy",
        "OpenAI: UKGovernmentBEIS/inspect_ai pull 3607",
    ),
    Wording("refused", r"flagged (for|as) (a )?(possible|potential)", "openai/codex 19587"),
    Wording(
        "refused", r"violates? usage guidelines|SAFETY_CHECK_TYPE", "xAI: inspect_ai pull 2267"
    ),
    Wording("refused", r"requires moderation|input was flagged|\bmoderated\b", _OPENROUTER),
    Wording("refused", r"moderation[ _](block|fail|flag|refus|reject|error)", _OPENROUTER),
    Wording("refused", r"prompt injection|guardrail", "OpenRouter, Bedrock: " + _OPENROUTER),
    Wording("refused", r"^[^|]*\brefusal\b", _OPENROUTER),
    Wording("refused", r"content\.moderation|unsafe content", "Writer: stanford-crfm/helm 1418"),
    Wording("refused", r"data_?inspection_?failed|inappropriate content", _DASHSCOPE),
    Wording("refused", r"^[^|]*\b1301\b|\u654f\u611f\u5185\u5bb9", "Zhipu: " + _ZHIPU),
    Wording("refused", r"considered high risk", "Moonshot: " + _KIMI),
    Wording("refused", r"unsafe_request", _QIANFAN),
    Wording("refused", r"(response|prompt|output|input) was blocked", "Gemini: " + _LITELLM),
    Wording("refused", r"PROHIBITED_CONTENT|BLOCKLIST", "Gemini: vercel/ai 4235"),
    Wording("refused", r"content exists risk", "DeepSeek: deepseek-ai/DeepSeek-V2 30"),
    # Nothing will be answered until somebody pays.
    Wording(
        "quota", r"insufficient_?_?(quota|balance|credits|funds)", "OpenAI, DeepSeek: " + _LITELLM
    ),
    Wording("quota", r"insufficient (balance|credits|funds)", _OPENROUTER),
    Wording("quota", r"billing_(hard_limit_reached|not_active)", "OpenAI: " + _LITELLM),
    Wording("quota", r"credit balance is too low", "Anthropic: " + _LITELLM),
    Wording("quota", r"exceeded_current_quota_error", "Moonshot: " + _KIMI),
    # The key.
    Wording("key", r"missing .{0,40}(api.?key|credentials)", "OpenAI: " + _LITELLM),
    Wording("key", r"api.?key (is )?(not valid|invalid|not found|expired)", "Gemini: " + _LITELLM),
    Wording("key", r"(invalid|incorrect|no|wrong|expired).{0,20} api.?key", _LITELLM),
    # The model.
    Wording("model", r"LLM Provider NOT provided|unmapped LLM provider|unknown provider", _LITELLM),
    Wording("model", r"(invalid|unknown|no such) model\b|not a valid model", _LITELLM),
    Wording("model", r"model.{0,100}(does not|doesn't|not) (exist|found)", "OpenAI: " + _LITELLM),
)


@cache
def _wordings(kind: str) -> re.Pattern[str]:
    """All wordings of one kind; made when somebody first says no, for that takes a while."""
    rows = (f"(?:{row.pattern})" for row in WORDINGS if row.kind == kind)
    return re.compile("|".join(rows), re.IGNORECASE | re.DOTALL)


# Said of calls in a minute, not of one prompt: "too many tokens, please wait" of Bedrock, and
# "max tokens per minute" of others (agentao pull 88). What no minute could carry is too long.
_OF_A_MINUTE = re.compile(
    r"rate.?limit|too many requests|throttl|per.minute|please wait|try again (in|later)",
    re.IGNORECASE,
)
_NEVER = re.compile(r"request too large for", re.IGNORECASE)

# Who may call at all. A 403 that says nothing of this may be about the prompt alone.
_OF_THE_ACCOUNT = re.compile(
    r"\bkeys?\b|api.?key|credential|\btoken\b|authenti|authori[sz]|permission|not allowed|"
    r"access.{0,20}denied|not have access|organi[sz]ation|country|region|territor|subscription|"
    r"account|project|\bplan\b|\btier\b|may not use|suspended|terminated|disabled|billing",
    re.IGNORECASE,
)


def kind_in(said: str, kind: str) -> bool:
    """Whether `said`, a provider's codes and message, has a wording of `kind`."""
    if kind == "too_long" and _OF_A_MINUTE.search(said) and not _NEVER.search(said):
        return False
    return _wordings(kind).search(said) is not None


def is_of_the_account(said: str) -> bool:
    """Whether a 403 says that the key, the account or its place may not call."""
    return _OF_THE_ACCOUNT.search(said) is not None


REFUSED_WORDS: Mapping[str, str] = {
    "content_filter": "OpenAI",
    "content_filtered": "Bedrock: BerriAI/litellm litellm/litellm_core_utils/core_helpers.py",
    "refusal": "Anthropic: docs.claude.com/en/api/handling-stop-reasons",
    "guardrail_intervened": "Bedrock: docs.aws.amazon.com/bedrock API_runtime_Converse",
    "safety": "Gemini: " + _GEMINI,
    "recitation": "Gemini",
    "language": "Gemini",
    "blocklist": "Gemini",
    "prohibited_content": "Gemini",
    "spii": "Gemini",
    "image_safety": "Gemini",
    "other": "Gemini",
    "model_armor": "Vertex",
    "error_toxic": "Cohere: docs.cohere.com/reference/chat",
    "sensitive": "Zhipu: " + _ZHIPU,
    "moderation": "OpenRouter",
    "guardrail": "OpenRouter: " + _OPENROUTER,
    "blocked": "AI21, Perplexity",
    "content_policy": "OpenRouter: " + _OPENROUTER,
}
"""Finish reasons that mean that a filter stopped the reply, and whose they are."""

CUT_WORDS: Mapping[str, str] = {
    "length": "OpenAI",
    "max_tokens": "Anthropic, Gemini",
    "max_output_tokens": "OpenAI Responses",
    "model_length": "Mistral: docs.mistral.ai/api",
    "max_length": "TGI",
    "model_context_window_exceeded": "Anthropic, Zhipu: " + _PI,
}
"""Finish reasons that mean that the reply was cut off."""

BROKEN_WORDS: Mapping[str, str] = {
    "error": "OpenRouter: " + _OPENROUTER,
    "network_error": "Zhipu: " + _ZHIPU,
    "malformed_response": "Gemini",
    "insufficient_system_resource": "DeepSeek: api-docs.deepseek.com",
}
"""Finish reasons that mean that the provider failed while it wrote."""


def finish_word(word: Any) -> str:
    """Our word for a provider's finish reason: stop, length, refused, broken, or its own.

    Whatever is no text is stop, as where there is none.
    """
    if not isinstance(word, str) or not word:
        return "stop"
    plain = word.lower()
    for ours, theirs in (
        ("refused", REFUSED_WORDS),
        ("length", CUT_WORDS),
        ("broken", BROKEN_WORDS),
    ):
        if plain in theirs:
            return ours
    return word
