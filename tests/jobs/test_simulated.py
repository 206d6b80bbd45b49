"""Simulated pickers of known skill in runs, and the verdicts that `make demo` shows of them."""

from __future__ import annotations

from pathlib import Path

import selectllm as sl
from selectllm.jobs.gating import keep_baseline
from selectllm.stats.interval import Interval
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite

SUITES = Path(__file__).parents[2] / "eval" / "suites"
SKILLS = (0.0, 0.25, 0.5, 0.75, 1.0)


def captured(run: sl.Evaluation, model: str) -> Interval:
    interval = run.captured("short@1", model)
    assert interval is not None
    return interval


def test_a_run_captures_what_the_skill_says(folder: Path) -> None:
    write_jsonl(folder / "pool.jsonl", pool_rows(600))
    models = ", ".join(f"'mock/skill:{skill}'" for skill in SKILLS)
    run = sl.evaluate(write_suite(RATED, f"[mock/first] -> [{models}]"))
    measured = [captured(run, f"mock/skill:{skill}") for skill in SKILLS]
    for skill, interval in zip(SKILLS, measured, strict=True):
        assert interval.low <= skill <= interval.high
    assert measured == sorted(measured, key=lambda interval: interval.estimate)
    assert measured[-1].estimate == 1


def test_the_suites_of_the_demo_show_what_a_difference_looks_like(folder: Path) -> None:
    before, after = SUITES / "simulated.yaml", SUITES / "simulated-after.yaml"
    compared = sl.ab(before, "careless", "skilled", out="ab")
    assert compared.word == "better"
    assert compared.details.clusters >= 50
    assert captured(compared.run, "skilled").low < 0.9 < captured(compared.run, "skilled").high
    assert captured(compared.run, "careless").low < 0.2 < captured(compared.run, "careless").high
    assert sl.swap(before, "skilled", "careless", out="swap").word == "not safe"
    keep_baseline(Path("ab"), folder / "base.json")
    gate = sl.regress(after, baseline="base.json", out="regress")
    assert [verdict["word"] for verdict in gate.verdicts] == ["fail", "pass"]
