"""The workspace that `init` makes: the pool it recognises, a gate that works, nothing replaced."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from selectllm.core.errors import PoolError
from selectllm.evaluation.suite import load_suite
from selectllm.evaluation.suite_columns import suite_pool
from selectllm.jobs.session import Session
from selectllm.jobs.starter_files import SUITE, WORKFLOW
from selectllm.jobs.starting import Started, make_workspace
from selectllm.jobs.sync import finished
from selectllm.prompting.library import check
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import files
from tests.support.jobs import fails


@pytest.fixture(autouse=True)
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def started(folder: str = "work", pool: str | None = None, **columns: str) -> Started:
    return finished(make_workspace(Path(folder), pool, columns))


def test_a_new_workspace_is_whole_and_its_prompts_are_released() -> None:
    started()
    assert {path.name for path in Path("work").iterdir()} == {"prompts", "eval", "cache", ".github"}
    assert "\n* -text\n" in Path("work/prompts/.gitattributes").read_text("utf-8")
    assert "baselines/** -text" in Path("work/eval/.gitattributes").read_text("utf-8")
    assert Path("work/eval/.gitignore").read_text("utf-8") == "runs/\n"
    assert Path("work/cache/.gitignore").read_text("utf-8").startswith("*\n")
    assert Path("work/eval/suites/quickstart.yaml").is_file()
    assert Path("work/eval/data/quickstart.jsonl").is_file()
    assert check(Path("work/prompts")) == []
    assert Session("work").workspace.root == Path("work").resolve()


def test_its_suite_is_a_gate_of_the_newest_prompts_on_the_quickstarts_pool() -> None:
    made = started()
    suite = load_suite(Path("work") / SUITE)
    assert (len(suite_pool(suite)), suite.prompts) == (180, ("short@latest", "criteria@latest"))
    assert [(u.name, u.kind, u.rater) for u in suite.utilities] == [
        ("rating", "model", "a language model")
    ]
    assert "180 items" in made.recognised
    assert made.rated


def test_a_pool_of_ones_own_is_recognised_and_lies_in_the_workspace() -> None:
    with Path("my pool.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["prompt", "context", "Score of quality", "status"])
        writer.writerows([f"Say {n}: é", "in", str(n % 4), "open"] for n in range(12))
    made = started(pool="my pool.csv")
    for seen in (
        "12 items",
        "prompt (as instruction)",
        "context (as input)",
        "Score of quality (as rating)",
    ):
        assert seen in made.recognised
    suite = load_suite(Path("work") / SUITE)
    assert suite.pool == "../data/my pool.csv"
    assert suite_pool(suite).items[3].instruction == "Say 3: é"
    assert suite.clusters.size == 6
    assert not Path("work/eval/suites/quickstart.yaml").exists()


def test_columns_that_are_mapped_stand_in_the_suite() -> None:
    rows = [{"q": {"text": f"Say {n}."}, "length": n} for n in range(4)]
    write_jsonl(Path("rows.jsonl"), rows)
    with pytest.raises(PoolError, match=r"'instruction': 'q\.text'"):
        started(pool="rows.jsonl")
    assert list(files()) == ["rows.jsonl"]
    made = started(".", pool="rows.jsonl", instruction="q.text")
    suite = load_suite(Path(SUITE))
    assert (suite.pool, suite.columns) == ("../../rows.jsonl", {"instruction": "q.text"})
    assert [item.instruction for item in suite_pool(suite).items[:2]] == ["Say 0.", "Say 1."]
    assert (suite.clusters.size, suite.picks) == (2, 1)
    assert not made.rated
    assert suite.utilities == ()
    assert "plan" in made.commands[0]
    assert "utility ask" in made.commands[2]


def test_a_column_that_holds_one_number_or_gaps_is_no_rating() -> None:
    rows = [{"instruction": f"Say {n}.", "score": 1, "rating": None} for n in range(4)]
    rows[0]["rating"] = 3
    assert not started(pool=str(write_jsonl(Path("rows.jsonl"), rows))).rated


def test_a_pool_without_a_choice_is_refused() -> None:
    write_jsonl(Path("rows.jsonl"), pool_rows(2))
    fails(make_workspace(Path("work"), "rows.jsonl"), "2 items", argument="pool", kind=PoolError)
    assert list(files()) == ["rows.jsonl"]


@pytest.mark.parametrize("taken", ["eval/mine.txt", WORKFLOW])
def test_nothing_that_exists_is_overwritten(taken: str) -> None:
    (Path("work") / taken).parent.mkdir(parents=True)
    (Path("work") / taken).write_text("mine", encoding="utf-8")
    before = files("work")
    named = taken if taken == WORKFLOW else "eval"
    fails(make_workspace(Path("work")), f"work: {named} exist already and are not overwritten")
    assert files("work") == before


def test_what_is_beside_it_stays() -> None:
    Path("work/.github/workflows").mkdir(parents=True)
    for name in (".gitignore", ".github/workflows/mine.yml", "README.md"):
        (Path("work") / name).write_text("mine", encoding="utf-8")
    before = files("work")
    started()
    assert files("work").items() >= before.items()


def test_its_workflow_is_yaml_that_names_what_is_there() -> None:
    started()
    workflow = yaml.safe_load(Path("work", WORKFLOW).read_text("utf-8"))
    runs = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    assert any(run.startswith("pip install selectllm==") for run in runs)
    assert any(f"selectllm regress {SUITE} " in run for run in runs)


def test_inside_a_repository_the_workflow_is_not_where_github_looks() -> None:
    Path(".git").mkdir()
    assert started("work").elsewhere == Path.cwd()
    assert started(".").elsewhere is None


def test_what_has_to_be_installed_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selectllm.jobs.starting.missing", lambda *extras: ("local",))
    assert started().first[0] == 'pip install "selectllm[local]"'
    assert json.dumps(started("other").first).count("selectllm[local]") == 1
