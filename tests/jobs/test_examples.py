"""The examples by which the Python API was designed run as they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import selectllm as sl
from selectllm.evaluation.comparison.schema import Needed
from selectllm.jobs.gating import keep_baseline
from selectllm.selection.strategies import Candidates
from selectllm.stats.interval import Interval
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite
from tests.support.provider_server import ProviderServer

QUICKSTART = (
    "demo -> quickstart",
    "pool: pool.jsonl -> pool: ../pool.jsonl",
    "[short@1] -> [short@1, criteria@1]",
    "mock/first -> {name: local/smollm2-135m, id: mock/random}",
)
MODEL = "local/smollm2-135m"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a pool, and suites of a scripted model, here and below eval/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", str(tmp_path / "cache"))
    for folder in (tmp_path, tmp_path / "eval"):
        write_jsonl(folder / "pool.jsonl", pool_rows(150))
        write_suite(RATED, *QUICKSTART, path=folder / "suites/quickstart.yaml")
    return tmp_path


def test_selecting(
    workspace: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    chosen = sl.select(
        "pool.jsonl",
        budget=60,
        prompt="criteria@1",
        model="openai/gpt-4o-mini",
        by="random",
        max_cost=2.0,
    )
    assert len(chosen.items) == 60
    place = {row["id"]: number for number, row in enumerate(pool_rows(150))}
    assert [place[item.id] for item in chosen.items] == sorted(place[i.id] for i in chosen.items)
    assert isinstance(chosen.filled, int)
    assert 0 < chosen.spent_usd < 2
    assert not Path("pool.selected.jsonl").exists()
    chosen.write("pool.selected.jsonl")
    assert len(Path("pool.selected.jsonl").read_text(encoding="utf-8").splitlines()) == 60


def shortest(candidates: Candidates, k: int) -> Sequence[int]:
    """Positions of the items with the shortest instructions."""
    lengths = [len(item.instruction) for item in candidates.items]
    return [int(place) for place in np.argsort(lengths, kind="stable")[:k]]


def test_selecting_from_memory_by_a_strategy_of_ones_own(workspace: Path) -> None:
    rows = pool_rows(150)
    chosen = sl.select(sl.Pool.from_records(rows), budget=100, strategy="k-center")
    assert len(chosen) == 100
    my_strategy = sl.Strategy("shortest-instruction", shortest)
    few = sl.select(sl.Pool.from_records(rows), budget=3, strategy=my_strategy)
    assert {len(item.instruction) for item in few.items} <= set(
        sorted(len(row["instruction"]) for row in rows)[:3]
    )


def test_evaluating_in_a_session(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sl.Session("eval", offline=True, notes=print) as session:
        run = session.evaluate("suites/quickstart.yaml")
        captured = run.captured("short@1", MODEL, utility="rating")
        assert captured is not None
        assert captured.low < captured.estimate
        assert isinstance(run.decisions, tuple)
        assert isinstance(run.results.to_json(), Mapping)
        assert run.folder.is_dir()
        assert "short@1" in run._repr_html_()
    once = sl.evaluate("eval/suites/quickstart.yaml", offline=True)
    assert once.results == run.results


def test_comparing(workspace: Path) -> None:
    verdict = sl.ab(
        "suites/quickstart.yaml", a="short@1", b="criteria@1", design="sequential", limit=6
    )
    assert verdict.word == "inconclusive"
    assert isinstance(verdict.difference, Interval)
    assert isinstance(verdict.needed, Needed | None)


def test_a_gate(workspace: Path) -> None:
    run = sl.evaluate("suites/quickstart.yaml", out="run")
    keep_baseline(run.folder, Path("baselines/gate.json"))
    gate = sl.regress("suites/quickstart.yaml", baseline="baselines/gate.json")
    assert gate.passed, gate.text


def test_planning(workspace: Path) -> None:
    with sl.Session(offline=True) as session:
        plan = session.plan("suites/quickstart.yaml", kind="ab", a="short@1", b=["criteria@1"])
    assert plan.calls == 2 * 30
    assert plan.usd == 0


def test_inside_a_running_loop(workspace: Path) -> None:
    async def page(request: str) -> str:
        async with sl.Session(offline=True) as session:
            run = await session.evaluate_async("suites/quickstart.yaml")
        return run.report("html")

    assert "quickstart" in asyncio.run(page("/"))
