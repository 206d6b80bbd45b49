"""`selectllm export`: training files of selected sets, their manifest and recipe."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator

from selectllm.data.pool import load_pool
from selectllm.models.tokens import estimate_tokens
from selectllm.report.schemas import schema
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, files
from tests.support.made_vectors import random_vectors

SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [4, 8], "seeds": [0, 1], "groups": 6},
    "prompts": ["short@1"],
    "models": ["mock/first"],
    "strategies": ["random", "longest"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pool.jsonl and, in `sets`, what every selector selected of it."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(autouse=True)
def sets(selectllm: Command, finished: Path) -> list[dict[str, Any]]:
    """That folder's content, in the current folder; returns the finished sets."""
    if any(finished.iterdir()):
        shutil.copytree(finished, ".", dirs_exist_ok=True)
    else:
        np.save("v.npy", random_vectors(40))
        write_jsonl(Path("pool.jsonl"), pool_rows())
        made(selectllm)
        shutil.copytree(".", finished, dirs_exist_ok=True)
    return read_jsonl(Path("sets/sets.jsonl"))[1:]


def made(selectllm: Command, folder: str = "sets", **changes: object) -> None:
    Path("suite.yaml").write_text(json.dumps({**SUITE, **changes}), encoding="utf-8")
    outcome = selectllm("sets", "suite.yaml", "--vectors", "v.npy", "-o", folder, "--quiet")
    assert outcome.code == 0, outcome.err


def exported(selectllm: Command, *options: object) -> Any:
    """The manifest, once it keeps to its schema and stands in the folder too."""
    outcome = selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "out", "--json", *options)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("export")).validate(outcome.json)
    assert outcome.json == json.loads(Path("out/manifest.json").read_text("utf-8"))
    return outcome.json


def rows_of(path: str) -> list[Any]:
    text = Path("out", path).read_text(encoding="utf-8")
    found: list[Any] = json.loads(text) if path.endswith(".json") else read_jsonl(Path("out", path))
    return found


# --- what is written


def test_every_set_is_written_in_every_layout(
    selectllm: Command, sets: list[dict[str, Any]]
) -> None:
    manifest = exported(selectllm)
    pool = load_pool(Path("pool.jsonl")).pool
    assert (manifest["pool_sha256"], manifest["suite"]) == (pool.sha256, "demo")
    described = {(row["arm"], row["budget"], row["seed"]): row for row in manifest["sets"]}
    assert described.keys() == {(row["selector"], row["budget"], row["seed"]) for row in sets}
    assert len({row["name"] for row in manifest["sets"]}) == len(sets) == 12
    for made in sets:
        row = described[made["selector"], made["budget"], made["seed"]]
        items = [pool.by_id[item] for item in made["ids"]]
        assert rows_of(row["files"]["alpaca"]["path"]) == [
            {"instruction": i.instruction, "input": i.input, "output": i.response} for i in items
        ]
        assert rows_of(row["files"]["chat"]["path"]) == [
            {
                "messages": [
                    {"role": "user", "content": item.text},
                    {"role": "assistant", "content": item.response},
                ]
            }
            for item in items
        ]
        assert rows_of(row["files"]["sharegpt"]["path"]) == [
            {
                "conversations": [
                    {"from": "human", "value": item.text},
                    {"from": "gpt", "value": item.response},
                ]
            }
            for item in items
        ]


def test_the_manifest_counts_and_hashes(selectllm: Command) -> None:
    for row in exported(selectllm)["sets"]:
        items = rows_of(row["files"]["alpaca"]["path"])
        assert row["items"] == len(items) == row["budget"]
        assert row["tokens"]["written"] == sum(estimate_tokens(each["output"]) for each in items)
        assert row["tokens"]["read"] >= sum(estimate_tokens(each["instruction"]) for each in items)
        for file in row["files"].values():
            content = Path("out", file["path"]).read_bytes()
            assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_pool_reads_what_was_exported(selectllm: Command) -> None:
    row = exported(selectllm)["sets"][0]
    read = [
        [(item.text, item.response) for item in load_pool(Path("out", file["path"])).pool.items]
        for file in row["files"].values()
    ]
    assert len({frozenset(items) for items in read}) == 1


def test_text_is_kept_as_it_is(selectllm: Command) -> None:
    odd = 'Quote "this"\nand \u2028 that \U0001f600'
    write_jsonl(Path("pool.jsonl"), [{**row, "response": odd} for row in pool_rows()])
    made(selectllm, "sets2")
    outcome = selectllm("export", "sets2", "--pool", "pool.jsonl", "-o", "out", "--json")
    rows = rows_of(outcome.json["sets"][0]["files"]["alpaca"]["path"])
    assert {row["output"] for row in rows} == {odd}


def test_only_the_layouts_asked_for_are_written(selectllm: Command) -> None:
    manifest = exported(selectllm, "--layout", "chat")
    assert manifest["layouts"] == ["chat"]
    folders = {Path(name).parts[1] for name in files("out")}
    assert folders == {"chat", "manifest.json", "recipe.yaml"}


