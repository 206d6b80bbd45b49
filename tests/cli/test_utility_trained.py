"""`selectllm utility student` and `validate`: values from training, and held against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from selectllm.utility.validation import read_validation
from tests.conftest import Command, Outcome, write_jsonl
from tests.downstream.student.test_training import made, one_thread
from tests.support.cli_files import assert_refused
from tests.support.student_files import rows

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one

TRAINING = (
    *("--model", "tiny", "--max-length", 128, "--epochs", 1, "--blocks", 2),
    *("--learning-rate", "1e-2", "--test", "test.jsonl"),
)
SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [
        {"name": "length", "source": "ratings", "column": "length", "kind": "proxy"},
        {"name": "noise", "source": "ratings", "column": "noise", "kind": "human"},
    ],
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [6], "seeds": [0]},
    "strategies": ["random", "longest"],
}


@pytest.fixture(autouse=True)
def workplace(selectllm: Command) -> None:
    """A tiny model, a pool whose lengths matter, test items, and a suite."""
    made(Path("tiny"))
    rng = np.random.default_rng(0)
    write_jsonl(Path("pool.jsonl"), [row | {"noise": float(rng.normal())} for row in rows(30)])
    write_jsonl(Path("test.jsonl"), rows(12, 100))
    Path("suite.yaml").write_text(json.dumps(SUITE), encoding="utf-8")


def student(selectllm: Command, *options: object) -> Outcome:
    words = ("--size", 6, "--passes", 2, "--seeds", 1, *TRAINING, *options)
    return selectllm("utility", "student", "pool.jsonl", *words)


def validate(selectllm: Command, *options: object) -> Outcome:
    words = ("--subsets", 8, *TRAINING, *options)
    return selectllm("utility", "validate", "suite.yaml", *words)


def test_values_by_training_are_told_and_a_suite_takes_them(selectllm: Command) -> None:
    outcome = student(selectllm)
    assert outcome.code == 0, outcome.err
    assert "source: import, file: pool.student.utility.jsonl" in outcome.out
    assert "10 blocks, with 1 training for each" in outcome.err
    told = student(selectllm, "--json", "--quiet")
    assert (told.err, told.json["items"], told.json["kind"]) == ("", 30, "outcome")
    entry = {"name": "student", "source": "import", "file": "pool.student.utility.jsonl"}
    suite = SUITE | {"utilities": [entry], "sets": None}
    Path("suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    outcome = selectllm("eval", "suite.yaml", "-o", "run")
    assert outcome.code == 0, outcome.err
    assert "kind: outcome" in outcome.out
    assert "unvalidated" not in outcome.out


def test_each_utility_gets_a_file_that_its_entry_can_name(selectllm: Command) -> None:
    outcome = validate(selectllm)
    assert outcome.code == 0, outcome.err
    assert "unvalidated" in outcome.out
    folder = Path("validations").resolve()
    where = f"in the suite: validation: {folder}/NAME.validation.json"
    assert outcome.out.splitlines()[-1].endswith(where)
    told = validate(selectllm, "--json").json
    for name, validation in zip(("length", "noise"), told, strict=True):
        content = json.loads(Path(f"validations/{name}.validation.json").read_text("utf-8"))
        Draft202012Validator(schema("validation")).validate(content)
        assert read_validation(Path(f"validations/{name}.validation.json")).to_json() == validation
    entries = [
        entry | {"validation": f"validations/{entry['name']}.validation.json"}
        for entry in SUITE["utilities"]
    ]
    suite = SUITE | {"utilities": entries, "sets": None}
    Path("suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    outcome = selectllm("eval", "suite.yaml", "-o", "run", "--json")
    assert outcome.code == 0, outcome.err
    known = {each["name"]: each["validation"] for each in outcome.json["utilities"]}
    assert known["length"]["subsets"] == known["noise"]["subsets"] == 8


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        (student, ("-o", "values.csv"), "-o values.csv: a utility file is JSON lines"),
        (student, ("--map", "reply=r"), "--map: there is no part of an item 'reply'"),
        (
            validate,
            ("--utility", "rating"),
            "--utility rating: the suite has no such utility. It has length, noise",
        ),
    ],
)
def test_bad_input_is_one_line(
    selectllm: Command, verb: Callable[..., Outcome], options: tuple[object, ...], said: str
) -> None:
    assert_refused(verb(selectllm, *options), said)
    assert not Path("validations").exists()
