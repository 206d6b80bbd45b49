"""`selectllm utility knn` and `ifd`, and judgements of pairs: computed, kept, named in a suite."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from selectllm.data.pool import load_pool
from selectllm.selection.scorers.language_model import load_language_model
from selectllm.selection.scorers.likelihood import ifd_scores
from selectllm.utility.ifd import worth
from selectllm.utility.utility_file import read_utility
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.selection.scorers.test_likelihood import HashModel
from tests.support.cli_files import assert_refused, write_suite

NAMED = "Add to the suite's utilities: "


@pytest.fixture(autouse=True)
def pool(selectllm: Command, pool_file: Path) -> Path:
    """pool.jsonl, and test.jsonl with five other items."""
    held_out = [{"instruction": f"What is topic {n}?", "response": f"It is {n}."} for n in range(5)]
    write_jsonl(Path("test.jsonl"), held_out)
    return pool_file


def knn(selectllm: Command, *options: object) -> Outcome:
    return selectllm("utility", "knn", "pool.jsonl", "--test", "test.jsonl", "--quiet", *options)


def suite_of(*entries: object) -> Path:
    """The suite with these utilities, as JSON or as they were printed."""
    shown = (each if isinstance(each, str) else json.dumps(each) for each in entries)
    return write_suite(f"utilities: [{', '.join(shown)}]")


def run(selectllm: Command, *entries: object) -> Outcome:
    return selectllm("eval", suite_of(*entries), "-o", "run", "--json", "--quiet")


def values_of_run() -> dict[str, dict[str, float]]:
    return {row["id"]: row["values"] for row in read_jsonl(Path("run/utilities.jsonl"))[1:]}


# --- knn


def test_what_was_computed_is_what_a_suite_would_compute(selectllm: Command) -> None:
    told = knn(selectllm, "--name", "kept", "--k", 3, "-o", "near.jsonl")
    assert told.code == 0, told.err
    kept = told.out.splitlines()[-1].removeprefix(NAMED)
    anew = {"name": "anew", "source": "knn", "test": "test.jsonl", "k": 3}
    outcome = run(selectllm, kept, anew)
    assert outcome.code == 0, outcome.err
    for values in values_of_run().values():
        assert values["kept"] == values["anew"]
    of_kept, of_anew = read_jsonl(Path("run/utilities.jsonl"))[0]["utilities"]
    assert (of_kept["kind"], of_kept["source"]) == ("proxy", "knn")
    assert {**of_kept, "name": "anew"} == of_anew


def test_what_was_written_is_told_as_text_or_json(selectllm: Command) -> None:
    told = knn(selectllm, "--answer", "rouge-l", "--json").json
    assert (told["file"], told["items"]) == ("pool.knn.utility.jsonl", 40)
    outcome = knn(selectllm, "--answer", "rouge-l")
    assert outcome.out.startswith("pool.knn.utility.jsonl has the values of 40 items (kind: proxy)")
    assert outcome.out.endswith(f"{NAMED}{{name: knn, source: import, file: {told['file']}}}\n")


def test_test_items_that_are_in_the_pool_too_are_refused_with_the_command_that_drops_them(
    selectllm: Command,
) -> None:
    asked_too = [{**row, "instruction": row["instruction"].upper()} for row in pool_rows()[:2]]
    write_jsonl(Path("test.jsonl"), [*read_jsonl(Path("test.jsonl")), *asked_too])
    assert_refused(
        knn(selectllm, "-o", "near.jsonl"),
        "2 of 7 test items are also in the pool",
        "named in near.jsonl.leaks.jsonl. Leave the copies out with --drop-leaks, or give other "
        "items for --test",
    )
    ids = [row["id"] for row in pool_rows()]
    assert [row["id"] for row in read_jsonl(Path("near.jsonl.leaks.jsonl"))] == ids[:2]
    entry = {"name": "near", "source": "knn", "test": "test.jsonl", "answer": "rouge-l"}
    refused = run(selectllm, entry)
    assert_refused(refused, "utility near: 2 of 7 test items are also in the pool")
    command = refused.err.partition("or run selectllm ")[2].partition(", which leaves")[0]
    told = selectllm(*shlex.split(command))
    assert told.code == 0, told.err
    assert "Note: 2 of 40 items of " in told.err
    assert "test.jsonl and are left out. They are named in " in told.err
    (line,) = (line for line in told.err.splitlines() if "The pool without these items is " in line)
    rest = line.partition("without these items is ")[2].partition(". ")[0]
    assert [row["id"] for row in read_jsonl(Path(rest))] == ids[2:]
    suite = write_suite(
        f"pool: pool.jsonl -> pool: {rest}",
        f"utilities: [{told.out.splitlines()[-1].removeprefix(NAMED)}]",
    )
    outcome = selectllm("eval", suite, "-o", "run", "--json", "--quiet")
    assert outcome.code == 0, outcome.err
    assert [*values_of_run()] == sorted(ids[2:])


def test_values_of_another_pool_are_refused(selectllm: Command) -> None:
    knn(selectllm, "-o", "near.jsonl")
    write_jsonl(Path("pool.jsonl"), pool_rows()[::-1])
    entry = {"name": "near", "source": "import", "file": "near.jsonl"}
    assert_refused(run(selectllm, entry), "utility near: ", "another pool")


# --- ifd


@pytest.fixture
def scores(pool: Path) -> dict[str, float]:
    """What the embedded model finds, had it been asked before: no weights are loaded here."""
    identity = load_language_model(None, Path("cache")).identity
    return ifd_scores(load_pool(pool).pool.items, HashModel(identity), Path("cache"))


def test_the_difficulty_of_instructions_is_kept_as_a_proxy(
    selectllm: Command, scores: dict[str, float]
) -> None:
    outcome = selectllm("utility", "ifd", "pool.jsonl", "--name", "hard: very")
    assert outcome.code == 0, outcome.err
    utility, _ = read_utility(Path("pool.ifd.utility.jsonl"))
    assert utility.values == pytest.approx({item: worth(score) for item, score in scores.items()})
    assert (utility.source, utility.kind, utility.range) == ("ifd", "proxy", (-1, 1))
    assert "reliability is not known" in outcome.out
    found = run(selectllm, outcome.out.splitlines()[-1].removeprefix(NAMED))
    assert found.json["pairs"][0]["agreement"]["hard: very"]["kind"] == "proxy"


def test_difficulty_needs_responses_and_a_model(selectllm: Command) -> None:
    assert_refused(selectllm("utility", "ifd", "pool.jsonl", "--model", "./nowhere"), "./nowhere")
    assert_refused(
        selectllm("utility", "ifd", "pool.jsonl", "--model", ""), "--model '' is not a model"
    )
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    refused = selectllm("utility", "ifd", "pool.jsonl")
    assert_refused(refused, "utility ifd needs a response for every item, and 40 of 40")


# --- judgements of pairs


def judgements() -> list[dict[str, str]]:
    """Pairs at five distances; the later one of the pool always wins."""
    ids = [row["id"] for row in pool_rows()]
    pairs = [(a, b) for step in (1, 3, 9, 15, 21) for a, b in zip(ids, ids[step:], strict=False)]
    return [{"a": a, "b": b, "winner": "b", "rater": "Ann"} for a, b in pairs]


def test_a_suite_takes_strengths_from_judgements(selectllm: Command) -> None:
    write_jsonl(Path("judged.jsonl"), judgements())
    outcome = run(selectllm, {"name": "pairs", "source": "pairwise", "file": "judged.jsonl"})
    assert outcome.code == 0, outcome.err
    assert outcome.json["pairs"][0]["agreement"]["pairs"]["kind"] == "human"
    (described,) = read_jsonl(Path("run/utilities.jsonl"))[0]["utilities"]
    assert (described["source"], described["rater"]) == ("pairwise", "Ann")
    assert described["reliability"] > 0.5
    values = values_of_run()
    strengths = [values[item]["pairs"] for item in sorted(values)]
    assert strengths == sorted(strengths)
    assert selectllm("verify", "run").code == 0


def test_a_suite_says_whose_judgements_they_are(selectllm: Command) -> None:
    write_jsonl(Path("judged.jsonl"), judgements())
    entry = {"name": "pairs", "source": "pairwise", "file": "judged.jsonl"}
    run(selectllm, {**entry, "kind": "model", "rater": "judge-1"})
    (described,) = read_jsonl(Path("run/utilities.jsonl"))[0]["utilities"]
    assert (described["kind"], described["rater"]) == ("model", "judge-1")


def test_judgements_that_cannot_be_used_are_refused(selectllm: Command) -> None:
    entry = {"name": "pairs", "source": "pairwise", "file": "judged.jsonl"}
    assert_refused(run(selectllm, entry), "judged.jsonl")
    write_jsonl(Path("judged.jsonl"), judgements()[:10])
    assert_refused(run(selectllm, entry), "utility pairs: no value for 29 of the 40 items")
    write_jsonl(Path("judged.jsonl"), [{**judgements()[0], "winner": "both"}])
    assert_refused(run(selectllm, entry), "judged.jsonl:1: winner ('both') must be a, b or tie")
    refused = run(selectllm, {**entry, "column": "rating"})
    assert_refused(refused, "unknown key 'utilities.0.column'", "keys here are: file, kind, name")
