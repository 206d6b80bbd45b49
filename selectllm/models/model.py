"""The Model port: what a model is, what it is asked, and the one method that asks it.

A model's settings are all here: its price, and how often it is asked for one decision (`Vote`);
how votes are combined stands in selection/voting.py. A request's identity is its cache key.
Golden keys in `tests/golden/request_keys.json` make sure that no change or upgrade moves a key
unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeVar

from selectllm.core.codec import canonical_json, json_text, sha256_text
from selectllm.core.types import Message, Question, Reply, empty
from selectllm.models.secrets import masked, shown_url

IDENTITY_VERSION = 1
Answer = Literal["text", "logprobs"]
Rule = Literal["borda", "majority"]
Transport = Literal["litellm", "direct"]
Reasoning = Literal["off", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. `reasoning`: of thinking, None if that costs what output does."""

    input: float
    output: float
    reasoning: float | None = None

    def cost(self, tokens_in: int, tokens_out: int, tokens_reasoning: int | None = None) -> float:
        """USD for one call; `tokens_reasoning`: those of `tokens_out` that are thinking."""
        thought = min(tokens_reasoning or 0, tokens_out)
        dearer = 0.0 if self.reasoning is None else thought * (self.reasoning - self.output)
        return (tokens_in * self.input + tokens_out * self.output + dearer) / 1_000_000

    def fields(self) -> dict[str, Any]:
        """As JSON, for manifests; `reasoning` is in it only if it is set."""
        fields = {"input": self.input, "output": self.output}
        return fields if self.reasoning is None else fields | {"reasoning": self.reasoning}


