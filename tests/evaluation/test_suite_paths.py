"""A suite reads files of its workspace, and others only where the user allows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selectllm.core.allowed import ALLOWED
from selectllm.core.errors import SuiteError
from selectllm.evaluation.suite import load_suite

SUITE = """\
name: s
pool: pool.jsonl
strategies: [random]
"""
LEADING_OUT = [
    ("pool: pool.jsonl", "pool: ../../other/pool.jsonl", "pool"),
    ("pool: pool.jsonl", "pool: OTHER/pool.jsonl", "pool"),
    ("pool: pool.jsonl", "pool: link.jsonl", "pool"),
    ("name: s", "name: s\nmodels: [mock/first]\nprompts: [../../other/mine.jinja]", r"prompts\.0"),
    ("name: s", "name: s\nmodels: [mock/first]\nprompts: [short@1, OTHER/mine]", r"prompts\.1"),
    ("name: s", "name: s\nreplies: ../../other/pack.jsonl", "replies"),
    ("name: s", "name: s\nclusters: {file: ../../other/clusters.json}", r"clusters\.file"),
    ("name: s", "name: s\nencoder: ../../other", "encoder"),
    (
        "name: s",
        "name: s\nutilities: [{name: u, source: import, file: ../../other/u.json}]",
        r"utilities\.0\.file",
    ),
    (
        "name: s",
        "name: s\nutilities: [{name: u, source: knn, test: ../../other/test.jsonl}]",
        r"utilities\.0\.test",
    ),
]


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the workspace, with its files; the current folder is the workspace's."""
    other, suites = tmp_path / "other", tmp_path / "work" / "suites"
    for folder in (other, suites, tmp_path / "work" / "prompts"):
        folder.mkdir(parents=True)
    for name in ("pool.jsonl", "pack.jsonl", "clusters.json", "u.json", "test.jsonl"):
        (other / name).touch()
    (suites / "link.jsonl").symlink_to(other / "pool.jsonl")
    (tmp_path / "work" / "prompts" / "LOCK.yaml").touch()
    monkeypatch.chdir(suites)
    return other


def write(text: str) -> Path:
    path = Path("suite.yaml")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("before", "after", "key"), LEADING_OUT)
def test_a_path_that_leads_out_is_refused_and_says_how_it_is_allowed(
    other: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, key: str
) -> None:
    suite = write(SUITE.replace(before, after.replace("OTHER", str(other))))
    with pytest.raises(SuiteError, match=rf"suite\.yaml: {key}: .*{ALLOWED}={other.parent}"):
        load_suite(suite)
    monkeypatch.setenv(ALLOWED, str(other))
    load_suite(suite)


@pytest.mark.parametrize("pool", ["../pool.jsonl", "pool.jsonl", "hf:owner/name"])
def test_the_whole_workspace_may_be_read(other: Path, pool: str) -> None:
    assert load_suite(write(SUITE.replace("pool.jsonl", pool))).pool == pool


def test_so_may_what_lies_below_the_current_folder(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = write(SUITE.replace("pool.jsonl", "../../other/pool.jsonl")).resolve()
    monkeypatch.chdir(other.parent)
    load_suite(suite)


def test_what_is_allowed_already_stays_in_the_advice(
    other: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ALLOWED, "/somewhere")
    with pytest.raises(SuiteError, match=f"{ALLOWED}=/somewhere{os.pathsep}{other} before"):
        load_suite(write(SUITE.replace("pool.jsonl", "../../other/pool.jsonl")))
