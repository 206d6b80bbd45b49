"""What a provider says of one prompt, and replies that are paid for and hold nothing, in a job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import BudgetReached, ModelError, ProviderError
from selectllm.core.types import Pool
from selectllm.jobs.selecting import select
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.sync import finished
from selectllm.models.model import ModelSpec, Price
from tests.conftest import read_jsonl
from tests.support.provider_server import Answer, ProviderServer, Respond, completion, error

KEY = "sk-secret-0123456789abcdef"
LONG = "in some detail " * 60
RECORDS = [{"instruction": f"Question {n} {LONG}{'FLAGGED' if n == 5 else ''}"} for n in range(12)]
LOG = Path("log.jsonl")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> Iterator[Session]:
    monkeypatch.chdir(tmp_path)
    with Session(cache=tmp_path / "cache", notes=notes.append) as session:
        yield session


def chosen(session: Session, respond: Respond, **fields: Any) -> tuple[Selection, ProviderServer]:
    with ProviderServer(respond) as server:
        spec = ModelSpec(
            name="m", id="openai/m", api_base=server.base_url, price=Price(1.0, 10.0), **fields
        )
        selection = finished(
            select(
                Pool.from_records(RECORDS),
                budget=3,
                max_filled=1,
                prompt="short@1",
                model=spec,
                by="random",
                cluster_size=4,
                log=LOG,
                session=session,
            )
        )
        return selection, server


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(403, error("x requires moderation on A. Your input was flagged.")),
        Answer(403, {"error": {"message": "no", "code": 403, "metadata": {"reasons": ["x"]}}}),
        Answer(400, error("no", code="content_filter")),
        Answer(400, error("no", code="cyber_policy")),
        Answer(200, completion(None, finish_reason="content_filter", usage=None)),
    ],
)
def test_a_providers_no_to_one_prompt_is_about_that_prompt(
    session: Session, refusal: Answer
) -> None:
    def respond(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        fine = Answer(200, completion("[1]", usage=None))
        return refusal if "FLAGGED" in json.dumps(body) else fine

    selection, server = chosen(session, respond)
    statuses = sorted(decision.status for decision in selection.decisions)
    assert statuses == ["ok", "ok", "refused"]
    assert (len(selection.items), selection.filled, server.count) == (3, 1, 3)
    refused = next(each for each in selection.decisions if each.status == "refused")
    # Unknown, not 0: of a prompt of 1,000 tokens it would look as if most had not been read.
    assert (refused.attempts[0].tokens_in, refused.attempts[0].tokens_out) == (None, None)


def thinking(body: Any, headers: Mapping[str, str], n: int) -> Answer:
    """Reasoning takes all of max_tokens; turns without text, and two of one role, are refused."""
    roles = [message["role"] for message in body["messages"]]
    if any(a == b for a, b in pairwise(roles)):
        return Answer(400, error("roles must alternate"))
    if not all(message["content"].strip() for message in body["messages"]):
        return Answer(400, error("messages: text content blocks must be non-empty"))
    usage = {"prompt_tokens": 900, "completion_tokens": 64, "total_tokens": 964}
    reasoning = {"reasoning_content": "hm " * 50}
    return Answer(200, completion("", finish_reason="length", usage=usage, message=reasoning))


def test_reasoning_that_ate_max_tokens_is_a_failure_of_its_own_told_with_what_to_set(
    session: Session, notes: list[str]
) -> None:
    selection, server = chosen(session, thinking, max_tokens=64)
    assert server.count == 9
    for decision in selection.decisions:
        assert (decision.status, decision.problems) == ("invalid", ("all_thinking", "cut"))
        assert [attempt.tokens_out for attempt in decision.attempts] == [64] * 3
        assert [attempt.tokens_reasoning for attempt in decision.attempts] == [64] * 3
    assert selection.spent_usd == pytest.approx(9 * (900e-6 + 640e-6))
    note = next(note for note in notes if "max_tokens" in note)
    assert "9 of 9 replies of m have no text: its reasoning used up max_tokens (64)" in note
    assert "`max_tokens=256`" in note
    assert "`reasoning=off`" in note


def test_a_question_without_an_answer_is_asked_again_in_the_same_turn(session: Session) -> None:
    _, server = chosen(session, thinking, max_tokens=64)
    asked = [seen.body["messages"][-1]["content"] for seen in server.requests]
    first, again = asked[:3], [text for text in asked if "Your reply could not be used" in text]
    assert len(again) == 6
    assert all(any(text.startswith(question) for question in first) for text in again)


def test_a_reply_that_cannot_be_used_counts_toward_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usage = {"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000}
    unusable = Answer(200, {**completion(usage=usage), "choices": []})
    with Session(cache=tmp_path / "cache", max_cost=0.03) as session:
        with ProviderServer(lambda *_: unusable) as server:
            spec = ModelSpec(
                name="m", id="openai/m", api_base=server.base_url, price=Price(1.0, 10.0)
            )
            pool = Pool.from_records(RECORDS)
            job = select(pool, budget=3, prompt="short@1", model=spec, by="random", session=session)
            with pytest.raises(BudgetReached):
                finished(job)
        assert session.ledger.spent == pytest.approx(0.011 * server.count)
        assert 0.01 < session.ledger.spent <= 0.03


def test_a_reply_to_a_prompt_that_was_cut_short_is_kept_with_the_error(session: Session) -> None:
    few = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    with pytest.raises(ProviderError, match="input_truncated"):
        chosen(session, lambda *_: Answer(200, completion("[1]", usage=few)))
    assert session.ledger.spent == pytest.approx(3 * (12e-6 + 50e-6))


def test_a_prompt_that_came_from_a_cache_was_not_cut_short(session: Session) -> None:
    cached = {"prompt_tokens": 12, "completion_tokens": 5, "cache_read_input_tokens": 1_000}
    selection, _ = chosen(session, lambda *_: Answer(200, completion("[1]", usage=cached)))
    assert {decision.status for decision in selection.decisions} == {"ok"}
    assert selection.decisions[0].attempts[0].tokens_in == 1_012


# Keys that stand in the settings


def test_keys_in_extra_and_in_the_url_are_sent_and_written_nowhere(
    session: Session, notes: list[str]
) -> None:
    token = "0a1b2c3d4e5f6a7b8c9d0e1f"

    def respond(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        assert headers["x-gateway-key"] == KEY
        return Answer(200, completion("[1]", usage=None))

    with ProviderServer(respond) as server:
        spec = ModelSpec(
            name="m",
            id="openai/m",
            api_base=f"{server.root}/{token}/v1",
            extra={"extra_headers": {"x-gateway-key": KEY, "X-Title": "mine"}},
        )
        pool = Pool.from_records(RECORDS)
        arguments: dict[str, Any] = {"budget": 3, "prompt": "short@1", "by": "random", "log": LOG}
        finished(select(pool, model=spec, session=session, **arguments))
        assert server.requests[0].path == f"/{token}/v1/chat/completions"
        asked = server.count
        finished(select(pool, model=spec, session=session, **arguments))
        assert server.count == asked
    written = read_jsonl(LOG)[0]["manifest"]["model"]
    assert written["extra"] == {"extra_headers": {"x-gateway-key": "***", "X-Title": "mine"}}
    assert written["api_base"] == written["endpoint"] == f"{server.root}/***/v1"
    for path in Path().rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert KEY.encode() not in content
        assert token.encode() not in content
    assert token not in "".join(notes)


def test_an_error_shows_no_key_of_the_settings(session: Session) -> None:
    token = "0a1b2c3d4e5f6a7b8c9d0e1f"

    def echo(body: Any, headers: Mapping[str, str], n: int) -> Answer:
        return Answer(400, error(f"bad {headers['x-gateway-key']} at /{token}/v1"))

    with ProviderServer(echo) as server:
        spec = ModelSpec(
            name="m",
            id="openai/m",
            api_base=f"{server.root}/{token}/v1",
            extra={"extra_headers": {"x-gateway-key": KEY}},
        )
        pool = Pool.from_records(RECORDS)
        job = select(pool, budget=3, prompt="short@1", model=spec, by="random", session=session)
        with pytest.raises(ProviderError) as caught:
            finished(job)
    assert "bad *** at /***/v1" in str(caught.value)
    assert f"{server.root}/***/v1" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (f"{KEY}\n", "begins or ends with a line end"),
        (f" {KEY}", "begins or ends with a line end or a space"),
        (f"{KEY}\r\nX-Odd: 1", r"can carry \(U\+000D\)"),
        (f"{KEY}\u2026", r"can carry \(U\+2026\)"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent(
    session: Session, monkeypatch: pytest.MonkeyPatch, key: str, why: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ModelError, match=f"the key in MY_KEY .*{why}") as caught:
        chosen(session, thinking, api_key_env="MY_KEY")
    assert caught.value.exit_code == 2
    assert KEY not in str(caught.value)
    assert not LOG.exists()


def test_a_header_that_cannot_be_sent_is_refused_by_its_name(session: Session) -> None:
    extra = {"extra_headers": {"x-gateway-key": f"{KEY}\n"}}
    with pytest.raises(ModelError, match=r"extra\.extra_headers\.x-gateway-key begins") as caught:
        chosen(session, thinking, extra=extra)
    assert KEY not in str(caught.value)
