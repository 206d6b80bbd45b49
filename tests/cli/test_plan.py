"""`selectllm plan` as a user calls it: its two forms, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selectllm.jobs.planning import PlanArguments, plan, plan_sets
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from tests.conftest import Command, Outcome
from tests.support.cli_files import RATED, assert_refused, files, served, write_suite
from tests.support.provider_server import ProviderServer

TWO = "prompts: [short@1] -> prompts: [short@1, rank@1]"
AB = ("--for", "ab", "--a", "short@1", "--b", "rank@1")
RATER = "rating:quality@1+openai/m"
SETS = "sets: {budgets: [4, 8], seeds: [0, 1]}"


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), {}),
        ((*AB, "--limit", 5), {"kind": "ab", "a": "short@1", "b": "rank@1", "limit": 5}),
        (
            (*AB, "--raters", 3, "--rating-cost", 0.25, "-j", 2, "--seed", 7),
            {
                **{"kind": "ab", "a": "short@1", "b": ["rank@1"], "seed": 7},
                **{"raters": 3, "rating_cost": 0.25, "concurrency": 2},
            },
        ),
        (
            ("--for", "swap", "--from", "mock/random", "--to", "mock/first", "--prompt", "short@1"),
            {"kind": "swap", "from_": "mock/random", "to": "mock/first", "prompt": "short@1"},
        ),
    ],
)
def test_the_command_prints_what_the_job_gives(
    selectllm: Command, pool_file: Path, options: tuple[object, ...], asked: PlanArguments
) -> None:
    suite = write_suite(TWO, RATED, "[mock/first] -> [mock/first, mock/random]")
    if "swap" not in options and options:
        suite = write_suite(TWO, RATED)
    outcome = selectllm("plan", suite, "--json", *options)
    assert outcome.code == 0, outcome.err
    planned = finished(plan(suite, **asked))
    assert outcome.json == json.loads(json.dumps(planned.results.to_json()))
    shown = " ".join(selectllm("plan", suite, *options).out.split())
    assert f"plan for {outcome.json['for']}. Nothing was sent" in shown
    assert "These figures assume" in shown


def test_the_plan_of_sets_is_that_of_the_job(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(SETS)
    options = ("--for", "sets", "--budget", 5, "--only", "short", "--seed", 3)
    outcome = selectllm("plan", suite, "--json", *options)
    assert outcome.code == 0, outcome.err
    planned: Any = finished(
        plan_sets(suite, budgets=[5], only=["short"], seeds=[3])
    ).results.to_json()
    assert outcome.json == json.loads(json.dumps(planned))
    assert "plan for sets. Nothing was sent" in selectllm("plan", suite, *options).out


def test_the_plan_of_a_pool_is_that_of_the_job(selectllm: Command, pool_file: Path) -> None:
    outcome = selectllm("plan", pool_file, "--budget", 5, "--strategy", RATER, "--json")
    assert outcome.code == 0, outcome.err
    asked = SelectArguments(budget=5, strategy=RATER)
    assert outcome.json == json.loads(json.dumps(finished(plan(pool_file, **asked)).to_json()))
    assert RATER in selectllm("plan", pool_file, "--budget", 5, "--strategy", RATER).out


def test_nothing_is_written_or_sent(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(TWO, RATED, served(server))
    before = files()
    assert selectllm("plan", suite, *AB).code == 0
    assert files() == before
    assert server.count == 0


def test_an_unfinished_pilot_is_refused(selectllm: Command, pool_file: Path) -> None:
    suite = write_suite(RATED)
    assert selectllm("eval", suite, "-o", "pilot").code == 0
    Path("pilot/results.json").unlink()
    assert_refused(selectllm("plan", suite, "--pilot", "pilot"), "pilot", "not finished")


def test_it_stands_beside_the_everyday_verbs(selectllm: Command) -> None:
    outcome: Outcome = selectllm("--help")
    everyday = outcome.out.partition("More")[0]
    assert "plan" in everyday
