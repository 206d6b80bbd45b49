"""regress: a gate's result, and the former door to it."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import RunError
from selectllm.jobs.gating import keep_baseline
from tests.support.cli_files import RATED, write_suite

ORACLE = "mock/first -> {name: m, id: mock/oracle}"
RANDOM = "mock/first -> {name: m, id: mock/random}"
FEW = "size: 5} -> size: 5, limit: 6}"


@pytest.fixture
def baseline(folder: Path) -> Path:
    """What an oracle called m picked."""
    write_suite(RATED, ORACLE)
    keep_baseline(sl.evaluate("suite.yaml").folder, folder / "base.json")
    return folder / "base.json"


def test_the_same_picks_pass(baseline: Path) -> None:
    gate = sl.regress("suite.yaml", baseline="base.json")
    assert gate.passed
    assert not gate.inconclusive
    assert [verdict["word"] for verdict in gate.verdicts] == ["pass"]
    assert gate.text.startswith("PASS  short@1 + m")
    assert gate.folder == gate.run.folder
    assert gate._repr_html_().startswith("<pre")


def test_chance_instead_of_an_oracle_fails(baseline: Path) -> None:
    write_suite(RATED, RANDOM)
    gate = asyncio.run(sl.regress_async("suite.yaml", baseline))
    assert not gate.passed
    assert not gate.inconclusive
    assert gate.text.startswith("FAIL")
    assert "junit" not in gate.run.report("markdown")
    assert gate.run.report("junit").startswith("<?xml")


def test_a_baseline_of_another_suite_is_refused(baseline: Path) -> None:
    write_suite(RATED, ORACLE, "picks: 2 -> picks: 1")
    with pytest.raises(RunError, match="picks is 1 and was 2"):
        sl.regress("suite.yaml", baseline="base.json")


def test_a_gate_works_inside_a_running_loop(baseline: Path) -> None:
    async def test() -> bool:
        with sl.Session() as session:
            return session.regress("suite.yaml", baseline="base.json").passed

    assert asyncio.run(test())


def test_the_former_gate_works_and_names_the_new_one(baseline: Path) -> None:
    testing = importlib.import_module("selectllm.testing")
    with pytest.warns(DeprecationWarning, match=r"selectllm\.regress"):
        gate = testing.gate("suite.yaml", "base.json")
    assert gate.passed
    assert isinstance(gate, testing.GateResult)
