"""`reasoning: off|low|medium|high` as every provider takes it. Pure but for the table of models.

One field becomes what each is told: OpenAI's reasoning_effort, Ollama's think, the template
variables of vLLM and llama.cpp, Anthropic's and Gemini's budget of thinking. litellm writes the
last two and Ollama's from a reasoning_effort (checked against 1.106.2); tests hold what is sent
against a real server. What a model is known not to take is told before anything is sent.

Sources (November 2026): the chat completions of OpenAI and Ollama (ollama/ollama#14820), "Reasoning
Outputs" of vLLM, tools/server of llama.cpp, "Extended thinking" of Anthropic, "Gemini thinking",
"Reasoning" of xAI, and what its API answered others (BerriAI/litellm#16265).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec, Reasoning
from selectllm.models.providers.model_table import openai_row, row_of
from selectllm.models.providers.openai_models import takes
from selectllm.models.providers.providers import PROVIDERS, ReasoningForm, provider_of

BUDGETS: Mapping[Reasoning, int] = {"low": 1024, "medium": 2048, "high": 4096}
"""Tokens of thinking that litellm gives Anthropic's and Gemini's models by default."""

_TEMPLATE = "chat_template_kwargs"
_ALLOWED = "allowed_openai_params"
_SAME = ("think", "thinking", "reasoning", "enable_thinking", "reasoning_budget", "thinkingConfig")
"""Names under `extra` that say the same as `reasoning`."""

_NO_EFFORT = re.compile(
    r"grok-(2|3(?!-mini)|4(?![.\d])|4[.-]1|4\.20(?!-multi-agent)|code|build|vision|beta)"
)
"""xAI's models that answer an effort with an error, also those that think."""


def with_reasoning(spec: ModelSpec) -> ModelSpec:
    """`spec` with the settings that its `reasoning` becomes, and without that.

    Raises ModelError where the provider or the model does not take it.
    """
    if spec.reasoning is None:
        return spec
    form = provider_of(spec).reasoning
    if form is None:
        raise _refused(
            spec,
            f"{spec.provider}/ is not known to take it. These take it: {_able()}. Leave "
            "`reasoning` out, or write the provider's own setting under `extra`",
        )
    if spec.answer == "logprobs" and spec.reasoning != "off":
        raise _refused(
            spec,
            "answer: logprobs reads the first token, which would belong to the thinking. "
            "Set reasoning to off",
        )
    _check_said_once(spec)
    told = FORMS[form](spec, spec.reasoning)
    return replace(told, reasoning=None)


def check_reasoning(spec: ModelSpec) -> None:
    """Raise ModelError for a `reasoning` that cannot be asked for, before anything is paid."""
    with_reasoning(spec)


def stops_thinking(spec: ModelSpec) -> bool:
    """Whether `reasoning: off` can be written for `spec`, as far as is known."""
    try:
        with_reasoning(replace(spec, reasoning="off", reasoning_effort=None))
    except ModelError:
        return False
    return True


def _able() -> str:
    names = sorted(f"{name}/" for name, facts in PROVIDERS.items() if facts.reasoning)
    return ", ".join(names)


def _refused(spec: ModelSpec, why: str) -> ModelError:
    return ModelError(f"model {spec.name!r}: reasoning: {spec.reasoning}: {why}")


def _check_said_once(spec: ModelSpec) -> None:
    """Raise ModelError if another setting says the same."""
    template = spec.extra.get(_TEMPLATE)
    body = spec.extra.get("extra_body")
    places = {
        "reasoning_effort": spec.reasoning_effort is not None,
        **{f"extra.{name}": name in spec.extra for name in _SAME},
        f"extra.{_TEMPLATE}": template is not None
        and not (isinstance(template, Mapping) and not template.keys() & _variables(True).keys()),
        f"extra.extra_body.{_TEMPLATE}": isinstance(body, Mapping) and _TEMPLATE in body,
    }
    if given := next((place for place, there in places.items() if there), None):
        raise _refused(spec, f"{given} also sets how the model thinks. Leave one of the two out")


def _variables(thinks: bool) -> dict[str, Any]:
    """Variables of chat templates: Qwen's and most others', and DeepSeek's and Granite's.

    A template ignores those that it does not know.
    """
    return {"enable_thinking": thinks, "thinking": thinks}


