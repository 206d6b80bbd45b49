"""`selectllm eval` as a user calls it: its table, its JSON, and what it ends with.

What an evaluation measures, asks and keeps is told by tests/jobs/test_evaluation_*.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selectllm.jobs.evaluating import evaluate
from selectllm.jobs.sync import finished
from tests.conftest import Command
from tests.support.cli_files import RATED, assert_refused, served, write_suite
from tests.support.provider_server import FAULTS, ProviderServer

BOTH = "[mock/first] -> [mock/first, mock/oracle]"


def results(folder: str = "run") -> Any:
    return json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))


def test_the_command_prints_what_the_job_gives(selectllm: Command, pool_file: Path) -> None:
    run = finished(evaluate(write_suite(RATED, BOTH), out="job"))
    told = selectllm("eval", "suite.yaml", "-o", "run")
    assert told.code == 0, told.err
    assert results() == json.loads(json.dumps(run.results.to_json()))
    for line in (
        "do not show that the picks are better than random",
        "mock/oracle: better than random picks",
    ):
        assert line in told.out
    assert selectllm("eval", "suite.yaml", "-o", "run", "--json").json == results()


def test_report_prints_the_same_tables(selectllm: Command, pool_file: Path) -> None:
    told = selectllm("eval", write_suite(RATED), "-o", "run", "--details")
    assert selectllm("report", "run").out == told.out
    brief = selectllm("eval", "suite.yaml", "-o", "run")
    assert "selectllm report run" in brief.err
    assert set(brief.out.splitlines()) < set(told.out.splitlines())
    assert selectllm("report", "run", "--json").json == results()


def test_options_reach_the_run(selectllm: Command, pool_file: Path) -> None:
    options = ("--seed", 3, "--limit", 5, "--model-arg", "temperature=1", "-o", "run")
    assert selectllm("eval", write_suite(RATED), *options).code == 0
    manifest = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["manifest"]
    assert (manifest["seed"], results()["clusters"]) == (3, 5)
    assert manifest["models"]["mock/first"]["temperature"] == 1


def test_offline_is_exit_5_with_the_command_that_records(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(RATED, served(server))
    assert_refused(
        selectllm("eval", suite, "--offline", "-o", "run"),
        *("8 of short@1 with m", "selectllm eval suite.yaml --record"),
        code=5,
    )
    record = ("--record", "pack.jsonl", "-o", "run")
    assert selectllm("eval", suite, *record).code == 0
    write_suite(RATED, served(server), "replies: pack.jsonl")
    offline = ("--offline", "--cache", "empty", "-o", "again")
    assert selectllm("eval", suite, *offline).code == 0


def test_a_failed_provider_is_exit_6_and_the_same_command_goes_on(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    server.queue(FAULTS["400"])
    suite = write_suite(RATED, served(server))
    assert_refused(
        selectllm("eval", suite, "-o", "run", "-j", 1),
        *("1 of 8 decisions could not be made", "temperature must be below 2"),
        code=6,
    )
    assert not Path("run/results.json").exists()
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert server.count == 9


def test_max_cost_is_exit_4_and_the_same_command_goes_on(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(RATED, served(server, price={"input": 100, "output": 200}, max_tokens=100))
    refused = selectllm("eval", suite, "-o", "run", "--max-cost", "0.15", "-j", 1)
    assert_refused(refused, "--max-cost 0.15 USD reached", code=4)
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert server.count == 8


def test_unpriced_models_need_leave_under_max_cost(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    suite = write_suite(RATED, served(server))
    assert_refused(selectllm("eval", suite, "--max-cost", "1"), "--allow-unpriced")
    told = selectllm("eval", suite, "--max-cost", "1", "--allow-unpriced", "--details")
    assert told.code == 0
    assert "not priced" in told.out


@pytest.mark.parametrize("more", [(), ("--api-base", "http://127.0.0.1:1/v1")])
def test_model_settings_on_the_command_line_need_one_model(
    selectllm: Command, pool_file: Path, more: tuple[str, ...]
) -> None:
    suite = write_suite("[mock/first] -> [mock/first, mock/random]")
    assert_refused(selectllm("eval", suite, "--model-arg", "temperature=1", *more), "has 2")
