"""What `models check` says of a model: whether its reply could be used, and what to set if not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from selectllm.core.codec import load_json
from selectllm.core.errors import SelectLLMError
from selectllm.core.shown import counted, excerpt, visible
from selectllm.core.types import Parsed, Reply
from selectllm.jobs.measuring import thought_only
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.providers import provider_of, takes_schema
from selectllm.models.providers.reasoning import stops_thinking
from selectllm.prompting.replies.parse import PROBLEMS
from selectllm.selection.ask import all_thinking, spent_unseen

Outcome = Literal[
    "answered",
    "all thinking",
    "format ignored",
    "context cut",
    "no answer",
    "refused",
    "not reached",
]
Listing = Literal["listed", "not listed", "not asked"]
LESS_THOUGHT = 0.5  # share of a reply's tokens that are thinking, from which on less is advised


@dataclass(frozen=True, slots=True)
class ReplyFinding:
    """What came of one call. `said`: why it is no answer; `advice`: what to set, "" for nothing."""

    outcome: Outcome
    said: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model that was asked once with the real prompt `prompt`.

    `picks`: labels that it picked of `shown` candidates, `wanted` were asked for; all 0 where the
    prompt cannot be asked of the model. `logprobs`: whether it lists the log-probabilities of its
    first token, which a second call asks for. Tokens, `seconds` and `cost_usd` are of the first
    call; None where they are not known.
    """

    model: str
    id: str
    prompt: str
    outcome: Outcome
    said: str
    advice: str
    reply: str
    picks: int
    wanted: int
    shown: int
    logprobs: Listing
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_reasoning: int | None = None
    seconds: float | None = None
    cost_usd: float | None = None

    @property
    def text(self) -> str:
        """In a few lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        name = self.model if self.model == self.id else f"{self.model} ({self.id})"
        why = f": {self.said}" if self.said else ""
        yield f"{name} with {self.prompt}: {self.outcome}{why}."
        if self.reply:
            yield f"  Reply: {visible(excerpt(self.reply))}"
        if self.seconds is not None:
            yield f"  {self._taken()}"
        if self.logprobs != "not asked":
            yield f"  Log-probabilities: {self.logprobs}.{self._elsewhere()}"
        if self.advice:
            yield f"  What to set: {self.advice}"

    def _elsewhere(self) -> str:
        """Where they may be had."""
        if self.logprobs == "listed" or not self.id.startswith("ollama"):
            return ""
        _, _, name = self.id.partition("/")
        return f" They may be as openai/{name} with the api_base http://HOST:11434/v1."

    def _taken(self) -> str:
        read = "unknown" if self.tokens_in is None else f"{self.tokens_in:,}"
        written = "unknown" if self.tokens_out is None else f"{self.tokens_out:,}"
        thought = f", {self.tokens_reasoning:,} of them thinking" if self.tokens_reasoning else ""
        price = "its price is not known"
        if self.cost_usd is not None:
            price = f"it cost {self.cost_usd:.6f} USD"
        return (
            f"Tokens: {read} in and {written} out{thought}. It took {self.seconds:.1f} seconds, "
            f"and {price}."
        )


@dataclass(frozen=True, slots=True)
class ModelsChecked:
    """Every model of a suite, asked once."""

    models: tuple[CheckedModel, ...]

    @property
    def not_reached(self) -> bool:
        """Whether the provider of any model failed."""
        return any(each.outcome == "not reached" for each in self.models)

    @property
    def unusable(self) -> bool:
        """Whether any model gave no answer that can be used."""
        return any(each.outcome != "answered" for each in self.models)

    @property
    def text(self) -> str:
        """Model by model, and how many can be used."""
        usable = sum(each.outcome == "answered" for each in self.models)
        rows = [each.text for each in self.models]
        total = counted(len(self.models), "model")
        return "\n".join([*rows, f"{usable} of {total} answered in the form that was asked for."])

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {"models": [asdict(each) for each in self.models]}


def found_in(reply: Reply, request: Request, parsed: Parsed) -> ReplyFinding:
    """What a reply comes to. `parsed`: what it says in answer to `request`."""
    spec = request.model
    if reply.finish_reason == "too_long":
        return _too_long(spec, "the provider says that the prompt does not fit its context")
    if reply.finish_reason == "refused":
        return ReplyFinding(
            "refused", "the provider says that the model refused", "Try another prompt."
        )
    if all_thinking(reply) or spent_unseen(reply):
        cut = reply.finish_reason == "length"
        return ReplyFinding("all thinking", *_halves(thought_only(spec, cut)))
    if request.schema is not None and not _keeps_to(request, reply.text):
        said = "a JSON schema was sent, and the reply does not keep to it"
        return ReplyFinding("format ignored", said, _format_advice(spec))
    if parsed.status in ("invalid", "partial"):
        said = "; ".join(PROBLEMS.get(word, word) for word in parsed.problems)
        return ReplyFinding("no answer", said, _answer_advice(request, reply))
    return ReplyFinding("answered", "", _thinking_advice(spec, reply))


def unsent(spec: ModelSpec, tokens: int) -> ReplyFinding:
    """Of a prompt that is longer than the model's context, and is therefore never sent."""
    return _too_long(
        spec,
        f"the prompt has about {tokens:,} tokens, and `context` {spec.context:,} has to hold "
        f"max_tokens ({spec.max_tokens:,}) as well",
    )