def _by_effort(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """By OpenAI's parameter, which litellm writes as each provider takes it."""
    row = row_of(spec)
    if row is not None and not row.get("supports_reasoning"):
        raise _refused(spec, "this model does not think. Leave `reasoning` out")
    return replace(spec, reasoning_effort="none" if level == "off" else level)


def _passed_on(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """The same, also of models that litellm's table lacks, to which it sends none by itself.

    Deployments are named as their owners please, and providers have models newer than the table.
    """
    told = _by_effort(spec, level)
    if row_of(spec) is not None:
        return told
    allowed = [*(spec.extra.get(_ALLOWED) or ()), "reasoning_effort"]
    return replace(told, extra={**spec.extra, _ALLOWED: allowed})


def _openai(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    known = takes(spec)
    if not known.reasons and openai_row(spec.id.partition("/")[2]) is None:
        return _by_any_server(spec, level)
    if not known.reasons:
        raise _refused(spec, "this model does not think. Leave `reasoning` out")
    if level == "off" and not known.efforts.get("none", False):
        raise _cannot_stop(spec)
    told = replace(spec, reasoning_effort="none" if level == "off" else level)
    given = {"temperature": spec.temperature, "top_p": spec.top_p}
    settings = {name: value for name, value in given.items() if value is not None}
    fault = known.refuses({**settings, "reasoning_effort": told.reasoning_effort})
    if fault is not None:
        raise _refused(spec, f"{fault.reason}. Set temperature to null, and leave top_p out")
    return told


def _by_any_server(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """Behind openai/ may be Ollama, which takes an effort, or llama.cpp, which takes variables."""
    told = _by_template(spec, level)
    return replace(told, reasoning_effort="none" if level == "off" else level)


def _by_template(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """vLLM: variables switch thinking, the effort is for models that think more or less."""
    variables = {**(spec.extra.get(_TEMPLATE) or {}), **_variables(level != "off")}
    effort = None if level == "off" else level
    return replace(spec, reasoning_effort=effort, extra={**spec.extra, _TEMPLATE: variables})


def _ollama(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """Litellm writes `think`: whether, and for gpt-oss how much."""
    if level == "off" and spec.id.partition("/")[2].startswith("gpt-oss"):
        raise _cannot_stop(spec)
    return replace(spec, reasoning_effort="none" if level == "off" else level)


def _anthropic(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    if level != "off":
        if spec.temperature not in (None, 1) or spec.top_k is not None:
            raise _refused(
                spec,
                "while it thinks it takes no temperature but 1, and no top_k. Set temperature to "
                "null, and leave top_k out",
            )
        _check_room(spec, level)
    return _by_effort(spec, level)


def _gemini(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    name = spec.id.partition("/")[2]
    if name.startswith("claude"):  # Anthropic's models, which vertex_ai/ has as well
        return _anthropic(spec, level)
    if name.startswith("xai/"):
        raise _refused(spec, "Grok takes no setting of it there. Leave `reasoning` out")
    if level == "off" and re.search(r"gemini-2\.5-pro|gemini-[3-9]", name):
        raise _cannot_stop(spec)
    if level != "off":
        _check_room(spec, level)
    return _by_effort(spec, level)


def _check_room(spec: ModelSpec, level: Reasoning) -> None:
    """Thinking counts towards max_tokens."""
    if spec.max_tokens <= BUDGETS[level]:
        raise _refused(
            spec,
            f"max_tokens {spec.max_tokens:,} leaves no room for an answer beside up to "
            f"{BUDGETS[level]:,} tokens of thinking. Set max_tokens to {BUDGETS[level] + 1024:,}",
        )


def _cannot_stop(spec: ModelSpec) -> ModelError:
    return _refused(spec, "this model always thinks. The least that it takes is low")


def _xai(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """Most of xAI's models think as they will and refuse an effort; few can be told to stop."""
    name = spec.id.rpartition("/")[2]
    if _NO_EFFORT.match(name):
        raise _refused(
            spec,
            "this model takes no setting of how much it thinks. Leave `reasoning` out, or name a "
            "model that takes one, such as xai/grok-4.3",
        )
    if level == "off" and "multi-agent" in name:
        raise _refused(
            spec,
            "to this model an effort says how many agents think, which cannot be none. Leave "
            "`reasoning` out, or name a model that can be told not to think, such as xai/grok-4.3",
        )
    if level == "off" and not name.startswith("grok-4.3"):
        raise _cannot_stop(spec)
    if level == "medium" and name.startswith("grok-3-mini"):
        raise _refused(spec, "this model takes low or high")
    return _passed_on(spec, level)


def _as_it_is(spec: ModelSpec, level: Reasoning) -> ModelSpec:
    """Code of the user's own reads the entry."""
    return spec


FORMS: Mapping[ReasoningForm, Callable[[ModelSpec, Reasoning], ModelSpec]] = {
    "openai": _openai,
    "template": _by_template,
    "ollama": _ollama,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "effort": _by_effort,
    "passed on": _passed_on,
    "xai": _xai,
    "own": _as_it_is,
}
"""What `reasoning` becomes, by how a provider takes it."""
