"""`selectllm baseline set` and `regress`: the gate, what it refuses, and where it reports."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from selectllm.core.codec import sha256_json
from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import (
    RATED,
    assert_refused,
    make_workspace,
    put_prompt,
    served,
    write_suite,
)
from tests.support.provider_server import ProviderServer

NAMED = "models: [mock/first] -> models: [{name: m, id: mock/%s}]"


def suite_of(model: str, *changes: str, path: str = "suite.yaml") -> Path:
    """A suite whose model is called m, whatever it is."""
    return write_suite(RATED, NAMED % model, *changes, path=path)


@pytest.fixture
def recorded(selectllm: Command) -> Callable[..., None]:
    """Set base.json from a run of `model` on `count` rated items."""

    def record(model: str, *changes: str, count: int = 600) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(count))
        assert selectllm("eval", suite_of(model, *changes), "-o", "run", "--quiet").code == 0
        assert selectllm("baseline", "set", "run", "-o", "base.json").code == 0

    return record


def regress(selectllm: Command, suite: Path, *more: object) -> Outcome:
    return selectllm("regress", suite, "--baseline", "base.json", "--json", *more)


def only(outcome: Outcome) -> Any:
    (verdict,) = outcome.json["verdicts"]
    return verdict


class TestWords:
    """pass, fail, inconclusive."""

    @pytest.mark.parametrize(
        ("was", "now", "word", "code"),
        [
            ("oracle", "oracle", "pass", 0),
            ("random", "oracle", "pass", 0),
            ("oracle", "random", "fail", 1),
            ("random", "first", "inconclusive", 3),
        ],
    )
    def test_each_has_its_exit_code(
        self,
        selectllm: Command,
        recorded: Callable[..., None],
        was: str,
        now: str,
        word: str,
        code: int,
    ) -> None:
        recorded(was)
        outcome = regress(selectllm, suite_of(now))
        assert only(outcome)["word"] == word
        assert outcome.code == code

    def test_a_gate_that_warns_ends_with_0_and_keeps_the_word(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("random")
        outcome = regress(selectllm, suite_of("first", "gate: {inconclusive: warn}"))
        assert only(outcome)["word"] == "inconclusive"
        assert outcome.code == 0

    def test_the_same_picks_pass_outright_however_few_the_clusters(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("random", count=30)
        outcome = regress(selectllm, suite_of("random"))
        assert only(outcome)["word"] == "pass"
        assert only(outcome)["regress"]["identical"]

    def test_the_same_picks_do_not_pass_if_replies_were_invalid(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("reply:none of them", count=30)
        outcome = regress(selectllm, suite_of("reply:none of them"))
        assert only(outcome)["regress"]["identical"]
        assert only(outcome)["word"] == "inconclusive"

    def test_a_model_that_no_longer_answers_does_not_pass(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("first", count=2000)
        outcome = regress(selectllm, suite_of("reply:sorry"))
        assert only(outcome)["word"] == "fail"
        assert "valid replies are 100.0% rarer" in only(outcome)["reason"]

    def test_flat_clusters_pass_if_all_picks_are_the_same(self, selectllm: Command) -> None:
        rows = [row | {"rating": 3} for row in pool_rows(30)]
        write_jsonl(Path("pool.jsonl"), rows)
        assert selectllm("eval", suite_of("first"), "-o", "flat", "--quiet").code == 0
        assert selectllm("baseline", "set", "flat", "-o", "base.json").code == 0
        assert only(regress(selectllm, suite_of("first")))["word"] == "pass"

    def test_a_small_certain_loss_passes_with_a_note(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("oracle")
        outcome = regress(selectllm, suite_of("random", "gate: {margin: 3}"))
        assert only(outcome)["word"] == "pass"
        assert any("small certain loss" in note for note in only(outcome)["notes"])

    def test_changed_model_settings_are_named(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("oracle")
        outcome = regress(selectllm, suite_of("random"))
        assert "id" in only(outcome)["regress"]["model_changed"]

    def test_a_new_version_is_tested_against_the_recorded_one(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        make_workspace(selectllm)
        recorded("oracle", "short@1 -> mine@1")
        put_prompt("mine@2")
        assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
        found = only(regress(selectllm, suite_of("oracle", "short@1 -> mine@2")))["regress"]
        assert (found["prompt_before"], found["prompt_after"]) == ("mine@1", "mine@2")
        assert found["path"] == "prompts/mine/v2.jinja"


class TestRefusals:
    """What has no counterpart is named; exit 2."""

    def test_a_missing_baseline_says_how_to_make_one(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        assert_refused(regress(selectllm, suite_of("first")), "base.json", "baseline set")

    @pytest.mark.parametrize(
        ("content", "says"),
        [("{", "JSON"), ('{"format": 9}', "not a baseline"), ("[]", "not a baseline")],
    )
    def test_another_schema(
        self, selectllm: Command, pool_file: Path, content: str, says: str
    ) -> None:
        Path("base.json").write_text(content, encoding="utf-8")
        assert_refused(regress(selectllm, suite_of("first")), "base.json", says)

    def test_another_format(self, selectllm: Command, recorded: Callable[..., None]) -> None:
        recorded("first", count=30)
        content = json.loads(Path("base.json").read_text("utf-8"))
        Path("base.json").write_text(json.dumps(content | {"format": 9}), encoding="utf-8")
        assert_refused(regress(selectllm, suite_of("first")), "format 1 (format: 9)")

    def test_what_has_no_counterpart_is_named_before_anything_is_asked(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("first", count=30)
        assert regress(selectllm, suite_of("first", "short@1 -> criteria@1"), "-o", "new").code == 2
        assert not Path("new").exists()

    def test_a_log_that_was_cut_is_no_baseline(self, selectllm: Command, pool_file: Path) -> None:
        assert selectllm("eval", suite_of("first"), "-o", "run", "--quiet").code == 0
        log = Path("run/decisions.jsonl")
        log.write_text("".join(log.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
        assert_refused(selectllm("baseline", "set", "run", "-o", "base.json"), "not finished")
        assert not Path("base.json").exists()

    def test_an_edited_baseline(self, selectllm: Command, recorded: Callable[..., None]) -> None:
        recorded("first", count=30)
        text = Path("base.json").read_text(encoding="utf-8")
        Path("base.json").write_text(text.replace('"ok"', '"repaired"', 1), encoding="utf-8")
        assert_refused(regress(selectllm, suite_of("first")), "sha256", "edited")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("name: demo -> name: other", 'name is "other" and was "demo"'),
            ("picks: 2 -> picks: 1", "picks is 1 and was 2"),
            ("size: 5 -> size: 6", "clusters"),
            ("seed: 4", "seed is 4 and was 0"),
            ("orders: 2", "orders is 2"),
            ("name: rating -> name: quality", "gate's utility"),
            ("range: [1, 5] -> range: [0, 5]", "its range"),
        ],
    )
    def test_another_suite_says_which_setting(
        self, selectllm: Command, recorded: Callable[..., None], change: str, says: str
    ) -> None:
        recorded("first", count=30)
        assert_refused(regress(selectllm, suite_of("first", change)), says)

    def test_another_pool(self, selectllm: Command, recorded: Callable[..., None]) -> None:
        recorded("first", count=30)
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [rows[0] | {"instruction": "another"}, *rows[1:]])
        assert_refused(regress(selectllm, suite_of("first")), "pool.jsonl", "texts")

    def test_other_utilities_say_which_items(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("first", count=30)
        rows = read_jsonl(Path("pool.jsonl"))
        write_jsonl(Path("pool.jsonl"), [rows[0] | {"rating": 5}, *rows[1:]])
        assert_refused(regress(selectllm, suite_of("first")), "1 items", "item-000")

    def test_pairs_without_a_counterpart_are_named(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("first", count=30)
        suite = suite_of("first", "short@1 -> criteria@1")
        assert_refused(regress(selectllm, suite), "criteria@1 + m", "short@1 + m")

    def test_a_run_without_a_utility_is_no_baseline(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        assert selectllm("eval", write_suite(), "-o", "run", "--quiet").code == 0
        assert_refused(selectllm("baseline", "set", "run", "-o", "base.json"), "no utility")
        assert not Path("base.json").exists()

    def test_two_versions_of_a_prompt_must_be_chosen_from(
        self, selectllm: Command, pool_file: Path
    ) -> None:
        make_workspace(selectllm)
        put_prompt("mine@2")
        suite = suite_of("first", "short@1 -> mine@1, mine@2")
        assert selectllm("eval", suite, "-o", "run", "--quiet").code == 0
        assert_refused(selectllm("baseline", "set", "run", "-o", "base.json"), "2 versions")
        chosen = selectllm("baseline", "set", "run", "-o", "base.json", "--prompt", "mine@1")
        assert chosen.code == 0
        outcome = regress(selectllm, suite)
        assert [each["word"] for each in outcome.json["verdicts"]] == ["pass", "pass"]

    def test_an_unfinished_run_is_no_baseline(self, selectllm: Command, pool_file: Path) -> None:
        assert selectllm("eval", suite_of("first"), "-o", "run", "--quiet").code == 0
        Path("run/results.json").unlink()
        assert_refused(selectllm("baseline", "set", "run", "-o", "base.json"), "finished")


class TestReplay:
    """Recorded replies let the gate run without a key."""

    @pytest.fixture
    def suite(self, selectllm: Command, server: ProviderServer) -> Path:
        """A suite in a workspace, recorded from a provider that is gone afterwards."""
        make_workspace(selectllm)
        write_jsonl(Path("pool.jsonl"), pool_rows(100))
        suite = write_suite(RATED, served(server), "short@1 -> mine@1", "replies: replies.jsonl")
        write_jsonl(Path("replies.jsonl"), [])
        record = ("--record", "replies.jsonl", "--quiet")
        assert selectllm("eval", suite, "-o", "run", *record).code == 0
        assert selectllm("baseline", "set", "run", "-o", "base.json").code == 0
        return suite

    def test_it_passes_offline_from_an_empty_cache(
        self, selectllm: Command, server: ProviderServer, suite: Path
    ) -> None:
        before = server.count
        outcome = regress(selectllm, suite, "--offline", "--cache", "empty")
        assert only(outcome)["word"] == "pass"
        assert outcome.code == 0
        assert server.count == before

    def test_a_changed_prompt_is_exit_5_with_the_command_that_records_it(
        self, selectllm: Command, suite: Path
    ) -> None:
        put_prompt("mine@2", Path("prompts/mine/v1.jinja").read_text("utf-8") + "{# changed #}\n")
        text = Path("prompts/mine/v2.jinja").read_text("utf-8").replace("Pick", "Choose")
        Path("prompts/mine/v2.jinja").write_text(text, encoding="utf-8")
        suite.write_text(suite.read_text("utf-8").replace("mine@1", "mine@2"), encoding="utf-8")
        outcome = regress(selectllm, suite, "--offline", "--cache", "empty")
        assert outcome.code == 5
        command = "selectllm regress suite.yaml --baseline base.json --record replies.jsonl"
        assert command in outcome.err
        assert "mine@2 with m" in outcome.err
        assert selectllm(*command.split()[1:], "--quiet").code == 0
        assert regress(selectllm, suite, "--offline", "--cache", "empty").code == 0


class TestReports:
    """JUnit, Markdown, annotations, schemas."""

    def test_junit_fails_skips_and_passes(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        for was, now, child in (
            ("oracle", "random", "failure"),
            ("random", "first", "skipped"),
            ("oracle", "oracle", None),
        ):
            recorded(was)
            regress(selectllm, suite_of(now), "--junit", "junit.xml", "-o", f"gate-{now}")
            cases = list(ET.parse("junit.xml").getroot().iter("testcase"))
            assert len(cases) == 1
            found = [tag for tag in ("failure", "skipped") if cases[0].find(tag) is not None]
            assert found == ([child] if child else [])
            for name in ("run", f"gate-{now}"):
                for path in Path(name).iterdir():
                    path.unlink()

    def test_markdown_has_before_and_after(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("oracle")
        regress(selectllm, suite_of("random"), "--markdown", "gate.md")
        text = Path("gate.md").read_text("utf-8")
        assert text.startswith("<!-- selectllm:demo -->")
        assert "**fail**" in text
        assert "captured before" in text

    def test_annotations_point_at_the_prompt_file(
        self,
        selectllm: Command,
        recorded: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        make_workspace(selectllm)
        recorded("oracle", "short@1 -> mine@1")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd()))
        outcome = regress(selectllm, suite_of("random", "short@1 -> mine@1"))
        assert outcome.json  # stdout holds nothing else
        assert "::error file=prompts/mine/v1.jinja,line=1," in outcome.err

    def test_a_bundled_prompt_has_no_file_to_point_at(
        self,
        selectllm: Command,
        recorded: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        recorded("oracle")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd()))
        assert "::error title=" in regress(selectllm, suite_of("random")).err

    def test_every_file_keeps_to_its_schema(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("oracle")
        regress(selectllm, suite_of("random"), "-o", "gate")
        for path, name in (
            ("base.json", "baseline"),
            ("gate/baseline.json", "baseline"),
            ("gate/results.json", "results"),
            ("gate/run.json", "run"),
        ):
            jsonschema.validate(json.loads(Path(path).read_text("utf-8")), schema(name))

    def test_the_run_can_be_verified(
        self, selectllm: Command, recorded: Callable[..., None]
    ) -> None:
        recorded("oracle")
        regress(selectllm, suite_of("random"), "-o", "gate")
        assert selectllm("verify", "gate").code == 0


def test_a_baseline_that_lacks_clusters_is_refused(
    selectllm: Command, recorded: Callable[..., None]
) -> None:
    recorded("first", count=30)
    content = json.loads(Path("base.json").read_text("utf-8"))
    del content["sha256"], content["entries"][0]["clusters"][2:]
    content["sha256"] = sha256_json(content)
    Path("base.json").write_text(json.dumps(content), encoding="utf-8")
    outcome = regress(selectllm, suite_of("first"))
    assert_refused(outcome, "short@1 + m", "2 of the baseline's 6 clusters")
