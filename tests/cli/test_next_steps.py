"""The last line of a command: what to do next, as a command that works as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.conftest import Command, Outcome
from tests.support.cli_files import RATED, write_suite

BY_MODEL = ("--prompt", "short@1", "--model", "mock/first", "--by", "random")
SELECT = ("select", "pool.jsonl", "--budget", 8, *BY_MODEL)


@pytest.fixture(autouse=True)
def ready(selectllm: Command, pool_file: Path) -> None:
    """A pool and a suite in the current folder, whose picks go to a name with a blank."""
    write_suite(RATED)


def next_command(outcome: Outcome) -> list[str]:
    """The words of the command that the last line tells to run."""
    assert outcome.code == 0, outcome.err
    last = (outcome.err or outcome.out).strip().splitlines()[-1]
    _, _, command = last.partition("run: selectllm ")
    assert command, last
    return shlex.split(command)


@pytest.mark.parametrize(
    "words",
    [
        (*SELECT, "-o", "my picks.jsonl"),
        (*SELECT, "-o", "my picks.jsonl", "--dry-run"),
        ("select", "pool.jsonl", "--budget", 8, "--strategy", "longest"),
        ("plan", "pool.jsonl", "--budget", 8, *BY_MODEL[:4], "--by", "random"),
        ("plan", "suite.yaml"),
        ("plan", "suite.yaml", "--for", "ab", "--a", "strategy:longest", "--b", "mock/first"),
        ("eval", "suite.yaml", "-o", "my run"),
    ],
)
def test_it_works_as_it_stands(selectllm: Command, words: tuple[object, ...]) -> None:
    words = next_command(selectllm(*words))
    done = selectllm(*words)
    assert done.code in (0, 3), done.err  # an inconclusive verdict is an answer


def test_a_page_is_where_the_last_line_says(selectllm: Command) -> None:
    words = next_command(selectllm(*SELECT, "-o", "my picks.jsonl"))
    told = selectllm(*words)
    assert "my picks.html" in told.err
    page = Path("my picks.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "--pool pool.jsonl" in " ".join(words)
    assert "no pool lies beside" not in page


def test_a_pool_that_lies_beside_its_selection_is_not_named(selectllm: Command) -> None:
    assert "--pool" not in next_command(selectllm(*SELECT))


def test_quiet_and_json_say_nothing_of_it(selectllm: Command) -> None:
    for option in ("--quiet", "--json"):
        outcome = selectllm(*SELECT, option)
        assert "run: selectllm report" not in outcome.out
    assert selectllm(*SELECT, "--quiet").err == ""


def test_a_hand_over_names_the_files_that_come_back(selectllm: Command) -> None:
    handed = selectllm(*SELECT, "--to", "csv", "--quiet")
    words = next_command(handed)
    assert words[:2] == ["answers", "pool.handover.csv.selection.jsonl"]
    words = [word.replace("ANSWERS", "pool.handover.csv") for word in words]
    assert "nothing is answered yet" in selectllm(*words).err
