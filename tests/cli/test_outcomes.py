"""Results of training elsewhere, from `export` to `utility import` and `utility agree`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused
from tests.support.made_vectors import random_vectors

STRATEGIES = ("random", "longest", "shortest", "first", "has-input")
ARMS = [*(f"strategy:{name}" for name in STRATEGIES), "short@1 + mock/first"]
SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [
        {"name": "rating", "source": "ratings", "column": "rating"},
        {"name": "near", "source": "import", "file": "near.csv", "kind": "proxy"},
    ],
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [4, 8], "seeds": [0, 1], "groups": 6},
    "prompts": ["short@1"],
    "models": ["mock/first"],
    "strategies": STRATEGIES,
}
SCORES = dict(zip(ARMS, (0.40, 0.35, 0.45, 0.50, 0.30, 0.42), strict=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pool.jsonl, the finished `sets` and what was exported of them as `out`."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(autouse=True)
def sets(selectllm: Command, finished: Path) -> None:
    """That folder's content, in the current folder."""
    if not any(finished.iterdir()):
        np.save("v.npy", random_vectors(40))
        write_jsonl(Path("pool.jsonl"), pool_rows())
        values = (f"{row['id']},{number * 7 % 40}" for number, row in enumerate(pool_rows()))
        Path("near.csv").write_text("\n".join(["id,value", *values]), encoding="utf-8")
        Path("suite.yaml").write_text(json.dumps(SUITE), encoding="utf-8")
        made = selectllm("sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet")
        assert made.code == 0, made.err
        exported = selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "out")
        assert exported.code == 0, exported.err
        shutil.copytree(".", finished, dirs_exist_ok=True)
    else:
        shutil.copytree(finished, ".", dirs_exist_ok=True)


def rows(metric: str = "acc", budget: int = 4, **more: Any) -> list[dict[str, Any]]:
    """Two runs of every arm, near its score."""
    return [
        {
            "arm": arm,
            "budget": budget,
            "seed": seed,
            "benchmark": "mmlu",
            "metric": metric,
            "value": score + 0.01 * seed,
            **more,
        }
        for arm, score in SCORES.items()
        for seed in (0, 1)
    ]


def import_(selectllm: Command, found: list[dict[str, Any]], *options: object) -> Outcome:
    write_jsonl(Path("found.jsonl"), found)
    return selectllm("utility", "import", "found.jsonl", "--export", "out", *options)


def agree(selectllm: Command, *options: object) -> Outcome:
    return selectllm("utility", "agree", "sets", "--results", "results.jsonl", *options)


# --- utility import --export


def test_what_was_read_is_told_and_kept(selectllm: Command) -> None:
    outcome = import_(selectllm, [*rows(), *rows("loss", higher_is_better=False)])
    assert outcome.code == 0, outcome.err
    first, arms, budgets, acc, loss, then = outcome.out.splitlines()
    assert "results.jsonl has 24 results of 12 runs" in first
    assert ", ".join(sorted(ARMS)) in arms
    assert " 4 " in budgets
    assert all("mmlu" in line for line in (acc, loss))
    assert ("acc" in acc, "loss" in loss) == (True, True)
    assert outcome.err.startswith("Note: 12 of 24 exported sets have no result: ")
    assert then == "Next, run: selectllm utility agree SETS_FOLDER --results results.jsonl"
    header, *kept = read_jsonl(Path("results.jsonl"))
    assert len(kept) == header["results"]["rows"] == 24
    for line in (header, *kept):
        Draft202012Validator(schema("outcomes")).validate(line)


