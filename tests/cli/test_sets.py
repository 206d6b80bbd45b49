"""`selectllm sets` as a user calls it: its tables and files, what it refuses, and a killed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.jobs.session import Session
from selectllm.jobs.sets import sets as sets_job
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import AT_ONCE, assert_refused, files
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import Answer, ProviderServer, error

SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [{"name": "rating", "source": "ratings", "column": "rating"}],
    "clusters": {"by": "diverse", "size": 5},
    "sets": {"budgets": [4, 8], "seeds": [0, 1], "category": "rating", "groups": 6},
    "prompts": ["short@1"],
    "models": ["mock/first"],
    "strategies": ["random", "longest", "k-center"],
}


NOTHING = "mock/reply:none of them"


@pytest.fixture(autouse=True)
def pool(selectllm: Command) -> list[dict[str, Any]]:
    """pool.jsonl and its vectors, in the current folder: nothing here embeds."""
    np.save("v.npy", random_vectors(40))
    write_jsonl(Path("pool.jsonl"), pool_rows())
    return pool_rows()


def suite(**changes: object) -> Path:
    """SUITE with other values; a suite is YAML, and JSON is YAML."""
    file = Path("suite.yaml")
    file.write_text(json.dumps({**SUITE, **changes}), encoding="utf-8")
    return file


def sets(selectllm: Command, *options: object, **changes: object) -> Outcome:
    return selectllm("sets", suite(**changes), "--vectors", "v.npy", "-o", "out", *options)


def found(selectllm: Command, *options: object, **changes: object) -> Any:
    """What is printed as JSON, once it keeps to its schema and stands in the folder too."""
    outcome = sets(selectllm, "--json", *options, **changes)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("sets")).validate(outcome.json)
    assert outcome.json == json.loads(Path("out/sets.json").read_text("utf-8"))
    return outcome.json


def kept(folder: str = "out") -> dict[tuple[str, int, int], list[str]]:
    """The ids of every finished set."""
    rows = read_jsonl(Path(folder, "sets.jsonl"))[1:]
    return {(row["selector"], row["budget"], row["seed"]): row["ids"] for row in rows}


def served(server: ProviderServer, **more: object) -> dict[str, object]:
    return {"name": "m", "id": "openai/m", "api_base": server.base_url, **more}


# --- the sets


def test_gaps_are_told(selectllm: Command) -> None:
    name = f"short@1 + {NOTHING}"
    gap = f"{name}: 8 of 8 items were picked at random"
    assert any(gap in line for line in told(selectllm, models=[NOTHING]))


def test_the_command_writes_and_prints_what_the_job_gives(selectllm: Command) -> None:
    results = found(selectllm, "--budget", 3, "--seed", 7, "--seed", 7, "--only", "short")
    with Session(vectors=Path("v.npy")) as session:
        job = sets_job(
            suite(), out="job", session=session, budgets=[3], seeds=[7, 7], only=["short"]
        )
        assert finished(job).results.to_json() == results
    assert Path("job/sets.json").read_bytes() == Path("out/sets.json").read_bytes()
    assert kept("job") == kept("out")


# --- going on


def test_a_failing_provider_is_exit_6_and_what_is_finished_stays(
    selectllm: Command, no_waiting: None
) -> None:
    down = Answer(500, error("The server had an error."), AT_ONCE)
    failing = True
    with ProviderServer(
        respond=lambda *seen: down if failing and seen[2] >= 12 else None
    ) as server:
        outcome = sets(selectllm, "-j", 1, models=[served(server)])
        assert outcome.code == 6, outcome.err
        assert "Run the same command again" in outcome.err
        assert not Path("out/sets.json").exists()
        before = kept()
        assert ("short@1 + m", 4, 0) in before
        assert ("strategy:k-center", 8, 1) in before
        assert ("short@1 + m", 8, 1) not in before
        failing = False
        found(selectllm, models=[served(server)])
    assert before.items() <= kept().items()


def test_a_folder_of_other_sets_is_refused_and_left_alone(selectllm: Command) -> None:
    found(selectllm)
    before = files("out")
    assert_refused(sets(selectllm, "--seed", 9, "--quiet"), "out/sets.jsonl", "with different sets")
    assert files("out") == before


def test_offline_what_is_missing_is_counted_by_selector(
    selectllm: Command, server: ProviderServer
) -> None:
    outcome = sets(selectllm, "--offline", "--quiet", models=[served(server)])
    assert_refused(outcome, "8 of short@1 with m", "run: selectllm sets ", code=5)


# --- what cannot be


def test_a_strategy_that_cannot_run_is_left_out_with_its_reason(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    unable = ["rating:answered@1+mock/first", "ifd"]
    results = found(selectllm, strategies=["longest", *unable])
    reasons = {each["selector"]: each["reason"] for each in results["left_out"]}
    assert "answered@1 shows responses" in reasons["strategy:rating:answered@1+mock/first"]
    assert "needs responses" in reasons["strategy:ifd"]
    assert {row["strategy"] for row in results["sets"]} == {None, "longest"}
    outcome = sets(selectllm, strategies=["longest", *unable])
    assert "ifd was left out: ifd needs responses" in outcome.err
    assert "ifd: ifd needs responses" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        ((), {"sets": None}, ("suite demo: 'sets' is missing",)),
        (("--budget", 41), {}, ("sets.budgets: 41", "the 40 items of", "or with --budget")),
        (
            ("--only", "longst"),
            {},
            ("--only", "no selector 'longst'", "Did you mean 'strategy:longest'"),
        ),
        (("--pool", "none.jsonl"), {}, ("none.jsonl",)),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    selectllm: Command,
    options: tuple[object, ...],
    changes: dict[str, object],
    words: tuple[str, ...],
) -> None:
    assert_refused(sets(selectllm, "--quiet", *options, **changes), *words)
    assert not Path("out").exists()


# --- the tables


def told(selectllm: Command, *options: object, **changes: object) -> list[str]:
    outcome = sets(selectllm, "--quiet", *options, **changes)
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def test_there_is_a_table_for_each_budget_with_its_yardstick(selectllm: Command) -> None:
    lines = told(selectllm)
    text = " ".join(" ".join(lines).split())
    for budget in (4, 8):
        assert f"sets of {budget} from 40 items, averaged over 2 seeds" in text
        assert f"A random set of {budget} captures 0 \u00b1 0." in text
    for head in ("captured", "cosine", "Vendi", "cover", "bits", "read", "write", "near"):
        assert sum(line.strip().startswith(head) for line in lines) == 1, head
    assert "Higher is better" in text
    assert "Lower is more varied" in text


def test_tables_fit_into_a_hundred_columns(
    selectllm: Command, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = served(server, name="a-model-with-a-long-name:q4_k_m", price={"input": 9, "output": 9})
    lines = told(selectllm, models=[long], strategies=["random", "score-first:0.9:longest"])
    assert max(len(line.rstrip()) for line in lines) <= 100
    heads = next(line for line in lines if "captured" in line).split()
    assert heads == (
        "# selector captured range cosine Vendi cover bits read write calls USD self near".split()
    )


def test_columns_that_say_nothing_are_left_out(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    options = {"seeds": [0], "budgets": [4]}
    lines = told(selectllm, prompts=[], models=[], utilities=[], sets=options)
    assert next(line for line in lines if "selector" in line).split() == (
        "# selector cosine Vendi cover read near".split()
    )


def test_the_nearest_selector_is_named_by_its_number(selectllm: Command) -> None:
    lines = told(
        selectllm, "--budget", 8, strategies=["longest", "random", "score-first:1:longest"]
    )
    rows = {line.split()[1]: line.split() for line in lines if line.strip()[:1].isdigit()}
    assert rows["longest"][-2:] == ["#4", "1.00"]
    assert rows["score-first:1:longest"][-2:] == ["#2", "1.00"]


def test_markdown_has_the_tables_and_all_overlaps(selectllm: Command) -> None:
    results = found(selectllm, "--markdown", "notes/sets.md")
    text = Path("notes/sets.md").read_text("utf-8")
    assert text.startswith("## demo: sets from a pool of 40 items")
    assert text.count("| # | selector | captured |") == 2
    assert text.count("| # | selector | 1 | 2 | 3 | 4 |") == 2
    first = results["overlaps"][0]
    cells = next(
        line
        for line in text.split("How much the sets of 4 overlap")[1].splitlines()
        if "short@1" in line
    )
    assert float(cells.split("|")[4]) == pytest.approx(first["overlap"], abs=0.006)
