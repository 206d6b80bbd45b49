"""The ledger: what a call may cost is set aside, what it cost is counted, and doubt is counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import BudgetReached, ProviderError
from selectllm.core.types import Message, Question, Reply
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.tokens import estimate_tokens
from selectllm.models.wrappers.budget import RESERVE_MARGIN, Budgeted, Ledger

PRICE = Price(1.0, 10.0)
ENGLISH = "Pick the best of these instructions and say which it is, please. " * 20
CHINESE = "请从下面的说明中选出最好的一个，并说明是哪一个。" * 20
HINDI = "कृपया इन निर्देशों में से सबसे अच्छा चुनें और बताएं कि वह कौन सा है। " * 20


def request(text: str = ENGLISH, max_tokens: int = 100) -> Request:
    return Request(
        model=ModelSpec(name="m", id="openai/m"),
        messages=(Message(role="user", content=text),),
        question=Question(shown=(), labels=(), k=0, reply="indices"),
        max_tokens=max_tokens,
    )


class Billing:
    """A model of which every character is so many tokens; it takes a while to answer."""

    def __init__(self, tokens_per_character: float, outcomes: Sequence[object] = ()) -> None:
        self.rate, self.outcomes = tokens_per_character, list(outcomes)
        self.billed = 0.0
        self.calls = self.in_flight = self.most_in_flight = 0

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.001)
        self.in_flight -= 1
        if self.outcomes:
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            assert isinstance(outcome, Reply)
            return outcome
        tokens = round(len(request.messages[0]["content"]) * self.rate)
        cost = PRICE.cost(tokens, 5)
        self.billed += cost
        return Reply("[1]", tokens_in=tokens, tokens_out=5, cost_usd=cost)

    async def close(self) -> None: ...


def spend(model: Billing, ledger: Ledger, requests: Sequence[Request]) -> list[Reply]:
    """All of `requests` at once; those for which there is no money are left out."""

    async def asked() -> list[Reply]:
        budgeted, replies = Budgeted(model, ledger, lambda spec: PRICE), []

        async def one(request: Request) -> None:
            with contextlib.suppress(BudgetReached, ProviderError):
                replies.append(await budgeted.complete(request))

        await asyncio.gather(*(one(request) for request in requests))
        return replies

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("text", "tokens_per_character"),
    [(ENGLISH, 0.25), (CHINESE, 1.5), (HINDI, 1.2), (ENGLISH, 1.0)],
    ids=["English", "Chinese", "Hindi", "keys"],
)
@pytest.mark.parametrize("calls", [2.5, 7.0, 23.0])
def test_a_limit_holds_within_one_call_in_any_script(
    text: str, tokens_per_character: float, calls: float
) -> None:
    model = Billing(tokens_per_character)
    one = PRICE.cost(round(len(text) * tokens_per_character), 5)
    ledger = Ledger(max_cost=calls * one)
    spend(model, ledger, [request(text, max_tokens=5)] * 32)
    assert model.billed <= calls * one + one
    assert ledger.spent == pytest.approx(model.billed)
    assert model.calls >= calls / 2 - 0.5  # and is used


def test_under_a_limit_the_first_call_goes_alone() -> None:
    model = Billing(0.25)
    spend(model, Ledger(max_cost=100.0), [request()] * 9)
    assert model.calls == 9
    assert model.most_in_flight == 8
    free = Billing(0.25)
    spend(free, Ledger(), [request()] * 9)
    assert free.most_in_flight == 9


@pytest.mark.parametrize(
    "reply",
    [
        Reply("[1]"),
        Reply("[1]", tokens_in=300),
        Reply("[1]", tokens_in=-5, tokens_out=5, cost_usd=-1.0),
        Reply("[1]", tokens_in=10**12, tokens_out=5, cost_usd=1e6),
    ],
    ids=["none", "half", "negative", "absurd"],
)
def test_a_reply_that_does_not_say_what_it_cost_costs_what_was_set_aside(reply: Reply) -> None:
    ledger = Ledger()
    [kept] = spend(Billing(0.25, [reply]), ledger, [request()])
    at_most = PRICE.cost(round(estimate_tokens(request().messages) * RESERVE_MARGIN), 100)
    assert kept.cost_usd is None
    assert kept.at_most_usd == pytest.approx(at_most)
    assert ledger.spent == ledger.assumed == pytest.approx(at_most)
    assert ledger.assumed_calls == 1


@pytest.mark.parametrize(
    ("kind", "assumed"),
    [("timeout", True), ("broken", True), ("busy", False), ("unreachable", False), ("key", False)],
)
def test_a_call_that_may_have_been_billed_is_counted(kind: str, assumed: bool) -> None:
    ledger = Ledger()
    error = ProviderError("no", kind=kind)
    spend(Billing(0.25, [error]), ledger, [request()])
    assert (ledger.spent > 0) == assumed
    assert ledger.assumed_calls == assumed
    assert (error.at_most_usd is not None) == assumed


def test_a_failure_that_says_what_it_cost_costs_that() -> None:
    ledger = Ledger()
    paid = Reply("", tokens_in=10, tokens_out=2, cost_usd=0.25)
    spend(Billing(0.25, [ProviderError("no", kind="broken", reply=paid)]), ledger, [request()])
    assert (ledger.spent, ledger.assumed_calls) == (0.25, 0)


def test_what_jobs_assume_adds_up_in_the_whole() -> None:
    whole = Ledger()
    parts = [whole.part(), whole.part()]
    for part in parts:
        spend(Billing(0.25, [Reply("[1]")]), part, [request()])
    assert whole.assumed_calls == 2
    assert whole.spent == whole.assumed == pytest.approx(sum(part.spent for part in parts))


@given(
    counts=st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 300)), min_size=1, max_size=12),
    limit=st.floats(0.0001, 0.1),
)
def test_calls_one_after_the_other_pass_the_limit_by_one_call_at_most(
    counts: list[tuple[int, int]], limit: float
) -> None:
    costs = [PRICE.cost(*count) for count in counts]
    replies = [
        Reply("", tokens_in=count[0], tokens_out=count[1], cost_usd=cost)
        for count, cost in zip(counts, costs, strict=True)
    ]
    ledger = Ledger(max_cost=limit)
    model = Billing(0.25, replies)

    async def asked() -> None:
        budgeted = Budgeted(model, ledger, lambda spec: PRICE)
        for _ in replies:
            with contextlib.suppress(BudgetReached):
                await budgeted.complete(request("Pick.", max_tokens=10))

    asyncio.run(asked())
    assert ledger.spent <= limit + max(costs)
