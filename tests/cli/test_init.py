"""`selectllm init`: it asks on a terminal only, and what it prints runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Command, Outcome, pool_rows, write_jsonl

GATE = Path("work/eval/suites/gate.yaml")


def commands(told: Outcome) -> list[list[str]]:
    """The words of the commands that it printed, without the program."""
    return [shlex.split(line)[1:] for line in re.findall(r"^  (selectllm .+)$", told.out, re.M)]


def run(selectllm: Command, told: Outcome) -> list[Outcome]:
    return [selectllm(*words) for words in commands(told)]


def scripted() -> None:
    """The suite with a scripted model and random clusters in place of what takes torch."""
    text = GATE.read_text("utf-8").replace("local/smollm2-135m", "mock/first")
    GATE.write_text(text.replace("by: diverse", "by: random"), encoding="utf-8")


def test_its_commands_end_with_a_gate_that_passes(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SELECTLLM_CACHE_DIR")
    told = selectllm("init", "work", "--pool", write_jsonl(Path("pool.jsonl"), pool_rows(40)))
    assert told.code == 0
    assert len(commands(told)) == 3
    scripted()
    assert [each.code for each in run(selectllm, told)] == [0, 0, 0]
    assert Path("work/eval/replies/gate.jsonl").is_file()
    assert Path("work/eval/baselines/gate.json").is_file()
    assert not Path("eval").exists()


def test_without_ratings_its_commands_end_with_a_sheet_to_be_rated(selectllm: Command) -> None:
    rows = [{"instruction": f"Say {n} in your own words."} for n in range(30)]
    told = selectllm("init", "work", "--pool", write_jsonl(Path("pool.jsonl"), rows))
    assert "utility import" in told.out
    scripted()
    assert [each.code for each in run(selectllm, told)] == [0, 0, 0]
    assert Path("work/eval/sheet.csv").is_file()


@pytest.mark.slow
def test_its_commands_run_with_the_embedded_model(selectllm: Command) -> None:
    told = selectllm("init", "work", "--pool", write_jsonl(Path("pool.jsonl"), pool_rows(20)))
    assert [each.code for each in run(selectllm, told)] == [0, 0, 0]


def test_without_a_terminal_it_asks_nothing(selectllm: Command) -> None:
    told = selectllm("init", "work")
    assert "180 items" in told.out
    assert "Your pool file" not in told.err


def test_on_a_terminal_it_asks_for_the_pool(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(12))
    monkeypatch.setattr("selectllm.cli.init.on_a_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *words, **settings: "pool.jsonl")
    assert "12 items" in selectllm("init", "work").out


def test_what_lacks_is_named_before_it_fails(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selectllm.jobs.starting.missing", lambda *extras: ("embed", "local"))
    told = selectllm("init", "work")
    assert told.code == 0
    assert 'pip install "selectllm[embed,local]"' in told.err
