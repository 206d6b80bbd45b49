"""`NAME@latest` is the newest version wherever a prompt is named, and is told by its number.

A suite that names a number tests that version, and is told of newer ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selectllm.jobs.gating import gate
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import BODY, HEAD, RATED, make_workspace, put_prompt, write_suite

MINE = "[short@1] -> [mine@1]"
LATEST = "[short@1] -> [mine@latest]"
NEWER = "mine@2 is not tested. To test it, write mine@latest instead of mine@1"


@pytest.fixture
def edited(selectllm: Command) -> Path:
    """A workspace with a pool and a baseline of mine@1, where mine@2 has been written since."""
    make_workspace(selectllm)
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    write_suite(RATED, LATEST)
    assert selectllm("eval", "suite.yaml", "-o", "run").code == 0
    assert (
        selectllm("baseline", "set", "run", "-o", "base.json", "--prompt", "mine@latest").code == 0
    )
    return put_prompt("mine@2", HEAD + BODY.replace("Pick", "Choose"))


@pytest.mark.usefixtures("edited")
def test_a_baseline_and_results_hold_the_number(selectllm: Command) -> None:
    for file in ("base.json", "run/results.json", "run/run.json", "run/decisions.jsonl"):
        text = Path(file).read_text("utf-8")
        assert "mine@1" in text
        assert "latest" not in text
    again = selectllm("eval", "suite.yaml", "-o", "again", "--json")
    assert [pair["prompt"] for pair in again.json["pairs"]] == ["mine@2"]
    assert "not tested" not in again.err


@pytest.mark.usefixtures("edited")
def test_a_gate_with_latest_tests_what_was_edited(selectllm: Command) -> None:
    told = selectllm("regress", "suite.yaml", "--baseline", "base.json", "--json")
    (verdict,) = told.json["verdicts"]
    assert (verdict["a"], verdict["b"]) == ("mine@1 + mock/first", "mine@2 + mock/first")
    assert "not tested" not in told.err


@pytest.mark.usefixtures("edited")
@pytest.mark.parametrize(
    "verb",
    [
        ("eval",),
        ("ab", "--a", "mine", "--b", "strategy:longest"),
        ("aa",),
        ("swap", "--from", "mock/first", "--to", "mock/random"),
        ("regress", "--baseline", "base.json"),
    ],
)
def test_a_suite_with_a_number_is_told_of_newer_versions(
    selectllm: Command, verb: tuple[str, ...], few_resamples: None
) -> None:
    models = ("[mock/first] -> [mock/first, mock/random]",) if verb[0] == "swap" else ()
    suite = write_suite(RATED, MINE, *models)
    told = selectllm(verb[0], suite, *verb[1:])
    assert told.code in (0, 1, 3)
    assert NEWER in told.err
    assert str(suite) in told.err
    write_suite(RATED, "[short@1] -> [mine@1, mine@2]", *models)
    both = () if verb[0] in ("eval", "ab", "regress") else ("--prompt", "mine@1")
    assert "not tested" not in selectllm(verb[0], suite, *verb[1:], *both).err


@pytest.mark.usefixtures("edited")
def test_the_gate_of_a_test_holds_what_is_newer() -> None:
    write_suite(RATED, MINE)
    result = gate("suite.yaml", "base.json")
    assert result.passed
    assert [NEWER in sentence for sentence in result.newer] == [True]


@pytest.mark.usefixtures("edited")
def test_arms_and_strategies_name_the_newest_version(selectllm: Command) -> None:
    suite = write_suite(RATED, "[short@1] -> [mine@1, mine@2]", "strategies: [longest]")
    told = selectllm("ab", suite, "--a", "mine@1", "--b", "mine@latest+mock/first", "--json")
    assert told.json["verdicts"][0]["b"] == "mine@2 + mock/first"
    rating = "rating:quality@latest+mock/reply:5"
    write_suite(RATED, f"strategies: ['{rating}']")
    told = selectllm("eval", suite, "--json")
    assert [row["strategy"] for row in told.json["strategies"]] == [rating.replace("latest", "1")]
    selectllm("select", "pool.jsonl", "--budget", 2, "--strategy", rating)
    log = Path("pool.selected.jsonl.decisions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(log[0])["manifest"]["strategy"] == rating.replace("latest", "1")
