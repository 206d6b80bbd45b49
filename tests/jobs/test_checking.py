"""`models check`: every model asked once, and what to set where its reply cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import BudgetReached, ReplyMissing, UsageError
from selectllm.jobs.checked_models import CheckedModel, ModelsChecked
from selectllm.jobs.checking import check_models
from selectllm.jobs.session import Session
from selectllm.jobs.sync import finished
from tests.conftest import Command
from tests.support.cli_files import BODY, put_prompt, write_suite
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion

USAGE = {"prompt_tokens": 400, "completion_tokens": 64, "total_tokens": 464}
JSON_PROMPT = "---\ndescription: d\nreply: json\nlabels: numbers\n---\n" + BODY


@pytest.fixture(autouse=True)
def pool(forty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pool.jsonl of 40 items in the current folder, a cache of its own, and keys."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-0123456789abcdef")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-test-0123456789abcdef")
    return forty


def checked(*models: Mapping[str, Any] | str, changes: tuple[str, ...] = ()) -> ModelsChecked:
    """What the check of a suite with these models says."""
    suite = write_suite(f"[mock/first] -> {json.dumps(models)}", *changes)
    return finished(check_models(suite))


def first(*models: Mapping[str, Any] | str, changes: tuple[str, ...] = ()) -> CheckedModel:
    """The same of its first model."""
    return checked(*models, changes=changes).models[0]


def ollama(content: str, thinking: str = "", **fields: Any) -> Answer:
    message = {"role": "assistant", "content": content}
    if thinking:
        message["thinking"] = thinking
    counts = {"prompt_eval_count": 400, "eval_count": 64}
    body = {"model": "m", "message": message, "done": True, "done_reason": "stop", **counts}
    return Answer(200, body | fields)


def listing(n: str = "1") -> Answer:
    """A reply that lists log-probabilities."""
    body = completion(n, usage=USAGE)
    top = [{"token": n, "logprob": -0.1, "bytes": None}]
    token = {"token": n, "logprob": -0.1, "bytes": None, "top_logprobs": top}
    body["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return Answer(200, body)


# --- what it says of each provider's reply


def test_a_model_that_answers_is_told_with_its_tokens_price_and_log_probabilities(
    server: ProviderServer,
) -> None:
    server.queue(Answer(200, completion("[1, 2]", usage=USAGE)), listing())
    price = {"input": 1, "output": 10}
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url, "price": price}
    found = first(entry)
    assert (found.outcome, found.logprobs, found.advice) == ("answered", "listed", "")
    assert (found.picks, found.wanted, found.shown) == (2, 2, 5)
    assert (found.tokens_in, found.tokens_out) == (400, 64)
    assert found.cost_usd == pytest.approx((400 + 640) / 1e6)
    asked, one = server.requests
    assert "Choose the 2 of these 5" in asked.body["messages"][-1]["content"]
    assert (one.body["max_tokens"], one.body["logprobs"]) == (1, True)


def test_it_asks_anew_whatever_the_cache_holds_and_keeps_no_reply(server: ProviderServer) -> None:
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url}
    checked(entry)
    asked = server.count
    checked(entry)
    assert server.count == 2 * asked == 4


@pytest.mark.parametrize(
    ("model_id", "answer", "advice"),
    [
        (
            "openai/qwen3.5",
            completion("", finish_reason="length", usage=USAGE, message={"reasoning": "hm"}),
            "reasoning=off",
        ),
        (
            "hosted_vllm/qwen3.5",
            completion("<think>hm", finish_reason="length", usage=USAGE),
            "reasoning=off",
        ),
        ("ollama_chat/qwen3.5:9b", ollama("", "hm", done_reason="length").body, "reasoning=off"),
        ("ollama_chat/gpt-oss:20b", ollama("", "hm", done_reason="length").body, "max_tokens=256"),
        (
            "anthropic/claude-sonnet-4-5",
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                "stop_reason": "max_tokens",
                "usage": {"input_tokens": 400, "output_tokens": 64},
            },
            "reasoning=off",
        ),
        (
            "gemini/gemini-2.5-flash",
            {
                "candidates": [
                    {
                        "content": {"role": "model", "parts": [{"text": "hm", "thought": True}]},
                        "finishReason": "MAX_TOKENS",
                        "index": 0,
                    }
                ],
                "usageMetadata": {
                    "promptTokenCount": 400,
                    "thoughtsTokenCount": 64,
                    "totalTokenCount": 464,
                },
            },
            "reasoning=off",
        ),
    ],
)
def test_a_reply_that_is_all_thinking_is_told_as_such_in_every_providers_form(
    model_id: str, answer: Any, advice: str, server: ProviderServer
) -> None:
    server.queue(Answer(200, answer))
    base = server.base_url if model_id.startswith(("openai", "hosted")) else server.root
    found = first({"id": model_id, "api_base": base, "api_key_env": "GEMINI_API_KEY",
                   "max_tokens": 64})  # fmt: skip
    assert (found.outcome, found.tokens_reasoning) == ("all thinking", 64)
    assert "reasoning used up max_tokens (64)" in found.said
    assert advice in found.advice


def test_ollama_that_ignores_the_format_once_thinking_is_off_is_told(
    server: ProviderServer,
) -> None:
    put_prompt("asjson@1", JSON_PROMPT)
    server.queue(ollama("I pick the first and the second one."))
    entry = {"id": "ollama_chat/qwen3.5:9b", "api_base": server.root, "reasoning": "off"}
    found = first(entry, changes=("short@1 -> prompts/asjson/v1.jinja",))
    sent = server.requests[0].body
    assert sent["think"] is False
    assert sent["format"]["type"] == "object"
    assert found.outcome == "format ignored"
    assert "Ollama ignores the format" in found.advice
    assert "Set reasoning to low" in found.advice
    assert found.logprobs == "not listed"
    assert "openai/qwen3.5:9b" in found.text


def test_other_outcomes_name_what_to_set(server: ProviderServer) -> None:
    few = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    entry = {"id": "openai/m", "api_base": server.base_url}
    server.queue(Answer(200, completion("[1, 2]", usage=few)))
    cut = first(entry)
    assert cut.outcome == "context cut"
    assert "lower clusters.size" in cut.advice
    short = first({**entry, "context": 1200})
    assert (short.outcome, short.seconds) == ("context cut", None)  # and nothing was sent
    server.queue(Answer(200, completion("neither")))
    assert first(entry).outcome == "no answer"
    server.queue(FAULTS["refusal"])
    assert first(entry).outcome == "refused"
    server.queue(Answer(200, completion("[1,", finish_reason="length")))
    assert "Set max_tokens to 4096" in first(entry).advice
    usage = USAGE | {"completion_tokens_details": {"reasoning_tokens": 60}}
    server.queue(Answer(200, completion("[1, 2]", usage=usage)))
    thoughtful = first(entry)
    assert thoughtful.outcome == "answered"
    assert "94% of the reply" in thoughtful.advice


def test_a_model_that_is_asked_by_log_probabilities_is_asked_once(server: ProviderServer) -> None:
    best = ("short@1 -> best@1",)
    entry = {"id": "openai/m", "api_base": server.base_url, "answer": "logprobs"}
    server.queue(listing())
    found = first(entry, changes=best)
    assert (found.logprobs, server.count) == ("listed", 1)
    found = first(entry, changes=best)
    assert (found.outcome, found.logprobs) == ("no answer", "not listed")
    assert server.count == 2


# --- its exit codes and limits


def test_the_exit_code_says_whether_every_model_can_be_used(
    server: ProviderServer, selectllm: Command
) -> None:
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url}
    suite = write_suite(f"[mock/first] -> {json.dumps([entry])}")
    fine = selectllm("models", "check", suite)
    assert (fine.code, "1 of 1 model answered" in fine.out) == (0, True)
    server.queue(Answer(200, completion("neither")))
    useless = selectllm("models", "check", suite, "--json")
    assert (useless.code, useless.json["models"][0]["outcome"]) == (1, "no answer")
    suite = write_suite(
        f"[mock/first] -> {json.dumps([{**entry, 'api_base': 'http://127.0.0.1:9/v1'}])}"
    )
    gone = selectllm("models", "check", suite)
    assert (gone.code, "not reached" in gone.out) == (6, True)


def test_one_model_is_checked_by_its_id_with_items_of_the_quickstart(
    server: ProviderServer, selectllm: Command
) -> None:
    where = ("--api-base", server.base_url, "--model-arg", "reasoning=off")
    assert selectllm("models", "check", "openai/m", *where).code == 0
    sent = server.requests[0].body
    assert "Choose the 2 of these 10" in sent["messages"][-1]["content"]
    assert sent["reasoning_effort"] == "none"


def test_a_setting_that_one_model_does_not_take_ends_it_before_any_is_asked(
    server: ProviderServer, selectllm: Command
) -> None:
    asked = {"name": "m", "id": "openai/m", "api_base": server.base_url}
    refused = {"id": "cohere/command-r", "reasoning": "low"}
    suite = write_suite(f"[mock/first] -> {json.dumps([asked, refused])}")
    for verb in (("models", "check"), ("eval",), ("plan",)):
        outcome = selectllm(*verb, suite)
        assert outcome.code == 2, verb
        assert "reasoning: low: cohere/ is not known to take it" in outcome.err
    assert server.count == 0


LISTS_NONE = {"name": "m", "id": "anthropic/claude-sonnet-4-5"}
THINKS = {"name": "m", "id": "openai/gpt-5.1", "reasoning": "low", "temperature": None}
VOTES = {"name": "m", "id": "mock/first", "vote": {"orders": 3}}
ANSWERS_BY_LETTER = {"name": "m", "id": "openai/m", "answer": "logprobs"}


@pytest.mark.parametrize(
    ("prompt", "entry", "said", "advice", "logprobs"),
    [
        ("point@1", LISTS_NONE, "do not return any", "Use a prompt that", "not listed"),
        ("point@1", THINKS, "belongs to the thinking", "Set reasoning to off.", "not asked"),
        ("pair@1", VOTES, "has a vote", "Name the model without `vote`", "not asked"),
        ("short@1", ANSWERS_BY_LETTER, "of one letter", "such as best@1.", "not asked"),
    ],
    ids=["lists none", "thinks", "votes", "answers by letter"],
)
def test_a_prompt_that_one_model_cannot_be_asked_is_its_answer_and_the_others_are_checked(
    prompt: str,
    entry: dict[str, Any],
    said: str,
    advice: str,
    logprobs: str,
    server: ProviderServer,
    selectllm: Command,
) -> None:
    server.queue(listing("5") if prompt == "point@1" else Answer(200, completion("[1, 2]")))
    other = {"name": "other", "id": "openai/other", "api_base": server.base_url}
    suite = write_suite(f"[mock/first] -> {json.dumps([entry, other])}", f"short@1 -> {prompt}")
    outcome = selectllm("models", "check", suite, "--json")
    assert outcome.code == 1, outcome.err
    unfit, fit = json.loads(outcome.out)["models"]
    assert (unfit["model"], unfit["outcome"], unfit["shown"]) == ("m", "no answer", 0)
    assert said in unfit["said"]
    assert "model 'm':" not in unfit["said"]
    assert advice in unfit["advice"]
    assert unfit["logprobs"] == logprobs
    assert (fit["model"], fit["shown"] > 0) == ("other", True)
    assert server.requests
    assert {each.body["model"] for each in server.requests} == {"other"}


def test_a_prompt_that_no_model_can_be_asked_sends_nothing(selectllm: Command) -> None:
    suite = write_suite(f"[mock/first] -> {json.dumps([LISTS_NONE])}", "short@1 -> point@1")
    outcome = selectllm("models", "check", suite)
    assert outcome.code == 1
    assert "m (anthropic/claude-sonnet-4-5) with point@1: no answer: point@1 needs" in outcome.out
    assert "0 of 1 model answered" in outcome.out


def test_a_session_checks_models_too(server: ProviderServer) -> None:
    entry = {"id": "openai/m", "api_base": server.base_url}
    suite = write_suite(f"[mock/first] -> {json.dumps([entry])}")
    with Session() as session:
        found = session.check_models(suite, prompt="short@1")
        assert [each.outcome for each in found.models] == ["answered"]
        with pytest.raises(UsageError, match="nope@1"):
            session.check_models(suite, prompt="nope@1")


def test_limits_and_offline_hold(server: ProviderServer) -> None:
    price = {"input": 1000, "output": 1000}
    entry = {"id": "openai/m", "api_base": server.base_url, "price": price}
    suite = write_suite(f"[mock/first] -> {json.dumps([entry])}")
    with pytest.raises(BudgetReached):
        finished(check_models(suite, max_cost=0.01))
    with pytest.raises(ReplyMissing):
        finished(check_models(suite, offline=True))
    assert server.count == 0
