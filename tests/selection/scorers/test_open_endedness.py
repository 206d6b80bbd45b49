"""Open-endedness: how many different things a model says when it answers an item three times."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import BudgetReached, ModelError, ProviderError, ReplyMissing
from selectllm.core.types import Item
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.mock import MockModel
from selectllm.models.wrappers.budget import Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.retry import RetryPolicy
from selectllm.selection.scorers.ask_items import Rated
from selectllm.selection.scorers.open_endedness import (
    MAX_TOKENS,
    Sampler,
    open_endedness,
    open_sampler,
    sample_requests,
    unique_bigrams,
)
from selectllm.selection.task import AskSettings
from tests.support.provider_calls import at
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion

ITEMS = (
    Item("fact", "What is the capital of France?"),
    Item("story", "Tell a story about", "a lighthouse"),
    Item("list", "Name a colour."),
)
REPLIES = {
    "What is the capital of France?": ["Paris.", "It is Paris.", "It is Paris!"],
    "Tell a story about\n\na lighthouse": ["Once there was", "A keeper sang", "The light died"],
    "Name a colour.": ["Red", "Red", "Blue"],
}
BIGRAMS = {"fact": 2.0, "story": 6.0, "list": 0.0}
SETTINGS = AskSettings(concurrency=2)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "The", "the", "数", "学"]), max_size=8)
TEXTS = WORDS.map(" ".join)

Open = Callable[..., Sampler]


def sampled(sampler: Sampler, items: Sequence[Item] = ITEMS, **more: Any) -> dict[str, Rated]:
    async def once() -> dict[str, Rated]:
        try:
            return await open_endedness(items, sampler, SETTINGS, **more)
        finally:
            await sampler.model.close()

    return asyncio.run(once())


def values(found: dict[str, Rated]) -> dict[str, float]:
    return {item_id: each.value for item_id, each in found.items()}


def nth_reply(body: Any, headers: Any, n: int) -> Answer:
    """A provider whose reply depends on the item and on the seed."""
    [message] = body["messages"]
    return Answer(200, completion(REPLIES[message["content"]][body["seed"] % 3]))


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(nth_reply) as running:
        yield running


@pytest.fixture
def opened(provider: ProviderServer, tmp_path: Path) -> Open:
    """The provider's model to be sampled, through the cache; its settings as arguments."""
    cache = ReplyCache(tmp_path / "replies")

    def open_(max_cost: float | None = None, offline: bool = False, **fields: Any) -> Sampler:
        ledger, policy = Ledger(max_cost), RetryPolicy(attempts=1)
        shared = Connections(cache, environment={}, ledger=ledger, offline=offline, policy=policy)
        return open_sampler(at(provider, **fields), shared)

    return open_


class TestUniqueBigrams:
    """The count itself."""

    @pytest.mark.parametrize(
        ("replies", "count"),
        [
            ([], 0),
            ([""], 0),
            (["word"], 0),
            (["two words"], 1),
            (["a b a b a b"], 2),
            (["a b", "a b", "a b"], 1),
            (["a b", "b a"], 2),
            (["a", "b", "c"], 0),
            (["The END, of the end."], 3),
            (["it's"], 1),
            (["Straße dort", "STRASSE DORT"], 1),
            (["数学が好き"], 4),
            (["数学 is fun"], 3),
            (["コーヒー・茶"], 4),
            (["사과를 먹다"], 1),
            (["?! ... --"], 0),
        ],
    )
    def test_pairs_of_neighbouring_words_count_once(self, replies: list[str], count: int) -> None:
        assert unique_bigrams(replies) == count

    @given(replies=st.lists(TEXTS, max_size=4), data=st.data())
    def test_neither_order_nor_case_nor_repetition_matters(
        self, replies: list[str], data: st.DataObject
    ) -> None:
        count = unique_bigrams(replies)
        assert unique_bigrams(data.draw(st.permutations(replies))) == count
        assert unique_bigrams([reply.upper() for reply in replies]) == count
        assert unique_bigrams([*replies, *replies]) == count

    @given(replies=st.lists(WORDS, max_size=4), more=WORDS)
    def test_a_further_reply_adds_at_most_its_own_pairs(
        self, replies: list[list[str]], more: list[str]
    ) -> None:
        texts = [" ".join(words) for words in replies]
        before, after = unique_bigrams(texts), unique_bigrams([*texts, " ".join(more)])
        assert before <= after <= before + max(0, len(more) - 1)

    @given(st.text())
    def test_any_text_has_a_count(self, text: str) -> None:
        assert 0 <= unique_bigrams([text]) <= len(text)


