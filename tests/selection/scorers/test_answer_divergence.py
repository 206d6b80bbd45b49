"""Answer divergence: how far apart, and in how many directions, a model's answers lie."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Vectors
from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.data.embedder import Embedder
from selectllm.models.connect import Connections
from selectllm.models.wrappers.budget import Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.retry import RetryPolicy
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.answer_divergence import (
    REPLIES,
    AnswerDivergenceScorer,
    divergence,
)
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.strategies import Candidates, find_strategy
from tests.support.hash_encoder import HashEncoder
from tests.support.made_vectors import blobs, names, random_vectors, unit
from tests.support.meters import idle_meter
from tests.support.provider_calls import at
from tests.support.provider_server import Answer, ProviderServer, completion


def by_gram_matrix(vectors: Vectors) -> float:
    """The definition by the eigenvalues of the centred cosines of all answers."""
    wide = vectors.astype(np.float64)
    count = len(wide)
    centring = np.eye(count) - np.ones((count, count)) / count
    eigenvalues = np.clip(np.linalg.eigvalsh(centring @ (wide @ wide.T) @ centring), 0, None)
    total = eigenvalues.sum()
    if total < 1e-12:
        return 0.0
    return float(0.6 * total / count + 0.4 * (1 - eigenvalues.max() / total))


@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 1000))
def test_it_is_the_weighted_sum_of_spread_and_shape(count: int, dim: int, seed: int) -> None:
    vectors = random_vectors(count, dim=dim, seed=seed)
    assert divergence(vectors) == pytest.approx(by_gram_matrix(vectors), abs=1e-7)


def test_one_answer_repeated_diverges_not_at_all_and_orthogonal_ones_most() -> None:
    assert divergence(unit(np.ones((5, 4)))) == 0.0
    assert divergence(np.eye(5, dtype=np.float32)) == pytest.approx(0.6 * 0.8 + 0.4 * 0.75)


def test_two_poles_lie_on_a_line_and_so_diverge_less_than_as_wide_a_cloud() -> None:
    axis = np.eye(4, dtype=np.float32)
    poles = np.stack([axis[0], axis[0], axis[1], axis[1]])
    assert divergence(poles) == pytest.approx(0.6 * 0.5)
    assert divergence(axis) > divergence(poles)


def test_every_part_of_the_pool_gives_its_highest() -> None:
    """Two bunches of 100 and 50: their shares of 15 picks are 10 and 5, whatever the values."""
    vectors = np.concatenate([blobs(1, 100), -blobs(1, 50)])
    values = np.concatenate([np.linspace(1, 2, 100), np.linspace(0, 0.5, 50)])
    pool = Candidates([Item(id, id) for id in names(150)], 0, vectors, values)
    picks = find_strategy("answer-divergence:a/m").choose(pool, 15)
    first = [pick for pick in picks if pick < 100]
    assert len(first) == 10
    assert picks == sorted(picks, key=lambda position: -values[position])


ITEMS = (Item("fact", "What is the capital of France?"), Item("story", "Tell a story"))
ANSWERS = {
    ITEMS[0].text: ["Paris."] * 5,
    ITEMS[1].text: ["Once", "A keeper", "Long ago", "Rain", "No"],
}


def nth_answer(body: Any, headers: Any, n: int) -> Answer:
    [message] = body["messages"]
    return Answer(200, completion(ANSWERS[message["content"]][body["seed"] % 5]))


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(nth_answer) as running:
        yield running


def meter(provider: ProviderServer, folder: Path, **fields: Any) -> Meter:
    shared = Connections(
        ReplyCache(folder / "replies"),
        environment={},
        ledger=Ledger(None),
        policy=RetryPolicy(attempts=1),
    )
    embedder = Embedder(HashEncoder(), folder / "vectors")
    return Meter(
        PromptLibrary(),
        folder,
        shared,
        folder,
        specs={"m": at(provider, **fields)},
        embedder=embedder,
    )


def test_five_answers_an_item_are_sampled_embedded_and_compared(
    provider: ProviderServer, tmp_path: Path
) -> None:
    scorer, measuring = AnswerDivergenceScorer("m"), meter(provider, tmp_path)
    scorer.check(ITEMS, measuring)
    measured = asyncio.run(scorer.score(ITEMS, measuring))
    assert measured.values["fact"] == 0.0
    vectors = Embedder(HashEncoder(), tmp_path / "again").vectors(ANSWERS["Tell a story"])
    assert measured.values["story"] == pytest.approx(by_gram_matrix(vectors))
    assert provider.count == REPLIES * len(ITEMS)
    assert {request.body["temperature"] for request in provider.requests} == {1.0}
    again = asyncio.run(scorer.score(ITEMS, meter(provider, tmp_path)))
    assert again.values == measured.values
    assert provider.count == REPLIES * len(ITEMS)
    assert scorer.describe(measuring)["answer_encoder"] == HashEncoder().identity


def test_an_item_with_an_empty_answer_has_no_value(
    provider: ProviderServer, tmp_path: Path
) -> None:
    provider.queue(Answer(200, completion(" ")))
    scorer = AnswerDivergenceScorer("m")
    measured = asyncio.run(scorer.score(ITEMS[:1], meter(provider, tmp_path)))
    assert math.isnan(measured.values["fact"])
    assert provider.count == 1


def test_without_an_encoder_it_is_refused() -> None:
    with pytest.raises(UsageError, match="embed the answers"):
        AnswerDivergenceScorer("m").check(ITEMS, idle_meter())
