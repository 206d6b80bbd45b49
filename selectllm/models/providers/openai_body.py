"""The body of a chat completion, byte for byte as litellm 1.106.2 sends it. Pure.

Which names, in which order and spelling: a table for each of the two forms, OpenAI's SDK and what
litellm writes for vLLM. What OpenAI's own models do not take is told here, too, before anything is
sent (litellm_core_utils and llms/openai/chat of litellm, November 2026). Differential tests hold
all of it against litellm itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from selectllm.core.codec import json_text
from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.failures import Fault
from selectllm.models.providers.openai_models import Takes, takes
from selectllm.models.providers.providers import PROVIDERS, provider_of


@dataclass(frozen=True, slots=True)
class BodyForm:
    """How bodies are written: `first` and then `order` are the names in their order."""

    first: tuple[str, str]
    order: tuple[str, ...]
    write: Callable[[Any], bytes]


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _compact(data: Any) -> bytes:
    (first, messages), *rest = data.items()
    if first != "messages" or not messages or not rest:
        return _COMPACT.encode(data).encode()
    try:
        texts = [
            ",".join([f"{json_text(name)}:{json_text(text)}" for name, text in message.items()])
            for message in messages
        ]
    except (AttributeError, TypeError):  # extra_body has messages of its own form
        return _COMPACT.encode(data).encode()
    return f'{{"messages":[{{{"},{".join(texts)}}}],{_COMPACT.encode(dict(rest))[1:]}'.encode()


def _spaced(data: Any) -> bytes:
    return json.dumps(data).encode()


FORMS: Mapping[str, BodyForm] = {
    "openai": BodyForm(  # openai 2.54.0, resources/chat/completions: its parameters by the alphabet
        ("messages", "model"),
        (
            *("frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens"),
            *("max_tokens", "modalities", "parallel_tool_calls", "prediction"),
            *("presence_penalty", "prompt_cache_key"),
            *("reasoning_effort", "response_format", "safety_identifier", "seed"),
            *("service_tier", "stop", "store", "temperature", "top_logprobs", "top_p", "user"),
        ),
        _compact,
    ),
    "vllm": BodyForm(  # litellm, utils.py: the parameters of get_optional_params
        ("model", "messages"),
        (
            *("temperature", "top_p", "stop", "max_tokens", "max_completion_tokens"),
            *("modalities", "prediction", "presence_penalty", "frequency_penalty", "logit_bias"),
            *("user", "response_format", "seed", "logprobs", "top_logprobs"),
            *("parallel_tool_calls", "reasoning_effort", "safety_identifier", "store"),
            *("prompt_cache_key", "service_tier"),
        ),
        _spaced,
    ),
}

_HEADERS = frozenset(("headers", "extra_headers"))
# Parameters of OpenAI's that have no field of their own.
_OPENAI = frozenset(FORMS["openai"].order) - frozenset(
    "max_tokens reasoning_effort response_format seed stop temperature top_p".split()
)
# Parameters that servers add to OpenAI's. litellm passes on any name that is none of its own
# settings; these are known to be none.
_SERVERS = frozenset(
    # vLLM: docs.vllm.ai, OpenAI-compatible server, extra parameters
    "use_beam_search min_p repetition_penalty length_penalty stop_token_ids "
    "include_stop_str_in_output ignore_eos min_tokens skip_special_tokens "
    "spaces_between_special_tokens truncate_prompt_tokens prompt_logprobs allowed_token_ids "
    "bad_words echo add_generation_prompt continue_final_message add_special_tokens documents "
    "chat_template chat_template_kwargs include_reasoning mm_processor_kwargs guided_json "
    "guided_regex guided_choice guided_grammar guided_decoding_backend guided_whitespace_pattern "
    "structured_outputs return_tokens_as_token_ids return_token_ids cache_salt kv_transfer_params "
    "vllm_xargs "
    # llama.cpp: ggml-org/llama.cpp tools/server/README.md
    "dynatemp_range dynatemp_exponent n_predict n_keep n_indent typical_p repeat_penalty "
    "repeat_last_n dry_multiplier dry_base dry_allowed_length dry_penalty_last_n "
    "dry_sequence_breakers xtc_probability xtc_threshold top_n_sigma mirostat mirostat_tau "
    "mirostat_eta grammar json_schema n_probs min_keep t_max_predict_ms id_slot cache_prompt "
    "samplers reasoning_format reasoning_budget thinking_forced_open lora timings_per_token "
    # Ollama, LM Studio, SGLang: their pages on OpenAI's API
    "options keep_alive think reasoning enable_thinking ebnf regex separate_reasoning".split()
)
KNOWN_EXTRA = _HEADERS | _OPENAI | _SERVERS | {"extra_body"}
"""The names that `extra` may hold on the direct way."""


def check_direct(spec: ModelSpec) -> None:
    """Raise ModelError for a model that the direct way does not know how to ask."""
    if provider_of(spec).direct is None:
        able = ", ".join(f"{name}/" for name, facts in PROVIDERS.items() if facts.direct)
        raise ModelError(
            f"model {spec.name!r}: the direct transport does not speak to {spec.provider}/. It "
            f"speaks to {able} and to every server with OpenAI's API as openai/MODEL with "
            "api_base. For this model, leave transport out"
        )
    if unknown := sorted(spec.extra.keys() - KNOWN_EXTRA):
        raise ModelError(
            f"model {spec.name!r}: the direct transport does not know extra.{unknown[0]}. To send "
            f"it to the server as it is, write extra.extra_body.{unknown[0]}; if it is a setting "
            "of litellm's, leave transport out"
        )
    if (reason := takes(spec).not_direct) is not None:
        raise ModelError(
            f"model {spec.name!r}: {reason}, which the direct transport does not know. Leave "
            "transport out"
        )


def body_of(spec: ModelSpec, request: Request) -> bytes | Fault:
    """The body that asks `request` of the model of `spec`; a Fault for what it does not take."""
    form, known = FORMS[provider_of(spec).direct or "openai"], takes(spec)
    settings = _settings(spec, request)
    if (fault := known.refuses(settings)) is not None:
        return fault
    name = spec.id.partition("/")[2]
    values = {"model": name, "messages": _messages(request, known)}
    body = {each: values[each] for each in form.first}
    if "max_tokens" in settings and known.limit == "max_completion_tokens":
        settings[known.limit] = settings.pop("max_tokens")
    body |= {each: settings[each] for each in form.order if each in settings}
    return form.write(body | _beside(spec, request))


def _messages(request: Request, known: Takes) -> list[dict[str, Any]]:
    if known.system_messages:
        return [dict(message) for message in request.messages]
    return [
        {"content": message["content"], "role": "user"}
        if message["role"] == "system"
        else dict(message)
        for message in request.messages
    ]


def _settings(spec: ModelSpec, request: Request) -> dict[str, Any]:
    """The settings that OpenAI's API names; the caller's to change."""
    settings: dict[str, Any] = {
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "stop": list(spec.stop) or None,
        "reasoning_effort": spec.reasoning_effort,
        **{name: value for name, value in spec.extra.items() if name in _OPENAI},
        "max_tokens": request.max_tokens,
        "seed": request.seed,
    }
    if request.schema is not None:
        # Not strict: OpenAI's strict mode refuses schemas that leave any key optional or open.
        schema = {"name": "reply", "schema": dict(request.schema), "strict": False}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.top_logprobs is not None:
        settings |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return {name: value for name, value in settings.items() if value is not None}


def _beside(spec: ModelSpec, request: Request) -> dict[str, Any]:
    """What stands beside OpenAI's settings, and over them where a name is given twice."""
    beside = dict(spec.extra.get("extra_body") or {})
    if request.grammar is not None:
        beside["grammar"] = request.grammar
    servers = {name: value for name, value in spec.extra.items() if name in _SERVERS}
    beside |= {
        name: value for name, value in {"top_k": spec.top_k, **servers}.items() if value is not None
    }
    beside.pop("model", None)
    return beside
