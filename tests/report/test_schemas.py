"""The JSON Schemas that ship: as the types say, true of files, and closed to what is none."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from selectllm.core.types import Attempt
from selectllm.evaluation.suite import load_suite
from selectllm.report.schemas import NAMES, generated, schema
from tests.support.written_by_0_1_0 import GOLDEN

SHA256 = "ab" * 32
ROOT = Path(__file__).parents[2]

BY_FILE = {
    "run.json": "run",
    "clusters.json": "clusters",
    "baseline.json": "baseline",
    "results.json": "results",
    "sets.json": "sets",
    "utilities.jsonl": "utilities",
    "decisions.jsonl": "decision",
    "chosen.jsonl.decisions.jsonl": "decision",
    "spread.jsonl.decisions.jsonl": "decision",
    "chosen.jsonl": "selection",
    "spread.jsonl": "selection",
    "replies.jsonl": "pack",
}
FILES = sorted(
    path.relative_to(GOLDEN).as_posix()
    for path in GOLDEN.rglob("*.json*")
    if path.name in BY_FILE and "search" not in path.parts
)

RATINGS = {
    "ratings": {
        "format": 1,
        "suite": "demo",
        "pool_sha256": SHA256,
        "range": [1.0, 5.0],
        "raters": ["Ann", "Bo"],
        "items": 3,
        "asked": 3,
        "differing": False,
        "alpha": -0.25,
        "rater_noise": None,
        "reliability": 0.5,
    }
}
UTILITY = {
    "utility": {
        "format": 1,
        "name": "near",
        "source": "knn",
        "kind": "proxy",
        "rater": None,
        "reliability": None,
        "range": [0, 1.5],
        "higher_is_better": True,
        "pool_sha256": SHA256,
        "rows": 3,
        "cost": {"cpu_seconds": 1},
        "sha256": SHA256,
    }
}


def valid(name: str, content: Any) -> bool:
    return bool(Draft202012Validator(schema(name)).is_valid(content))


def documents(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(each) for each in (text.splitlines() if path.suffix == ".jsonl" else [text])]


def of_golden(file: str, line: int = 0) -> Any:
    return documents(GOLDEN / file)[line]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Every schema as the types say it is."""
    return generated()


def test_every_schema_is_generated(made: dict[str, Any]) -> None:
    assert made.keys() == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_what_the_types_say(name: str, made: dict[str, Any]) -> None:
    assert schema(name) == made[name], "run: python -m selectllm.report.schemas"
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("file", FILES)
def test_files_of_the_first_release_keep_to_them(file: str) -> None:
    path = GOLDEN / file
    validator = Draft202012Validator(schema(BY_FILE[path.name]))
    found = documents(path)
    assert found
    for content in found:
        validator.validate(content)


SUITES = sorted((*(ROOT / "eval" / "suites").glob("*.yaml"), *(GOLDEN / "suites").glob("*.yaml")))
SHORT = """\
name: demo
pool: pool.jsonl
structured: off
prompts: [short@1]
models: [mock/first, {id: mock/first, name: again, vote: {orders: 3}}]
strategies: [random]
"""


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.name)
def test_every_suite_that_ships_keeps_to_the_schema(path: Path) -> None:
    Draft202012Validator(schema("suite")).validate(yaml.safe_load(path.read_text("utf-8")))


def test_a_suite_may_say_models_by_their_ids_and_off_without_quotes(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SHORT, encoding="utf-8")
    assert [spec.name for spec in load_suite(path).specs()] == ["mock/first", "again"]
    assert valid("suite", yaml.safe_load(SHORT))
    for wrong in ({"models": [3]}, {"models": [""]}, {"models": [{"name": "a"}]}, {"more": 1}):
        assert not valid("suite", yaml.safe_load(SHORT) | wrong)


