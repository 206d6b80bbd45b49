"""`selectllm swap` and `aa`: another model in place of this one, and a pair against itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, pool_rows, write_jsonl
from tests.support.cli_files import RATED, assert_refused, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

MODELS = (
    "models: [mock/first] -> models: [{name: best, id: mock/oracle}, "
    "{name: again, id: mock/oracle}, mock/random, {name: mute, id: 'mock/reply:no'}]"
)


@pytest.fixture(autouse=True)
def pool(selectllm: Command) -> None:
    """600 rated items in the current folder."""
    write_jsonl(Path("pool.jsonl"), pool_rows(600))


def swap(selectllm: Command, before: str, after: str, *more: object, suite: Any = None) -> Outcome:
    suite = suite or write_suite(RATED, MODELS)
    return selectllm("swap", suite, "--from", before, "--to", after, "--json", *more)


def only(outcome: Outcome) -> Any:
    (verdict,) = outcome.json["verdicts"]
    return verdict


class TestSwap:
    """safe, not safe, inconclusive."""

    @pytest.mark.parametrize(
        ("before", "after", "word", "code"),
        [
            ("best", "again", "safe", 0),
            ("best", "mock/random", "not safe", 1),
            ("mock/random", "best", "inconclusive", 3),
        ],
    )
    def test_each_word_has_its_exit_code(
        self, selectllm: Command, before: str, after: str, word: str, code: int
    ) -> None:
        outcome = swap(selectllm, before, after)
        assert only(outcome)["word"] == word
        assert outcome.code == code

    def test_an_incumbent_that_is_no_better_than_random_leaves_nothing_to_keep(
        self, selectllm: Command
    ) -> None:
        found = only(swap(selectllm, "mock/random", "best"))
        assert "not shown to beat random" in found["reason"]
        assert found["swap"]["retention"]["low"] > 0

    def test_a_model_that_answers_less_often_is_not_safe(self, selectllm: Command) -> None:
        found = only(swap(selectllm, "best", "mute", "--retain", 0.01))
        assert found["swap"]["valid_rate_drop"] == 1
        assert "100.0% rarer" in found["reason"]

    def test_a_drop_of_5_in_100_is_still_allowed(
        self, selectllm: Command, server: ProviderServer
    ) -> None:
        server.queue(*[Answer(200, completion("I cannot choose"))] * 6)  # of 120
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/first, "), "reask: 0")
        found = only(swap(selectllm, "mock/first", "m", suite=suite))
        assert found["swap"]["valid_rate_drop"] == pytest.approx(0.05)
        assert "rarer" not in found["reason"]

    def test_a_few_invalid_replies_among_few_are_no_verdict(self, selectllm: Command) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(40))
        with ProviderServer() as server:
            server.queue(Answer(200, completion("I cannot choose")))
            suite = write_suite(RATED, served(server).replace("-> ", "-> mock/first, "), "reask: 0")
            found = only(swap(selectllm, "mock/first", "m", suite=suite))
        assert found["word"] == "inconclusive"
        assert "by chance" in found["reason"]

    def test_what_is_needed_includes_showing_that_the_incumbent_beats_random(
        self, selectllm: Command
    ) -> None:
        needed = only(swap(selectllm, "mock/random", "best"))["needed"]
        assert needed is None or needed["clusters"] > 50

    def test_rare_large_losses_are_not_called_safe(self, selectllm: Command) -> None:
        """As many clusters differ as a t interval is not to be trusted with."""
        with ProviderServer(respond=_rarely_wrong) as server:
            suite = write_suite(RATED, served(server).replace("-> ", "-> mock/first, "))
            found = only(swap(selectllm, "mock/first", "m", "--retain", 0.5, suite=suite))
        assert 0 < found["nonzero"] < 20
        assert found["betting"] is not None

    def test_retention_is_what_is_kept_less_the_share_demanded(self, selectllm: Command) -> None:
        found = only(swap(selectllm, "best", "again", "--retain", 0.8))
        captured = found["captured"]
        expected = captured["b"]["estimate"] - 0.8 * captured["a"]["estimate"]
        assert found["swap"]["retention"]["estimate"] == pytest.approx(expected, abs=1e-12)

    def test_both_models_are_priced_per_1000_selected_items(
        self, selectllm: Command, server: ProviderServer
    ) -> None:
        priced = served(server, price={"input": 1.0, "output": 2.0})
        suite = write_suite(RATED, priced.replace("-> ", "-> {name: best, id: mock/oracle}, "))
        found = only(swap(selectllm, "m", "best", suite=suite))
        results = json.loads((Path("eval/runs")).glob("*/results.json").__next__().read_bytes())
        cost = next(p["replay_cost_usd"] for p in results["pairs"] if p["model"] == "m")
        assert found["swap"]["usd_per_1000"]["a"] == pytest.approx(1000 * cost / 240)
        assert found["swap"]["usd_per_1000"]["b"] == 0
        assert found["swap"]["seconds_per_1000"]["a"] > 0

    def test_a_model_without_a_price_is_not_free(
        self, selectllm: Command, server: ProviderServer
    ) -> None:
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
        found = only(swap(selectllm, "mock/oracle", "m", suite=suite))
        assert found["swap"]["usd_per_1000"] == {"a": 0.0, "b": None}

    def test_order_consistency_is_shown_where_orders_were_varied(self, selectllm: Command) -> None:
        suite = write_suite(RATED, MODELS, "orders: 2")
        found = only(swap(selectllm, "best", "mock/random", suite=suite))["swap"]
        consistency = found["order_consistency"]
        assert consistency["a"]["estimate"] > 0.8 > consistency["b"]["estimate"]

    @pytest.mark.parametrize(
        ("before", "after", "says"),
        [
            ("best", "nobody", ("--to", "'nobody'")),
            ("nobody", "best", ("--from", "'nobody'")),
            ("best", "best", ("both",)),
        ],
    )
    def test_models_that_the_suite_lacks_are_refused(
        self, selectllm: Command, before: str, after: str, says: tuple[str, ...]
    ) -> None:
        assert_refused(swap(selectllm, before, after), *says)

    def test_a_suite_of_several_prompts_needs_one_named(self, selectllm: Command) -> None:
        suite = write_suite(RATED, MODELS, "short@1 -> short@1, criteria@1")
        assert_refused(swap(selectllm, "best", "again", suite=suite), "--prompt", "criteria@1")
        assert swap(selectllm, "best", "again", "--prompt", "short@1", suite=suite).code == 0

    def test_the_run_can_be_verified(self, selectllm: Command) -> None:
        swap(selectllm, "best", "mock/random", "-o", "run")
        assert selectllm("verify", "run").code == 0

    def test_a_failed_newcomer_is_exit_6(self, selectllm: Command, server: ProviderServer) -> None:
        server.queue(*[Answer(401, {"error": {"message": "no"}})] * 50)
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
        assert swap(selectllm, "mock/oracle", "m", suite=suite).code == 6


class TestAa:
    """The noise of a pair, and what it makes of the gates."""

    def aa(self, selectllm: Command, model: str, *more: object) -> Any:
        outcome = selectllm(*("aa", write_suite(RATED, MODELS), "--model", model, "--json", *more))
        assert outcome.code == 0, outcome.err
        return outcome.json["noise"]

    def test_a_pair_that_does_not_mind_the_order_has_hardly_any_noise(
        self, selectllm: Command
    ) -> None:
        noise = self.aa(selectllm, "best")
        assert noise["sd"] == pytest.approx(0, abs=1e-9)
        assert noise["false_alarms"] == {"ab": 0.0, "regress": 0.0, "naive": 0.0}

    def test_a_noisy_pair_keeps_the_stated_error_rates_and_the_naive_rule_does_not(
        self, selectllm: Command
    ) -> None:
        noise = self.aa(selectllm, "mock/random")
        assert noise["sd"] > 0.5
        assert noise["false_alarms"]["ab"] <= 0.08
        assert noise["false_alarms"]["regress"] <= 0.08
        assert 0.4 < noise["false_alarms"]["naive"] < 0.6
        assert noise["detectable"] > 0

    def test_repeats_can_be_varied_instead(self, selectllm: Command) -> None:
        noise = self.aa(selectllm, "mock/random", "--by", "repeats")
        assert noise["by"] == "repeats"
        assert noise["sd"] > 0.5

    def test_a_suite_of_several_models_needs_one_named(self, selectllm: Command) -> None:
        assert_refused(selectllm("aa", write_suite(RATED, MODELS)), "--model")


def _rarely_wrong(request: Any, headers: Any, number: int) -> Answer:
    """The first two slots, but for every tenth question."""
    return Answer(200, completion("[4, 5]" if number % 10 == 3 else "[1, 2]"))


def test_a_reply_that_only_one_model_lacks_does_not_pass_for_a_pick(
    selectllm: Command, server: ProviderServer
) -> None:
    server.queue(*[Answer(200, completion("I cannot choose"))] * 30)
    suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "), "reask: 0")
    found = only(swap(selectllm, "mock/oracle", "m", suite=suite))
    assert found["valid_rate"]["a"] == 1
    assert found["valid_rate"]["b"] == pytest.approx(90 / 120)
