"""Tokens of thinking: from a provider's usage to logs, packs, results and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.core.files import read_json
from selectllm.evaluation.runs.verify import verification
from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from tests.conftest import Command, read_jsonl
from tests.support.cli_files import RATED, at, select, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

CLUSTERS = 8
PRICE = {"input": 1.0, "output": 2.0}


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """pool.jsonl of 40 items in the current folder, and a cache of its own."""
    return forty


def thoughtful(body: Any, headers: Any, n: int) -> Answer:
    """An answer after 60 tokens of thinking."""
    details = {"completion_tokens_details": {"reasoning_tokens": 60}}
    usage = {"prompt_tokens": 400, "completion_tokens": 65, "total_tokens": 465, **details}
    return Answer(200, completion("[1, 2]", usage=usage))


def test_they_are_logged_priced_and_shown_and_the_run_can_be_replayed_and_verified(
    selectllm: Command,
) -> None:
    with ProviderServer(thoughtful) as server:
        suite = write_suite(RATED, served(server, price={**PRICE, "reasoning": 10.0}))
        finished(evaluate(suite, out="run", record="replies.jsonl"))
    for row in read_jsonl(Path("run/decisions.jsonl"))[1:]:
        Draft202012Validator(schema("decision")).validate(row)
        assert {attempt.get("tokens_reasoning", 60) for attempt in row["attempts"]} <= {60}
    results = read_json(Path("run/results.json"))
    Draft202012Validator(schema("results")).validate(results)
    pair = results["pairs"][0]
    assert (pair["tokens_out"], pair["tokens_reasoning"]) == (CLUSTERS * 65, CLUSTERS * 60)
    assert pair["replay_cost_usd"] == pytest.approx(CLUSTERS * (400 + 5 * 2 + 60 * 10) / 1e6)
    told = selectllm("report", "run").out
    assert "the part of the replies' tokens that is thinking" in " ".join(told.split())
    assert selectllm("report", "run", "--html", "-o", "page.html").code == 0
    assert "92.3 % of the tokens written" in Path("page.html").read_text(encoding="utf-8")
    suite.write_text(
        suite.read_text(encoding="utf-8") + "replies: replies.jsonl\n", encoding="utf-8"
    )
    finished(evaluate(suite, out="again", offline=True))
    assert Path("again/results.json").read_bytes() == Path("run/results.json").read_bytes()
    assert not verification(Path("run")).differences


def test_without_any_nothing_is_written_of_them(selectllm: Command) -> None:
    with ProviderServer() as server:
        finished(evaluate(write_suite(RATED, served(server)), out="run"))
    assert "tokens_reasoning" not in Path("run/decisions.jsonl").read_text(encoding="utf-8")
    assert "tokens_reasoning" not in Path("run/results.json").read_text(encoding="utf-8")
    assert "thinking" not in selectllm("report", "run").out


def test_select_says_how_much_of_it_was_thinking(selectllm: Command) -> None:
    with ProviderServer(thoughtful) as server:
        outcome = selectllm(
            *("select", "pool.jsonl", "--budget", 8, "--by", "random", "--prompt", "short@1"),
            *at(server),
        )
    assert outcome.code == 0
    assert f"{CLUSTERS * 65} tokens out, {CLUSTERS * 60} of them thinking" in outcome.err


def test_a_run_of_replies_that_only_think_says_what_to_set(selectllm: Command) -> None:
    def only(body: Any, headers: Any, n: int) -> Answer:
        usage = {"prompt_tokens": 400, "completion_tokens": 1024, "total_tokens": 1424}
        return Answer(200, completion("", usage=usage, message={"reasoning": "hm"},
                                      finish_reason="length"))  # fmt: skip

    with ProviderServer(only) as server:
        suite = write_suite(RATED, served(server), "reask: 0")
        outcome = selectllm("eval", suite, "-o", "run")
        refused = select(selectllm, *at(server), "--max-filled", 1)
    assert {row["problems"][0] for row in read_jsonl(Path("run/decisions.jsonl"))[1:]
            if "model" in row} == {"all_thinking"}  # fmt: skip
    assert "8 of 8 replies of m have no text" in outcome.err
    assert "reasoning=off" in outcome.err
    assert refused.code == 0
    assert read_json(Path("run/results.json"))["pairs"][0]["valid_rate"] == 0.0
