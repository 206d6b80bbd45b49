"""Simulated pickers of known skill in runs, and the verdicts that `make demo` shows of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scipy.stats import binomtest

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


SEEDS = range(20)


def compared(skills: tuple[float, float], seed: int, way: str = "short@1") -> str:
    """The word of `ab` on pickers of these skills, in other clusters and draws for every seed."""
    return sl.ab(_pickers(skills, seed, way), "a", "b", out=f"ab-{seed}").word


def _pickers(skills: tuple[float, float], seed: int, way: str = "short@1") -> Path:
    entries = ", ".join(
        f'{{"name": "{name}", "id": "mock/skill:{skill},first:0.1,invalid:0.05"}}'
        for name, skill in zip("ab", skills, strict=True)
    )
    smaller = ("size: 5 -> size: 4", "picks: 2 -> picks: 1", f"seed: {seed}")
    return write_suite(RATED, f"mock/first -> {entries}", f"short@1 -> {way}", *smaller)


def test_from_prompt_to_verdict_a_difference_is_found_as_often_as_planned(folder: Path) -> None:
    """The plan says which difference is found in 80 of 100 comparisons; here it is there."""
    write_jsonl(folder / "pool.jsonl", pool_rows(400))
    left = (1 - 0.1) * (1 - 0.05)  # of a skill, by the faults
    sl.ab(_pickers((0.3, 0.7), 1000), "a", "b", out="pilot")
    suite = _pickers((0.3, 0.7), 0)
    ahead = sl.plan(suite, kind="ab", a="a", b="b", pilot="pilot").results.to_json()
    detectable = ahead["power"]["detectable"]
    assert ahead["spread"]["source"] == "pilot"
    skills = (0.3, 0.3 + detectable / left)
    words = Counter(compared(skills, seed) for seed in SEEDS)
    assert binomtest(words["better"], len(SEEDS), 0.8).pvalue > 0.005, words
    assert words["worse"] == 0


def test_from_prompt_to_verdict_equal_pickers_are_told_apart_as_rarely_as_stated(
    folder: Path,
) -> None:
    write_jsonl(folder / "pool.jsonl", pool_rows(400))
    words = Counter(compared((0.5, 0.5), seed) for seed in SEEDS)
    wrong = words["better"] + words["worse"]
    assert binomtest(wrong, len(SEEDS), 0.05, alternative="greater").pvalue > 0.005, words
