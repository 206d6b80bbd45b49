"""A utility's validation, from the suite's key to every place that prints an agreement with it."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.cli import main
from selectllm.data.pool import load_pool
from selectllm.downstream.outcomes.validation import lds
from selectllm.report.schemas import schema
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import write_utility
from selectllm.utility.validation import write_validation
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, write_suite
from tests.support.made_vectors import random_vectors

pytestmark = pytest.mark.usefixtures("few_resamples")

MODELS = "mock/first -> mock/first, mock/random"
SETS = "sets: {budgets: [4, 8], seeds: [0, 1], groups: 6}\nstrategies: [longest]"
PLAIN = "utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]"
KEYED = PLAIN.replace("range", "validation: v.json, range")
LABEL = "rating (kind: human; unvalidated)"
VALIDATED = "rating (kind: human; LDS 1.00, p < 0.001, 8 subsets)"

VERBS: dict[str, tuple[str, ...]] = {
    "eval": (),
    "ab": ("--a", "mock/first", "--b", "mock/random"),
    "swap": ("--from", "mock/first", "--to", "mock/random"),
    "regress": ("--baseline", "baseline.json"),
    "aa": ("--model", "mock/first"),
    "plan": (),
    "sets": ("--vectors", "v.npy"),
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pool.jsonl of 40 rated items, its vectors, and a baseline."""
    folder = tmp_path_factory.mktemp("ready")
    with contextlib.chdir(folder):
        write_jsonl(Path("pool.jsonl"), pool_rows())
        np.save("v.npy", random_vectors(40))
        assert main(["eval", str(suite(PLAIN)), "-o", "first", "--cache", "cache"]) == 0
        assert main(["baseline", "set", "first", "-o", "baseline.json"]) == 0
        shutil.rmtree("first")
    return folder


@pytest.fixture(autouse=True)
def pool(selectllm: Command, ready: Path) -> None:
    """The same in the current folder, with the cache that goes with it."""
    shutil.copytree(ready, ".", dirs_exist_ok=True)


def suite(*utilities: str) -> Path:
    return write_suite(MODELS, *utilities, SETS)


def ratings(**changed: float) -> Utility:
    values = {row["id"]: float(row["rating"]) for row in pool_rows()}
    return Utility("rating", "ratings", "human", values | changed)


def validate(utility: Utility, foretells: bool = True, pool_sha256: str | None = None) -> None:
    """Write v.json: what training said of `utility` on 8 subsets."""
    ids = sorted(utility.values, key=lambda item: utility.values[item])
    subsets = {f"draw {n}": ids[5 * n : 5 * n + 5] for n in range(8)}
    sign = 1 if foretells else -1
    order = {name: sum(utility.values[i] for i in items) for name, items in subsets.items()}
    gains = {name: {"0": sign * value, "1": sign * value} for name, value in order.items()}
    found = load_pool(Path("pool.jsonl")).pool.sha256
    made = lds(utility, subsets, gains, student="tiny", pool_sha256=pool_sha256 or found)
    write_validation(Path("v.json"), made)


def told(selectllm: Command, verb: str, *more: str) -> Outcome:
    outcome = selectllm(
        verb, suite(*more), *VERBS[verb], *([] if verb == "plan" else ["-o", "out"])
    )
    assert outcome.code in (0, 1, 3), outcome.err
    return outcome


@pytest.mark.parametrize("verb", VERBS)
def test_what_nobody_validated_is_called_unvalidated(selectllm: Command, verb: str) -> None:
    out = " ".join(told(selectllm, verb, PLAIN).out.split())
    assert LABEL in out