def misfit(error: SelectLLMError, spec: ModelSpec) -> ReplyFinding:
    """Of a prompt that cannot be asked of this model, so that it is never sent."""
    why, advice = _halves(str(error))
    return ReplyFinding("no answer", why.removeprefix(f"model {spec.name!r}: "), advice)


def failed(error: SelectLLMError, spec: ModelSpec) -> ReplyFinding:
    """Of a call that failed."""
    kind = getattr(error, "kind", "")
    said = str(error).rstrip(".")
    if kind == "input_truncated":
        return _too_long(spec, said)
    if kind == "logprobs":
        return ReplyFinding("no answer", said, "Set answer to text.")
    return ReplyFinding("not reached", said)


def _too_long(spec: ModelSpec, said: str) -> ReplyFinding:
    grow = "Raise the context of the server (vLLM --max-model-len, llama.cpp --ctx-size)"
    if provider_of(spec).needs_num_ctx:
        grow = "Raise the context of Ollama (OLLAMA_CONTEXT_LENGTH)"
    return ReplyFinding(
        "context cut", said, f"{grow}, write it as context in the entry, or lower clusters.size."
    )


def _halves(told: str) -> tuple[str, str]:
    """Why, and what to set."""
    why, _, advice = told.partition(". ")
    return why, f"{advice.rstrip('.')}."


def _keeps_to(request: Request, text: str) -> bool:
    """Whether the text is a JSON object with the keys that the schema requires."""
    try:
        content = load_json(text)
    except ValueError:
        return False
    required = (request.schema or {}).get("required", ())
    return isinstance(content, dict) and all(name in content for name in required)


def _format_advice(spec: ModelSpec) -> str:
    if _ignores_format(spec):
        return (
            "Ollama ignores the format of several models while thinking is off "
            "(ollama/ollama#14645). Set reasoning to low with more max_tokens, serve the model "
            "with llama.cpp or vLLM, or use a prompt whose reply is a list of labels."
        )
    return (
        "The server ignores the schema. Set structured to false, or use a prompt whose reply is a "
        "list of labels."
    )


def _ignores_format(spec: ModelSpec) -> bool:
    """Whether it is an Ollama model whose thinking is off."""
    switched_off = spec.reasoning == "off" or spec.extra.get("think") is False
    return provider_of(spec).needs_num_ctx and switched_off


def _answer_advice(request: Request, reply: Reply) -> str:
    spec = request.model
    if reply.finish_reason == "length":
        return f"The reply was cut at max_tokens. Set max_tokens to {4 * spec.max_tokens}."
    in_words = request.schema is None and request.question.reply != "json"
    if in_words and takes_schema(spec) and not _ignores_format(spec):
        return (
            "Use a prompt whose reply is json: this model can be held to a schema. Or try a larger "
            "model."
        )
    return "Try another prompt (selectllm prompts list), or a larger model."


def _thinking_advice(spec: ModelSpec, reply: Reply) -> str:
    """Of a reply that can be used, and is mostly thinking."""
    thought, written = reply.tokens_reasoning or 0, reply.tokens_out or 0
    if thought <= LESS_THOUGHT * written or not thought:
        return ""
    if spec.reasoning != "off" and stops_thinking(spec):
        return (
            f"Thinking is {thought / written:.0%} of the reply. To save it, set reasoning to off."
        )
    return f"Thinking is {thought / written:.0%} of the reply."
