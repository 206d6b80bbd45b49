"""Results by key and as tables: as their JSON has them, a row for each thing in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError


def test_results_read_by_key_as_their_file_does(folder: Path) -> None:
    run = sl.evaluate("suite.yaml", out="run")
    written = json.loads(Path("run/results.json").read_bytes())
    assert run.results["pairs"] == written["pairs"]
    assert run.results["pairs"][0]["prompt"] == run.results.pairs[0].prompt
    assert dict(run.results) == written
    assert set(run.results.keys()) == set(written)
    assert "pairs" in run.results
    assert "paris" not in run.results
    with pytest.raises(KeyError, match="paris"):
        run.results["paris"]


def test_a_plan_reads_by_the_names_of_its_json(folder: Path) -> None:
    plan = sl.plan("suite.yaml")
    assert plan.results["for"] == "eval"
    assert plan.results["total"]["calls"] == plan.calls


def test_a_verdict_and_a_gate_are_tables_of_verdicts(folder: Path) -> None:
    verdict = sl.ab("suite.yaml", a="random", b="oracle", out="run")
    rows = verdict.to_polars().to_dicts()
    assert [(row["a"], row["b"], row["word"]) for row in rows] == [
        (verdict.a, verdict.b, verdict.word)
    ]
    assert len(verdict.to_pandas("decisions")) == len(verdict.run.decisions)


def test_a_plan_is_a_table_of_what_is_asked(folder: Path) -> None:
    plan = sl.plan("suite.yaml")
    table = plan.to_polars()
    assert table["model"].to_list() == ["oracle", "random"]
    assert table["calls"].sum() == plan.calls
    assert plan.to_pandas().shape == table.shape


def test_a_selection_is_a_table_of_items_or_of_decisions(folder: Path) -> None:
    chosen = sl.select("pool.jsonl", budget=4, prompt="short@1", model="mock/first")
    assert chosen.to_polars()["id"].to_list() == [item.id for item in chosen.items]
    decisions = chosen.to_polars("decisions")
    assert decisions["status"].to_list() == [decision.status for decision in chosen.decisions]
    with pytest.raises(UsageError, match="no table") as caught:
        chosen.to_polars("verdicts")  # type: ignore[arg-type]
    assert caught.value.argument == "rows"
