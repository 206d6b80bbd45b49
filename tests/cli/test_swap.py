"""`selectllm swap` and `aa`: exit codes of the words, and options that reach the job.

What they find is told by tests/jobs/test_swapping.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.jobs.comparing import aa, swap
from selectllm.jobs.sync import finished
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite

MODELS = (
    "models: [mock/first] -> models: [{name: best, id: mock/oracle}, "
    "{name: again, id: mock/oracle}, mock/random]"
)


@pytest.fixture(autouse=True)
def suite(selectllm: Command) -> Path:
    """600 rated items, and two models that pick alike."""
    write_jsonl(Path("pool.jsonl"), pool_rows(600))
    return write_suite(RATED, MODELS)


@pytest.mark.parametrize(
    ("before", "after", "word", "code"),
    [
        ("best", "again", "safe", 0),
        ("best", "mock/random", "not safe", 1),
        ("mock/random", "best", "inconclusive", 3),
    ],
)
def test_each_word_has_its_exit_code_and_a_run_that_can_be_verified(
    selectllm: Command, suite: Path, before: str, after: str, word: str, code: int
) -> None:
    told = selectllm("swap", suite, "--from", before, "--to", after, "-o", "run")
    assert told.code == code, told.err
    assert word.upper() in told.out
    assert selectllm("verify", "run").code == 0


def test_options_reach_the_swap(selectllm: Command) -> None:
    suite = write_suite(RATED, MODELS, "short@1 -> short@1, criteria@1")
    words = ("--from", "best", "--to", "again", "--prompt", "criteria@1", "--retain", "0.5")
    told = selectllm("swap", suite, *words, "--limit", 20, "--json")
    verdict = finished(
        swap(suite, "best", "again", prompt="criteria@1", retain=0.5, limit=20, out="job")
    )
    assert told.json == json.loads(json.dumps(verdict.run.results.to_json()))
    assert verdict.details.swap is not None
    assert verdict.details.swap.retain == 0.5


def test_noise_is_no_verdict_and_exit_0(selectllm: Command, suite: Path) -> None:
    told = selectllm("aa", suite, "--model", "mock/random", "--by", "repeats", "--json")
    assert told.code == 0
    job = finished(aa(suite, model="mock/random", by="repeats", out="job"))
    assert told.json == json.loads(json.dumps(job.results.to_json()))
    assert told.json["noise"]["by"] == "repeats"


def test_what_is_printed_is_short_and_details_are_the_whole_report(
    selectllm: Command, suite: Path
) -> None:
    swapped = ("swap", suite, "--from", "best", "--to", "again", "-o", "swap")
    itself = ("aa", suite, "--model", "mock/random", "--by", "repeats", "-o", "aa")
    recorded = ("eval", suite, "-o", "eval", "--quiet")
    gate = ("regress", suite, "--baseline", "base.json", "-o", "regress")
    assert selectllm(*recorded).code == 0
    assert selectllm("baseline", "set", "eval", "-o", "base.json").code == 0
    for asked, label in ((swapped, "retention"), (itself, "noise floor"), (gate, "difference")):
        told = selectllm(*asked)
        assert label in told.out
        assert "agreement with" not in told.out
        assert f"selectllm report {asked[-1]}" in told.err
        assert selectllm(*asked, "--details").out == selectllm("report", asked[-1]).out
