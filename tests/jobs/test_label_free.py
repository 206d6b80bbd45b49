"""Strategies that need no labels: the same in `select`, in `sets` and in a suite.

A real server answers, and lists the log-probabilities of what it writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import BudgetReached, ModelError, ReplyMissing, UsageError
from selectllm.data.encoders import Encoder
from selectllm.jobs.engine import LocalEngine
from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.selecting import ahead, select
from selectllm.jobs.session import Session
from selectllm.jobs.sets import sets
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec, Price
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.hash_encoder import HashEncoder
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import Answer, ProviderServer, completion

ITEMS = 20
UNSURE = ("token-uncertainty:m", "margin:m", "mean-entropy:m")
ASKING = (
    *UNSURE,
    "facility-location:mean-entropy:m",
    "task-confidence:topic+m",
    "answer-divergence:m",
    "per:topic:mean-entropy:m",
)
ALL = (*ASKING, "d-optimal", "per:topic:longest", "equal-per:topic:d-optimal")
CALLS = {"answer-divergence:m": 5}


class Hashing(LocalEngine):
    """One machine with an encoder that needs no model."""

    def encoder(self, name: str | None) -> Encoder:
        return HashEncoder(dim=8)


def answering(body: Any, headers: Any, n: int) -> Answer:
    """Each item has an answer and a distribution of its own, drawn by its text and the seed."""
    text = body["messages"][-1]["content"]
    draw = seeded_hash(text, body.get("seed", 0)) / 2**64
    reply = completion(f"answer {draw:.3f}")
    reply["usage"]["prompt_tokens"] = 400  # at least what the longest prompt has
    if body.get("logprobs"):
        sure = 0.4 + seeded_hash(text) / 2**64 / 2
        tops = {"a": sure, "b": (1 - sure) / 2}
        listed = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in tops.items()]
        token = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": listed}
        reply["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return Answer(200, reply)


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(answering) as running:
        yield running


@pytest.fixture
def model(provider: ProviderServer) -> ModelSpec:
    return ModelSpec(
        "m", "openai/m", api_base=provider.base_url, transport="direct", price=Price(1, 1)
    )


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> Iterator[Session]:
    """A session in the current folder, with pool.jsonl of 20 items in three topics."""
    monkeypatch.chdir(tmp_path)
    rows = [{**row, "topic": f"t{n % 3}"} for n, row in enumerate(pool_rows(ITEMS))]
    write_jsonl(Path("pool.jsonl"), rows)
    np.save("v.npy", random_vectors(ITEMS, 8))
    how: dict[str, Any] = {"vectors": "v.npy", "engine": Hashing(), "notes": notes.append}
    with Session(cache=tmp_path / "cache", **how) as session:
        yield session


@pytest.fixture
def suite(session: Session, provider: ProviderServer) -> Path:
    """All of them as strategies of one suite."""
    content = {
        "name": "free",
        "pool": "pool.jsonl",
        "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
        "clusters": {"by": "random", "size": 5},
        "picks": 2,
        "sets": {"budgets": [6], "seeds": [0]},
        "prompts": ["short@1"],
        "models": [
            "mock/first",
            {
                "name": "m",
                "id": "openai/m",
                "api_base": provider.base_url,
                "transport": "direct",
                "price": {"input": 1, "output": 1},
            },
        ],
        "strategies": list(ALL),
    }
    Path("suite.yaml").write_text(json.dumps(content), encoding="utf-8")
    return Path("suite.yaml")


@pytest.mark.parametrize("strategy", ALL)
def test_select_takes_the_most_and_asks_once(
    session: Session, provider: ProviderServer, model: ModelSpec, strategy: str
) -> None:
    how: dict[str, Any] = {"budget": 6, "strategy": strategy}
    if strategy in ASKING:
        how["models"] = {"m": model}
    calls = CALLS.get(strategy, 1) * ITEMS if strategy in ASKING else 0
    plan = finished(ahead("pool.jsonl", session=session, **how))
    assert (plan.calls, provider.count) == (calls, 0)
    first = finished(select("pool.jsonl", session=session, **how))
    again = finished(select("pool.jsonl", session=session, **how))
    assert [i.id for i in first.items] == [i.id for i in again.items]
    assert (len(first), first.filled, provider.count) == (6, 0, calls)
    assert len(first.replies) == calls
    sent = finished(ahead("pool.jsonl", session=session, **how)).sent
    assert (sent is None) == (not calls)
    if sent is not None:
        assert (sent.cached, sent.looked_up, sent.outlay.calls) == (ITEMS, ITEMS, 0)
    assert first.spent_usd > 0 if calls else first.spent_usd == 0
    assert again.spent_usd == 0


@pytest.mark.parametrize(
    ("strategy", "best"),
    [("token-uncertainty:m", max), ("margin:m", min), ("mean-entropy:m", max)],
)
def test_the_least_sure_come_first_with_their_numbers(
    session: Session, model: ModelSpec, strategy: str, best: Any
) -> None:
    everything = finished(
        select("pool.jsonl", session=session, budget=20, strategy=strategy, models={"m": model})
    )
    ranked = sorted(everything.chosen, key=lambda choice: choice.rank or 0)
    numbers = [choice.score for choice in ranked if choice.score is not None]
    assert numbers == sorted(numbers, reverse=best is max)
    assert len(numbers) == ITEMS


def test_sets_and_suites_have_all_of_them(
    session: Session, provider: ProviderServer, suite: Path
) -> None:
    made = finished(sets(suite, session=session, out="sets"))
    named = {f"strategy:{name}": 6 for name in ALL}
    assert {one.selector: len(one.ids) for one in made.sets if "short" not in one.selector} == named
    for one in made.sets:
        if one.selector == "strategy:mean-entropy:m":
            alone = finished(
                select(
                    "pool.jsonl",
                    session=session,
                    budget=6,
                    strategy="mean-entropy:m",
                    models={"m": ModelSpec("m", "openai/m", api_base=provider.base_url)},
                )
            )
            assert set(one.ids) == {item.id for item in alone.items}
    asked = provider.count
    run = finished(evaluate(suite, session=session, out="run"))
    told = {row.strategy for row in run.results.strategies}
    assert told == {*ALL}
    decided = [row for row in read_jsonl(Path("run/decisions.jsonl"))[1:] if "strategy" in row]
    assert {len(row["picks"]) for row in decided if row["strategy"] in ALL} == {2}
    assert provider.count - asked < ITEMS * 2  # `m` is a model of the matrix, too


def test_what_it_may_cost_is_limited_and_offline_nothing_is_asked(
    session: Session, provider: ProviderServer, model: ModelSpec, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"budget": 6, "strategy": "mean-entropy:m", "models": {"m": model}}
    with Session(cache="c2", max_cost=0.003) as poor, pytest.raises(BudgetReached):
        finished(select("pool.jsonl", session=poor, **how))
    paid = provider.count
    assert 0 < paid < ITEMS
    finished(select("pool.jsonl", cache="c2", **how))
    assert provider.count == ITEMS
    with pytest.raises(ReplyMissing, match="20 of 20 items are missing: mean-entropy with m"):
        finished(select("pool.jsonl", cache="c3", offline=True, **how))
    assert provider.count == ITEMS


def test_a_model_that_lists_nothing_is_refused_before_anything_is_asked_or_embedded(
    session: Session, provider: ProviderServer, notes: list[str]
) -> None:
    for name in ("mock/first", "anthropic/claude-haiku-4-5"):
        for strategy in (f"margin:{name}", f"facility-location:margin:{name}"):
            with pytest.raises(ModelError, match="needs the log-probabilities"):
                finished(select("pool.jsonl", session=session, budget=3, strategy=strategy))
    with pytest.raises(UsageError, match="no column 'topics'"):
        finished(select("pool.jsonl", session=session, budget=3, strategy="task-confidence:topics"))
    assert not notes
    assert not list(Path("cache").glob("vectors/*"))


def test_how_the_budget_was_divided_among_tasks_is_told(
    session: Session, model: ModelSpec, notes: list[str]
) -> None:
    how: dict[str, Any] = {"strategy": "task-confidence:topic+m", "models": {"m": model}}
    selection = finished(select("pool.jsonl", session=session, budget=9, **how))
    [told] = [note for note in notes if note.startswith("Picks by topic: ")]
    for topic in ("t0", "t1", "t2"):
        count = sum(item.row["topic"] == topic for item in selection.items)
        assert f"{topic} {count} (confidence 0." in told
