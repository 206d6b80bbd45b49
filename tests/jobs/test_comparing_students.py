"""Every selector's set trained and held against random sets, by value."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.cli import main
from selectllm.jobs.comparing_students import compare_students
from selectllm.jobs.sync import finished
from selectllm.jobs.training_options import ComparedSets, TrialSettings
from tests.conftest import read_jsonl, write_jsonl
from tests.downstream.student.test_training import one_thread
from tests.support.forked import TRAINING, fork
from tests.support.jobs import Heard, fails
from tests.support.student_files import rows, tiny, trial_files

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """A folder with sets of four selectors; its cache keeps what was trained."""
    folder = trial_files(tmp_path_factory.mktemp("compared"))
    with contextlib.chdir(folder):
        words = ["sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet"]
        assert main([*words, "--cache", "cache"]) == 0
    return Heard(folder)


@pytest.fixture(scope="module")
def content(heard: Heard) -> Any:
    """compare.json of all sets."""
    return compared(heard)


def comparing(heard: Heard, **named: Any) -> Any:
    """The job. Settings of trials and of the student are told by their names."""
    of_trials = {n: named.pop(n) for n in ("test", "dev", "seeds", "jobs") if n in named}
    of_student = {n: named.pop(n) for n in ("model", "learning_rate") if n in named}
    session = heard.session(**({"cache": named.pop("cache")} if "cache" in named else {}))
    return compare_students(
        Path("sets"),
        ComparedSets(**({"pool": "pool.jsonl"} | named)),
        TrialSettings(**({"test": "test.jsonl"} | of_trials)),
        replace(tiny(heard.folder, epochs=1), **of_student),
        session=session,
    )


def compared(heard: Heard, **named: Any) -> Any:
    result = finished(comparing(heard, **named))
    kept = heard.folder / result.folder / "compare.json"
    assert result.results.to_json() == json.loads(kept.read_text("utf-8"))
    return result.results.to_json()


def trials(cache: Path) -> list[dict[str, Any]]:
    """The finished trials in a cache, of the newest log."""
    paths = sorted(
        (cache / "student/trials").glob("*.jsonl"), key=lambda path: path.stat().st_mtime
    )
    return read_jsonl(paths[-1])[1:]


def test_every_set_is_trained_with_every_seed_beside_random_and_matched_ones(
    heard: Heard, content: Any
) -> None:
    by_role: dict[str, list[str]] = {}
    for row in content["sets"]:
        by_role.setdefault(row["role"], []).append(row["arm"])
        assert list(row["runs"]["per_token"]) == ["0", "1"]
    assert len(by_role["random"]) == 8  # the two of the strategy among them
    assert sorted(set(by_role["selector"])) == sorted(set(by_role["matched"]))
    assert "strategy:longest" in by_role["selector"]
    longest = {s["role"]: s for s in content["sets"] if s["arm"] == "strategy:longest"}
    learned = [longest[role]["learned_tokens"] for role in ("matched", "selector")]
    assert learned[0] == pytest.approx(learned[1], rel=0.15)
    count = 1 + len({s["sha256"] for s in content["sets"]}) * 2
    assert len(trials(heard.folder / "cache")) == count


def test_a_rerun_trains_nothing_and_gains_are_told_both_ways(heard: Heard, content: Any) -> None:
    before = trials(heard.folder / "cache")
    again = compared(heard, primary="per_item", out=Path("again"))
    assert trials(heard.folder / "cache") == before
    assert (content["primary"], again["primary"]) == ("per_token", "per_item")
    assert again["sets"] == content["sets"]
    for by in ("per_token", "per_item"):
        gains = [row["gain"][by] for row in content["sets"]]
        assert min(gains) > 0
        assert max(gains) < content["base_loss"][by]
        for row in content["sets"]:
            assert row["gain"][by] == pytest.approx(np.mean([*row["runs"][by].values()]))


def test_more_seeds_and_random_sets_are_added_to_what_is_there(
    heard: Heard, tmp_path: Path
) -> None:
    named: dict[str, Any] = {"only": ("strategy:first",), "matched": ("none",), "cache": tmp_path}
    few = compared(heard, seeds=1, random=2, out=tmp_path / "few", **named)
    first = trials(tmp_path)
    more = compared(heard, seeds=2, random=3, out=tmp_path / "more", **named)
    assert trials(tmp_path)[: len(first)] == first
    assert len(more["sets"]) > len(few["sets"])


TWO_AT_A_TIME = """
import multiprocessing, sys
from selectllm.cli import main
if sys.argv[1] == "fork":  # torch is loaded here and has not worked yet
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method: fork
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("how", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_two_at_a_time_give_the_same_numbers(
    heard: Heard, content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.chdir(heard.folder)
    settings = ("--model", "tiny", "--max-length", 128, "--blocks", 2, "--learning-rate", 1e-2)
    of_set = ("--only", "strategy:first", "--random", 2, "--matched", "none", "--seeds", 1)
    data = ("--pool", "pool.jsonl", "--test", "test.jsonl", "--epochs", 1, "--jobs", 2)
    words = ("student", "compare", "sets", *data, *settings, *of_set)
    places = ("--cache", tmp_path, "-o", tmp_path / "out", "--json")
    two = fork("-c", TWO_AT_A_TIME, how, *words, *places, loads=TRAINING)
    assert two.wait() == 0, two.err
    one = {row["sha256"]: row for row in content["sets"]}
    for row in json.loads(two.out)["sets"]:
        for by in ("per_token", "per_item"):  # other threads add up in another order
            there = one[row["sha256"]]["runs"][by]["0"]
            assert row["runs"][by]["0"] == pytest.approx(there, rel=1e-3)


def test_the_learning_rate_can_be_chosen_on_dev_items(heard: Heard, tmp_path: Path) -> None:
    named: dict[str, Any] = {"random": 2, "only": ("strategy:first",), "matched": ("none",)}
    named["cache"] = tmp_path / "cache"
    found = compared(
        heard, dev="dev.jsonl", learning_rate=None, seeds=1, out=tmp_path / "out", **named
    )
    choice = found["learning_rate"]
    best = min(choice["losses"], key=lambda rate: choice["losses"][rate] or np.inf)
    assert float(best) == choice["rate"] == found["config"]["learning_rate"]
    assert f"The learning rate is {choice['rate']:g}, chosen on 6 dev items." in heard.notes


def test_agreement_with_the_utilities_is_told_with_what_length_alone_foretells(
    content: Any,
) -> None:
    (row,) = content["agreement"]["per_token"]
    assert row["name"] == "length"
    assert row["agreement"]["status"] == "ok"
    assert len(row["agreement"]["arms"]) == 4
    for figure in ("spearman", "kendall", "decisions", "partial", "tokens"):
        assert set(row["agreement"][figure]) == {"value", "p", "low", "high"}
    assert 0 <= row["agreement"]["ceiling"] <= 1


@pytest.mark.parametrize(
    ("named", "words", "argument"),
    [
        ({"dev": "dev.jsonl"}, "`dev` chooses the learning rate", "learning_rate"),
        ({"budget": 7}, "`budget` 7: ", "budget"),
        ({"only": ("strategy:best",)}, "strategy:best: ", "only"),
        ({"matched": ("strategy:best",)}, "sets has no such selector. It has ", "matched"),
        (
            {"matched": ("none", "strategy:first")},
            "`matched` names none and selectors as well",
            "matched",
        ),
        ({"pool": "test.jsonl"}, "which has other items", "pool"),
        ({"model": "./nowhere"}, "./nowhere", None),
        (
            {"learning_rate": -1},
            "`learning_rate` must be a number above 0, not -1",
            "learning_rate",
        ),
        ({"test": "bare.jsonl"}, "'x'", "columns"),
    ],
)
def test_what_cannot_be_compared_is_named_and_nothing_is_written(
    heard: Heard, named: dict[str, Any], words: str, argument: str | None, tmp_path: Path
) -> None:
    bare = [*rows(3, 100), {"id": "x", "instruction": "Say x"}]
    write_jsonl(heard.folder / "bare.jsonl", bare)
    fails(comparing(heard, out=tmp_path / "out", **named), words, argument=argument)
    assert not (tmp_path / "out").exists()


def test_sets_of_several_sizes_need_a_budget(heard: Heard, tmp_path: Path) -> None:
    folder = Heard(tmp_path / "several")
    shutil.copytree(heard.folder, folder.folder, ignore=shutil.ignore_patterns("cache", "sets"))
    suite = json.loads((folder.folder / "suite.yaml").read_text("utf-8"))
    suite["sets"] |= {"budgets": [4, 6], "seeds": [0]}
    (folder.folder / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    with contextlib.chdir(folder.folder):
        words = ["sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet"]
        assert main([*words, "--cache", "cache"]) == 0
    fails(
        comparing(folder),
        "contains sets of several sizes: 4, 6. Choose one with `budget`",
        argument="budget",
    )
