"""baselines and regress: the words of a gate, what it refuses, and replies that are recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import selectllm as sl
from selectllm.core.codec import sha256_json
from selectllm.core.errors import ReplyMissing, RunError, UsageError
from selectllm.evaluation.comparison.schema import PromptChange, Verdict
from selectllm.evaluation.runs.verify import verification
from selectllm.jobs.gating import GateResult, keep_baseline
from selectllm.prompting.library import lock
from selectllm.report.schemas import schema
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, files, put_prompt, served, write_suite
from tests.support.provider_server import ProviderServer

NAMED = "models: [mock/first] -> models: [{name: m, id: mock/%s}]"
BASE = Path("base.json")
Record = Callable[..., None]

pytestmark = pytest.mark.usefixtures("forty")


def suite_of(model: str, *changes: str) -> Path:
    """A suite whose model is called m, whatever it is."""
    return write_suite(RATED, NAMED % model, *changes)


def make_workspace() -> None:
    """The current folder becomes a workspace with the released prompt `mine@1`."""
    put_prompt("mine@1")
    lock(Path("prompts"))


@pytest.fixture
def recorded(folder: Path) -> Record:
    """Set base.json from a run of `model` on `count` rated items."""

    def record(model: str, *changes: str, count: int = 600) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(count))
        run = sl.evaluate(suite_of(model, *changes), out="run")
        keep_baseline(run.folder, BASE)

    return record


def only(gate: GateResult) -> Verdict:
    (verdict,) = gate.run.results.verdicts
    return verdict


def change_of(gate: GateResult) -> PromptChange:
    change = only(gate).regress
    assert change is not None
    return change


class TestWords:
    """pass, fail, inconclusive."""

    @pytest.mark.parametrize(
        ("was", "now", "word", "passed"),
        [
            ("oracle", "oracle", "pass", True),
            ("random", "oracle", "pass", True),
            ("oracle", "random", "fail", False),
            ("random", "first", "inconclusive", False),
        ],
    )
    def test_each_lets_pass_or_not(
        self, recorded: Record, was: str, now: str, word: str, passed: bool
    ) -> None:
        recorded(was)
        gate = sl.regress(suite_of(now), BASE)
        assert (only(gate).word, gate.passed) == (word, passed)
        assert gate.inconclusive == (word == "inconclusive")

    def test_a_gate_that_warns_lets_pass_and_keeps_the_word(self, recorded: Record) -> None:
        recorded("random")
        gate = sl.regress(suite_of("first", "gate: {inconclusive: warn}"), BASE)
        assert (only(gate).word, gate.passed) == ("inconclusive", True)

    def test_the_same_picks_pass_outright_however_few_the_clusters(self, recorded: Record) -> None:
        recorded("random", count=30)
        gate = sl.regress(suite_of("random"), BASE)
        assert only(gate).word == "pass"
        assert change_of(gate).identical

    def test_the_same_picks_do_not_pass_if_replies_were_invalid(self, recorded: Record) -> None:
        recorded("reply:none of them", count=30)
        gate = sl.regress(suite_of("reply:none of them"), BASE)
        assert change_of(gate).identical
        assert only(gate).word == "inconclusive"

    def test_a_model_that_no_longer_answers_does_not_pass(self, recorded: Record) -> None:
        recorded("first", count=2000)
        verdict = only(sl.regress(suite_of("reply:sorry"), BASE))
        assert verdict.word == "fail"
        assert "valid replies are 100.0% rarer" in verdict.reason

    def test_flat_clusters_pass_if_all_picks_are_the_same(self) -> None:
        write_jsonl(Path("pool.jsonl"), [row | {"rating": 3} for row in pool_rows(30)])
        keep_baseline(sl.evaluate(suite_of("first")).folder, BASE)
        assert only(sl.regress(suite_of("first"), BASE)).word == "pass"

    def test_a_small_certain_loss_passes_with_a_note(self, recorded: Record) -> None:
        recorded("oracle")
        verdict = only(sl.regress(suite_of("random", "gate: {margin: 3}"), BASE))
        assert verdict.word == "pass"
        assert any("small certain loss" in note for note in verdict.notes)

    def test_changed_model_settings_are_named(self, recorded: Record) -> None:
        recorded("oracle")
        assert "id" in change_of(sl.regress(suite_of("random"), BASE)).model_changed

    def test_a_new_version_is_tested_against_the_recorded_one(self, recorded: Record) -> None:
        make_workspace()
        recorded("oracle", "short@1 -> mine@1")
        put_prompt("mine@2")
        lock(Path("prompts"))
        change = change_of(sl.regress(suite_of("oracle", "short@1 -> mine@2"), BASE))
        assert (change.prompt_before, change.prompt_after) == ("mine@1", "mine@2")
        assert change.path == "prompts/mine/v2.jinja"


class TestWhatAGateRefuses:
    """What has no counterpart is named, before anything is asked or written."""

    @pytest.fixture
    def small(self, recorded: Record) -> None:
        """A baseline of 6 clusters."""
        recorded("first", count=30)

    def refused(self, suite: Path, *words: str, argument: str | None = None) -> None:
        before = files()
        with pytest.raises(UsageError) as caught:
            sl.regress(suite, BASE, out="new")
        for word in words:
            assert word in str(caught.value)
        assert caught.value.argument == argument
        assert files() == before

    def test_a_missing_baseline_says_how_to_make_one(self) -> None:
        self.refused(suite_of("first"), "base.json", "baseline set", argument="baseline")

    @pytest.mark.parametrize(
        ("content", "says"),
        [("{", "JSON"), ('{"format": 9}', "not a baseline"), ("[]", "not a baseline")],
    )
    def test_what_is_no_baseline(self, content: str, says: str) -> None:
        BASE.write_text(content, encoding="utf-8")
        self.refused(suite_of("first"), "base.json", says, argument="baseline")

    def test_another_format(self, small: None) -> None:
        content = json.loads(BASE.read_text("utf-8"))
        BASE.write_text(json.dumps(content | {"format": 9}), encoding="utf-8")
        self.refused(suite_of("first"), "format 1 (format: 9)", argument="baseline")

    def test_an_edited_baseline(self, small: None) -> None:
        text = BASE.read_text(encoding="utf-8")
        BASE.write_text(text.replace('"ok"', '"repaired"', 1), encoding="utf-8")
        self.refused(suite_of("first"), "sha256", "edited", argument="baseline")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("name: demo -> name: other", 'name is "other" and was "demo"'),
            ("picks: 2 -> picks: 1", "picks is 1 and was 2"),
            ("size: 5 -> size: 6", "clusters"),
            ("seed: 4", "seed is 4 and was 0"),
            ("orders: 2", "orders is 2"),
        ],
    )
    def test_another_suite_says_which_setting(self, small: None, change: str, says: str) -> None:
        self.refused(suite_of("first", change), says, argument="baseline")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("name: rating -> name: quality", "gate's utility"),
            ("range: [1, 5] -> range: [0, 5]", "its range"),
        ],
    )
    def test_another_utility_says_which(self, small: None, change: str, says: str) -> None:
        with pytest.raises(UsageError, match=says):
            sl.regress(suite_of("first", change), BASE, out="new")
        assert not Path("new").exists()

    def test_another_pool(self, small: None) -> None:
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [rows[0] | {"instruction": "another"}, *rows[1:]])
        self.refused(suite_of("first"), "pool.jsonl", "texts")

    def test_other_utilities_say_which_items(self, small: None) -> None:
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [rows[0] | {"rating": 5}, *rows[1:]])
        self.refused(suite_of("first"), "1 items", "item-000")

    def test_pairs_without_a_counterpart(self, small: None) -> None:
        self.refused(suite_of("first", "short@1 -> criteria@1"), "criteria@1 + m", "short@1 + m")

    def test_a_baseline_that_lacks_clusters(self, small: None) -> None:
        content = json.loads(BASE.read_text("utf-8"))
        del content["sha256"], content["entries"][0]["clusters"][2:]
        content["sha256"] = sha256_json(content)
        BASE.write_text(json.dumps(content), encoding="utf-8")
        words = ("short@1 + m", "2 of the baseline's 6 clusters")
        self.refused(suite_of("first"), *words, argument="baseline")


class TestWhatIsNoBaseline:
    """A run must be finished, judged, and name each prompt once."""

    def refused(self, *words: str) -> None:
        with pytest.raises(RunError) as caught:
            keep_baseline(Path("run"), BASE)
        for word in words:
            assert word in str(caught.value)
        assert not BASE.exists()

    def test_an_unfinished_run(self) -> None:
        sl.evaluate(suite_of("first"), out="run")
        Path("run/results.json").unlink()
        self.refused("finished")

    def test_a_run_whose_log_was_cut(self) -> None:
        sl.evaluate(suite_of("first"), out="run")
        log = Path("run/decisions.jsonl")
        log.write_text("".join(log.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
        self.refused("not finished")

    def test_a_run_without_a_utility(self) -> None:
        sl.evaluate(write_suite(), out="run")
        self.refused("no utility")

    def test_a_run_of_two_versions_of_a_prompt_unless_one_is_chosen(self) -> None:
        make_workspace()
        put_prompt("mine@2")
        suite = suite_of("first", "short@1 -> mine@1, mine@2")
        sl.evaluate(suite, out="run")
        self.refused("2 versions")
        keep_baseline(Path("run"), BASE, ["mine@1"])
        gate = sl.regress(suite, BASE)
        assert [verdict.word for verdict in gate.run.results.verdicts] == ["pass", "pass"]


class TestReplay:
    """Recorded replies let the gate run without a key."""

    @pytest.fixture
    def suite(self, folder: Path, server: ProviderServer) -> Path:
        """A suite in a workspace, with the recorded replies of a provider."""
        make_workspace()
        write_jsonl(Path("pool.jsonl"), pool_rows(100))
        suite = write_suite(RATED, served(server), "short@1 -> mine@1", "replies: replies.jsonl")
        keep_baseline(sl.evaluate(suite, record="replies.jsonl").folder, BASE)
        return suite

    def test_it_passes_offline_from_an_empty_cache(
        self, server: ProviderServer, suite: Path
    ) -> None:
        before = server.count
        gate = sl.regress(suite, BASE, offline=True, cache="empty")
        assert (only(gate).word, gate.passed) == ("pass", True)
        assert server.count == before

    def test_a_changed_prompt_lacks_its_replies_until_they_are_recorded(self, suite: Path) -> None:
        text = Path("prompts/mine/v1.jinja").read_text("utf-8").replace("Pick", "Choose")
        put_prompt("mine@2", text)
        suite.write_text(suite.read_text("utf-8").replace("mine@1", "mine@2"), encoding="utf-8")
        with pytest.raises(ReplyMissing, match="mine@2 with m") as caught:
            sl.regress(suite, BASE, offline=True, cache="empty")
        assert caught.value.pack == Path("replies.jsonl").resolve()
        sl.regress(suite, BASE, record="replies.jsonl")
        assert sl.regress(suite, BASE, offline=True, cache="empty").passed


def test_every_file_keeps_to_its_schema_and_the_run_is_verified(recorded: Record) -> None:
    recorded("oracle", count=100)
    sl.regress(suite_of("random"), BASE, out="gate")
    for path, name in (
        ("base.json", "baseline"),
        ("gate/baseline.json", "baseline"),
        ("gate/results.json", "results"),
        ("gate/run.json", "run"),
    ):
        jsonschema.validate(json.loads(Path(path).read_text("utf-8")), schema(name))
    assert verification(Path("gate")).differences == ()
