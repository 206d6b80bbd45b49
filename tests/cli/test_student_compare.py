"""`selectllm student compare`: every selector's set trained, and held against random sets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from selectllm.cli import main
from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome
from tests.downstream.student.test_training import one_thread
from tests.support import forked
from tests.support.cli_files import assert_refused
from tests.support.student_files import trial_files

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one

TRAINING = ("--model", "tiny", "--max-length", 128, "--epochs", 1, "--blocks", 2)
RATE = ("--learning-rate", "1e-2")
FEW = ("--only", "strategy:first", "--random", 3, "--matched", "none")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a pool with responses, test and dev items, and sets of four selectors."""
    folder = trial_files(tmp_path_factory.mktemp("ready"))
    with contextlib.chdir(folder):
        words = ["sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet"]
        assert main([*words, "--cache", "cache"]) == 0
    return folder


@pytest.fixture(autouse=True)
def workplace(selectllm: Command, ready: Path) -> None:
    """The same in the current folder, with the cache that goes with it."""
    shutil.copytree(ready, ".", dirs_exist_ok=True)


def compare(selectllm: Command, *options: object) -> Outcome:
    places = ("--pool", "pool.jsonl", "--test", "test.jsonl")
    rate = () if "--dev" in options or "--learning-rate" in options else RATE
    return selectllm("student", "compare", "sets", *places, *TRAINING, *rate, *options)


def begun(*options: str) -> forked.Forked:
    """A comparison in a process of its own."""
    words = ["student", "compare", "sets", "--pool", "pool.jsonl", "--test", "test.jsonl"]
    words += [*map(str, (*TRAINING, *RATE, *FEW)), *options]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return forked.selectllm(*words, env=env, loads=forked.TRAINING)


def test_a_dry_run_counts_the_trainings_that_are_due_and_makes_none(selectllm: Command) -> None:
    planned = compare(selectllm, *FEW, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    trials = planned.json["trials"]
    sets = 1 + 3  # of first, and random ones
    assert (trials["trainings"], trials["epochs"], trials["tests"]) == (sets * 2, 1, 12)
    assert trials["tokens"] > 0 < trials["seconds"]
    assert not Path("sets/students").exists()
    assert compare(selectllm, *FEW).code == 0
    assert compare(selectllm, *FEW, "--dry-run", "--json").json["trials"]["trainings"] == 0
    rated = compare(selectllm, *FEW, "--dry-run", "--json", "--dev", "dev.jsonl").json
    assert rated["learning rate"]["trainings"] == 5
    assert rated["trials"]["trainings"] == sets * 2


def test_killed_it_goes_on_where_it_was(selectllm: Command) -> None:
    process = begun("--cache", "killed")
    folder = Path("killed/student/trials")
    until = time.monotonic() + 300
    while time.monotonic() < until and sum(len(read(p)) for p in folder.glob("*.jsonl")) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (log,) = folder.glob("*.jsonl")
    kept = read(log)
    assert len(kept) >= 3
    outcome = compare(selectllm, *FEW, "--cache", "killed", "--json")
    assert outcome.code == 0, outcome.err
    assert read(log)[: len(kept)] == kept
    whole = compare(selectllm, *FEW, "--cache", "other", "--json")
    assert outcome.json["sets"] == whole.json["sets"]


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
    assert process.wait() == 2
    told = process.err
    assert "One of 2 trainings that ran at the same time was killed" in told
    assert "Lower --jobs or --max-length" in told
    assert "Traceback" not in told
    assert compare(selectllm, *FEW, "--cache", "killed").code == 0


def read(path: Path) -> list[str]:
    """Whole lines only."""
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def test_the_table_says_what_was_gained_and_by_what_noise(selectllm: Command) -> None:
    outcome = compare(selectllm, "--seeds", 1, "--matched", "strategy:first")
    assert outcome.code == 0, outcome.err
    for word in ("per token", "per item", "over random", "over matched", "reliability", "8 random"):
        assert word in outcome.out
    assert "in sets/students." in outcome.err
    content = json.loads(Path("sets/students/compare.json").read_text("utf-8"))
    Draft202012Validator(schema("compare")).validate(content)
    again = compare(selectllm, "--seeds", 1, "--matched", "strategy:first", "--json")
    assert again.json == content


def test_too_few_random_sets_are_no_yardstick(selectllm: Command) -> None:
    outcome = compare(selectllm, "--random", 2, "--seeds", 1, "--matched", "none")
    assert outcome.code == 0
    assert "no verdict: 2 random sets are too few for a verdict; train 8 or more" in outcome.out
    assert "better" not in outcome.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget", 7), "--budget 7: sets contains no sets of that size, only of 6"),
        (("--only", "strategy:best"), "strategy:best: sets has no such selector"),
        (
            ("--matched", "none", "--matched", "strategy:first"),
            "--matched names none and selectors as well",
        ),
        (("--pool", "test.jsonl"), "Name the pool that they were selected from, with its --map"),
        (("--dev", "dev.jsonl", *RATE), "--dev chooses the learning rate"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    selectllm: Command, options: tuple[object, ...], said: str
) -> None:
    outcome = compare(selectllm, *options)
    assert_refused(outcome, said)
    assert not Path("sets/students").exists()
