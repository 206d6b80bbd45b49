"""`selectllm utility student` and `validate`: values from training, and held against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from selectllm.utility.utility_file import read_utility
from selectllm.utility.validation import read_validation
from tests.cli.test_student_compare import rows
from tests.conftest import Command, Outcome, read_jsonl, write_jsonl
from tests.downstream.student.test_training import made, one_thread
from tests.support.cli_files import assert_refused
from tests.support.made_vectors import random_vectors

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


class TestStudent:
    """Values of single items, from students trained on blocks of the pool."""

    def test_every_item_has_a_value_and_the_file_says_what_it_is(self, selectllm: Command) -> None:
        outcome = student(selectllm)
        assert outcome.code == 0, outcome.err
        utility, _ = read_utility(Path("pool.student.utility.jsonl"))
        assert len(utility.values) == 30
        assert (utility.kind, utility.source) == ("outcome", "student")
        assert utility.reliability is not None
        assert utility.cost["cpu_seconds"] > 0
        assert "source: import, file: pool.student.utility.jsonl" in outcome.out
        # Each pass is held against its own mean.
        assert sum(utility.values.values()) == pytest.approx(0, abs=1e-9)

    def test_a_suite_takes_it_as_an_outcome_that_needs_no_validation(
        self, selectllm: Command
    ) -> None:
        assert student(selectllm).code == 0
        entry = {"name": "student", "source": "import", "file": "pool.student.utility.jsonl"}
        suite = SUITE | {"utilities": [entry], "sets": None}
        Path("suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
        outcome = selectllm("eval", "suite.yaml", "-o", "run")
        assert outcome.code == 0, outcome.err
        assert "kind: outcome" in outcome.out
        assert "unvalidated" not in outcome.out

    def test_more_passes_go_on_from_those_that_are_there(self, selectllm: Command) -> None:
        assert student(selectllm).code == 0
        assert student(selectllm, "--passes", 3, "--json").code == 0
        (log,) = Path("cache/student/trials").glob("*.jsonl")
        assert len(read_jsonl(log)[1:]) == 1 + 3 * 5

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--size", 30), "blocks of 30 items leave no choice among 30"),
            (("--test", "pool.jsonl"), "30 of 30 test items are also in the pool"),
            (("-o", "values.csv"), "end the name in .jsonl"),
        ],
    )
    def test_bad_input_is_one_line(
        self, selectllm: Command, options: tuple[object, ...], said: str
    ) -> None:
        assert_refused(student(selectllm, "--quiet", *options), said)

    def test_a_pool_without_responses_is_refused(self, selectllm: Command) -> None:
        bare = [{"id": f"b{n}", "instruction": f"Ask {n}"} for n in range(12)]
        write_jsonl(Path("pool.jsonl"), bare)
        assert_refused(student(selectllm), "pool.jsonl", "response")


class TestValidate:
    """LDS: the order of random subsets by training, and by a utility's sum."""

    def test_each_utility_gets_a_file_that_its_entry_can_name(self, selectllm: Command) -> None:
        outcome = validate(selectllm, "--json")
        assert outcome.code == 0, outcome.err
        for name, told in zip(("length", "noise"), outcome.json, strict=True):
            path = Path(f"validations/{name}.validation.json")
            content = json.loads(path.read_text(encoding="utf-8"))
            Draft202012Validator(schema("validation")).validate(content)
            found = read_validation(path)
            assert found.to_json() == told
            assert (found.subsets, found.size) == (8, 6)
            assert found.lds.low is not None
        entries = [
            each | {"validation": f"validations/{each['name']}.validation.json"}
            for each in SUITE["utilities"]
        ]
        suite = SUITE | {"utilities": entries, "sets": None}
        Path("suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
        outcome = selectllm("eval", "suite.yaml", "-o", "run", "--json")
        assert outcome.code == 0, outcome.err
        known = {each["name"]: each["validation"] for each in outcome.json["utilities"]}
        assert known["length"]["subsets"] == known["noise"]["subsets"] == 8

    def test_what_training_contradicts_stays_unvalidated(self, selectllm: Command) -> None:
        outcome = validate(selectllm, "--utility", "noise")
        assert outcome.code == 0
        assert "unvalidated" in outcome.out
        assert not Path("validations/length.validation.json").exists()

    def test_subsets_are_trained_once_for_compare_and_validate(self, selectllm: Command) -> None:
        np.save("v.npy", random_vectors(30))
        sets = selectllm("sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet")
        assert sets.code == 0, sets.err
        assert validate(selectllm).code == 0
        (log,) = Path("cache/student/trials").glob("*.jsonl")
        before = len(read_jsonl(log))
        words = ("--pool", "pool.jsonl", *TRAINING, "--matched", "none")
        outcome = selectllm("student", "compare", "sets", *words)
        assert outcome.code == 0, outcome.err
        # Two sets, of random and longest; of the other random ones all were there.
        assert len(read_jsonl(log)) == before + 2 * 2

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--utility", "rating"), "--utility rating: the suite has length, noise"),
            (("--size", 31), "a random set of 31 needs as many items; there are 30"),
            (("--test", "pool.jsonl"), "30 of 30 test items are also in the pool"),
        ],
    )
    def test_bad_input_is_one_line(
        self, selectllm: Command, options: tuple[object, ...], said: str
    ) -> None:
        assert_refused(validate(selectllm, *options), said)
        assert not Path("validations").exists()

    def test_a_suite_without_utilities_has_nothing_to_validate(self, selectllm: Command) -> None:
        Path("suite.yaml").write_text(json.dumps(SUITE | {"utilities": []}), encoding="utf-8")
        assert_refused(validate(selectllm), "has no utilities to validate")
