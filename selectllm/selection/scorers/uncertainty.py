"""How unsure a model is of its own answer to an item, by the log-probabilities of its tokens.

Bhatt et al. (2024, arXiv 2401.06692) choose the prompts to annotate by how uncertain
the model that is to be trained is of the answer that it generates greedily: by the mean entropy of
its tokens, the smallest margin of one between its two likeliest tokens, the largest uncertainty of
one. Here an answer is its first REPLY_TOKENS tokens, and of each token the MOST likeliest
log-probabilities are known (20, as many as OpenAI lists): what is not listed counts as one token
more, so that an entropy is at least what is told.

One reply an item serves all of these measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selectllm.core.errors import ModelError
from selectllm.core.types import Attempt, Item, Question
from selectllm.models.connect import connect, request_endpoint, settled
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.models.providers.providers import lists_logprobs, provider_of, tokens_to_list
from selectllm.models.token_logprobs import MOST, tokens_in
from selectllm.selection.ask import fits, tried
from selectllm.selection.scorers.ask_items import Rated, one_by_one
from selectllm.selection.scorers.item_scorer import Ahead, ItemScorer, Measured, Meter, answered

REPLY_TOKENS = 64  # of an answer

Tokens = Sequence[Sequence[float]]
"""Of each token of a reply the log-probabilities that were listed, likeliest first; not empty."""


def token_uncertainty(tokens: Tokens) -> float:
    """The largest of 1 - p over the tokens, p of the likeliest one; 0 to 1, higher is less sure."""
    return max(1 - math.exp(token[0]) for token in tokens)


def margin(tokens: Tokens) -> float:
    """The smallest margin over the tokens: p of the likeliest less p of the second.

    From 0, where both are as likely, to 1, where there is no other; lower is less sure.
    """
    return min(
        math.exp(token[0]) - (math.exp(token[1]) if len(token) > 1 else 0.0) for token in tokens
    )


def mean_entropy(tokens: Tokens) -> float:
    """The mean over the tokens of - sum p ln p, in nats; from 0, higher is less sure.

    What is not listed counts as one more token, which can only lower it.
    """
    return float(np.mean([_entropy(token) for token in tokens]))


def _entropy(token: Sequence[float]) -> float:
    logs = np.array(token)
    listed = np.exp(logs)
    rest = max(0.0, 1.0 - float(listed.sum()))
    own = rest * math.log(rest) if rest > 0 else 0.0
    return max(0.0, -float((listed * logs).sum()) - own)


def confidence(tokens: Tokens) -> float:
    """The geometric mean of p of the likeliest token; above 0, up to 1, higher is surer."""
    return math.exp(float(np.mean([token[0] for token in tokens])))


MEASURES: Mapping[str, Callable[[Tokens], float]] = {
    "token-uncertainty": token_uncertainty,
    "margin": margin,
    "mean-entropy": mean_entropy,
    "confidence": confidence,
}


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model that answers items, of whose tokens the log-probabilities are listed."""

    spec: ModelSpec
    model: Model
    endpoint: str | None

    def request(self, item: Item) -> Request:
        """The call that one item takes: its text and nothing else."""
        return Request(
            model=self.spec,
            messages=({"role": "user", "content": item.text},),
            question=Question((item,), ("1",), 1, "indices"),
            endpoint=self.endpoint,
            top_logprobs=min(tokens_to_list(self.spec), MOST),
            each_token=True,
            max_tokens=REPLY_TOKENS,
        )

    async def measured(self, item: Item, measure: Callable[[Tokens], float]) -> Rated:
        """What `measure` makes of the answer to the item, NaN where there is none."""
        request = self.request(item)
        if not fits(request):
            return Rated(math.nan, (), "invalid", ("too_long",))
        reply = await self.model.complete(request)
        attempts = tried(request, reply)
        if reply.finish_reason == "refused":
            return Rated(math.nan, attempts, "refused", ("refused",))
        tokens = tokens_in(reply.text)
        if not tokens:
            word = "too_long" if reply.finish_reason == "too_long" else "empty"
            return Rated(math.nan, attempts, "invalid", (word,))
        return Rated(measure(tokens), attempts, "ok")


@dataclass(frozen=True)
class UncertaintyScorer(ItemScorer):
    """One of MEASURES of every item, by an answer of the model called `of`."""

    measure: str
    of: str
    name = "uncertainty"
    calls_per_item = 1

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise ModelError for a model of which no log-probabilities are to be had."""
        spec = self._answerer(meter).spec
        if provider_of(spec).way == "scripted" or not lists_logprobs(spec):
            raise ModelError(
                f"{spec.name}: {self.measure} needs the log-probabilities of what a model writes, "
                f"and {spec.provider}/ models list none. Name a model that does, such as "
                "local/smollm2-135m, or one behind vLLM, llama.cpp or OpenAI"
            )

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """The model's settings, and how long an answer is."""
        answerer = self._answerer(meter)
        model = answerer.spec.recorded(answerer.endpoint)
        return {"model": model, "measure": self.measure, "reply_tokens": REPLY_TOKENS}

    def problems(self, reply: Attempt, meter: Meter) -> Sequence[str]:
        """That it was refused, or lists nothing."""
        if reply.finish_reason in ("refused", "too_long"):
            return (reply.finish_reason,)
        return () if tokens_in(reply.reply) else ("empty",)

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """One call an item.

        The first item is asked about alone: what lists no log-probabilities is known by its reply,
        before more is paid.
        """
        answerer, measure, tick = self._answerer(meter), MEASURES[self.measure], meter.tick
        asked = f"{self.measure} with {answerer.spec.name}"
        hear = tick(len(items))

        async def measured(item: Item) -> Rated:
            return await answerer.measured(item, measure)

        async def all_measured() -> dict[str, Rated]:
            first = len(items) if meter.shared.batch is not None or meter.shared.offline else 1
            rated: dict[str, Rated] = {}
            for part in (items[:first], items[first:]):
                if part:
                    at_once = meter.settings.concurrency
                    rated |= await one_by_one(part, measured, asked, at_once, hear)
            return rated

        return await answered(answerer.model, all_measured())

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """One request an item."""
        answerer = self._answerer(meter)
        return Ahead(answerer.spec, requests=[answerer.request(item) for item in items])

    def _answerer(self, meter: Meter) -> Answerer:
        """The model, at temperature 0 unless its entry leaves that to the provider."""
        spec = settled(meter.spec(self.of), meter.shared.base)
        if spec.temperature is not None:
            spec = replace(spec, temperature=0.0)
        return Answerer(spec, connect(spec, meter.shared), request_endpoint(spec, meter.shared))
