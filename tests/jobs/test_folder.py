"""`folder`: what every relative path of a job is relative to, the suite's as well."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import SuiteError, UsageError
from selectllm.jobs.comparing import aa
from selectllm.jobs.gating import keep_baseline
from selectllm.jobs.planning import plan_sets
from selectllm.jobs.sets import sets
from selectllm.jobs.sync import finished
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite

Job = Callable[..., Coroutine[Any, Any, Any]]
ARMS = {"a": "mock/first", "b": "strategy:longest"}
CALLS: dict[str, tuple[Job, dict[str, Any]]] = {
    "aa": (aa, {"prompt": "short@1", "model": "mock/first"}),
    "ab": (sl.ab_async, ARMS),
    "evaluate": (sl.evaluate_async, {}),
    "plan": (sl.plan_async, {}),
    "plan of an ab": (sl.plan_async, {"kind": "ab", **ARMS}),
    "plan_sets": (plan_sets, {}),
    "regress": (sl.regress_async, {"baseline": "base.json"}),
    "sets": (sets, {}),
    "swap": (sl.swap_async, {"from_": "mock/first", "to": "mock/random"}),
}
"""Every job that takes a suite, but `optimize`."""


@pytest.fixture
def work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite, its pool and a baseline in a folder that is not the current one."""
    monkeypatch.chdir(folder)
    write_jsonl(Path("pool.jsonl"), pool_rows(10))
    models = "[mock/first] -> [mock/first, mock/random]"
    write_suite(RATED, models, "strategies: [longest]", "sets: {budgets: [4]}")
    keep_baseline(sl.evaluate("suite.yaml", out="first").folder, Path("base.json"))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [Path, str])
def test_a_suite_is_looked_for_in_the_folder(
    work: Path, name: str, kind: Callable[[Path], Path | str]
) -> None:
    job, arguments = CALLS[name]
    out: dict[str, Any] = {} if name.startswith("plan") else {"out": "run"}
    finished(job("suite.yaml", folder=kind(work), **arguments, **out))
    assert (work / "run").is_dir() == bool(out)
    assert list(Path.cwd().iterdir()) == []


def test_a_search_looks_for_its_suite_there(work: Path) -> None:
    (work / "mine").mkdir()
    with pytest.raises(UsageError, match="`grid` tries values"):
        sl.optimize("suite.yaml", grid=True, model="mock/first", prompts="mine", folder=work)


@pytest.mark.parametrize("name", CALLS)
def test_without_a_folder_it_is_the_current_one(work: Path, name: str) -> None:
    job, arguments = CALLS[name]
    with pytest.raises(SuiteError, match=r"suite\.yaml"):
        finished(job("suite.yaml", **arguments))


def test_an_absolute_path_is_that_wherever_the_folder_is(work: Path) -> None:
    assert sl.plan(work / "suite.yaml", folder=Path.cwd()).calls == 4
