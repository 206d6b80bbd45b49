"""`selectllm ab`: arms, words, exit codes, designs, and what blocks a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, assert_refused, served, write_suite
from tests.support.provider_server import FAULTS, ProviderServer

MODELS = "models: [mock/first] -> models: [mock/first, mock/random, mock/oracle]"


def big_pool(count: int = 2000, **changed: Any) -> Path:
    """A rated pool that makes `count` / 5 clusters."""
    return write_jsonl(Path("pool.jsonl"), [row | changed for row in pool_rows(count)])


def ab(
    selectllm: Command, a: str, *b: str, suite: Path | None = None, more: tuple[str, ...] = ()
) -> Outcome:
    """`ab` of models, by short@1; the suite has all scripted models."""
    suite = suite or write_suite(RATED, MODELS)
    named = [word for name in b for word in ("--b", name)]
    return selectllm("ab", suite, "--a", a, *named, "--json", *more)


def verdict(outcome: Outcome) -> Any:
    return outcome.json["verdicts"][0]


class TestWords:
    """What a comparison says, and what it ends with."""

    @pytest.mark.parametrize(
        ("a", "b", "word", "code"),
        [
            ("mock/random", "mock/oracle", "better", 0),
            ("mock/oracle", "mock/random", "worse", 1),
            ("mock/first", "strategy:first", "equivalent", 0),
            ("mock/first", "mock/random", "inconclusive", 3),
        ],
    )
    def test_each_word_has_its_exit_code(
        self, selectllm: Command, a: str, b: str, word: str, code: int
    ) -> None:
        big_pool(600)
        outcome = ab(selectllm, a, b)
        assert verdict(outcome)["word"] == word
        assert outcome.code == code

    def test_the_difference_is_that_of_the_captured_figures(self, selectllm: Command) -> None:
        big_pool(600)
        found = verdict(ab(selectllm, "mock/first", "mock/oracle"))
        captured = found["captured"]
        expected = captured["b"]["estimate"] - captured["a"]["estimate"]
        assert found["difference"]["estimate"] == pytest.approx(expected, abs=1e-12)

    def test_an_inconclusive_verdict_says_what_would_decide_it(self, selectllm: Command) -> None:
        big_pool(600)
        found = verdict(ab(selectllm, "mock/first", "mock/random"))
        needed = found["needed"]
        assert needed["clusters"] > 0
        assert needed["calls"] == 2 * needed["clusters"]
        assert needed["ratings"] == 5 * needed["clusters"]
        assert needed["usd"] == 0

    def test_few_clusters_need_the_bound_that_holds_at_any_size(self, selectllm: Command) -> None:
        big_pool(40)
        found = verdict(ab(selectllm, "mock/first", "mock/oracle"))
        assert found["difference"]["low"] > 0  # the t interval alone would say better
        assert found["betting"]["low"] <= 0 or found["word"] == "better"
        assert (found["word"] == "inconclusive") == (found["betting"]["low"] <= 0)

    def test_the_other_utilities_and_controls_stand_beside(self, selectllm: Command) -> None:
        big_pool(600)
        two = RATED.replace("]\n", ", {name: other, source: ratings, column: length}]\n")
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [r | {"length": len(r["instruction"])} for r in rows])
        suite = write_suite(two, MODELS, "gate: {utility: rating}")
        found = verdict(ab(selectllm, "mock/first", "mock/oracle", suite=suite))
        assert found["utility"]["name"] == "rating"
        assert [other["utility"] for other in found["others"]] == ["other"]
        assert [control["strategy"] for control in found["controls"]] == ["longest", "has-input"]

    def test_several_arms_go_against_the_first_by_holm(self, selectllm: Command) -> None:
        big_pool(600)
        outcome = ab(selectllm, "mock/first", "mock/random", "mock/oracle")
        words = [each["word"] for each in outcome.json["verdicts"]]
        assert words == ["inconclusive", "better"]
        assert outcome.code == 3
        assert all(each["p_holm"] is not None for each in outcome.json["verdicts"])
        assert {each["a"] for each in outcome.json["verdicts"]} == {"short@1 + mock/first"}

    def test_of_several_arms_too_few_clusters_are_not_blamed_on_holm(
        self, selectllm: Command
    ) -> None:
        big_pool(40)
        outcome = ab(selectllm, "mock/first", "mock/oracle", "strategy:first")
        better = outcome.json["verdicts"][0]
        assert better["word"] == "inconclusive"
        assert "t interval alone would say better" in better["reason"]

    def test_grouped_clusters_are_paired_with_their_groups(self, selectllm: Command) -> None:
        rows = [row | {"topic": f"t{n % 12}"} for n, row in enumerate(pool_rows(1200))]
        write_jsonl(Path("pool.jsonl"), rows)
        suite = write_suite(RATED, MODELS, "size: 5} -> size: 5, group: topic}")
        found = verdict(ab(selectllm, "mock/random", "mock/oracle", suite=suite))
        assert found["word"] == "better"
        assert found["clusters"] == 240


class TestArms:
    """How arms are named."""

    SUITE = (RATED, MODELS, "prompts: [short@1] -> prompts: [short@1, criteria@1]")

    @pytest.mark.parametrize(
        ("a", "b", "more"),
        [
            ("short@1", "criteria@1", ("--model", "mock/oracle")),
            ("short", "criteria", ("--model", "mock/oracle")),
            ("mock/first", "mock/oracle", ("--prompt", "criteria@1")),
            ("short@1+mock/first", "criteria@1 + mock/oracle", ()),
            ("strategy:longest", "short@1+mock/first", ()),
        ],
    )
    def test_by_prompt_model_pair_or_strategy(
        self, selectllm: Command, pool_file: Path, a: str, b: str, more: tuple[str, ...]
    ) -> None:
        outcome = ab(selectllm, a, b, suite=write_suite(*self.SUITE), more=more)
        assert outcome.code in (0, 1, 3), outcome.err

    @pytest.mark.parametrize(
        ("a", "says"),
        [
            ("short@1", ("--a 'short@1'", "leaves the model open", "mock/first, mock/random")),
            ("mock/first", ("leaves the prompt open", "--prompt")),
            ("no-such", ("none of the suite's arms", "short@1", "mock/oracle", "strategy:")),
            ("short@1+gpt", ("none of the suite's arms",)),
            ("strategy:longst", ("longest",)),
        ],
    )
    def test_what_fits_none_or_several_is_refused_with_the_list(
        self, selectllm: Command, pool_file: Path, a: str, says: tuple[str, ...]
    ) -> None:
        suite = write_suite(*self.SUITE)
        outcome = selectllm("ab", suite, "--a", a, "--b", "criteria@1+mock/first")
        assert_refused(outcome, *says)

    def test_two_versions_of_a_bare_name_are_both_listed(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        suite = write_suite(RATED, "short@1 -> short@1, ./short/v2.jinja")
        source = selectllm("prompts", "show", "short@1").out
        Path("short").mkdir()
        Path("short/v2.jinja").write_text(source, encoding="utf-8")
        outcome = selectllm("ab", suite, "--a", "short", "--b", "strategy:longest")
        assert_refused(outcome, "short@1", "short@2")

    def test_an_arm_against_itself_is_refused(self, selectllm: Command, pool_file: Path) -> None:
        outcome = ab(selectllm, "mock/first", "mock/first")
        assert_refused(outcome, "twice", "selectllm aa")


class TestSequential:
    """Looking in between, with error rates that hold over all looks."""

    def sequential(self, selectllm: Command, a: str, b: str, **settings: Any) -> Any:
        return ab(selectllm, a, b, more=("--design", "sequential", "-o", "run"), **settings)

    def test_it_stops_once_decided_and_says_what_that_saved(
        self, selectllm: Command, server: ProviderServer
    ) -> None:
        big_pool()
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
        outcome = self.sequential(selectllm, "m", "mock/oracle", suite=suite)
        found = verdict(outcome)
        design = found["design"]
        assert found["word"] == "better"
        assert design["kind"] == "sequential"
        assert [look["clusters"] for look in design["looks"]] == [100]
        assert design["calls_saved"] > 0
        assert server.count < 400
        assert outcome.json["clusters"] < 400
        assert found["p"] is None

    def test_an_open_question_is_asked_to_the_end(
        self, selectllm: Command, server: ProviderServer
    ) -> None:
        big_pool(1000)
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/random, "))
        found = verdict(self.sequential(selectllm, "m", "mock/random", suite=suite))
        assert found["word"] == "inconclusive"
        assert len(found["design"]["looks"]) == 5
        assert found["design"]["calls_saved"] == 0
        assert found["needed"]["clusters"] > 0

    @pytest.mark.parametrize("b", ["mock/random", "strategy:longest"])
    @pytest.mark.parametrize("kept", [0, 110, 180])
    def test_interrupted_in_a_later_look_it_goes_on_to_the_same_results(
        self, selectllm: Command, server: ProviderServer, b: str, kept: int
    ) -> None:
        big_pool(1000)
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/random, "))
        words = ("ab", suite, "--a", "m", "--b", b, "--design", "sequential", "-o", "run")
        assert selectllm(*words, "--quiet").code == 3
        before = Path("run/results.json").read_bytes()
        lines = Path("run/decisions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        asked = [n for n, line in enumerate(lines) if '"model":"m"' in line]
        cut = lines[: asked[kept]] if kept else lines
        Path("run/decisions.jsonl").write_text("".join(cut), encoding="utf-8")
        Path("run/results.json").unlink()
        assert selectllm(*words, "--quiet").code == 3
        assert Path("run/results.json").read_bytes() == before

    def test_a_tiny_alpha_leaves_no_error_to_spend_at_the_first_look(
        self, selectllm: Command
    ) -> None:
        big_pool(2600)
        suite = write_suite(RATED, "gate: {alpha: 0.000001}")
        outcome = self.sequential(selectllm, "mock/first", "strategy:first", suite=suite)
        assert outcome.code in (0, 3), outcome.err
        looks = verdict(outcome)["design"]["looks"]
        assert looks[0]["clusters"] == 104
        # Its boundary is infinite; the interval is then all that the difference can be.
        assert looks[0]["low"] < -1
        assert looks[0]["high"] > 1

    @pytest.mark.parametrize(
        ("count", "more", "why"),
        [
            (300, (), "fewer than 150"),
            (2000, ("--b", "strategy:longest"), "more than two arms"),
            (2000, (), "recorded or cached"),
        ],
    )
    def test_where_it_saves_nothing_the_design_is_fixed_and_says_why(
        self, selectllm: Command, count: int, more: tuple[str, ...], why: str
    ) -> None:
        big_pool(count)
        suite = write_suite(RATED)
        arms = ("--a", "strategy:shortest", "--b", "strategy:first", *more)
        outcome = selectllm("ab", suite, *arms, "--design", "sequential", "--json")
        design = outcome.json["verdicts"][0]["design"]
        assert design["kind"] == "fixed"
        assert why in design["why"]
        assert why in outcome.err


class TestWhatBlocksAVerdict:
    """Nothing that failed ever reads as a verdict."""

    def test_an_arm_that_never_answers_is_not_equivalent(self, selectllm: Command) -> None:
        big_pool(4000)
        suite = write_suite(RATED, "mock/first] -> mock/first, {name: mute, id: 'mock/reply:no'}]")
        for arms in (("mock/first", "mute"), ("mute", "mock/first")):
            found = verdict(ab(selectllm, *arms, suite=suite))
            assert found["word"] == "inconclusive"
            assert "rarer in short@1 + mute" in found["reason"]
            assert found["needed"] is None  # more clusters would not mend that

    def test_no_utility_is_inconclusive_and_says_how_to_get_ratings(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        outcome = ab(selectllm, "mock/first", "mock/random", suite=write_suite(MODELS))
        assert outcome.code == 3
        assert "utility ask" in verdict(outcome)["reason"]

    def test_flat_clusters_are_inconclusive(self, selectllm: Command) -> None:
        big_pool(100, rating=3)
        outcome = ab(selectllm, "mock/first", "mock/random")
        assert outcome.code == 3
        assert "no cluster can tell" in verdict(outcome)["reason"]
        assert verdict(outcome)["flat_clusters"] == 20

    def test_one_cluster_is_inconclusive(self, selectllm: Command, pool_file: Path) -> None:
        outcome = ab(selectllm, "mock/first", "mock/oracle", more=("--limit", "1"))
        assert outcome.code == 3
        assert "says nothing of others" in verdict(outcome)["reason"]

    def test_picking_whole_clusters_is_no_choice(self, selectllm: Command, pool_file: Path) -> None:
        suite = write_suite(RATED, MODELS, "picks: 2 -> picks: 5")
        assert_refused(ab(selectllm, "mock/first", "mock/oracle", suite=suite), "picks")

    @pytest.mark.parametrize(
        ("value", "place"), [("NaN", "pool.jsonl:4"), ("9", "item-003"), ('"high"', "item-003")]
    )
    def test_a_rating_that_is_none_names_its_item(
        self, selectllm: Command, pool_file: Path, value: str, place: str
    ) -> None:
        lines = pool_file.read_text(encoding="utf-8").splitlines()
        lines[3] = lines[3].replace('"rating": ', f'"rating": {value}, "was": ')
        pool_file.write_text("\n".join(lines), encoding="utf-8")
        assert_refused(ab(selectllm, "mock/first", "mock/oracle"), place)

    def test_a_failed_provider_is_exit_6_and_no_verdict(
        self, selectllm: Command, pool_file: Path, server: ProviderServer
    ) -> None:
        server.queue(*[FAULTS["401"]] * 100)
        suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
        outcome = ab(selectllm, "m", "mock/oracle", suite=suite, more=("-o", "run"))
        assert outcome.code == 6
        assert outcome.out == ""
        assert not Path("run/results.json").exists()


def test_structured_output_is_used_for_both_arms_or_for_neither(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    entries = [
        {"name": name, "id": "openai/m", "api_base": server.base_url, "structured": structured}
        for name, structured in (("with", True), ("without", False))
    ]
    listed = ", ".join(json.dumps(entry) for entry in entries)
    suite = write_suite(RATED, f"mock/first -> {listed}", "short@1 -> rubric@1")
    ab(selectllm, "with", "without", suite=suite)
    assert server.count > 0
    assert not any("response_format" in seen.body for seen in server.requests)


def test_alone_the_arm_that_takes_a_schema_gets_it(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(RATED, served(server, structured=True), "short@1 -> rubric@1")
    selectllm("ab", suite, "--a", "strategy:longest", "--b", "m", "--json")
    assert all("response_format" in seen.body for seen in server.requests)