def test_the_recipe_says_what_the_paper_did_and_asks_what_was_done(selectllm: Command) -> None:
    manifest = exported(selectllm)
    recipe = yaml.safe_load(Path("out/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["pool_sha256"] == manifest["pool_sha256"]
    assert "2401.16553" in recipe["suggested"]["source"]
    assert recipe["suggested"]["lora"] == {"r": 64, "alpha": 16, "dropout": 0.1, "bias": "none"}
    assert (recipe["suggested"]["learning_rate"], recipe["suggested"]["epochs"]) == (2e-4, 20)
    assert not any(recipe["used"].values())


def test_a_selection_is_exported_as_one_set(selectllm: Command) -> None:
    options = ("--prompt", "short@1", "--model", "mock/first", "--by", "random")
    for number, by in enumerate((options, ("--strategy", "longest"))):
        out = f"s{number}.jsonl"
        select = ("select", "pool.jsonl", "--budget", 6, "--seed", 5, "-o", out, "--quiet")
        assert selectllm(*select, *by).code == 0
        outcome = selectllm("export", out, "-o", f"out{number}", "--json")
        assert outcome.code == 0, outcome.err
        Draft202012Validator(schema("export")).validate(outcome.json)
        (row,) = outcome.json["sets"]
        arm = "strategy:longest" if number else "short@1 + mock/first"
        assert (row["arm"], row["budget"], row["seed"], row["items"]) == (arm, 6, 5, 6)
        assert outcome.json["pool_sha256"] == load_pool(Path("pool.jsonl")).pool.sha256
        assert outcome.json["suite"] is None


# --- again


def test_a_rerun_changes_nothing_and_keeps_the_recipe(selectllm: Command) -> None:
    exported(selectllm)
    Path("out/recipe.yaml").write_text("used: {epochs: 3}\n", encoding="utf-8")
    before = files("out")
    exported(selectllm)
    assert files("out") == before
    assert not [path for path in Path().iterdir() if path.name.startswith(".out")]


@pytest.mark.parametrize("change", ["other", "edited", "removed", "stranger"])
def test_a_folder_that_holds_something_else_is_refused(selectllm: Command, change: str) -> None:
    if change == "stranger":
        Path("out").mkdir()
        Path("out/notes.txt").write_text("mine", encoding="utf-8")
    else:
        file = Path("out", exported(selectllm)["sets"][0]["files"]["chat"]["path"])
        if change == "edited":
            file.write_text("{}", encoding="utf-8")
        if change == "removed":
            file.unlink()
    before = files()
    layout = ("--layout", "chat") if change == "other" else ()
    outcome = selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "out", *layout)
    assert_refused(outcome, "out holds something else already", "-o")
    assert files() == before


def test_an_empty_folder_may_be_there(selectllm: Command) -> None:
    Path("out").mkdir()
    assert len(exported(selectllm)["sets"]) == 12


# --- bad input


def test_items_without_a_response_need_to_be_wanted(selectllm: Command) -> None:
    rows = [{**row, "response": None if n % 2 else "  "} for n, row in enumerate(pool_rows())]
    write_jsonl(Path("pool.jsonl"), rows)
    made(selectllm, "bare")
    call = ("export", "bare", "--pool", "pool.jsonl", "-o", "out")
    refused = selectllm(*call)
    assert_refused(refused, "selected items have no response", "--unanswered")
    assert not Path("out").exists()
    outcome = selectllm(*call, "--unanswered", "--json")
    assert outcome.code == 0, outcome.err
    row = outcome.json["sets"][0]
    assert row["unanswered"] == row["items"]
    assert {each["output"].strip() for each in rows_of(row["files"]["alpaca"]["path"])} == {""}


def test_another_pool_is_refused(selectllm: Command) -> None:
    others = [{**row, "instruction": f"Do {row['id']}."} for row in pool_rows()]
    write_jsonl(Path("pool.jsonl"), others)
    outcome = selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "out")
    assert_refused(outcome, "sets: its sets were not selected from", "pool.jsonl, which has other")
    assert not Path("out").exists()


def test_an_unfinished_run_is_refused(selectllm: Command) -> None:
    log = Path("sets/sets.jsonl")
    whole = log.read_text(encoding="utf-8")
    log.write_text("".join(whole.splitlines(keepends=True)[:-2]), encoding="utf-8")
    call = ("export", "sets", "--pool", "pool.jsonl", "-o", "out")
    assert_refused(selectllm(*call), "2 of 12 sets are not finished")
    log.write_text(whole, encoding="utf-8")
    Path("sets/sets.json").unlink()
    assert_refused(selectllm(*call), "sets is not finished")
    log.write_text('{"manifest": {}}\n', encoding="utf-8")
    Path("sets/sets.json").write_text("{}", encoding="utf-8")
    assert_refused(selectllm(*call), "damaged")


def test_selectors_that_were_left_out_are_not_missed(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    made(selectllm, "part", strategies=["random", "ifd"])
    pool = ("--pool", "pool.jsonl", "--unanswered")
    outcome = selectllm("export", "part", *pool, "-o", "out", "--json")
    assert outcome.code == 0, outcome.err
    assert {row["arm"] for row in outcome.json["sets"]} == {
        "short@1 + mock/first",
        "strategy:random",
    }


def test_what_is_no_source_is_refused(selectllm: Command) -> None:
    out = ("-o", "out")
    assert_refused(selectllm("export", "nowhere", *out), "nowhere does not exist")
    assert_refused(selectllm("export", "sets", *out), "Name the pool", "--pool FILE")
    pool = ("--pool", "pool.jsonl")
    assert_refused(selectllm("export", "cache", *pool, *out), "holds no sets.jsonl")
    assert_refused(
        selectllm("export", "pool.jsonl", *pool, *out), "--pool: pool.jsonl already contains"
    )
    assert_refused(selectllm("export", "pool.jsonl", *out), "pool.jsonl.decisions.jsonl is not")


def test_a_selection_that_was_changed_is_refused(selectllm: Command) -> None:
    select = ("select", "pool.jsonl", "--budget", 3, "--strategy", "first", "-o", "s.jsonl")
    assert selectllm(*select, "--quiet").code == 0
    rows = read_jsonl(Path("s.jsonl"))
    write_jsonl(Path("s.jsonl"), [*rows, pool_rows()[30]])
    assert_refused(selectllm("export", "s.jsonl", "-o", "out"), "4 items, of which 1 were not")
