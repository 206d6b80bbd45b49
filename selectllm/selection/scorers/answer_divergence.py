"""Answer divergence: how far apart, and in how many directions, a model's answers to an item lie.

ADG, Answer Divergence-Guided Selection (Li et al., ACL 2026, arXiv 2604.10448), samples five
answers to every instruction at a high temperature. The more the answers spread, and the less they
do so along one direction, the more there is to learn from an annotated one. There the vectors are
hidden states of the model that answers; here they come from the encoder that embeds the pool, so
that any provider's model can answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.errors import UsageError
from selectllm.core.types import Attempt, Item
from selectllm.data.embedder import Embedder
from selectllm.data.encoders import check_encoder
from selectllm.selection.scorers.ask_items import Rated, one_by_one
from selectllm.selection.scorers.item_scorer import Ahead, ItemScorer, Measured, Meter, answered
from selectllm.selection.scorers.open_endedness import (
    Sampler,
    open_sampler,
    problem_of,
    sample_requests,
    sampled,
)

REPLIES = 5
TEMPERATURE = 1.0  # of a model whose entry says 0; the authors' code has 1.4, which not all take
OF_SPREAD, OF_SHAPE = 0.6, 0.4  # the weights of the authors' code
NOTHING = 1e-12  # a spread below it is rounding: the answers are one


def divergence(vectors: Vectors) -> float:
    """0.6 times the spread of answers plus 0.4 times its shape; higher diverges more.

    `vectors`: (n_answers, dim), rows of length 1. Spread: the mean squared distance to their mean,
    0 to 1. Shape: 1 less the share of the largest eigenvalue of their covariance, 0 where they lie
    on a line, up to 1 - 1 / (n_answers - 1). 0 if all answers are one.
    """
    wide = vectors.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    eigenvalues = np.linalg.svd(centred, compute_uv=False) ** 2
    total = float(eigenvalues.sum())
    if total < NOTHING:
        return 0.0
    spread, shape = total / len(vectors), 1 - float(eigenvalues[0]) / total
    return OF_SPREAD * spread + OF_SHAPE * shape


@dataclass(frozen=True)
class AnswerDivergenceScorer(ItemScorer):
    """The `divergence` of every item, by answers of the model called `of`."""

    of: str
    name = "answer-divergence"
    calls_per_item = REPLIES

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise ModelError or UsageError for a model that cannot be sampled.

        Raises ExtraMissing if its answers cannot be embedded.
        """
        check_encoder(_embedder(meter).encoder)
        self._sampler(meter)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """The model's settings, and the encoder of its answers."""
        sampler = self._sampler(meter)
        return {
            "model": sampler.spec.recorded(sampler.endpoint),
            "answer_encoder": _embedder(meter).encoder.identity,
        }

    def problems(self, reply: Attempt, meter: Meter) -> Sequence[str]:
        """That it is empty, or was refused."""
        problem = problem_of(reply.reply, reply.finish_reason)
        return () if problem is None else (problem,)

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """REPLIES calls an item, one after the other; NaN where one of them cannot be used."""
        sampler, embedder = self._sampler(meter), _embedder(meter)
        asked = f"answer-divergence with {sampler.spec.name}"

        def value(replies: Sequence[str]) -> float:
            return divergence(embedder.vectors(replies))

        async def measure(item: Item) -> Rated:
            return await sampled(self._requests(item, sampler, meter), sampler, value)

        tick, at_once = meter.tick(len(items)), meter.settings.concurrency
        return await answered(sampler.model, one_by_one(items, measure, asked, at_once, tick))

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """REPLIES requests an item."""
        sampler = self._sampler(meter)
        requests = [one for item in items for one in self._requests(item, sampler, meter)]
        return Ahead(sampler.spec, requests=requests)

    def _requests(self, item: Item, sampler: Sampler, meter: Meter) -> Any:
        return sample_requests(item, sampler, meter.seed, REPLIES)

    def _sampler(self, meter: Meter) -> Sampler:
        return open_sampler(meter.spec(self.of), meter.shared, TEMPERATURE)


def _embedder(meter: Meter) -> Embedder:
    if meter.embedder is None:
        raise UsageError("answer-divergence has to embed the answers, and no encoder was given")
    return meter.embedder
