"""evaluate: what providers are sent, how their failures count, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import selectllm as sl
from selectllm.core.errors import BudgetReached, ModelError, ProviderError, ReplyMissing
from selectllm.report.schemas import schema
from tests.conftest import read_jsonl, write_jsonl
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import FAULTS, Answer, ProviderServer, error

RESULTS = Path("run/results.json")


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """Every test has 8 clusters."""
    return forty


def asking(server: ProviderServer, *changes: str, **settings: object) -> Path:
    """A rated suite whose only model, m, is the test's provider."""
    return write_suite(RATED, served(server, **settings), *changes)


# --- replies that are missing, failed, or no picks


def test_offline_names_what_is_missing(server: ProviderServer) -> None:
    with pytest.raises(ReplyMissing, match="8 of short@1 with m"):
        sl.evaluate(asking(server), offline=True, out="run")
    assert server.count == 0
    assert not RESULTS.exists()


def test_recorded_replies_keep_to_their_schema_and_stand_in_for_the_provider() -> None:
    with ProviderServer() as server:
        suite = asking(server, "replies: pack.jsonl")
        live = sl.evaluate(suite, record="pack.jsonl", out="live")
    for row in read_jsonl(Path("pack.jsonl")):
        Draft202012Validator(schema("pack")).validate(row)
    replayed = sl.evaluate(suite, offline=True, cache="an-empty-cache", out="replayed")
    before, after = ((run.folder / "results.json").read_bytes() for run in (live, replayed))
    assert before == after


def test_failures_are_no_picks_and_a_rerun_asks_only_them() -> None:
    def fails_at_first(request: Any, headers: Any, n: int) -> Answer | None:
        return FAULTS["400"] if n in (1, 4) else None

    with ProviderServer(fails_at_first) as server:
        suite = asking(server)
        with pytest.raises(ProviderError, match="2 of 8 decisions could not be made") as caught:
            sl.evaluate(suite, out="run", concurrency=1)
        assert "temperature must be below 2" in str(caught.value)
        assert not RESULTS.exists()
        assert server.count == 8
        again = sl.evaluate(suite, out="run")
        assert server.count == 10
    assert again.results.pairs[0].status_counts["error"] == 0


def test_an_invalid_reply_is_asked_again_with_the_complaint() -> None:
    def better_next_time(messages: Sequence[Mapping[str, Any]]) -> str:
        return "[1, 2]" if len(messages) > 2 else "I like them all."

    with ProviderServer(reply=better_next_time) as server:
        run = sl.evaluate(asking(server))
        assert server.count == 16
    (pair,) = run.results.pairs
    assert (pair.status_counts["repaired"], pair.valid_rate) == (8, 1.0)
    attempts = next(d for d in run.decisions if d.model == "m").attempts
    assert [attempt.reply for attempt in attempts] == ["I like them all.", "[1, 2]"]


def test_a_refusal_is_told_by_the_provider_and_not_asked_again() -> None:
    with ProviderServer(lambda *_: FAULTS["refusal"]) as server:
        (pair,) = sl.evaluate(asking(server)).results.pairs
        assert server.count == 8
    assert pair.status_counts["refused"] == 8


def test_a_prompt_that_was_cut_is_an_error_and_is_not_cached(pool: Path) -> None:
    rows = read_jsonl(pool)
    for row in rows:
        row["instruction"] += " many words more" * 60
    write_jsonl(pool, rows)
    with ProviderServer(lambda *_: FAULTS["few prompt tokens"]) as server:
        suite = asking(server)
        with pytest.raises(ProviderError, match="input_truncated"):
            sl.evaluate(suite, out="run")
        asked = server.count
        with pytest.raises(ProviderError, match="input_truncated"):
            sl.evaluate(suite, out="run")
        assert server.count > asked


def test_a_prompt_too_long_for_the_context_is_not_sent(server: ProviderServer) -> None:
    run = sl.evaluate(asking(server, context=300, max_tokens=250))
    assert server.count == 0
    assert run.results.pairs[0].status_counts["invalid"] == 8
    assert {d.problems for d in run.decisions if d.model == "m"} == {("too_long",)}


def test_a_prompt_that_the_provider_finds_too_long_is_invalid_and_not_a_failure() -> None:
    with ProviderServer(lambda *_: FAULTS["context overflow"]) as server:
        (pair,) = sl.evaluate(asking(server)).results.pairs
        assert server.count == 8
    assert pair.status_counts["invalid"] == 8


def test_a_no_to_each_question_is_about_that_question_alone() -> None:
    with ProviderServer(lambda *_: Answer(400, error("no"))) as server:
        with pytest.raises(ProviderError):
            sl.evaluate(asking(server, "orders: 10"), concurrency=1)
        assert server.count == 80


# --- money and load


def test_max_cost_stops_before_spending_more_and_a_rerun_goes_on(server: ProviderServer) -> None:
    # About 250 prompt tokens and at most 100 out: some 0.045 USD a call at these prices.
    suite = asking(server, price={"input": 100, "output": 200}, max_tokens=100)
    with pytest.raises(BudgetReached, match=r"`max_cost` 0\.15 USD reached"):
        sl.evaluate(suite, out="run", max_cost=0.15, concurrency=1)
    paid = server.count
    assert 0 < paid < 8
    run = sl.evaluate(suite, out="run")
    assert server.count == 8
    total = run.results.pairs[0].replay_cost_usd
    assert total is not None
    assert run.spent_usd == pytest.approx(total * (8 - paid) / 8, rel=0.1)


def test_a_model_without_a_price_fails_closed_under_max_cost(server: ProviderServer) -> None:
    suite = asking(server)
    told = r"^model 'm' has no known price .*`max_cost` .*`allow_unpriced`"
    with pytest.raises(ModelError, match=told):
        sl.evaluate(suite, out="run", max_cost=1)
    assert server.count == 0
    run = sl.evaluate(suite, out="run", max_cost=1, allow_unpriced=True)
    assert run.results.pairs[0].replay_cost_usd is None
    assert "not priced" in run.report()


def test_concurrency_is_bounded() -> None:
    with ProviderServer(latency=0.05) as server:
        sl.evaluate(asking(server, "orders: 3"), concurrency=5)
        assert 2 <= server.peak <= 5


# --- what is sent


def test_a_schema_is_sent_where_prompt_and_provider_take_one() -> None:
    with ProviderServer(reply=lambda messages: '{"picks": [1, 2]}') as server:
        prompts = "[short@1] -> [rubric@1, short@1]"
        sl.evaluate(asking(server, prompts, structured=True))
        sent = [request.body.get("response_format") for request in server.requests]
        assert sum(form is not None for form in sent) == 8
        sl.evaluate(asking(server, prompts, "structured: off", structured=True))
        assert all("response_format" not in seen.body for seen in server.requests[16:])
        assert server.count > 16


def test_ollama_is_told_to_make_room_for_the_longest_prompt() -> None:
    with ProviderServer() as server:
        entry = json.dumps({"name": "m", "id": "ollama_chat/m", "api_base": server.root})
        sl.evaluate(write_suite(f"mock/first -> {entry}"))
        assert {request.path for request in server.requests} == {"/api/chat"}
        assert {request.body["options"]["num_ctx"] for request in server.requests} == {2048}
