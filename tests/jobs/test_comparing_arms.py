"""ab: its words and figures, how arms are named, and what blocks a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import ProviderError, UsageError
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, files, put_prompt, served, write_suite
from tests.support.provider_server import FAULTS, ProviderServer

MODELS = "models: [mock/first] -> models: [mock/first, mock/random, mock/oracle]"


@pytest.fixture(autouse=True)
def suite(folder: Path) -> Path:
    """A suite of all scripted models, and a pool of 600 rated items: 120 clusters."""
    rated(600)
    return write_suite(RATED, MODELS)


def rated(count: int, **changed: Any) -> None:
    """A rated pool that makes `count` / 5 clusters."""
    write_jsonl(Path("pool.jsonl"), [row | changed for row in pool_rows(count)])


class TestWords:
    """What a comparison says."""

    @pytest.mark.parametrize(
        ("a", "b", "word"),
        [
            ("mock/random", "mock/oracle", "better"),
            ("mock/oracle", "mock/random", "worse"),
            ("mock/first", "strategy:first", "equivalent"),
            ("mock/first", "mock/random", "inconclusive"),
        ],
    )
    def test_each_word_has_its_arms(self, suite: Path, a: str, b: str, word: str) -> None:
        assert sl.ab(suite, a, b).word == word

    def test_the_difference_is_that_of_the_captured_figures(self, suite: Path) -> None:
        verdict = sl.ab(suite, "mock/first", "mock/oracle")
        captured, difference = verdict.details.captured, verdict.difference
        assert captured.a is not None
        assert captured.b is not None
        assert difference is not None
        expected = captured.b.estimate - captured.a.estimate
        assert difference.estimate == pytest.approx(expected, abs=1e-12)

    def test_an_inconclusive_verdict_says_what_would_decide_it(self, suite: Path) -> None:
        needed = sl.ab(suite, "mock/first", "mock/random").needed
        assert needed is not None
        assert needed.clusters > 0
        assert (needed.calls, needed.ratings) == (2 * needed.clusters, 5 * needed.clusters)
        assert needed.usd == 0

    def test_what_one_more_cluster_would_change_is_inconclusive(self, suite: Path) -> None:
        rated(40)
        verdict = sl.ab(suite, "mock/first", "mock/oracle")
        one_more = verdict.details.one_more
        assert verdict.difference is not None
        assert verdict.difference.low > 0  # the t interval alone would say better
        assert one_more is not None
        assert (verdict.word == "inconclusive") == (one_more.low <= 0)

    def test_the_other_utilities_and_controls_stand_beside(self) -> None:
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [r | {"length": len(r["instruction"])} for r in rows])
        two = RATED.replace("]\n", ", {name: other, source: ratings, column: length}]\n")
        suite = write_suite(two, MODELS, "gate: {utility: rating}")
        details = sl.ab(suite, "mock/first", "mock/oracle").details
        assert details.utility is not None
        assert details.utility.name == "rating"
        assert [other.utility for other in details.others] == ["other"]
        assert [control.strategy for control in details.controls] == ["longest", "has-input"]

    def test_several_arms_go_against_the_first_by_holm(self, suite: Path) -> None:
        first = sl.ab(suite, "mock/first", ["mock/random", "mock/oracle"])
        verdicts = (first, *first.further)
        assert [each.word for each in verdicts] == ["inconclusive", "better"]
        assert all(each.details.p_holm is not None for each in verdicts)
        assert {each.a for each in verdicts} == {"short@1 + mock/first"}

    def test_of_several_arms_too_few_clusters_are_not_blamed_on_holm(self, suite: Path) -> None:
        rated(40)
        verdict = sl.ab(suite, "mock/first", ["mock/oracle", "strategy:first"])
        assert verdict.word == "inconclusive"
        assert "one more cluster that went as badly as possible would change" in verdict.reason

    def test_grouped_clusters_are_paired_with_their_groups(self) -> None:
        rows = [row | {"topic": f"t{n % 12}"} for n, row in enumerate(pool_rows(1200))]
        write_jsonl(Path("pool.jsonl"), rows)
        suite = write_suite(RATED, MODELS, "size: 5} -> size: 5, group: topic}")
        verdict = sl.ab(suite, "mock/random", "mock/oracle")
        assert (verdict.word, verdict.details.clusters) == ("better", 240)


class TestArms:
    """How arms are named."""

    @pytest.fixture(autouse=True)
    def suite(self, folder: Path) -> Path:
        rated(40)
        return write_suite(RATED, MODELS, "prompts: [short@1] -> prompts: [short@1, criteria@1]")

    @pytest.mark.parametrize(
        ("a", "b", "more", "arms"),
        [
            (
                *("short@1", "criteria@1", {"model": "mock/oracle"}),
                ("short@1 + mock/oracle", "criteria@1 + mock/oracle"),
            ),
            (
                *("short", "criteria", {"model": "mock/oracle"}),
                ("short@1 + mock/oracle", "criteria@1 + mock/oracle"),
            ),
            (
                *("mock/first", "mock/oracle", {"prompt": "criteria@1"}),
                ("criteria@1 + mock/first", "criteria@1 + mock/oracle"),
            ),
            (
                *("short@1+mock/first", "criteria@1 + mock/oracle", {}),
                ("short@1 + mock/first", "criteria@1 + mock/oracle"),
            ),
            (
                *("strategy:longest", "short@1+mock/first", {}),
                ("strategy:longest", "short@1 + mock/first"),
            ),
        ],
    )
    def test_by_prompt_model_pair_or_strategy(
        self, suite: Path, a: str, b: str, more: dict[str, str], arms: tuple[str, str]
    ) -> None:
        verdict = sl.ab(suite, a, b, prompt=more.get("prompt"), model=more.get("model"))
        assert (verdict.a, verdict.b) == arms

    @pytest.mark.parametrize(
        ("a", "says"),
        [
            ("short@1", ("`a` 'short@1'", "names no model", "mock/first, mock/random")),
            ("mock/first", ("names no prompt", "`prompt`")),
            ("no-such", ("is not an arm of the suite", "short@1", "mock/oracle", "strategy:")),
            ("short@1+gpt", ("is not an arm of the suite",)),
            ("strategy:longst", ("`a` 'strategy:longst'", "Did you mean 'longest'")),
        ],
    )
    def test_what_fits_none_or_several_is_refused_with_the_list(
        self, suite: Path, a: str, says: tuple[str, ...]
    ) -> None:
        before = files()
        with pytest.raises(UsageError) as caught:
            sl.ab(suite, a, "criteria@1+mock/first")
        assert all(word in str(caught.value) for word in says)
        assert caught.value.argument == "a"
        assert files() == before

    def test_two_versions_of_a_bare_name_are_both_listed(self) -> None:
        put_prompt("short@2", workspace="drafts")
        suite = write_suite(RATED, "short@1 -> short@1, ./drafts/prompts/short/v2.jinja")
        with pytest.raises(UsageError, match=r"short@1.*short@2") as caught:
            sl.ab(suite, "short", "strategy:longest")
        assert caught.value.argument == "a"


class TestWhatBlocksAVerdict:
    """Nothing that failed ever reads as a verdict."""

    def test_an_arm_that_never_answers_is_not_equivalent(self) -> None:
        rated(1000)
        suite = write_suite(RATED, "mock/first] -> mock/first, {name: mute, id: 'mock/reply:no'}]")
        for a, b in (("mock/first", "mute"), ("mute", "mock/first")):
            verdict = sl.ab(suite, a, b)
            assert verdict.word == "inconclusive"
            assert "rarer in short@1 + mute" in verdict.reason
            assert verdict.needed is None  # more clusters would not mend that

    def test_where_neither_arm_ever_answers_more_clusters_are_no_advice(self) -> None:
        rated(60)
        mute = "[{name: one, id: 'mock/reply:no'}, {name: two, id: 'mock/reply:none'}]"
        verdict = sl.ab(write_suite(RATED, f"[mock/first] -> {mute}"), "one", "two")
        assert verdict.word == "inconclusive"
        assert verdict.needed is None

    def test_no_utility_is_inconclusive_and_says_how_to_get_ratings(self) -> None:
        verdict = sl.ab(write_suite(MODELS), "mock/first", "mock/random")
        assert verdict.word == "inconclusive"
        assert "utility ask" in verdict.reason

    def test_flat_clusters_are_inconclusive(self, suite: Path) -> None:
        rated(100, rating=3)
        verdict = sl.ab(suite, "mock/first", "mock/random")
        assert (verdict.word, verdict.details.flat_clusters) == ("inconclusive", 20)
        assert "no cluster can tell" in verdict.reason

    def test_one_cluster_is_inconclusive(self, suite: Path) -> None:
        verdict = sl.ab(suite, "mock/first", "mock/oracle", limit=1)
        assert verdict.word == "inconclusive"
        assert "says nothing about others" in verdict.reason

    def test_picking_whole_clusters_is_no_choice(self) -> None:
        with pytest.raises(UsageError, match="picks: 5 items cannot be chosen from clusters of 5"):
            sl.ab(
                write_suite(RATED, MODELS, "picks: 2 -> picks: 5"),
                *("mock/first", "mock/oracle"),
            )

    @pytest.mark.parametrize(
        ("value", "place"), [("NaN", "pool.jsonl:4"), ("9", "item-003"), ('"high"', "item-003")]
    )
    def test_a_rating_that_is_none_names_its_item(
        self, suite: Path, value: str, place: str
    ) -> None:
        lines = Path("pool.jsonl").read_text(encoding="utf-8").splitlines()
        lines[3] = lines[3].replace('"rating": ', f'"rating": {value}, "was": ')
        Path("pool.jsonl").write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(UsageError, match=place):
            sl.ab(suite, "mock/first", "mock/oracle")

    def test_a_failed_provider_is_no_verdict(self, server: ProviderServer) -> None:
        rated(40)
        server.queue(*[FAULTS["401"]] * 100)
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
        with pytest.raises(ProviderError):
            sl.ab(suite, "m", "mock/oracle", out="run")
        assert not Path("run/results.json").exists()


class TestStructuredOutput:
    """It would be a head start: both arms have it, or neither."""

    @pytest.fixture(autouse=True)
    def few(self, folder: Path) -> None:
        rated(40)

    def test_where_one_arm_cannot_neither_does(self, server: ProviderServer) -> None:
        entries = [
            {"name": name, "id": "openai/m", "api_base": server.base_url, "structured": structured}
            for name, structured in (("with", True), ("without", False))
        ]
        listed = ", ".join(json.dumps(entry) for entry in entries)
        sl.ab(
            write_suite(RATED, f"mock/first -> {listed}", "short@1 -> rubric@1"),
            *("with", "without"),
        )
        assert server.count > 0
        assert not any("response_format" in seen.body for seen in server.requests)

    def test_alone_the_arm_that_takes_a_schema_gets_it(self, server: ProviderServer) -> None:
        suite = write_suite(RATED, served(server, structured=True), "short@1 -> rubric@1")
        sl.ab(suite, "strategy:longest", "m")
        assert server.count > 0
        assert all("response_format" in seen.body for seen in server.requests)