@dataclass(frozen=True, slots=True)
class Vote:
    """How often a model is asked for one decision, and how its replies are combined.

    `orders`: orders in which the cluster is shown, at most; `repeats`: replies to each. `by`: the
    rule; None is borda where there is more than one order, else majority. An adaptive vote shows
    `first` orders of each cluster, and further ones, one at a time, until the mean overlap of the
    ballots' picks is at least `until` (0 to 1; see voting.mean_overlap). Its orders are the first
    ones of the fixed vote, so that both share their replies. Without `first` the vote is fixed.
    """

    orders: int = 1
    repeats: int = 1
    by: Rule | None = None
    first: int | None = None
    until: float = 1.0

    @property
    def ballots(self) -> int:
        """Questions per decision, at most."""
        return self.orders * self.repeats

    @property
    def least_ballots(self) -> int:
        """Questions per decision, at least."""
        return (self.first or self.orders) * self.repeats

    @property
    def rule(self) -> Rule:
        """The rule that combines them."""
        return self.by or ("borda" if self.orders > 1 else "majority")

    @property
    def fixed(self) -> Vote:
        """The vote that always shows all its orders."""
        return replace(self, first=None, until=1.0)

    def fields(self) -> dict[str, Any]:
        """As JSON, for manifests: an adaptive vote's `orders` are the least and the most."""
        fields = {"orders": self.orders, "repeats": self.repeats, "by": self.rule}
        if self.first is None:
            return fields
        return fields | {"orders": [self.first, self.orders], "until": self.until}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model as a suite or the command line names it.

    `id` is what litellm calls it, `provider/model`; `name` is what arms and results call it, unique
    in a suite, by default the id. `api_base`: the server to ask instead of the provider's; with it
    no key of the provider's is sent, only the one in the variable `api_key_env`. `revision`:
    quantisation, snapshot or whatever else tells two models of one id apart. `reasoning`: how much
    it thinks before it answers, as its provider takes that (providers/reasoning.py); None leaves
    that to the provider. `context`: tokens
    that prompt and reply share, None if unknown. `price`: None means litellm's table, and `not
    priced` where that has none. `structured`: may a JSON schema be sent; None decides by provider.
    `vote`: how often it is asked for one decision, None for once. `answer`: logprobs generates one
    token and ranks the labels by their probability (see logprobs.py). `extra`: passed to the
    provider as it is. `timeout`: seconds per call. `transport`: who makes the calls; direct does
    without litellm where the server speaks OpenAI's API, None leaves it to the provider. Requests
    and replies are the same either way. `rpm`, `tpm`: requests and tokens a minute that all
    commands of the workspace together send at most, None for as fast as the server answers.
    """

    name: str
    id: str
    revision: str | None = None
    api_base: str | None = None
    api_key_env: str | None = None
    context: int | None = None
    price: Price | None = None
    temperature: float | None = 0.0
    max_tokens: int = 1024
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    reasoning_effort: str | None = None
    reasoning: Reasoning | None = None
    structured: bool | None = None
    vote: Vote | None = None
    answer: Answer = "text"
    extra: Mapping[str, Any] = field(default_factory=empty)
    timeout: float = 120.0
    transport: Transport | None = None
    rpm: float | None = None
    tpm: float | None = None

    @property
    def provider(self) -> str:
        """The part of the id before the first slash: openai, ollama_chat, local, mock, ..."""
        return self.id.partition("/")[0]

    def fields(self) -> dict[str, Any]:
        """The settings as JSON, for manifests; without what does not shape a reply or a price.

        Secrets are masked by their place (see secrets.py): in `extra`, and in the path of a URL.
        `vote`, `answer`, `transport` and `reasoning` are in it only if they are used: manifests
        made before they were there stay as they are.
        """
        fields = {name: getattr(self, name) for name in self.__slots__}
        for name in ("api_key_env", "timeout", "vote", "answer", "transport", "rpm", "tpm"):
            del fields[name]
        if self.reasoning is None:
            del fields["reasoning"]
        if self.vote is not None:
            fields["vote"] = self.vote.fields()
        if self.answer != "text":
            fields["answer"] = self.answer
        if self.transport == "direct":
            fields["transport"] = self.transport
        fields["extra"] = masked(self.extra)
        fields["api_base"] = None if self.api_base is None else shown_url(self.api_base)
        fields["stop"] = list(self.stop)
        fields["price"] = None if self.price is None else self.price.fields()
        return fields

    def recorded(self, endpoint: str | None) -> dict[str, Any]:
        """`fields` and the endpoint that its requests go to (see Request), for manifests."""
        return self.fields() | {"endpoint": endpoint and shown_url(endpoint)}


@dataclass(frozen=True)
class Request:
    """One call: everything that shapes the reply.

    `endpoint`: the resolved base URL, or for the embedded engine the weights' sha256 and the
    engine's version; None for the provider's own default. `schema`: a JSON schema for structured
    output, or None. `grammar`: a GBNF grammar for the embedded engine, or None. `top_logprobs`:
    how many of the likeliest tokens to list in place of the text, None for the text; `each_token`:
    of every token of the reply, not of the first alone. `seed`: sent
    where the provider takes one; repeat r of a decision has the run's seed + r. `repeat` keeps
    repeats apart in the cache. `question` is what the messages ask, for scripted models; it is
    no part of the identity.
    """

    model: ModelSpec
    messages: tuple[Message, ...]
    question: Question
    endpoint: str | None = None
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    top_logprobs: int | None = None
    each_token: bool = False
    max_tokens: int = 1024
    seed: int = 0
    repeat: int = 0

    def identity(self) -> dict[str, Any]:
        """The canonical description of the call, from our own configuration alone.

        Keys, time-outs, retries and prices are not in it. Settings that are None are left out,
        so that a setting added later moves no key of those who do not use it. A key that stands
        in `extra` is masked: another key asks the same.
        """
        spec = self.model
        optional = {
            "revision": spec.revision,
            "endpoint": self.endpoint,
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "top_k": spec.top_k,
            "stop": list(spec.stop) or None,
            "reasoning_effort": spec.reasoning_effort,
            "reasoning": spec.reasoning,
            "extra": masked(spec.extra) or None,
            "schema": self.schema,
            "grammar": self.grammar,
            "top_logprobs": self.top_logprobs,
            "each_token": self.each_token or None,
        }
        return {
            "v": IDENTITY_VERSION,
            "model": spec.id,
            "messages": list(self.messages),
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "repeat": self.repeat,
            **{name: value for name, value in optional.items() if value is not None},
        }

    @cached_property
    def key(self) -> str:
        """The cache key: hex sha256 of the identity's canonical JSON."""
        before, after = _around_messages(self)
        messages = ",".join(
            f'{{"content":{json_text(message["content"])},"role":{json_text(message["role"])}}}'
            for message in self.messages
        )
        return sha256_text(f'{before},"messages":[{messages}],{after}')

    @cached_property
    def tokens(self) -> int:
        """How many tokens its messages have, by our estimate."""
        from selectllm.models.tokens import estimate_tokens  # numpy, which no help needs

        return estimate_tokens(self.messages)


Made = TypeVar("Made")


class OfSettings(Generic[Made]):
    """What `make` makes of a request, once for all that differ in their messages alone.

    Nearly all requests of a command do. Without schemas: they cannot be told apart fast.
    """

    def __init__(self, make: Callable[[Request], Made]) -> None:
        self._make = make
        self._made: dict[tuple[object, ...], tuple[ModelSpec, Made]] = {}

    def __call__(self, request: Request) -> Made:
        """That of `request`."""
        if request.schema is not None:
            return self._make(request)
        spec, limit = request.model, request.max_tokens
        listed = (request.top_logprobs, request.each_token)
        varying = (request.endpoint, request.grammar, request.seed, request.repeat)
        place = (id(spec), limit, *listed, *varying)
        known = self._made.get(place)
        if known is None or known[0] is not spec:  # it is kept, so that no other has its id
            if len(self._made) >= MOST_SETTINGS:
                self._made.clear()
            known = self._made[place] = spec, self._make(request)
        return known[1]


MOST_SETTINGS = 1_000


@OfSettings
def _around_messages(request: Request) -> tuple[str, str]:
    """The identity before and after its messages, as canonical_json writes the whole."""
    identity = request.identity()
    before = {name: value for name, value in identity.items() if name < "messages"}
    after = {name: value for name, value in identity.items() if name > "messages"}
    return canonical_json(before)[:-1], canonical_json(after)[1:]


class Model(Protocol):
    """Whatever answers a request.

    `complete` returns the reply, or raises ProviderError (retryable ones after its own retries),
    BudgetReached or ReplyMissing; nothing of the provider's library escapes. It may be called
    many times at once from one event loop. `close` releases what `complete` opened.
    """

    async def complete(self, request: Request) -> Reply:
        """The reply to one request."""
        ...

    async def close(self) -> None:
        """Release connections and servers; the model is not used again."""
        ...


def expect(model: Model, requests: Sequence[Request]) -> None:
    """Tell `model` what may be asked next, if it has an `expect`: it saves work by that."""
    hear = getattr(model, "expect", None)
    if hear is not None and requests:
        hear(requests)
