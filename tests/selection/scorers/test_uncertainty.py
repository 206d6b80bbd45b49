"""How unsure a model is of its own answer: the measures, and what a provider is asked for them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.types import Item
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec
from selectllm.models.token_logprobs import as_tokens, tokens_in
from selectllm.models.wrappers.budget import Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.retry import RetryPolicy
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.scorers.item_scorer import Measured, Meter
from selectllm.selection.scorers.uncertainty import (
    MEASURES,
    REPLY_TOKENS,
    UncertaintyScorer,
    confidence,
    margin,
    mean_entropy,
    token_uncertainty,
)
from tests.support.provider_calls import at
from tests.support.provider_server import Answer, ProviderServer, completion

ITEMS = (Item("sure", "2 + 2"), Item("unsure", "Tell a story"), Item("torn", "Yes or no?"))
REPLIES = {
    "2 + 2": [{"4": 0.97, "four": 0.02}, {".": 0.99}],
    "Tell a story": [{"Once": 0.3, "There": 0.25, "A": 0.2}, {"upon": 0.6, "there": 0.1}],
    "Yes or no?": [{"Yes": 0.5, "No": 0.5}, {".": 0.9, "!": 0.1}],
}
Tokens = list[list[float]]
distributions = st.lists(
    st.lists(st.floats(0.001, 1), min_size=1, max_size=8), min_size=1, max_size=6
).map(lambda each: [np.log(np.sort(p / (np.sum(p) * 1.1))[::-1]).tolist() for p in each])


# --- the measures


@given(distributions)
def test_the_measures_are_what_they_are_called(tokens: Tokens) -> None:
    listed = [np.exp(token) for token in tokens]
    whole = [np.append(p, 1 - p.sum()) for p in listed]  # the rest counts as one token
    assert mean_entropy(tokens) == pytest.approx(np.mean([entropy(p) for p in whole]), abs=1e-9)
    assert token_uncertainty(tokens) == pytest.approx(1 - min(p[0] for p in listed))
    seconds = [p[1] if len(p) > 1 else 0 for p in listed]
    margins = [p[0] - second for p, second in zip(listed, seconds, strict=True)]
    assert margin(tokens) == pytest.approx(min(margins), abs=1e-12)
    assert confidence(tokens) == pytest.approx(np.prod([p[0] for p in listed]) ** (1 / len(listed)))


@given(distributions)
def test_they_stay_within_their_ranges(tokens: Tokens) -> None:
    assert 0 <= margin(tokens) <= 1
    assert 0 <= token_uncertainty(tokens) <= 1
    assert 0 < confidence(tokens) <= 1
    assert mean_entropy(tokens) >= 0


def test_a_model_that_is_certain_is_not_unsure() -> None:
    certain = [[0.0], [0.0]]
    assert [measure(certain) for measure in MEASURES.values()] == [0.0, 1.0, 0.0, 1.0]


@given(st.text(), st.lists(st.lists(st.tuples(st.text(), st.floats()))))
def test_a_listed_reply_is_read_as_it_was_written(
    text: str, each: list[list[tuple[str, float]]]
) -> None:
    read = tokens_in(as_tokens(text, each))
    finite = [[v for _, v in listed if math.isfinite(v)] for listed in each]
    kept = [sorted((round(v, 6) for v in values), reverse=True)[:20] for values in finite if values]
    assert read == kept


@pytest.mark.parametrize("text", ["", "no idea", "[]", '{"logprobs": 3}', '{"logprobs": [["x"]]}'])
def test_another_text_holds_no_tokens(text: str) -> None:
    assert tokens_in(text) == []


# --- what is asked


def listing(body: Any, headers: Any, n: int) -> Answer:
    """A provider that lists the tokens of its reply."""
    [message] = body["messages"]
    reply = completion("an answer")
    content = [
        {
            "token": next(iter(listed)),
            "logprob": -0.1,
            "bytes": None,
            "top_logprobs": [
                {"token": token, "logprob": math.log(p), "bytes": None}
                for token, p in listed.items()
            ],
        }
        for listed in REPLIES[message["content"]]
    ]
    reply["choices"][0]["logprobs"] = {"content": content, "refusal": None}
    return Answer(200, reply)


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(listing) as running:
        yield running


Open = Callable[..., Meter]


@pytest.fixture
def opened(provider: ProviderServer, tmp_path: Path) -> Open:
    """A meter whose model `m` is the provider's, through one cache."""
    cache = ReplyCache(tmp_path / "replies")

    def open_(**fields: Any) -> Meter:
        policy = RetryPolicy(attempts=1)
        shared = Connections(cache, environment={}, ledger=Ledger(None), policy=policy)
        spec = at(provider, **fields)
        return Meter(PromptLibrary(), tmp_path, shared, tmp_path, specs={"m": spec})

    return open_


