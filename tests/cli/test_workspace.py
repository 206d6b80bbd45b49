"""Where the command line looks for prompts, cache and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import (
    MOCK,
    assert_refused,
    eval_by,
    files,
    make_workspace,
    put_prompt,
    select_by,
    served,
    write_suite,
)
from tests.support.provider_server import ProviderServer


@pytest.fixture
def workspace(selectllm: Command, pool_file: Path) -> Path:
    """The current folder as a workspace with a released prompt `mine@1`, and a pool."""
    return make_workspace(selectllm)


def test_eval_looks_around_the_suite_and_select_around_the_current_folder(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, server: ProviderServer
) -> None:
    monkeypatch.delenv("SELECTLLM_CACHE_DIR")
    for folder in ("of-suite", "current"):
        put_prompt(f"{folder}@1", workspace=folder)
        assert selectllm("prompts", "lock", "--prompts", f"{folder}/prompts").code == 0
    pool = write_jsonl(Path("of-suite/eval/pool.jsonl"), pool_rows(10)).resolve()
    suite = write_suite(
        "short@1 -> of-suite@1", served(server), path="of-suite/eval/suite.yaml"
    ).resolve()
    monkeypatch.chdir("current")
    assert selectllm("eval", suite).code == 0
    asked = ("select", pool, "--budget", 3, "--model", "openai/m", "--api-base", server.base_url)
    assert_refused(selectllm(*asked, "--prompt", "of-suite@1"), "no prompt 'of-suite@1'")
    assert selectllm(*asked, "--prompt", "current@1", "--by", "random").code == 0
    assert Path("cache/replies/cache.db").exists()
    assert not Path("eval").exists()
    assert len(list(Path("../of-suite/eval/runs").iterdir())) == 1
    assert Path("../of-suite/cache/replies/cache.db").exists()


def test_the_folder_of_prompts_named_by_option_replaces_the_workspaces(
    selectllm: Command, workspace: Path
) -> None:
    put_prompt("theirs@1", workspace="other")
    theirs = ("--prompts", "other/prompts")
    assert select_by(selectllm, "theirs@1", *theirs).code == 0
    assert eval_by(selectllm, "theirs@1", *theirs).code == 0
    assert_refused(select_by(selectllm, "mine@1", *theirs), "no prompt 'mine@1'")
    assert_refused(eval_by(selectllm, "mine@1", *theirs), "no prompt 'mine@1'")


def test_a_folder_of_prompts_that_is_not_there_is_refused(
    selectllm: Command, pool_file: Path
) -> None:
    outcome = select_by(selectllm, "short@1", "--prompts", "none")
    assert_refused(
        outcome, "none: this folder of prompts does not exist. To make one, run: selectllm init"
    )
    assert list(files()) == ["pool.jsonl"]
    asked = ("select", pool_file, "--budget", 2, *MOCK)
    for option in ("--prompts", "--cache"):
        outcome = selectllm(*asked, option, "pool.jsonl")
        assert (outcome.code, "is a file" in outcome.err) == (2, True)


@pytest.mark.parametrize("option", [["--cache", "taken/cache"], []])
def test_a_cache_folder_that_cannot_be_made_is_refused(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, pool_file: Path, option: list[str]
) -> None:
    Path("taken").touch()
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "taken")
    outcome = selectllm("select", pool_file, "--budget", 2, *MOCK, *option)
    assert_refused(outcome, "the reply cache cannot be used", "--cache")
    assert sorted(files()) == ["pool.jsonl", "taken"]


def test_a_run_of_this_prompt_and_model_silences_the_note(
    selectllm: Command, workspace: Path
) -> None:
    asked = ("select", "pool.jsonl", "--budget", 8, *MOCK, "--cluster-size", 5, "-o")
    assert "has not been measured" in selectllm(*asked, "a.jsonl").err
    assert selectllm("eval", write_suite("picks: 2 -> picks: 1")).code == 0
    assert "has not been measured" not in selectllm(*asked, "b.jsonl").err
    assert len(read_jsonl(Path("b.jsonl"))) == 8
