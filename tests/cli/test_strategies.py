"""Strategies that go by what a model, a text or a column says, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import AT_ONCE, RATED, assert_refused, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, error

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


def picked() -> list[str]:
    return [row["id"] for row in read_jsonl(OUT)]


# A rating of each item by itself


def test_the_highest_rated_are_selected_and_every_reply_is_in_the_log(
    selectllm: Command, pool_file: Path, rater: ProviderServer
) -> None:
    with rater as server:
        done = by_strategy(selectllm, RATER, "--budget", 8, "--api-base", server.base_url)
        assert done.code == 0, done.err
        asked = server.count
    assert "1 of 40 items could not be measured: never picked" in done.err
    assert picked() == [f"item-{number:03}" for number in (8, 9, 18, 19, 28, 29, 38, 39)]
    assert asked == 39 + 3  # an invalid reply is asked again twice
    log = read_jsonl(Path(f"{OUT}.decisions.jsonl"))
    assert len(log[1]["attempts"]) == asked
    assert log[0]["manifest"]["measure"]["prompt_sha256"]


def test_a_threshold_takes_all_that_reach_it(
    selectllm: Command, pool_file: Path, rater: ProviderServer
) -> None:
    with rater as server:
        at = ("--api-base", server.base_url)
        assert by_strategy(selectllm, RATER, "--threshold", 10, *at).code == 0
        assert picked() == ["item-009", "item-019", "item-029", "item-039"]
        OUT.unlink()
        Path(f"{OUT}.decisions.jsonl").unlink()
        none = by_strategy(selectllm, RATER, "--threshold", 11, "--quiet", *at)
    assert_refused(none, "no item reaches it; the highest is 10")
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("option", "code", "count", "filled"),
    [("fill", 0, 40, 1), ("skip", 1, 39, 0)],
)
def test_an_item_without_a_rating_only_fills_a_gap(
    selectllm: Command,
    pool_file: Path,
    rater: ProviderServer,
    option: str,
    code: int,
    count: int,
    filled: int,
) -> None:
    with rater as server:
        at = ("--api-base", server.base_url, "--on-invalid", option)
        assert by_strategy(selectllm, RATER, "--budget", 40, *at).code == code
    rows = read_jsonl(OUT)
    assert len(rows) == count
    assert [row["id"] for row in rows if row["_selectllm"]["filled"]] == ["item-005"] * filled


def test_a_rating_that_fails_is_no_value_and_a_rerun_asks_only_the_rest(
    selectllm: Command, pool_file: Path, no_waiting: None
) -> None:
    def last_fails(body: object, headers: object, number: int) -> Answer | None:
        return error(500, "down", headers=AT_ONCE) if "topic 39" in str(body) else None

    with ProviderServer(last_fails, reply=marks) as server:
        at = ("--budget", 4, "--api-base", server.base_url)
        assert by_strategy(selectllm, RATER, *at).code == 6
        assert not OUT.exists()
        server.state.respond = None
        before = server.count
        assert by_strategy(selectllm, RATER, *at).code == 0
        assert server.count == before + 1


def test_a_dry_run_says_how_many_calls_and_sends_none(selectllm: Command, pool_file: Path) -> None:
    for strategy, calls in ((RATER, 40), ("open-endedness:openai/m", 120), ("longest", 0)):
        done = by_strategy(selectllm, strategy, "--budget", 8, "--dry-run")
        assert f"with {calls} calls" in done.out
    assert not OUT.exists()


def test_a_rating_may_filter_before_a_model_selects(
    selectllm: Command, pool_file: Path, rater: ProviderServer
) -> None:
    with rater as server:
        model = {"OPENAI_API_BASE": server.base_url, "OPENAI_API_KEY": "sk-x"}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in model.items():
                patch.setenv(name, value)
            options = ("--prefilter", f"{RATER}:0.2", "--prompt", "short@1", "--by", "random")
            done = selectllm(
                "select", "pool.jsonl", "--budget", 2, "-o", OUT, "--model", "mock/first", *options
            )
    assert done.code == 0, done.err
    assert "8 of 40 items are left by --prefilter" in done.err
    assert {int(item_id[-1]) for item_id in picked()} <= {8, 9}


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


def without(column: str, count: int) -> None:
    """Take a column from the first rows of the pool."""
    rows = pool_rows()
    for row in rows[:count]:
        del row[column]
    write_jsonl(Path("pool.jsonl"), rows)


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
    ("strategy", "words"),
    [
        ("oracle:quality", ("quality",)),
        ("oracle:instruction", ("instruction",)),
        ("rating:short@1+openai/m", ("asks for indices", "quality@1")),
        ("rating:nothing@1+openai/m", ("nothing",)),
        ("rating:quality@1+gpt", ("no model 'gpt'",)),
        ("open-endedness:gpt", ("no model 'gpt'",)),
        ("perplexity-low:./nowhere", ("./nowhere",)),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_asked(
    selectllm: Command, pool_file: Path, strategy: str, words: tuple[str, ...]
) -> None:
    assert_refused(by_strategy(selectllm, strategy, "--budget", 4), *words)
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--strategy", "longest", "--threshold", 3), "does not go from the highest value down"),
        (("--strategy", "ifd", "--threshold", 3, "--budget", 3), "either --budget or"),
        (("--prompt", "short@1", "--model", "mock/first", "--threshold", 3), "with --strategy"),
        (("--strategy", "longest"), "either --budget or"),
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