def scored(measure: str, meter: Meter) -> Measured:
    scorer = UncertaintyScorer(measure, "m")
    scorer.check(ITEMS, meter)
    return asyncio.run(scorer.score(ITEMS, meter))


def test_one_reply_an_item_serves_every_measure(provider: ProviderServer, opened: Open) -> None:
    for measure, of in MEASURES.items():
        values = scored(measure, opened()).values
        for item in ITEMS:
            tokens = [[math.log(p) for p in each.values()] for each in REPLIES[item.text]]
            assert values[item.id] == pytest.approx(of(tokens), abs=1e-5)
    assert provider.count == len(ITEMS)
    body = provider.requests[0].body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert (body["max_tokens"], body["temperature"]) == (REPLY_TOKENS, 0)


@pytest.mark.parametrize("transport", ["litellm", "direct"])
def test_both_ways_to_a_provider_list_the_same(opened: Open, transport: str) -> None:
    measured = scored("margin", opened(transport=transport))
    assert measured.values["torn"] == pytest.approx(0.0, abs=1e-6)
    assert measured.values["sure"] == pytest.approx(0.95, abs=1e-6)
    [attempt] = measured.attempts["torn"]
    assert json.loads(attempt.reply)["text"] == "an answer"


def test_the_plan_asks_what_is_asked(provider: ProviderServer, opened: Open) -> None:
    meter = opened()
    ahead = UncertaintyScorer("margin", "m").ahead(ITEMS, meter)
    scored("margin", meter)
    cached = [meter.shared.cache.get(request.key) for request in ahead.requests]
    assert len(cached) == len(ITEMS)
    assert None not in cached


def test_a_provider_that_lists_nothing_is_known_by_one_reply(
    provider: ProviderServer, opened: Open
) -> None:
    provider.queue(*[Answer(200, completion("an answer"))] * 3)
    with pytest.raises(ProviderError, match="returns no log-probabilities"):
        scored("mean-entropy", opened())
    assert provider.count == 1


@pytest.mark.parametrize("model", ["mock/first", "anthropic/claude-haiku-4-5"])
def test_one_that_is_known_to_list_nothing_is_refused_unasked(
    provider: ProviderServer, opened: Open, model: str
) -> None:
    with pytest.raises(ModelError, match=r"needs the log-probabilities.*local/smollm2-135m"):
        UncertaintyScorer("margin", model).check(ITEMS, opened())
    assert provider.count == 0


def test_what_was_refused_or_does_not_fit_has_no_value(
    provider: ProviderServer, opened: Open
) -> None:
    provider.queue(listing, Answer(200, completion("", finish_reason="content_filter")))
    scorer, meter = UncertaintyScorer("margin", "m"), opened()
    measured = asyncio.run(scorer.score(ITEMS[:2], meter))
    assert not math.isnan(measured.values["sure"])
    assert math.isnan(measured.values["unsure"])
    assert scorer.problems(measured.attempts["unsure"][0], meter) == ("refused",)
    long = asyncio.run(scorer.score([Item("long", "word " * 500)], opened(context=100)))
    assert math.isnan(long.values["long"])
    assert long.attempts["long"] == ()


def test_the_reply_of_a_ranked_label_keeps_its_key() -> None:
    """The field that asks for every token is no part of other requests' identity."""
    from selectllm.core.types import Question
    from selectllm.models.model import Request

    asked = Request(ModelSpec("m", "openai/m"), (), Question((), (), 1, "indices"), top_logprobs=5)
    assert "each_token" not in asked.identity()
