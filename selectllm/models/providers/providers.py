"""What is known of every provider, one record each. Pure; a new provider is a new record.

A provider without a record gets an honest default (`provider_of`): it is called over the network
by the variables NAME_API_BASE and NAME_API_KEY, and nothing is taken for granted of it. The names
of the variables and their order are litellm's (checked against 1.106.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec
from selectllm.models.token_logprobs import MOST, MOST_OF_ENGINE

Way = Literal["network", "embedded", "scripted", "own"]
"""How its models are reached: by litellm, the engine in this process, a script, or own code."""

Batches = Literal["openai", "anthropic"]
"""Whose form its batches have: OpenAI's files and batches, or Anthropic's message batches."""

ReasoningForm = Literal[
    "openai", "template", "ollama", "anthropic", "gemini", "effort", "passed on", "xai", "own"
]
"""How it is told to think more or less: a key of reasoning.FORMS."""

Direct = Literal["openai", "vllm"]
"""How its bodies are written where it is asked without litellm: a key of openai_body.FORMS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The facts about one provider, which is the part of a model's id before its first slash.

    `base`, `key`: the variables that its base URL and key are read from, the first one set wins;
    None for NAME_API_BASE and NAME_API_KEY. `direct`: it can be asked without litellm, None if it
    cannot. `batches`: it can be asked in batches, None if it cannot. `reasoning`: how it is told to
    think more or less, None if it is not known to take that. `takes_schema`: a pattern of
    the names of its models that take a JSON schema as `response_format`, None if none is known to
    (November 2026, from the providers' documentation as litellm 1.106.2's model table records it).
    `self_hosted`: it has no server of its own, and without a base URL litellm would send prompts to
    api.openai.com.
    `ambient_token`: it sends a token of the machine's own log-in whatever key it is given.
    `default_endpoint`: where it listens unless told otherwise, for messages. `needs_num_ctx`: it
    cuts prompts unless told how long they are. `free`: calls cost nothing. `needs_key`: it cannot
    be asked without a key; others may have a log-in of their own, or need none. `constrained`:
    replies are held to a grammar, since its models hold to no format by themselves. `most_reasks`:
    how often a question is asked again at most, None for as often as the suite says. `slots`: calls
    worked on at once, None for any number. `lists_logprobs`: False if it is known to list no
    log-probabilities of tokens, or litellm not to ask it for them (its 1.106.2's tables of
    parameters, November 2026); else its first reply shows. `most_logprobs`: tokens listed in place
    of one at most.
    `start_hint`, `model_hint`: what to do if its server or a model is not there ({name}: the
    model's). `seconds_per_call`: of a call that nothing else is known of; `tokens_per_second`, of
    prompt and reply together, tells it better where there is one.
    """

    name: str
    base: tuple[str, ...] | None = None
    key: tuple[str, ...] | None = None
    way: Way = "network"
    direct: Direct | None = None
    batches: Batches | None = None
    reasoning: ReasoningForm | None = None
    takes_schema: str | None = None
    self_hosted: bool = False
    ambient_token: bool = False
    default_endpoint: str | None = None
    needs_num_ctx: bool = False
    free: bool = False
    needs_key: bool = False
    constrained: bool = False
    most_reasks: int | None = None
    slots: int | None = None
    lists_logprobs: bool = True
    most_logprobs: int = MOST
    start_hint: str = "Start the server that should listen there"
    model_hint: str | None = None
    seconds_per_call: float = 2.0
    tokens_per_second: float | None = None

    @property
    def base_variables(self) -> tuple[str, ...]:
        """The variables that its base URL is read from; the first one set wins."""
        return (f"{self._stem}_API_BASE",) if self.base is None else self.base

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The variables that its key is read from; the first one set wins."""
        return (f"{self._stem}_API_KEY",) if self.key is None else self.key

    @property
    def _stem(self) -> str:
        return self.name.upper().replace("-", "_")


_OPENAI_BASE, _OPENAI_KEY = ("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)
_ANTHROPIC_BASE = ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")
_ANTHROPIC_KEY = ("ANTHROPIC_API_KEY",)
_ANY = ""


def _ollama(name: str) -> Provider:
    return Provider(
        name=name,
        base=("OLLAMA_API_BASE",),
        key=("OLLAMA_API_KEY",),
        reasoning="ollama",
        takes_schema=_ANY,
        default_endpoint="http://localhost:11434",
        needs_num_ctx=True,
        lists_logprobs=False,
        start_hint="Start it with: ollama serve",
        model_hint="Try: ollama pull {name}",
    )


def _keyed(name: str, lists_logprobs: bool = True) -> Provider:
    """Of which litellm's own table of keys says no more than that it takes NAME_API_KEY."""
    return Provider(name=name, needs_key=True, lists_logprobs=lists_logprobs)


def _without_logprobs(*names: str) -> list[Provider]:
    return [_keyed(name, lists_logprobs=False) for name in names]


PROVIDERS: Mapping[str, Provider] = {
    known.name: known
    for known in (
        Provider(
            name="local",
            base=(),
            key=(),
            way="embedded",
            direct="openai",
            takes_schema=_ANY,
            free=True,
            constrained=True,  # in free text 0 of 7 replies held to the format
            most_reasks=1,  # it hardly profits from more
            slots=1,
            most_logprobs=MOST_OF_ENGINE,
            seconds_per_call=0.0,
            tokens_per_second=185,  # on two cores
        ),
        Provider(name="mock", base=(), key=(), way="scripted", free=True, seconds_per_call=0.0),
        Provider(name="python", base=(), key=(), way="own", reasoning="own", free=True),
        Provider(
            name="openai",
            base=_OPENAI_BASE,
            key=_OPENAI_KEY,
            direct="openai",
            batches="openai",
            reasoning="openai",
            takes_schema=(
                r"(ft:)?(gpt-4o(?!-2024-05-13)|gpt-4\.1|gpt-[5-9]|o[34](-mini)?(-2\d{3}|$)"
                r"|o1(-2\d{3}|$))"
                r"(?!.*(audio|realtime|transcribe|tts|research|preview|-pro))"
            ),
            needs_key=True,
        ),
        Provider(name="azure", batches="openai", reasoning="passed on"),
        Provider(name="text-completion-openai", base=_OPENAI_BASE, key=_OPENAI_KEY),
        Provider(name="custom_openai", base=_OPENAI_BASE, key=_OPENAI_KEY, self_hosted=True),
        Provider(name="openai_like", self_hosted=True),
        Provider(
            name="anthropic",
            base=_ANTHROPIC_BASE,
            key=_ANTHROPIC_KEY,
            batches="anthropic",
            reasoning="anthropic",
            takes_schema=r"claude-[a-z]+-(4-[5-9]|[5-9])",
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(
            name="anthropic_text",
            base=_ANTHROPIC_BASE,
            key=_ANTHROPIC_KEY,
            lists_logprobs=False,
        ),
        _ollama("ollama"),
        _ollama("ollama_chat"),
        Provider(
            name="hosted_vllm",
            direct="vllm",
            reasoning="template",
            takes_schema=_ANY,
            self_hosted=True,
            start_hint="Start it with: vllm serve {name}",
        ),
        Provider(name="vllm", takes_schema=_ANY),
        Provider(
            name="lm_studio",
            direct="openai",
            takes_schema=_ANY,
            self_hosted=True,
            start_hint="Start the server in LM Studio",
        ),
        Provider(
            name="gemini",
            key=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            reasoning="gemini",
            takes_schema=r"gemini-",
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(
            name="vertex_ai",
            base=("VERTEXAI_API_BASE",),
            key=(),
            reasoning="gemini",
            ambient_token=True,
        ),
        Provider(name="vertex_ai_beta", ambient_token=True),
        Provider(name="watsonx", ambient_token=True),
        Provider(name="watsonx_text", ambient_token=True, lists_logprobs=False),
        Provider(name="gdc", ambient_token=True),
        Provider(name="gigachat", ambient_token=True, lists_logprobs=False),
        Provider(
            name="mistral",
            base=("MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"),
            key=("MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"),
            takes_schema=r"(?!codestral-mamba)",
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(name="xai", reasoning="xai", takes_schema=r"grok-[3-9]", needs_key=True),
        Provider(
            name="groq", reasoning="passed on", takes_schema=r"openai/gpt-oss", needs_key=True
        ),
        Provider(name="deepseek", reasoning="effort", needs_key=True),
        Provider(name="openrouter", reasoning="effort", needs_key=True),
        Provider(
            name="together_ai",
            key=(
                *("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
                *("TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
            ),
            needs_key=True,
        ),
        Provider(
            name="fireworks_ai",
            base=("FIREWORKS_API_BASE",),
            key=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
            needs_key=True,
        ),
        Provider(
            name="perplexity",
            key=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
            needs_key=True,
            lists_logprobs=False,
        ),
        _keyed("cohere", lists_logprobs=False),
        Provider(
            name="cohere_chat",
            base=("COHERE_API_BASE",),
            key=("COHERE_API_KEY", "CO_API_KEY"),
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(
            name="huggingface",
            base=("HF_API_BASE", "HUGGINGFACE_API_BASE"),
            key=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        ),
        Provider(name="meta_llama", base=("LLAMA_API_BASE",), key=("LLAMA_API_KEY",)),
        Provider(
            name="friendliai",
            base=("FRIENDLI_API_BASE",),
            key=("FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"),
        ),
        Provider(name="lambda_ai", base=("LAMBDA_API_BASE",), key=("LAMBDA_API_KEY",)),
        *map(_keyed, ("dashscope", "wandb", "moonshot", "nebius", "novita")),
        *_without_logprobs("ai21", "baseten", "cerebras", "codestral", "deepinfra"),
        *_without_logprobs("inception", "nlp_cloud", "nvidia_nim"),
        Provider(
            name="featherless_ai",
            key=("FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"),
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(
            name="replicate",
            key=("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
            needs_key=True,
            lists_logprobs=False,
        ),
        Provider(
            name="vercel_ai_gateway",
            key=("VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
            needs_key=True,
        ),
        Provider(name="volcengine", key=("ARK_API_KEY", "VOLCENGINE_API_KEY"), needs_key=True),
    )
}
"""Providers of which more is known than their name."""


def provider_of(spec: ModelSpec) -> Provider:
    """What is known of the provider of `spec`."""
    name = spec.provider
    return PROVIDERS.get(name) or Provider(name=name)


def needs_num_ctx(specs: Iterable[ModelSpec]) -> bool:
    """Whether any of these models cuts prompts unless told how long they are."""
    return any(provider_of(spec).needs_num_ctx for spec in specs)


def takes_schema(spec: ModelSpec) -> bool:
    """Whether a JSON schema may be sent: `spec.structured`, else by provider and model name.

    A server behind `openai/` with `api_base` is unknown: it counts as taking one only if its
    model bears the name of an OpenAI model that does. So is a provider of which nothing is known:
    Azure deployments, for one, are named as their owners please.
    """
    if spec.structured is not None:
        return spec.structured
    pattern = provider_of(spec).takes_schema
    return pattern is not None and re.match(pattern, spec.id.partition("/")[2]) is not None


def check_lists_logprobs(spec: ModelSpec, asked_with: str) -> None:
    """Raise ModelError for a model that thinks first, or whose provider is known to list none."""
    if spec.reasoning not in (None, "off"):
        raise ModelError(
            f"model {spec.name!r}: {asked_with} needs the log-probabilities of the first "
            f"token of the answer, but with reasoning: {spec.reasoning} the first token "
            "belongs to the thinking. Set reasoning to off"
        )
    if not lists_logprobs(spec):
        raise ModelError(
            f"model {spec.name!r}: {asked_with} needs log-probabilities, and "
            f"{spec.provider}/ models do not return any. Use a prompt that is answered in "
            "text (and no `answer: logprobs`), or a provider that returns them. For Ollama "
            "that is openai/MODEL with api_base: http://localhost:11434/v1"
        )


def lists_logprobs(spec: ModelSpec) -> bool:
    """Whether log-probabilities may be asked for; of many providers the first reply shows it."""
    asked_all_the_same = spec.extra.get("allowed_openai_params") or ()
    return provider_of(spec).lists_logprobs or "top_logprobs" in asked_all_the_same


def tokens_to_list(spec: ModelSpec) -> int:
    """How many tokens to ask for; `extra.top_logprobs` where a provider takes fewer than MOST.

    Raises ModelError for another value of that.
    """
    given = spec.extra.get("top_logprobs")
    if given is None:
        return provider_of(spec).most_logprobs
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MOST_OF_ENGINE:
        raise ModelError(
            f"{spec.name}: extra.top_logprobs {given!r} is not a number of tokens from 1 to "
            f"{MOST_OF_ENGINE}"
        )
    return given