@pytest.mark.parametrize(
    "file",
    [
        *("README.md", "eval/README.md", ".github/CONTRIBUTING.md"),
        *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
    ],
)
def test_the_suites_that_are_shown_keep_to_the_schema(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    for block in re.findall(r"```yaml(?: file=[^\n]+)?\n(.*?)```", text, flags=re.DOTALL):
        content = {"name": "shown", "pool": "pool.jsonl"} | yaml.safe_load(block)
        if "jobs" not in content and "script" not in (content.get("gate") or {}):  # of a suite
            Draft202012Validator(schema("suite")).validate(content)


def test_every_format_has_a_file_of_the_first_release() -> None:
    assert {BY_FILE[Path(file).name] for file in FILES} == {*BY_FILE.values()}


def test_an_attempt_has_the_fields_of_its_type_and_lacks_only_those_with_a_default() -> None:
    attempt = schema("decision")["$defs"]["Attempt"]
    assert attempt["properties"].keys() == {field.name for field in fields(Attempt)}
    needed = {each.name for each in fields(Attempt) if each.default is MISSING}
    assert {*attempt["required"]} == needed


Change = Callable[[Any], object]
RUN = "runs/ab/run.json"
DECISIONS = "runs/ab/decisions.jsonl"
CLUSTERS = "runs/ab/clusters.json"
UTILITIES = "runs/ab/utilities.jsonl"


@pytest.mark.parametrize(
    ("name", "content", "change"),
    [
        ("run", of_golden(RUN), lambda run: run.pop("versions")),
        ("run", of_golden(RUN), lambda run: run.update(more=1)),
        ("run", of_golden(RUN), lambda run: run["manifest"].pop("picks")),
        ("run", of_golden(RUN), lambda run: run["manifest"].update(baseline_sha256="ab")),
        ("run", of_golden(RUN), lambda run: run["manifest"]["comparison"].update(kind="eval")),
        ("run", of_golden(RUN), lambda run: run["manifest"].update(measures=None)),
        ("run", of_golden(RUN), lambda run: run["pool"].update(path=None)),
        ("clusters", of_golden(CLUSTERS), lambda file: file.update(format=2)),
        ("clusters", of_golden(CLUSTERS), lambda file: file["clusters"][0].update(group=None)),
        ("clusters", of_golden(CLUSTERS), lambda file: file["clusters"][0].update(members=[])),
        (
            "clusters",
            of_golden(CLUSTERS),
            lambda file: file["clusters"][0].update(members=["a"] * 2),
        ),
        ("utilities", of_golden(UTILITIES), lambda first: first["utilities"][0].update(kind="x")),
        ("utilities", of_golden(UTILITIES), lambda first: first["utilities"][0].update(range=[1])),
        (
            "utilities",
            of_golden(UTILITIES),
            lambda first: first["utilities"][0].update(validation=None),
        ),
        ("utilities", of_golden(UTILITIES, 1), lambda line: line["values"].update(rating="5")),
        ("decision", of_golden(DECISIONS), lambda first: first.update(manifest_sha256="")),
        ("decision", of_golden(DECISIONS, 1), lambda line: line.update(status="fine")),
        ("decision", of_golden(DECISIONS, 1), lambda line: line.update(cluster=-1)),
        ("decision", of_golden(DECISIONS, 1), lambda line: line.update(ranking=None)),
        ("decision", of_golden(DECISIONS, 1), lambda line: line.update(more=1)),
        ("decision", of_golden(DECISIONS, 1), lambda line: line.pop("shown")),
        ("pack", of_golden("replies.jsonl"), lambda line: line["reply"].update(seconds=-1)),
        ("pack", of_golden("replies.jsonl"), lambda line: line["reply"].pop("cost_usd")),
        ("pack", of_golden("replies.jsonl"), lambda line: line.update(key="ab")),
        ("selection", of_golden("chosen.jsonl"), lambda line: line.pop("_selectllm")),
        ("selection", of_golden("chosen.jsonl"), lambda line: line["_selectllm"].update(more=1)),
        ("baseline", of_golden("baseline.json"), lambda file: file.update(entries=[])),
        ("baseline", of_golden("baseline.json"), lambda file: file["settings"].update(picks=0)),
        (
            "baseline",
            of_golden("baseline.json"),
            lambda file: file["entries"][0]["clusters"][0]["decisions"][0].__setitem__(2, "error"),
        ),
        (
            "baseline",
            of_golden("baseline.json"),
            lambda file: file["entries"][0]["clusters"][0].update(gain=1.5),
        ),
        ("ratings", RATINGS, lambda first: first["ratings"].update(raters=["Ann", "Ann"])),
        ("ratings", RATINGS, lambda first: first["ratings"].update(alpha=1.5)),
        ("ratings", RATINGS, lambda first: first["ratings"].update(range=None)),
        ("ratings", {"id": "a", "value": 2, "ratings": {"Ann": 2}}, lambda row: row.update(id="")),
        (
            "ratings",
            {"id": "a", "value": 2, "ratings": {"Ann": 2}},
            lambda row: row.update(ratings={}),
        ),
        ("utility_file", UTILITY, lambda first: first["utility"].update(higher_is_better=False)),
        ("utility_file", UTILITY, lambda first: first["utility"].update(reliability=2)),
        ("utility_file", UTILITY, lambda first: first["utility"].update(rows=0)),
        ("utility_file", {"id": "a", "value": 1}, lambda row: row.update(value=None)),
    ],
)
def test_what_is_no_such_file_is_refused(name: str, content: Any, change: Change) -> None:
    assert valid(name, content)
    changed = copy.deepcopy(content)
    change(changed)
    assert not valid(name, changed)