def test_what_was_read_is_told_as_json_or_without_notes(selectllm: Command) -> None:
    found = [*rows(), *rows("loss", higher_is_better=False)]
    outcome = import_(selectllm, found, "--json", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    told = outcome.json
    assert len(told.pop("without_result")) == 12
    assert told == {
        "file": "results.jsonl",
        "results": 24,
        "runs": 12,
        "arms": sorted(ARMS),
        "budgets": [4],
        "metrics": {"acc": ["mmlu"], "loss": ["mmlu"]},
        "unsettled": 0,
        "exported": 24,
    }
    assert import_(selectllm, found, "--quiet").err == ""


def test_a_file_of_one_model_is_of_the_arm_that_is_named(selectllm: Command) -> None:
    content = {
        "config": {"model_args": "pretrained=/models/mine"},
        "results": {"arc": {"acc,none": 0.25, "acc_stderr,none": 0.01}},
        "higher_is_better": {"arc": {"acc": True}},
    }
    Path("results_1.json").write_text(json.dumps(content), encoding="utf-8")
    of = ("--arm", "strategy:longest", "--budget", 8, "--seed", 1, "--training-seed", 7)
    asked = ("utility", "import", "results_1.json", "--export", "out", "-o", "mine.jsonl")
    assert_refused(selectllm(*asked), "results_1.json", "which set")
    assert_refused(selectllm(*asked), "('/models/mine', 'models', 'mine')", "--arm, --budget and")
    outcome = selectllm(*asked, *of)
    assert outcome.code == 0, outcome.err
    _, found = read_jsonl(Path("mine.jsonl"))
    named = (found["arm"], found["budget"], found["seed"], found["training_seed"])
    assert named == ("strategy:longest", 8, 1, 7)
    assert found["value"] == 0.25


# --- utility agree


def test_the_table_has_every_figure_with_what_limits_it(selectllm: Command) -> None:
    import_(selectllm, rows())
    outcome = agree(selectllm)
    assert outcome.code == 0, outcome.err
    for words in (
        "demo: acc on mmlu, of 12 runs with sets of 4 items",
        "rating (kind: human; unvalidated), item by item: unknown (no reliability)",
        "rating (kind: human; unvalidated), 6 arms",
        "near (kind: proxy; unvalidated), 6 arms",
        "Spearman",
        "tokens alone",
        "given tokens",
        "rating (kind: human; unvalidated): 1.00 (the reliability of the outcomes 1.00",
        "6 arms: no interval below 8",
        "2 were looked at",
    ):
        assert words in outcome.out


def test_what_is_named_is_looked_at(selectllm: Command) -> None:
    other = [{**row, "value": -row["value"]} for row in rows(benchmark="arc")]
    import_(selectllm, [*rows(), *other, *rows(budget=8)])
    named = ("--budget", 4, "--benchmark", "arc", "--utility", "near", "--metric", "acc")
    found = agree(selectllm, "--json", *named, "--export", "out").json
    assert [row["name"] for row in found["agreement"]] == ["near"]
    assert (found["benchmarks"], found["budget"]) == (["arc"], 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--utility", "ratings"), "no utility 'ratings'. Did you mean 'rating'?"),
        (("--export", "chat"), "--export chat: the results belong to another export"),
    ],
)
def test_what_is_not_there_is_refused(
    selectllm: Command, options: tuple[object, ...], words: str
) -> None:
    selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "chat", "--layout", "chat")
    import_(selectllm, rows())
    assert_refused(agree(selectllm, *options), words)


class TestUntrained:
    """Arms whose models score below the model before training."""

    def untrained(self, value: float, **changes: Any) -> Path:
        row = {"arm": "base", "benchmark": "mmlu", "metric": "acc", "value": value, **changes}
        return write_jsonl(Path("base.jsonl"), [row])

    def test_arms_below_it_are_named(self, selectllm: Command) -> None:
        assert import_(selectllm, rows()).code == 0
        before = ("--untrained-results", self.untrained(0.41))
        told = agree(selectllm, *before, "--json").json["untrained"]
        below = {arm: 0.41 - score - 0.005 for arm, score in SCORES.items() if score < 0.4}
        below["strategy:random"] = 0.005
        assert told["score"] == pytest.approx(0.41)
        assert told["below"] == pytest.approx(below)
        assert told["clearly"] == ["strategy:has-input"]
        shown = agree(selectllm, *before)
        assert "has-input" in shown.out
        assert "untrained" not in agree(selectllm, "--json").json

    def test_results_of_several_models_are_refused(self, selectllm: Command) -> None:
        assert import_(selectllm, rows()).code == 0
        outcome = agree(selectllm, "--untrained-results", "found.jsonl")
        assert_refused(outcome, "found.jsonl", "models")

    def test_results_on_other_benchmarks_are_refused(self, selectllm: Command) -> None:
        assert import_(selectllm, rows()).code == 0
        file = self.untrained(0.41, benchmark="arc")
        assert agree(selectllm, "--untrained-results", file).code == 2
