"""What a verb prints: its result on stdout, one object of it with --json; all else on stderr."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Command
from tests.support.written_by_0_1_0 import OTHERS, RUNS, SELECTED, VECTORS

pytestmark = pytest.mark.usefixtures("workspace", "few_resamples")

OFFLINE = ("--offline",)
PLAN = ("plan", "suites/asked.yaml", *VECTORS)
ASKING: dict[str, tuple[tuple[object, ...], int]] = {
    **{run: ((*words, "-o", f"runs/{run}"), code) for run, (words, code) in RUNS.items()},
    **{
        out: (("select", "pool.jsonl", *words, *VECTORS, "-o", out), 0)
        for out, words in SELECTED.items()
    },
    "sets": ((*OTHERS["sets"], "-o", "sets"), 0),
    "search": ((*OTHERS["search"], "-o", "search"), 0),
    "plan": (PLAN, 0),
    "plan for sets": (("plan", "suites/sets.yaml", "--for", "sets", *VECTORS), 0),
}
"""Verbs that may ask a model: they know --quiet and --offline."""
READING: dict[str, tuple[object, ...]] = {
    "verify": ("verify", "runs/asked"),
    "report": ("report", "runs/ab"),
    "export": (*OTHERS["training"], "-o", "training"),
    "prompts list": ("prompts", "list"),
    "models list": ("models", "list"),
    "cache stats": ("cache", "stats"),
    "cache ls": ("cache", "ls"),
}


@pytest.mark.parametrize("verb", ASKING)
def test_a_result_is_one_json_object_alone_on_stdout(selectllm: Command, verb: str) -> None:
    words, code = ASKING[verb]
    outcome = selectllm(*words, *OFFLINE, "--json", "--quiet")
    assert (outcome.code, outcome.err) == (code, "")
    assert outcome.out.count("\n") == 1
    assert isinstance(outcome.json, dict)


@pytest.mark.parametrize("verb", ASKING)
def test_quiet_leaves_the_result_and_takes_away_all_else(selectllm: Command, verb: str) -> None:
    words, code = ASKING[verb]
    plain = selectllm(*words, *OFFLINE)
    quiet = selectllm(*words, *OFFLINE, "--quiet")
    assert (plain.code, quiet.code, quiet.err) == (code, code, "")
    assert plain.out == quiet.out
    assert "\x1b" not in plain.out + plain.err
    assert "deciding" not in plain.err  # progress is for terminals


@pytest.mark.parametrize("verb", READING)
def test_what_only_reads_prints_a_table_or_json(selectllm: Command, verb: str) -> None:
    table, as_json = selectllm(*READING[verb]), selectllm(*READING[verb], "--json")
    assert (table.code, table.err, as_json.code, as_json.err) == (0, "", 0, "")
    assert "\x1b" not in table.out
    assert all(json.loads(line) for line in as_json.out.splitlines())
