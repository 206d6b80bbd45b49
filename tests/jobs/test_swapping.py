"""swap and aa: another model in place of this one, and a pair against itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import ProviderError, UsageError
from selectllm.evaluation.comparison.schema import Noise, Swap
from selectllm.jobs.comparing import Verdict, aa
from selectllm.jobs.sync import finished
from selectllm.stats.interval import Interval
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, completion

MODELS = (
    "models: [mock/first] -> models: [{name: best, id: mock/oracle}, "
    "{name: again, id: mock/oracle}, mock/random, {name: mute, id: 'mock/reply:no'}]"
)
UNUSABLE = Answer(200, completion("I cannot choose"))


@pytest.fixture(autouse=True)
def suite(folder: Path) -> Path:
    """600 rated items, 120 clusters, and two models that pick alike."""
    write_jsonl(Path("pool.jsonl"), pool_rows(600))
    return write_suite(RATED, MODELS)


def beside(server: ProviderServer, model: str, *changes: str, **settings: object) -> Path:
    """A suite of the provider's model m, and a scripted one."""
    named = served(server, **{"id": "hosted_vllm/m"} | settings).replace("-> ", f"-> {model}, ")
    return write_suite(RATED, named, *changes)


def swapped(verdict: Verdict) -> Swap:
    assert verdict.details.swap is not None
    return verdict.details.swap


def known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


class TestSwap:
    """safe, not safe, inconclusive."""

    @pytest.mark.parametrize(
        ("before", "after", "word"),
        [
            ("best", "again", "safe"),
            ("best", "mock/random", "not safe"),
            ("mock/random", "best", "inconclusive"),
        ],
    )
    def test_each_word_has_its_models(
        self, suite: Path, before: str, after: str, word: str
    ) -> None:
        assert sl.swap(suite, before, after).word == word

    def test_an_incumbent_that_is_no_better_than_random_leaves_nothing_to_keep(
        self, suite: Path
    ) -> None:
        verdict = sl.swap(suite, "mock/random", "best")
        assert "not shown to beat random" in verdict.reason
        assert known(swapped(verdict).retention).low > 0
        # What is needed includes showing that the incumbent beats random.
        assert known(verdict.needed).clusters > 50

    def test_a_model_that_answers_less_often_is_not_safe(self, suite: Path) -> None:
        verdict = sl.swap(suite, "best", "mute", retain=0.01)
        assert swapped(verdict).valid_rate_drop == 1
        assert "100.0% rarer" in verdict.reason

    def test_a_drop_of_5_in_100_is_still_allowed(self, server: ProviderServer) -> None:
        server.queue(*[UNUSABLE] * 6)  # of 120
        verdict = sl.swap(beside(server, "mock/first", "reask: 0"), "mock/first", "m")
        assert swapped(verdict).valid_rate_drop == pytest.approx(0.05)
        assert "rarer" not in verdict.reason

    def test_a_few_invalid_replies_among_few_are_no_verdict(self, server: ProviderServer) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(40))
        server.queue(UNUSABLE)
        verdict = sl.swap(beside(server, "mock/first", "reask: 0"), "mock/first", "m")
        assert verdict.word == "inconclusive"
        assert "by chance" in verdict.reason

    def test_a_reply_that_only_one_model_lacks_does_not_pass_for_a_pick(
        self, server: ProviderServer
    ) -> None:
        server.queue(*[UNUSABLE] * 30)
        verdict = sl.swap(beside(server, "mock/oracle", "reask: 0"), "mock/oracle", "m")
        valid = verdict.details.valid_rate
        assert valid.a == 1
        assert valid.b == pytest.approx(90 / 120)

    def test_rare_large_losses_are_not_called_safe(self) -> None:
        """Nor would they be if one more such loss had been seen."""
        with ProviderServer(respond=_rarely_wrong) as server:
            suite = beside(server, "mock/first")
            details = sl.swap(suite, "mock/first", "m", retain=0.5).details
        assert 0 < details.nonzero < 20
        assert details.word == "inconclusive"
        assert details.swap is not None
        assert details.one_more is not None
        assert details.one_more.low < known(details.swap.retention).low

    def test_retention_is_what_is_kept_less_the_share_demanded(self, suite: Path) -> None:
        verdict = sl.swap(suite, "best", "again", retain=0.8)
        captured = verdict.details.captured
        expected = known(captured.b).estimate - 0.8 * known(captured.a).estimate
        kept = known(swapped(verdict).retention)
        assert kept.estimate == pytest.approx(expected, abs=1e-12)

    def test_both_models_are_priced_per_1000_selected_items(self, server: ProviderServer) -> None:
        price = {"input": 1.0, "output": 2.0}
        suite = beside(server, "{name: best, id: mock/oracle}", price=price)
        verdict = sl.swap(suite, "m", "best")
        usd, seconds = swapped(verdict).usd_per_1000, swapped(verdict).seconds_per_1000
        cost = next(p.replay_cost_usd for p in verdict.run.results.pairs if p.model == "m")
        assert cost is not None
        assert usd.a == pytest.approx(1000 * cost / 240)
        assert usd.b == 0
        assert seconds.a is not None
        assert seconds.a > 0

    def test_a_model_without_a_price_is_not_free(self, server: ProviderServer) -> None:
        verdict = sl.swap(beside(server, "mock/oracle"), "mock/oracle", "m")
        usd = swapped(verdict).usd_per_1000
        assert (usd.a, usd.b) == (0.0, None)

    def test_order_consistency_is_shown_where_orders_were_varied(self) -> None:
        suite = write_suite(RATED, MODELS, "orders: 2")
        consistency = swapped(sl.swap(suite, "best", "mock/random")).order_consistency
        assert known(consistency.a).estimate > 0.8 > known(consistency.b).estimate

    @pytest.mark.parametrize(
        ("before", "after", "argument"),
        [("best", "nobody", "to"), ("nobody", "best", "from_"), ("best", "best", "to")],
    )
    def test_models_that_the_suite_lacks_are_refused(
        self, suite: Path, before: str, after: str, argument: str
    ) -> None:
        with pytest.raises(UsageError, match=r"'nobody'|both 'best'") as caught:
            sl.swap(suite, before, after)
        assert caught.value.argument == argument

    def test_a_suite_of_several_prompts_needs_one_named(self) -> None:
        suite = write_suite(RATED, MODELS, "short@1 -> short@1, criteria@1")
        with pytest.raises(UsageError, match="criteria@1") as caught:
            sl.swap(suite, "best", "again")
        assert caught.value.argument == "prompt"
        assert sl.swap(suite, "best", "again", prompt="short@1").a == "short@1 + best"

    def test_a_failed_newcomer_is_no_verdict(self, server: ProviderServer) -> None:
        server.queue(*[Answer(401, {"error": {"message": "no"}})] * 50)
        with pytest.raises(ProviderError):
            sl.swap(beside(server, "mock/oracle"), "mock/oracle", "m")