@pytest.mark.parametrize("verb", VERBS)
def test_what_did_not_pass_is_called_so_too(selectllm: Command, verb: str) -> None:
    validate(ratings(), foretells=False)
    assert LABEL in " ".join(told(selectllm, verb, KEYED).out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_validated_says_by_what(selectllm: Command, verb: str) -> None:
    validate(ratings())
    out = " ".join(told(selectllm, verb, KEYED).out.split())
    assert VALIDATED in out
    assert "unvalidated" not in out


@pytest.mark.parametrize("verb", VERBS)
def test_an_outcome_needs_no_validation(selectllm: Command, verb: str) -> None:
    outcome = PLAIN.replace("range", "kind: outcome, range")
    if verb == "regress":
        selectllm("eval", suite(outcome), "-o", "again")
        Path("baseline.json").unlink()
        assert selectllm("baseline", "set", "again", "-o", "baseline.json").code == 0
    out = told(selectllm, verb, outcome).out
    assert "rating (kind: outcome)" in " ".join(out.split())
    assert "unvalidated" not in out


def test_the_sentences_below_a_table_say_so_too(selectllm: Command) -> None:
    out = " ".join(told(selectllm, "eval", PLAIN).out.split())
    assert "(The rating has not been checked against training results.)" in out


def test_length_alone_stands_beside_every_table(selectllm: Command) -> None:
    found = run(selectllm, PLAIN)
    (longest,) = (each for each in found["strategies"] if each["strategy"] == "longest")
    (utility,) = found["utilities"]
    assert utility["length"] == longest["agreement"]["rating"]["captured"]
    alone = f"longest alone captures {utility['length']['estimate']:z.2f}"
    assert (
        f"rating: ceiling unknown (no reliability); {alone}." in told(selectllm, "eval", PLAIN).out
    )


def test_without_longest_among_the_strategies_it_is_not_known(selectllm: Command) -> None:
    text = suite(PLAIN).read_text("utf-8").replace("[longest]", "[shortest]")
    Path("suite.yaml").write_text(text, encoding="utf-8")
    outcome = selectllm("eval", "suite.yaml", "-o", "out")
    assert "the run does not show what longest alone captures" in outcome.out
    assert json.loads(Path("out/results.json").read_text("utf-8"))["utilities"][0]["length"] is None


def test_sets_say_what_longest_captures_at_each_budget(selectllm: Command) -> None:
    outcome = told(selectllm, "sets", PLAIN)
    found = json.loads(Path("out/sets.json").read_text("utf-8"))
    Draft202012Validator(schema("sets")).validate(found)
    of = {r["budget"]: r["captured"]["rating"] for r in found["sets"] if r["strategy"] == "longest"}
    length = {each["budget"]: each["captured"] for each in found["utilities"][0]["length"]}
    assert length == of
    for summary in of.values():
        assert f"; longest alone captures {summary['mean']:z.2f}." in outcome.out


def test_the_ceiling_is_the_root_of_the_reliability(selectllm: Command) -> None:
    known = Utility("u", "knn", "proxy", ratings().values, reliability=0.64)
    write_utility(Path("u.jsonl"), known, load_pool(Path("pool.jsonl")).pool.sha256)
    entry = "utilities: [{name: u, source: import, file: u.jsonl}]"
    (utility,) = run(selectllm, entry)["utilities"]
    assert (utility["reliability"], utility["ceiling"]) == (0.64, 0.8)
    ceiling = "ceiling 0.80 (reliability 0.64, split-half over test items); longest alone captures"
    assert f"u: {ceiling}" in told(selectllm, "eval", entry).out
    assert "ceiling 0.80 (reliability 0.64" in " ".join(told(selectllm, "sets", entry).out.split())


# --- the folder


def run(selectllm: Command, *utilities: str) -> Any:
    """What `eval` writes, all of it held against its schemas."""
    shutil.rmtree("out", ignore_errors=True)
    told(selectllm, "eval", *utilities)
    content = {n: json.loads(Path(f"out/{n}.json").read_text("utf-8")) for n in ("run", "results")}
    for name, each in content.items():
        Draft202012Validator(schema(name)).validate(each)
    Draft202012Validator(schema("utilities")).validate(read_jsonl(Path("out/utilities.jsonl"))[0])
    return content["results"]


def test_it_travels_through_the_run_and_is_verified(selectllm: Command) -> None:
    validate(ratings())
    (utility,) = run(selectllm, KEYED)["utilities"]
    summary = utility["validation"]
    assert (summary["status"], summary["subsets"]) == ("validated", 8)
    assert read_jsonl(Path("out/utilities.jsonl"))[0]["utilities"][0]["validation"] == summary
    assert selectllm("verify", "out").code == 0
    results = Path("out/results.json")
    results.write_text(results.read_text("utf-8").replace('"validated"', '"unvalidated"'), "utf-8")
    differing = selectllm("verify", "out")
    assert differing.code == 1
    assert "utilities[0].validation.status" in differing.out


def test_a_baseline_carries_it(selectllm: Command) -> None:
    validate(ratings())
    run(selectllm, KEYED)
    assert selectllm("baseline", "set", "out", "-o", "new.json").code == 0
    content = json.loads(Path("new.json").read_text("utf-8"))
    Draft202012Validator(schema("baseline")).validate(content)
    assert content["utility"]["validation"]["status"] == "validated"
    again = selectllm("regress", suite(PLAIN), "--baseline", "new.json", "-o", "again")
    assert LABEL in " ".join(again.out.split())  # what the suite says now


def test_a_run_without_one_is_made_from_what_it_was_made_from_before(selectllm: Command) -> None:
    run(selectllm, PLAIN)
    (described,) = json.loads(Path("out/run.json").read_text("utf-8"))["manifest"]["utilities"]
    assert "validation" not in described


@pytest.mark.parametrize("verb", ["eval", "ab", "aa"])
def test_results_of_an_earlier_version_are_read_and_verified(selectllm: Command, verb: str) -> None:
    told(
        selectllm, verb, PLAIN.replace("]}]", "]}, {name: other, source: ratings, column: rating}]")
    )
    path = Path("out/results.json")
    found = json.loads(path.read_text("utf-8"))
    noise = [found["noise"]["utility"]] if found["noise"] else []
    for each in (*found["utilities"], *(v["utility"] for v in found["verdicts"]), *noise):
        for name in ("source", "reliability", "ceiling", "validation", "length"):
            each.pop(name, None)
    for verdict in found["verdicts"]:
        (other,) = verdict["others"]
        verdict["others"] = [{name: other[name] for name in ("utility", "kind", "difference")}]
    path.write_text(json.dumps(found), encoding="utf-8")
    assert selectllm("verify", "out").code == 0
    assert LABEL in " ".join(selectllm("report", "out").out.split())


# --- what is refused


@pytest.mark.parametrize("verb", ["eval", "plan", "sets"])
def test_the_validation_of_other_values_is_refused(selectllm: Command, verb: str) -> None:
    validate(ratings(**{"item-003": 1.5}))
    outcome = selectllm(verb, suite(KEYED), *VERBS[verb])
    assert_refused(
        outcome, "utility rating: ", "v.json validates other values", "validate it again"
    )


def test_that_of_another_pool_is_refused(selectllm: Command) -> None:
    validate(ratings(), pool_sha256="b" * 64)
    assert_refused(selectllm("eval", suite(KEYED)), "utility rating: ", "on another pool")


def test_a_missing_file_is_named(selectllm: Command) -> None:
    assert_refused(selectllm("eval", suite(KEYED)), "v.json cannot be read", "utility validate")
