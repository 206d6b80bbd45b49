"""`selectllm baseline set` and `regress`: exit codes, commands that help, and where it reports.

What a gate finds and refuses is told by tests/jobs/test_regressing.py.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, pool_rows, write_jsonl
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
Record = Callable[..., None]


def suite_of(model: str, *changes: str) -> Path:
    """A suite whose model is called m, whatever it is."""
    return write_suite(RATED, NAMED % model, *changes)


@pytest.fixture
def recorded(selectllm: Command) -> Record:
    """Set base.json from a run of `model` on 600 rated items."""

    def record(model: str, *changes: str) -> None:
        write_jsonl(Path("pool.jsonl"), pool_rows(600))
        assert selectllm("eval", suite_of(model, *changes), "-o", "run", "--quiet").code == 0
        told = selectllm("baseline", "set", "run", "-o", "base.json")
        assert told.code == 0
        assert "base.json" in told.out
        assert " in 120 clusters, with the utility rating." in told.out

    return record


def regress(selectllm: Command, suite: Path, *more: object) -> Outcome:
    return selectllm("regress", suite, "--baseline", "base.json", "--json", *more)


def only(outcome: Outcome) -> Any:
    (verdict,) = outcome.json["verdicts"]
    return verdict


@pytest.mark.parametrize(
    ("was", "now", "gate", "word", "code"),
    [
        ("oracle", "oracle", "fail", "pass", 0),
        ("oracle", "random", "fail", "fail", 1),
        ("random", "first", "fail", "inconclusive", 3),
        ("random", "first", "warn", "inconclusive", 0),
    ],
)
def test_each_word_has_its_exit_code_and_a_run_that_can_be_verified(
    selectllm: Command, recorded: Record, was: str, now: str, gate: str, word: str, code: int
) -> None:
    recorded(was)
    outcome = regress(selectllm, suite_of(now, f"gate: {{inconclusive: {gate}}}"), "-o", "gate")
    assert (only(outcome)["word"], outcome.code) == (word, code)
    assert outcome.json == json.loads(Path("gate/results.json").read_bytes())
    assert selectllm("verify", "gate").code == 0


def test_one_of_several_versions_is_chosen_by_an_option(
    selectllm: Command, pool_file: Path
) -> None:
    make_workspace(selectllm)
    put_prompt("mine@2")
    suite = suite_of("first", "short@1 -> mine@1, mine@2")
    assert selectllm("eval", suite, "-o", "run", "--quiet").code == 0
    refused = selectllm("baseline", "set", "run", "-o", "base.json")
    assert_refused(refused, "2 versions", "--prompt")
    chosen = selectllm("baseline", "set", "run", "-o", "base.json", "--prompt", "mine@1")
    assert (chosen.code, "mine@1 + m" in chosen.out) == (0, True)


def test_a_changed_prompt_is_exit_5_with_the_command_that_records_it(
    selectllm: Command, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workspace(selectllm)
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    suite = write_suite(RATED, served(server), "short@1 -> mine@1", "replies: replies.jsonl")
    record = ("--record", "replies.jsonl", "--quiet")
    assert selectllm("eval", suite, "-o", "run", *record).code == 0
    assert selectllm("baseline", "set", "run", "-o", "base.json").code == 0
    text = Path("prompts/mine/v1.jinja").read_text("utf-8").replace("Pick", "Choose")
    put_prompt("mine@2", text)
    suite.write_text(suite.read_text("utf-8").replace("mine@1", "mine@2"), encoding="utf-8")
    offline = ("--offline", "--cache", "empty")
    command = (
        "selectllm regress suite.yaml --baseline base.json --cache empty --record replies.jsonl"
    )
    assert_refused(regress(selectllm, suite, *offline), command, "mine@2 with m", code=5)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    files = ("--junit", "a.xml", "--report", "junit=b.xml", "--markdown", "gate.md")
    assert regress(selectllm, suite, *offline, *files).code == 5
    for file in ("a.xml", "b.xml"):
        root = ET.parse(file).getroot()
        assert (root.get("errors"), root.get("tests"), root.get("failures")) == ("1", "1", "0")
        (error,) = root.iter("error")
        assert command in (error.get("message") or "")
    for file in ("gate.md", "summary.md"):
        text = Path(file).read_text("utf-8")
        assert text.startswith("<!-- selectllm:demo -->")
        assert "no verdict" in text
        assert "mine@2 with m" in text
    assert selectllm(*command.split()[1:], "--quiet").code in (0, 3)
    assert regress(selectllm, suite, *offline).code in (0, 3)


class TestReports:
    """JUnit, Markdown, annotations."""

    @pytest.mark.parametrize(
        ("was", "now", "child"),
        [
            ("oracle", "random", "failure"),
            ("random", "first", "skipped"),
            ("oracle", "oracle", None),
        ],
    )
    def test_junit_fails_skips_and_passes(
        self, selectllm: Command, recorded: Record, was: str, now: str, child: str | None
    ) -> None:
        recorded(was)
        regress(selectllm, suite_of(now), "--junit", "junit.xml")
        (case,) = ET.parse("junit.xml").getroot().iter("testcase")
        found = [tag for tag in ("failure", "skipped") if case.find(tag) is not None]
        assert found == ([child] if child else [])

    def test_markdown_has_before_and_after(self, selectllm: Command, recorded: Record) -> None:
        recorded("oracle")
        regress(selectllm, suite_of("random"), "--markdown", "gate.md")
        text = Path("gate.md").read_text("utf-8")
        assert text.startswith("<!-- selectllm:demo -->")
        assert "**fail**" in text
        assert "captured before" in text

    def test_the_summary_of_a_job_on_github_gets_every_verdict(
        self, selectllm: Command, recorded: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorded("oracle")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
        regress(selectllm, suite_of("random"), "--markdown", "gate.md")
        regress(selectllm, suite_of("oracle"), "-o", "second")
        text = Path("summary.md").read_text("utf-8")
        assert text.startswith(Path("gate.md").read_text("utf-8"))
        assert text.count("<!-- selectllm:demo -->") == 2

    def test_bad_input_is_in_the_summary_alone(
        self, selectllm: Command, recorded: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorded("oracle")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
        Path("base.json").unlink()
        assert regress(selectllm, suite_of("oracle"), "--markdown", "gate.md").code == 2
        assert "baseline set" in Path("summary.md").read_text("utf-8")
        assert not Path("gate.md").exists()

    def test_a_summary_that_cannot_be_written_changes_no_verdict(
        self, selectllm: Command, recorded: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorded("oracle")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
        done = regress(selectllm, suite_of("random"))
        assert (done.code, "nowhere/summary.md" in done.err) == (1, True)

    def test_annotations_point_at_the_prompt_file(
        self, selectllm: Command, recorded: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_workspace(selectllm)
        recorded("oracle", "short@1 -> mine@1")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd()))
        outcome = regress(selectllm, suite_of("random", "short@1 -> mine@1"))
        assert outcome.json  # stdout holds nothing else
        assert "::error file=prompts/mine/v1.jinja,line=1," in outcome.err

    def test_a_bundled_prompt_has_no_file_to_point_at(
        self, selectllm: Command, recorded: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorded("oracle")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd()))
        assert "::error title=" in regress(selectllm, suite_of("random")).err