class TestAa:
    """The noise of a pair, and what it makes of the gates."""

    def noise(self, suite: Path, model: str, **more: Any) -> Noise:
        noise = finished(aa(suite, model=model, **more)).results.noise
        assert noise is not None
        return noise

    def test_a_pair_that_does_not_mind_the_order_has_hardly_any_noise(self, suite: Path) -> None:
        noise = self.noise(suite, "best")
        assert noise.sd == pytest.approx(0, abs=1e-9)
        assert noise.false_alarms.to_json() == {"ab": 0.0, "regress": 0.0, "naive": 0.0}

    def test_a_noisy_pair_keeps_the_stated_error_rates_and_the_naive_rule_does_not(
        self, suite: Path
    ) -> None:
        noise = self.noise(suite, "mock/random")
        alarms = noise.false_alarms
        assert noise.sd is not None
        assert noise.sd > 0.5
        assert alarms.ab is not None
        assert alarms.ab <= 0.08
        assert alarms.regress is not None
        assert alarms.regress <= 0.08
        assert alarms.naive is not None
        assert 0.4 < alarms.naive < 0.6
        assert noise.detectable is not None
        assert noise.detectable > 0

    def test_repeats_can_be_varied_instead(self, suite: Path) -> None:
        noise = self.noise(suite, "mock/random", by="repeats")
        assert noise.by == "repeats"
        assert noise.sd is not None
        assert noise.sd > 0.5

    def test_a_suite_of_several_models_needs_one_named(self, suite: Path) -> None:
        with pytest.raises(UsageError, match="several: again, best") as caught:
            finished(aa(suite))
        assert caught.value.argument == "model"


def test_the_run_of_a_swap_keeps_its_verdict(suite: Path) -> None:
    verdict = sl.swap(suite, "best", "mock/random", out="run")
    kept = json.loads(Path("run/results.json").read_bytes())["verdicts"]
    assert kept == [json.loads(json.dumps(verdict.details.to_json()))]


def _rarely_wrong(request: Any, headers: Any, number: int) -> Answer:
    """The first two slots, but for every tenth question."""
    return Answer(200, completion("[4, 5]" if number % 10 == 3 else "[1, 2]"))
