"""Pointwise rating: one item at a time, each reply a score or none; failures are never scores."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import PromptError, ProviderError, ReplyMissing, UnfitError
from selectllm.core.types import Item, Reply
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers import weights
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.retry import RetryPolicy
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.concurrency import FAILURES_IN_A_ROW
from selectllm.selection.scorers.ask_items import Rated
from selectllm.selection.scorers.rating import check_rating, rate
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.task import AskSettings
from tests.support.provider_calls import at
from tests.support.provider_server import FAULTS, Answer, ProviderServer

QUALITY = PromptLibrary().load("quality@1")
ANSWERED = PromptLibrary().load("answered@1")
ITEMS = tuple(Item(f"i{n}", f"Explain topic <{n}>.") for n in range(1, 6))
SETTINGS = AskSettings(concurrency=2, reask=1)

Open = Callable[..., Selector]


def asked_about(messages: Sequence[Any]) -> int:
    """The number of the one topic that a request shows; fails if it shows more."""
    [number] = [n for n in range(100) if f"<{n}>" in str(messages[1]["content"])]
    return number


def its_number(messages: Sequence[Any]) -> str:
    """A provider that scores the topic by its number."""
    return f"[1]: {asked_about(messages)}"


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(reply=its_number) as running:
        yield running


@pytest.fixture
def opened(provider: ProviderServer, tmp_path: Path) -> Open:
    """A selector that asks the provider, through the cache; settings of the model as arguments."""
    cache = ReplyCache(tmp_path / "replies")

    def open_(prompt: Any = QUALITY, offline: bool = False, **fields: Any) -> Selector:
        policy = RetryPolicy(attempts=1)
        shared = Connections(cache=cache, environment={}, offline=offline, policy=policy)
        return open_selector(prompt, at(provider, **fields), shared)

    return open_


def rated(
    selector: Selector,
    items: Sequence[Item] = ITEMS,
    settings: AskSettings = SETTINGS,
    **more: Any,
) -> dict[str, Rated]:
    async def once() -> dict[str, Rated]:
        try:
            return await rate(items, selector, settings, **more)
        finally:
            await selector.model.close()

    return asyncio.run(once())


def values(found: dict[str, Rated]) -> dict[str, float]:
    return {item_id: each.value for item_id, each in found.items()}


def refuses(number: int, fault: Answer) -> Callable[..., Answer | None]:
    """A provider that fails on one topic and scores the others."""

    def respond(body: Any, headers: Any, n: int) -> Answer | None:
        return fault if asked_about(body["messages"]) == number else None

    return respond


class TestScores:
    """What a reply says is the item's value, or it has none."""

    def test_each_item_is_asked_about_alone_and_gets_its_own_score(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        found = rated(opened())
        assert values(found) == {"i1": 1.0, "i2": 2.0, "i3": 3.0, "i4": 4.0, "i5": 5.0}
        assert {each.status for each in found.values()} == {"ok"}
        assert [len(each.attempts) for each in found.values()] == [1] * 5
        assert provider.count == 5

    def test_the_order_of_the_items_changes_no_request_and_no_value(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        forwards, backwards = rated(opened()), rated(opened(), ITEMS[::-1])
        assert list(backwards) == [item.id for item in ITEMS[::-1]]
        assert values(backwards) == values(forwards)
        assert provider.count == len(ITEMS)

    @pytest.mark.parametrize("reply", ["8", "It is fine.", "[1]: unsure", "[2]: 8", ""])
    def test_a_reply_without_a_valid_score_is_asked_for_again_and_then_has_no_value(
        self, opened: Open, provider: ProviderServer, reply: str
    ) -> None:
        provider.state.reply = lambda messages: reply
        one = rated(opened(), ITEMS[:1])["i1"]
        assert math.isnan(one.value)
        assert (one.status, len(one.attempts)) == ("invalid", 2)
        assert one.problems

    def test_a_score_given_when_asked_again_counts(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.state.reply = lambda messages: (
            "Quite good." if len(messages) == 2 else its_number(messages)
        )
        one = rated(opened(), ITEMS[4:])["i5"]
        assert (one.value, one.status, len(one.attempts)) == (5.0, "repaired", 2)

    def test_a_refusal_has_no_value(self, opened: Open, provider: ProviderServer) -> None:
        provider.queue(FAULTS["refusal"])
        one = rated(opened(), ITEMS[:1])["i1"]
        assert math.isnan(one.value)
        assert (one.status, len(one.attempts)) == ("refused", 1)

    def test_an_item_too_long_for_the_model_is_not_sent_and_has_no_value(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        long = Item("long", "word " * 3000)
        one = rated(opened(context=2000, max_tokens=20), (long,))["long"]
        assert math.isnan(one.value)
        assert (one.problems, one.attempts, provider.count) == (("too_long",), (), 0)

    def test_one_item_without_a_value_leaves_the_others_theirs(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.state.reply = lambda messages: (
            "no idea" if asked_about(messages) == 2 else its_number(messages)
        )
        found = values(rated(opened()))
        assert math.isnan(found.pop("i2"))
        assert found == {"i1": 1.0, "i3": 3.0, "i4": 4.0, "i5": 5.0}

    def test_every_item_measured_is_heard_of(self, opened: Open) -> None:
        heard: list[Rated] = []
        found = rated(opened(), tick=heard.append)
        assert sorted(each.value for each in heard) == sorted(values(found).values())

    def test_no_items_have_no_values(self, opened: Open) -> None:
        assert rated(opened(), ()) == {}


class Scripted:
    """A model that scores by a table; what the table does not hold, it does not score."""

    def __init__(self, marks: dict[str, int]) -> None:
        self._marks = marks

    async def complete(self, request: Request) -> Reply:
        [item] = request.question.shown
        await asyncio.sleep(0)
        return Reply(f"[1]: {self._marks[item.id]}" if item.id in self._marks else "Hm.")

    async def close(self) -> None: ...


@given(
    marks=st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 10), max_size=8),
    unscored=st.sets(st.integers(100, 110).map(str), max_size=3),
    concurrency=st.integers(1, 5),
    data=st.data(),
)
def test_a_value_is_what_the_model_said_or_nan_in_any_order_and_at_any_concurrency(
    marks: dict[str, int], unscored: set[str], concurrency: int, data: st.DataObject
) -> None:
    ids = data.draw(st.permutations(sorted({*marks, *unscored})))
    items = [Item(item_id, "Sing.") for item_id in ids]
    selector = Selector(QUALITY, ModelSpec("m", "openai/m"), Scripted(marks))
    found = asyncio.run(rate(items, selector, AskSettings(concurrency, reask=0)))
    assert list(found) == ids
    for item_id in ids:
        value = found[item_id].value
        assert value == marks[item_id] if item_id in marks else math.isnan(value)
        assert (found[item_id].status == "ok") == (item_id in marks)


class TestFailures:
    """A provider that fails gives an error, never a value; what succeeded is not paid for twice."""

    def test_others_are_rated_before_a_failure_is_raised_and_a_rerun_asks_the_rest(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.state.respond = refuses(2, FAULTS["400"])
        said = r"quality@1 with arm: 1 of 5 items .*\. The first reason is: .*HTTP 400"
        with pytest.raises(ProviderError, match=said):
            rated(opened())
        assert provider.count == 5
        provider.state.respond = None
        found = rated(opened())
        assert values(found)["i2"] == 2.0
        assert provider.count == 6
        assert [each.attempts[0].cached for each in found.values()] == [
            *[True, False, True, True, True]
        ]

    def test_a_provider_that_keeps_failing_is_left_alone(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        provider.state.respond = lambda body, headers, n: FAULTS["500"]
        many = [Item(f"i{n}", f"Topic <{n}>") for n in range(40)]
        with pytest.raises(ProviderError, match="HTTP 500"):
            rated(opened(), many, replace(SETTINGS, concurrency=1))
        assert provider.count == FAILURES_IN_A_ROW

    def test_a_wrong_key_ends_it_at_once(self, opened: Open, provider: ProviderServer) -> None:
        provider.queue(FAULTS["401"])
        with pytest.raises(ProviderError, match="refused the key"):
            rated(opened(), settings=replace(SETTINGS, concurrency=1))
        assert provider.count == 1

    def test_offline_all_missing_replies_are_counted(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        rated(opened(), ITEMS[:2])
        with pytest.raises(ReplyMissing, match="3 of 5 items are missing: quality@1 with arm"):
            rated(opened(offline=True))
        assert values(rated(opened(offline=True), ITEMS[:2])) == {"i1": 1.0, "i2": 2.0}
        assert provider.count == 2

    def test_no_more_calls_are_in_flight_than_told(self, opened: Open, tmp_path: Path) -> None:
        with ProviderServer(reply=its_number, latency=0.02) as slow:
            shared = Connections(ReplyCache(tmp_path / "slow"), environment={})
            rated(open_selector(QUALITY, at(slow), shared), settings=AskSettings(concurrency=3))
            assert slow.peak <= 3


class TestWithResponses:
    """Whole training examples are rated by a prompt that shows responses."""

    def test_the_response_is_shown(self, opened: Open, provider: ProviderServer) -> None:
        item = Item("a", "Name topic <3>.", response="Topic three, of course.")
        assert values(rated(opened(ANSWERED), (item,))) == {"a": 3.0}
        assert "Topic three, of course." in provider.requests[0].body["messages"][1]["content"]

    def test_items_without_one_are_named_before_anything_is_sent(
        self, opened: Open, provider: ProviderServer
    ) -> None:
        items = [replace(item, response="Yes.") for item in ITEMS]
        items[1], items[3] = ITEMS[1], replace(ITEMS[3], response=" \n")
        said = r"answered@1 shows responses, and 2 of 5 items have none: 'i2', 'i4'\. Fill them in"
        with pytest.raises(UnfitError, match=said):
            rated(opened(ANSWERED), items)
        assert provider.count == 0

    def test_the_instruction_alone_needs_none(self) -> None:
        check_rating(QUALITY, ITEMS)
        with pytest.raises(UnfitError, match="5 of 5 items have none"):
            check_rating(ANSWERED, ITEMS)

    def test_a_prompt_that_asks_for_no_scores_cannot_rate(self) -> None:
        said = "criteria@1 asks for indices, and a rating needs scores. Use .* quality@1"
        with pytest.raises(PromptError, match=said):
            check_rating(PromptLibrary().load("criteria@1"), ITEMS)


@pytest.mark.skipif(
    weights.engine_version() == weights.NO_ENGINE or not weights.is_installed("smollm2-135m"),
    reason="needs xllamacpp and the weights: selectllm models install smollm2-135m",
)
def test_the_embedded_model_rates_from_1_to_10(tmp_path: Path) -> None:
    spec = ModelSpec("local", "local/smollm2-135m")
    shared = Connections(ReplyCache(tmp_path), environment={})
    items = (Item("a", "Explain how a transistor amplifies a signal."), Item("b", "asdf"))
    found = rated(open_selector(QUALITY, spec, shared), items)
    assert all(each.status == "ok" and 1 <= each.value <= 10 for each in found.values())
    again = rated(open_selector(QUALITY, spec, shared), items[::-1])
    assert values(again) == values(found)
    assert all(each.attempts[0].cached for each in again.values())
