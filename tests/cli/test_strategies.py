"""Strategies that go by what a model, a text or a column says, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, Outcome, pool_rows, write_jsonl
from tests.support.cli_files import RATED, assert_refused, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

OUT = Path("out.jsonl")
RATER = "rating:quality@1+openai/m"


def marks(messages: object) -> str:
    """A score by the number that an item of the pool names: 1 to 10, no answer for number 5."""
    number = int(str(messages).split("Explain topic ")[1].split(" ")[0])
    return "I would rather not say." if number == 5 else f"[1]: {number % 10 + 1}"


@pytest.fixture
def rater() -> ProviderServer:
    return ProviderServer(reply=marks)


def by_strategy(selectllm: Command, strategy: str, *options: object) -> Outcome:
    return selectllm("select", "pool.jsonl", "--strategy", strategy, "-o", OUT, *options)


# In a suite


def test_a_suite_evaluates_ratings_and_the_oracle_beside_its_prompts(
    selectllm: Command, pool_file: Path, rater: ProviderServer
) -> None:
    strategies = (
        "strategies: [random, 'rating:quality@1+m', 'oracle:rating', 'score-first:0.9:longest']"
    )
    with rater as server:
        prompt = "prompts: [short@1] -> prompts: [score@1]"
        suite = write_suite(RATED, served(server), strategies, prompt)
        # Clusters of five are scored by a prompt too; only single items by the strategy.
        server.state.reply = lambda messages: (
            marks(messages) if "[2]" not in str(messages) else "[1, 2]"
        )
        done = selectllm("eval", suite, "-o", "run", "--json")
    assert done.code == 0, done.err
    found = {row["strategy"]: row for row in done.json["strategies"]}
    assert found["oracle:rating"]["agreement"]["rating"]["captured"]["estimate"] == 1.0
    assert found["rating:quality@1+m"]["tokens_in"] > 0
    assert found["oracle:rating"]["tokens_in"] is None
    manifest = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["manifest"]
    assert manifest["measures"]["rating:quality@1+m"]["model"]["id"] == "openai/m"
    assert selectllm("verify", "run").code == 0


def test_a_finished_run_is_not_measured_again(
    selectllm: Command, pool_file: Path, rater: ProviderServer
) -> None:
    strategies = "strategies: ['rating:quality@1+openai/m']"
    with rater as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_BASE", server.base_url)
        patch.setenv("OPENAI_API_KEY", "sk-x")
        suite = write_suite(RATED, strategies)
        assert selectllm("eval", suite, "-o", "run").code == 0
        first = Path("run/results.json").read_bytes()
        assert selectllm("cache", "clear", "--yes").code == 0
        assert selectllm("eval", suite, "-o", "run", "--offline").code == 0
    assert Path("run/results.json").read_bytes() == first


# What cannot be


@pytest.mark.parametrize(
    "strategy", ["ifd", "response-perplexity-low", "rating:answered@1+openai/m"]
)
def test_what_goes_by_responses_refuses_a_pool_that_lacks_some(
    selectllm: Command, strategy: str
) -> None:
    write_jsonl(
        Path("pool.jsonl"),
        [{**row, "response": None} if i < 3 else row for i, row in enumerate(pool_rows())],
    )
    refused = by_strategy(selectllm, strategy, "--budget", 4)
    assert_refused(refused, "responses", "3 of 40 items have none", "item-000")
    suite = write_suite(f"strategies: ['{strategy}']")
    assert_refused(selectllm("eval", suite, "-o", "run"), "responses", "item-000")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--strategy", "longest", "--threshold", 3), "longest does not. Give --budget"),
        (("--strategy", "ifd", "--threshold", 3, "--budget", 3), "either --budget, or"),
        (("--prompt", "short@1", "--model", "mock/first", "--threshold", 3), "with --strategy"),
        (("--strategy", "longest"), "either --budget, or"),
    ],
)
def test_a_threshold_goes_with_a_strategy_that_has_values(
    selectllm: Command, pool_file: Path, options: tuple[object, ...], words: str
) -> None:
    assert_refused(selectllm("select", "pool.jsonl", "-o", OUT, *options), words)


def test_a_plan_counts_what_strategies_ask(selectllm: Command, pool_file: Path) -> None:
    model = {"name": "m", "id": "openai/m", "price": {"input": 1, "output": 1}}
    strategies = "strategies: [longest, 'rating:quality@1+m', 'open-endedness:m']"
    suite = write_suite(f"mock/first -> {json.dumps(model)}", strategies)
    planned = selectllm("plan", suite, "--json").json
    found = {row["strategy"]: row for row in planned["strategies"]}
    assert {name: row["calls"] for name, row in found.items()} == {
        "rating:quality@1+m": 40,
        "open-endedness:m": 120,
    }
    pairs = sum(row["calls"] for row in planned["pairs"])
    assert planned["total"]["calls"] == pairs + 160 == 168
    assert planned["total"]["usd"] > sum(row["usd"] for row in planned["pairs"])
    shown = selectllm("plan", suite).out
    assert "quality@1" in shown
    assert "open-endedness" in shown


@pytest.mark.parametrize("replies_each", [1, 3])
def test_a_dry_run_tells_which_items_are_asked_about_already(
    selectllm: Command, pool_file: Path, replies_each: int
) -> None:
    """Of strategies that read what a model writes, whose replies are no decisions."""
    strategy = "margin:openai/m" if replies_each == 1 else "answer-divergence:openai/m"
    with ProviderServer(respond=_written) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_BASE", server.base_url)
        patch.setenv("OPENAI_API_KEY", "sk-x")
        before = by_strategy(selectllm, strategy, "--budget", 2, "--dry-run")
        assert "Already cached: 0 of the 40 decisions" in before.out
        done = by_strategy(selectllm, strategy, "--budget", 2)
        assert done.code == 0, done.err
        assert server.count % 40 == 0
        after = by_strategy(selectllm, strategy, "--budget", 2, "--dry-run")
    assert "Already cached: 40 of the 40 decisions" in after.out
    assert "About 0 calls will be sent" in after.out


def _written(body: object, headers: object, n: int) -> Answer:
    """An answer in three tokens, each of which had a rival."""
    token = {"token": "Yes", "logprob": -0.2 - n % 5 / 10, "bytes": None}
    rival = {"token": "No", "logprob": -2.0, "bytes": None}
    listed = [token | {"top_logprobs": [token, rival]} for _ in range(3)]
    message = completion(f"Yes Yes Yes {n % 7}")
    message["choices"][0]["logprobs"] = {"content": listed}
    return Answer(200, message)
