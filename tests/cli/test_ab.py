"""`selectllm ab`: exit codes of its words, and options that reach the comparison.

What a comparison finds is told by tests/jobs/test_comparing*.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.jobs.comparing import ab
from selectllm.jobs.sync import finished
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import RATED, assert_refused, served, write_suite
from tests.support.provider_server import FAULTS, ProviderServer

MODELS = "models: [mock/first] -> models: [mock/first, mock/random, mock/oracle]"


@pytest.fixture(autouse=True)
def suite(selectllm: Command) -> Path:
    """A suite of all scripted models, and a pool of 600 rated items: 120 clusters."""
    write_jsonl(Path("pool.jsonl"), pool_rows(600))
    return write_suite(RATED, MODELS)


@pytest.mark.parametrize(
    ("a", "b", "word", "code"),
    [
        ("mock/random", ["mock/oracle"], "better", 0),
        ("mock/oracle", ["mock/random"], "worse", 1),
        ("mock/first", ["strategy:first"], "equivalent", 0),
        ("mock/first", ["mock/random"], "inconclusive", 3),
        # of several words the worst decides
        ("mock/first", ["mock/random", "mock/oracle"], "inconclusive", 3),
    ],
)
def test_each_word_has_its_exit_code(
    selectllm: Command, suite: Path, a: str, b: list[str], word: str, code: int
) -> None:
    named = [option for name in b for option in ("--b", name)]
    told = selectllm("ab", suite, "--a", a, *named, "-o", "run")
    assert told.code == code, told.err
    assert word.upper() in told.out
    assert selectllm("ab", suite, "--a", a, *named, "-o", "run", "--json").json == json.loads(
        Path("run/results.json").read_bytes()
    )


def test_the_verdict_is_a_few_lines_and_details_are_asked_for(
    selectllm: Command, suite: Path
) -> None:
    asked = ("ab", suite, "--a", "mock/random", "--b", "mock/oracle", "-o", "my run")
    told = selectllm(*asked)
    lines = [line for line in told.out.splitlines() if line and not line.startswith("  ")]
    assert lines[0] == "BETTER  short@1 + mock/oracle against short@1 + mock/random"
    labels = ["reason", "difference", "captured", "utility"]
    assert [line.split()[0] for line in lines[1:]] == labels
    assert "agreement with" not in told.out
    assert "selectllm report 'my run'" in told.err
    full = selectllm(*asked, "--details").out
    assert "agreement with" in full
    assert full == selectllm("report", "my run").out


def test_without_ratings_the_command_that_collects_them_is_told(selectllm: Command) -> None:
    told = selectllm(
        *("ab", write_suite(MODELS), "--a", "mock/first", "--b", "mock/random", "-o", "run")
    )
    assert told.code == 3
    assert "no ratings" in told.out
    assert "at least two clusters" not in told.out
    assert "too few clusters" not in told.out
    asked = told.err.partition("selectllm utility ask")[2].splitlines()[0].split()
    assert selectllm("utility", "ask", *asked).code == 0
    rated = RATED.replace("ratings, column: rating", "import, file: sheet.ratings.jsonl")
    write_jsonl(Path("sheet.ratings.jsonl"), [{"id": "item-000", "value": 3}])
    arms = ("--a", "mock/first", "--b", "mock/random", "--differing", "-o", "differing")
    refused = selectllm("ab", write_suite(rated, MODELS), *arms)
    assert refused.code == 2
    assert "selectllm utility ask differing --differing -o sheet.csv" in refused.err


def test_options_reach_the_comparison(selectllm: Command) -> None:
    suite = write_suite(RATED, MODELS, "short@1 -> short@1, criteria@1")
    arms = {"a": "short", "b": "criteria"}
    more = ("--model", "mock/first", "--limit", "4", "--seed", "3", "--design", "sequential")
    told = selectllm("ab", suite, "--a", "short", "--b", "criteria", *more, "--json")
    notes: list[str] = []
    verdict = finished(
        ab(
            suite,
            **arms,
            model="mock/first",
            limit=4,
            seed=3,
            design="sequential",
            out="job",
            notes=notes.append,
        )
    )
    assert told.json == json.loads(json.dumps(verdict.run.results.to_json()))
    assert "fixed design is used" in told.err
    assert told.err.splitlines() == notes


def test_arms_that_there_are_not_are_named_by_their_flag(selectllm: Command, suite: Path) -> None:
    oracle = ("--b", "mock/oracle")
    refused = selectllm("ab", suite, "--a", "no-such", *oracle)
    assert_refused(refused, "--a 'no-such'", "mock/oracle", "strategy:")
    both = write_suite(RATED, "short@1 -> short@1, criteria@1")
    refused = selectllm("ab", both, "--a", "mock/first", "--b", "strategy:first")
    assert_refused(refused, "--a 'mock/first'", "--prompt")


def test_a_failed_provider_is_exit_6_and_no_verdict(
    selectllm: Command, server: ProviderServer
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    server.queue(*[FAULTS["401"]] * 100)
    suite = write_suite(RATED, served(server).replace("-> ", "-> mock/oracle, "))
    told = selectllm("ab", suite, "--a", "m", "--b", "mock/oracle", "-o", "run", "--json")
    assert (told.code, told.out) == (6, "")
