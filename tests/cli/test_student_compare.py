"""`selectllm student compare`: every selector's set trained, and held against random sets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, read_jsonl, write_jsonl
from tests.downstream.student.test_training import items, made, one_thread
from tests.support.cli_files import assert_refused
from tests.support.made_vectors import random_vectors

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one

SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [{"name": "length", "source": "ratings", "column": "length", "kind": "proxy"}],
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [6], "seeds": [0, 1], "groups": 4},
    "strategies": ["random", "longest", "shortest", "first"],
}
TRAINING = ("--model", "tiny", "--max-length", 128, "--epochs", 1, "--blocks", 2)
RATE = ("--learning-rate", "1e-2")


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    found = items(count, start)
    return [
        {
            "id": item.id,
            "instruction": item.instruction,
            "input": item.input,
            "response": item.response,
            "length": len(item.response or ""),
        }
        for item in found
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `workplace` copies: made by the first test that needs it."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(autouse=True)
def workplace(selectllm: Command, finished: Path) -> None:
    """A tiny model, a pool with responses, test and dev items, and sets of four selectors.

    The cache has the trials of a whole comparison, so that only other ones are trained.
    """
    if not any(finished.iterdir()):
        make_workplace(selectllm)
        assert compare(selectllm, "--quiet").code == 0
        shutil.rmtree("sets/students")
        shutil.copytree(".", finished, dirs_exist_ok=True)
    else:
        shutil.copytree(finished, ".", dirs_exist_ok=True)


def make_workplace(selectllm: Command) -> None:
    made(Path("tiny"))
    np.save("v.npy", random_vectors(40))
    write_jsonl(Path("pool.jsonl"), rows(40))
    write_jsonl(Path("test.jsonl"), rows(12, 100))
    write_jsonl(Path("dev.jsonl"), rows(6, 200))
    Path("suite.yaml").write_text(json.dumps(SUITE), encoding="utf-8")
    outcome = selectllm("sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet")
    assert outcome.code == 0, outcome.err


def compare(selectllm: Command, *options: object) -> Outcome:
    places = ("--pool", "pool.jsonl", "--test", "test.jsonl")
    rate = () if "--dev" in options or "--learning-rate" in options else RATE
    return selectllm("student", "compare", "sets", *places, *TRAINING, *rate, *options)


def compared(selectllm: Command, *options: object) -> Any:
    """compare.json, once it keeps to its schema and stands in the folder too."""
    outcome = compare(selectllm, "--json", *options)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("compare")).validate(outcome.json)
    assert outcome.json == json.loads(Path("sets/students/compare.json").read_text("utf-8"))
    return outcome.json


def trials() -> list[dict[str, Any]]:
    """The finished trials in the cache."""
    (path,) = Path("cache/student/trials").glob("*.jsonl")
    return read_jsonl(path)[1:]


def test_every_set_is_trained_with_every_seed_beside_random_and_matched_ones(
    selectllm: Command,
) -> None:
    found = compared(selectllm)
    by_role: dict[str, list[str]] = {}
    for each in found["sets"]:
        by_role.setdefault(each["role"], []).append(each["arm"])
        assert list(each["runs"]["per_token"]) == ["0", "1"]
    assert len(by_role["random"]) == 8  # the two of the strategy among them
    assert sorted(set(by_role["selector"])) == sorted(set(by_role["matched"]))
    assert "strategy:longest" in by_role["selector"]
    longest = {s["role"]: s for s in found["sets"] if s["arm"] == "strategy:longest"}
    learned = [longest[role]["learned_tokens"] for role in ("matched", "selector")]
    assert learned[0] == pytest.approx(learned[1], rel=0.15)
    assert len(trials()) == 1 + len({s["sha256"] for s in found["sets"]}) * 2


def test_what_is_trained_gains_and_gains_are_told_both_ways(selectllm: Command) -> None:
    found = compared(selectllm, "--primary", "per-item")
    assert found["primary"] == "per_item"
    for by in ("per_token", "per_item"):
        gains = [each["gain"][by] for each in found["sets"]]
        assert min(gains) > 0
        assert max(gains) < found["base_loss"][by]
        for each in found["sets"]:
            assert each["gain"][by] == pytest.approx(np.mean([*each["runs"][by].values()]))


def test_a_rerun_trains_nothing_and_gives_the_same_bytes(selectllm: Command) -> None:
    before = trials()
    compared(selectllm)
    results = Path("sets/students/compare.json").read_bytes()
    compared(selectllm)
    assert (Path("sets/students/compare.json").read_bytes(), trials()) == (results, before)


def test_more_seeds_and_random_sets_are_added_to_what_is_there(selectllm: Command) -> None:
    shutil.rmtree("cache/student/trials")
    compared(selectllm, "--seeds", 1, "--random", 4, "--only", "strategy:first")
    first = trials()
    results = compared(selectllm)
    assert trials()[: len(first)] == first
    assert len(results["sets"]) > 8


def test_two_at_a_time_give_the_same_numbers(selectllm: Command) -> None:
    one = compared(selectllm, "--random", 4, "--matched", "none")
    two = compared(selectllm, "--random", 4, "--matched", "none", "--jobs", 2, "--cache", "other")
    for a, b in zip(one["sets"], two["sets"], strict=True):
        assert a["sha256"] == b["sha256"]
        for by in ("per_token", "per_item"):  # other threads add up in another order
            assert b["runs"][by] == pytest.approx(a["runs"][by], rel=1e-3)


def begun(*options: str) -> subprocess.Popen[str]:
    """A comparison in a process of its own."""
    words = ["student", "compare", "sets", "--pool", "pool.jsonl", "--test", "test.jsonl"]
    words += [*map(str, (*TRAINING, *RATE)), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "selectllm", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_it_goes_on_where_it_was(selectllm: Command) -> None:
    process = begun("--cache", "killed")
    folder = Path("killed/student/trials")
    until = time.monotonic() + 300
    while time.monotonic() < until and sum(len(read(p)) for p in folder.glob("*.jsonl")) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (log,) = folder.glob("*.jsonl")
    kept = read(log)
    assert len(kept) >= 3
    outcome = compare(selectllm, "--cache", "killed", "--json")
    assert outcome.code == 0, outcome.err
    assert read(log)[: len(kept)] == kept
    assert outcome.json["sets"] == compared(selectllm)["sets"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes as Linux does")
def test_a_training_that_the_system_kills_is_one_clear_error(selectllm: Command) -> None:
    process = begun("--cache", "killed", "--jobs", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[int] = []
    until = time.monotonic() + 300
    while not workers and time.monotonic() < until and process.poll() is None:
        found = map(int, children.read_text("utf-8").split())
        workers = [
            pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        time.sleep(0.02)
    os.kill(workers[0], signal.SIGKILL)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "one of 2 trainings at a time was killed" in told
    assert "lower --jobs or --max-length" in told
    assert "Traceback" not in told
    assert compare(selectllm, "--cache", "killed").code == 0


def read(path: Path) -> list[str]:
    """Whole lines only."""
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def test_the_learning_rate_can_be_chosen_on_dev_items(selectllm: Command) -> None:
    found = compared(selectllm, "--dev", "dev.jsonl", "--random", 2, "--matched", "none")
    choice = found["learning_rate"]
    best = min(choice["losses"], key=lambda rate: choice["losses"][rate] or np.inf)
    assert float(best) == choice["rate"] == found["config"]["learning_rate"]


def test_agreement_with_the_utilities_is_told_with_what_length_alone_foretells(
    selectllm: Command,
) -> None:
    found = compared(selectllm)
    (row,) = found["agreement"]["per_token"]
    assert row["name"] == "length"
    assert row["agreement"]["status"] == "ok"
    assert len(row["agreement"]["arms"]) == 4
    for figure in ("spearman", "kendall", "decisions", "partial", "tokens"):
        assert set(row["agreement"][figure]) == {"value", "p", "low", "high"}
    assert 0 <= row["agreement"]["ceiling"] <= 1


def test_too_few_random_sets_are_no_yardstick(selectllm: Command) -> None:
    outcome = compare(selectllm, "--random", 4, "--matched", "none")
    assert outcome.code == 0
    assert "no verdict: 4 random sets are too few for a verdict; train 8 or more" in outcome.out
    assert "better" not in outcome.out


def test_the_table_says_what_was_gained_and_by_what_noise(selectllm: Command) -> None:
    told = compare(selectllm).out
    for word in ("per token", "per item", "over random", "over matched", "reliability", "8 random"):
        assert word in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--test", "pool.jsonl"), "40 of 40 test items are also in the pool"),
        (("--dev", "test.jsonl"), "12 of 12 test items are also in the dev items"),
        (("--budget", 7), "--budget 7: sets has sets of 6"),
        (("--only", "strategy:best"), "strategy:best: sets has no such selector"),
        (("--pool", "test.jsonl"), "which has other items"),
        (("--model", "./nowhere"), "./nowhere"),
        (("--learning-rate", "-1"), "learning_rate is -1.0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    outcome = compare(selectllm, *options)
    assert_refused(outcome, said)
    assert not Path("sets/students").exists()


def test_test_items_without_a_response_are_refused(selectllm: Command) -> None:
    write_jsonl(Path("test.jsonl"), [*rows(3, 100), {"id": "x", "instruction": "Say x"}])
    assert_refused(compare(selectllm), "'x'")