class TestSampling:
    """Three replies to an item's own text."""

    def test_each_item_counts_the_pairs_of_its_three_replies(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        found = sampled(opened())
        assert values(found) == BIGRAMS
        assert [len(each.attempts) for each in found.values()] == [3, 3, 3]
        assert provider.count == 9

    def test_a_model_is_shown_the_item_and_nothing_else(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        sampled(opened(), ITEMS[1:2])
        bodies = [seen.body for seen in provider.requests]
        content = "Tell a story about\n\na lighthouse"
        assert [body["messages"] for body in bodies] == [[{"role": "user", "content": content}]] * 3
        assert [body["seed"] for body in bodies] == [0, 1, 2]
        assert [body["max_tokens"] for body in bodies] == [MAX_TOKENS] * 3

    @pytest.mark.parametrize(("entry", "sent"), [(0.0, 0.7), (1.2, 1.2), (None, None)])
    def test_replies_are_sampled_even_from_a_model_at_temperature_0(
        self, opened: Open, provider: ProviderServer, entry: float | None, sent: float | None
    ) -> None:
        sampled(opened(temperature=entry), ITEMS[:1])
        assert provider.requests[0].body.get("temperature") == sent

    def test_replies_at_temperature_0_are_no_sample(self) -> None:
        spec = ModelSpec("m", "mock/first")
        with pytest.raises(ModelError, match=r"m: at temperature 0 .* Set it to 0.7"):
            Sampler(spec, MockModel(spec))

    def test_the_order_of_the_items_changes_no_request_and_no_value(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        sampled(opened())
        found = sampled(opened(), ITEMS[::-1])
        assert list(found) == ["list", "story", "fact"]
        assert values(found) == BIGRAMS
        assert provider.count == 9

    def test_another_seed_draws_other_replies(self, opened: Open, provider: ProviderServer) -> None:
        sampled(opened(), ITEMS[:1])
        sampled(opened(), ITEMS[:1], seed=3)
        assert [seen.body["seed"] for seen in provider.requests] == [0, 1, 2, 3, 4, 5]

    def test_no_two_calls_share_a_place_in_the_cache(self) -> None:
        spec = ModelSpec("m", "mock/first", temperature=1.0)
        sampler = Sampler(spec, MockModel(spec))
        keys = [call.key for item in ITEMS for call in sample_requests(item, sampler)]
        assert len(set(keys)) == 9

    @pytest.mark.parametrize(
        ("model_id", "value"), [("mock/reply:so it goes", 2), ("mock/first", 0)]
    )
    def test_scripted_models_can_be_sampled(
        self, tmp_path: Path, model_id: str, value: int
    ) -> None:
        shared = Connections(ReplyCache(tmp_path), environment={})
        sampler = open_sampler(ModelSpec("m", model_id), shared)
        assert set(values(sampled(sampler)).values()) == {float(value)}


class TestWithoutAValue:
    """Fewer than three replies do not compare with three: no value."""

    @pytest.mark.parametrize(
        ("answer", "status", "problem"),
        [
            (FAULTS["refusal"], "refused", "refused"),
            (FAULTS["content filter"], "refused", "refused"),
            (FAULTS["null content"], "invalid", "empty"),
            (FAULTS["context overflow"], "invalid", "too_long"),
        ],
    )
    def test_a_reply_refused_or_empty_leaves_the_item_without_and_asks_no_more(
        self, opened: Open, provider: ProviderServer, answer: Answer, status: str, problem: str
    ) -> None:
        provider.queue(nth_reply, answer)
        one = sampled(opened(), ITEMS[:1])["fact"]
        assert math.isnan(one.value)
        assert (one.status, one.problems, len(one.attempts)) == (status, (problem,), 2)
        assert provider.count == 2

    def test_a_reply_cut_off_at_its_length_is_as_good_as_any(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.queue(*[Answer(200, completion("on and on", finish_reason="length"))] * 3)
        one = sampled(opened(), ITEMS[:1])["fact"]
        assert (one.value, one.status) == (2.0, "ok")

    def test_an_item_too_long_for_the_model_is_not_sent(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        one = sampled(opened(context=MAX_TOKENS + 2), ITEMS[:1])["fact"]
        assert math.isnan(one.value)
        assert (one.problems, provider.count) == (("too_long",), 0)


class TestFailures:
    """A provider that fails gives an error; what succeeded is not paid for twice."""

    def test_a_rerun_asks_only_the_replies_that_are_missing(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.queue(nth_reply, FAULTS["500"])
        said = r"open-endedness with arm: 1 of 3 items .*\. The first reason is: .*HTTP 500"
        with pytest.raises(ProviderError, match=said):
            sampled(opened())
        before = provider.count
        assert values(sampled(opened())) == BIGRAMS
        assert provider.count == 10
        assert before < 10

    def test_a_budget_that_is_reached_ends_it_and_keeps_what_was_paid_for(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        price = Price(input=0.0, output=1e6)  # a dollar a token; each reply has 5
        with pytest.raises(BudgetReached):
            sampled(opened(max_cost=MAX_TOKENS + 20, price=price))
        paid = provider.count
        assert 0 < paid < 9
        assert values(sampled(opened(price=price))) == BIGRAMS
        assert provider.count == 9

    def test_offline_all_missing_items_are_counted(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        sampled(opened(), ITEMS[:1])
        assert values(sampled(opened(offline=True), ITEMS[:1])) == {"fact": 2.0}
        with pytest.raises(ReplyMissing, match="2 of 3 items are missing: open-endedness with arm"):
            sampled(opened(offline=True))
