"""The last line of a command: what to do next, as a command that works as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from tests.conftest import Command, Outcome, write_jsonl
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


ASKED = ("--map", "instruction=question", "--turns", "first")


@pytest.mark.parametrize(
    "words",
    [
        ("select", "asked.jsonl", "--budget", 8, *BY_MODEL, *ASKED, "-o", "out.jsonl"),
        ("select", "asked.jsonl", "--budget", 8, *BY_MODEL, *ASKED, "--dry-run"),
        ("select", "asked.jsonl", "--budget", 8, "--strategy", "longest", *ASKED[:2], "--dry-run"),
        ("plan", "asked.jsonl", "--budget", 8, "--strategy", "longest", *ASKED),
    ],
)
def test_it_reads_the_same_columns(selectllm: Command, words: tuple[object, ...]) -> None:
    rows = [{"question": f"What is {n} and {n}?", "answer": "Known."} for n in range(40)]
    write_jsonl(Path("asked.jsonl"), rows)
    following = next_command(selectllm(*words))
    assert {"--map", "instruction=question"} <= {*following}
    assert selectllm(*following).code == 0


def test_answers_are_read_with_the_columns_of_a_hand_over(selectllm: Command) -> None:
    rows = [{"question": f"What is {n} and {n}?", "answer": "Known."} for n in range(40)]
    write_jsonl(Path("asked.jsonl"), rows)
    words = ("select", "asked.jsonl", "--budget", 8, "--strategy", "longest", *ASKED, "--to", "csv")
    following = next_command(selectllm(*words))
    assert {"--map", "instruction=question"} <= {*following}
    done = selectllm(*(word.replace("ANSWERS", "asked.handover.csv") for word in following))
    assert done.code == 2
    assert "nothing is answered yet" in done.err


def test_turns_alone_are_told_again(selectllm: Command) -> None:
    turns = [{"role": "user", "content": f"What is {n}?"} for n in range(8)]
    write_jsonl(Path("chats.jsonl"), [{"messages": turns[n:]} for n in range(8)])
    words = ("select", "chats.jsonl", "--budget", 2, "--strategy", "longest", "--turns", "first")
    following = next_command(selectllm(*words, "--dry-run"))
    assert following[-2:] == ["--turns", "first"]


def test_a_baseline_is_compared_with_by_the_suite_beside_the_run(selectllm: Command) -> None:
    Path("work/suites").mkdir(parents=True)
    suite = Path("suite.yaml").read_text(encoding="utf-8")
    name = str(yaml.safe_load(suite)["name"])
    Path("work/suites", f"{name}.yaml").write_text(
        suite.replace("pool.jsonl", "../../pool.jsonl"), encoding="utf-8"
    )
    assert selectllm("eval", f"work/suites/{name}.yaml", "-o", "work/runs/one").code == 0
    Path("suite.yaml").unlink()
    words = next_command(selectllm("baseline", "set", "work/runs/one", "-o", "base.json"))
    assert words[:2] == ["regress", f"work/suites/{name}.yaml"]
    assert selectllm(*words).code == 0


def test_a_page_is_where_the_last_line_says(selectllm: Command) -> None:
    words = next_command(selectllm(*SELECT, "-o", "my picks.jsonl"))
    told = selectllm(*words)
    assert "my picks.html" in told.err
    page = Path("my picks.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "--pool pool.jsonl" in " ".join(words)
    assert "no pool was found next to" not in page


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
