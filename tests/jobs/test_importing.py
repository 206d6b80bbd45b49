"""Results of training elsewhere, imported and held against utilities, by value."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from scipy import stats

from selectllm.cli import main
from selectllm.core.errors import UtilityError
from selectllm.downstream.outcomes.agreement import set_agreement
from selectllm.downstream.outcomes.schema import OutcomeAgreement, SetAgreement
from selectllm.jobs.agreeing import agree
from selectllm.jobs.exporting import export
from selectllm.jobs.importing import ImportedResults, import_results
from selectllm.jobs.options import AgreeSettings, ExportSettings, ResultSettings
from selectllm.jobs.session import Session
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from selectllm.report.set_agreement import render_outcome_agreement, render_set_agreement
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import files
from tests.support.jobs import fails
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
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pool.jsonl, the finished `sets` and what was exported of them as `out`."""
    folder = tmp_path_factory.mktemp("done")
    np.save(folder / "v.npy", random_vectors(40))
    write_jsonl(folder / "pool.jsonl", pool_rows())
    values = (f"{row['id']},{number * 7 % 40}" for number, row in enumerate(pool_rows()))
    (folder / "near.csv").write_text("\n".join(["id,value", *values]), encoding="utf-8")
    with contextlib.chdir(folder):
        make_sets("suite.yaml", "sets")
    settings = ExportSettings(out=Path("out"), pool="pool.jsonl")
    finished(export(Path("sets"), settings, session=Session(folder)))
    return folder


@pytest.fixture(autouse=True)
def sets(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That folder's content, in the current folder."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def make_sets(suite: str, out: str, name: str = "demo", **more: Any) -> None:
    """The sets of a suite, in the folder `out`."""
    described = {**SUITE, "name": name, "sets": {**SUITE["sets"], **more}}
    Path(suite).write_text(json.dumps(described), encoding="utf-8")
    words = [suite, "--vectors", "v.npy", "-o", out, "--cache", "cache", "--quiet"]
    assert main(["sets", *words]) == 0


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


def importing(found: list[dict[str, Any]], out: str = "results.jsonl", **named: Any) -> Any:
    """The job for results as rows of a file."""
    write_jsonl(Path("found.jsonl"), found)
    return importing_files([Path("found.jsonl")], out, **named)


def importing_files(paths: list[Path], out: str = "results.jsonl", **named: Any) -> Any:
    settings = ResultSettings(**({"export": Path("out")} | named))
    return import_results(paths, settings, Path(out), session=Session(notes=NOTES.append))


NOTES: list[str] = []


def imported(found: list[dict[str, Any]], **named: Any) -> ImportedResults:
    result: ImportedResults = finished(importing(found, **named))
    return result


def agreeing(folder: str = "sets", **named: Any) -> Any:
    settings = AgreeSettings(**({"results": Path("results.jsonl")} | named))
    return agree(Path(folder), settings, session=Session())


def agreed(**named: Any) -> Any:
    return finished(agreeing(**named)).to_json()


def captured(utility: str, budget: int = 4) -> dict[str, float]:
    compared = json.loads(Path("sets/sets.json").read_text(encoding="utf-8"))
    rows = [row for row in compared["sets"] if row["budget"] == budget]
    return {row["selector"]: row["captured"][utility]["mean"] for row in rows}


# --- utility import --export


def test_what_was_read_is_told_and_kept() -> None:
    NOTES.clear()
    result = imported([*rows(), *rows("loss", higher_is_better=False)])
    told = result.to_json()
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
    (note,) = NOTES
    assert note.startswith("Note: 12 of 24 exported sets have no result: ")
    header, *kept = read_jsonl(Path("results.jsonl"))
    assert len(kept) == header["results"]["rows"] == 24
    for line in (header, *kept):
        Draft202012Validator(schema("outcomes")).validate(line)


def test_a_file_of_one_model_is_of_the_arm_that_is_named() -> None:
    content = {
        "config": {"model_args": "pretrained=/models/mine"},
        "results": {"arc": {"acc,none": 0.25, "acc_stderr,none": 0.01}},
        "higher_is_better": {"arc": {"acc": True}},
    }
    Path("results_1.json").write_text(json.dumps(content), encoding="utf-8")
    of = {"arm": "strategy:longest", "budget": 8, "seed": 1, "training_seed": 7}
    paths = [Path("results_1.json")]
    job = importing_files(paths)
    fails(job, "results_1.json", "which set", "('/models/mine', 'models', 'mine')", argument="arm")
    finished(importing_files(paths, "mine.jsonl", **of))
    _, found = read_jsonl(Path("mine.jsonl"))
    named = (found["arm"], found["budget"], found["seed"], found["training_seed"])
    assert named == ("strategy:longest", 8, 1, 7)
    assert found["value"] == 0.25


def test_a_set_that_the_file_contradicts_is_refused() -> None:
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    longest = next(
        each["name"] for each in manifest["sets"] if key(each) == ("strategy:longest", 4)
    )
    Path("found.json").write_text(json.dumps(annotations(longest, 1.0)), encoding="utf-8")
    write_jsonl(Path("found.jsonl"), rows()[2:3])
    for name in ("found.json", "found.jsonl"):
        words = (
            "belongs to 'strategy:longest', budget 4, seed 0",
            "but 'strategy:first', seed 0 was given",
        )
        job = importing_files([Path(name)], arm="strategy:first", seed=0)
        fails(job, name, *words, argument="arm", kind=UtilityError)
        finished(importing_files([Path(name)], arm="strategy:longest", seed=0))


def annotations(model: str, *preferences: float | None) -> list[dict[str, Any]]:
    """As AlpacaEval writes them, the last instruction twice."""
    numbers = [*range(len(preferences) - 1), max(len(preferences) - 2, 0)]
    return [
        {"instruction": f"do {number}", "preference": preference, "generator_2": model}
        for number, preference in zip(numbers, preferences, strict=True)
    ]


def test_annotations_that_nobody_could_settle_do_not_keep_runs_from_comparison() -> None:
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    names = {
        (each["arm"], each["seed"]): each["name"]
        for each in manifest["sets"]
        if each["budget"] == 4
    }
    content = {
        run: annotations(name, *(1 + SCORES[run[0]] for _ in range(5)), 1.5)
        for run, name in names.items()
    }
    content["strategy:first", 0][0]["preference"] = None
    content["strategy:random", 1][4]["preference"] = None  # of its two, the first
    paths = [Path(f"{name}.json") for name in names.values()]
    for path, found in zip(paths, content.values(), strict=True):
        path.write_text(json.dumps(found), encoding="utf-8")
    NOTES.clear()
    finished(importing_files(paths))
    assert NOTES[0] == (
        "Note: 2 of 72 rows have no value (null, or not a number). They were left out"
    )
    found = agreed()
    assert "2 of 6 tests were left out" in printed(found)
    assert found["tests"] == {"shared": 4, "left_out": 2}
    shares = {arm: (3 * score + 0.5) / 4 for arm, score in SCORES.items()}
    means = {arm: fmean(runs.values()) for arm, runs in found["scores"].items()}
    assert means == pytest.approx({arm: 100 * share for arm, share in shares.items()})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"arm": "strategy:longst"}, "Did you mean 'strategy:longest'"),
        ({"pool_sha256": "cd" * 32}, "found.jsonl:1: the result belongs to another pool"),
        ({"value": "nan"}, "found.jsonl:1: value ('nan')"),
        ({"value": 1e999}, "found.jsonl:1"),
    ],
)
def test_results_that_cannot_be_of_these_sets_are_refused(row: dict[str, Any], words: str) -> None:
    fails(importing([{**rows()[0], **row}]), words)
    assert not Path("results.jsonl").exists()


@pytest.mark.parametrize(
    ("named", "words", "argument"),
    [
        ({"budget": 4}, "Name the `arm` as well", "arm"),
        ({"out": "found.jsonl"}, "is read by this command, so it is not overwritten", "out"),
        ({"export": Path("sets")}, "sets/manifest.json", None),
        ({"export": None}, "with `export`", "export"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    named: dict[str, Any], words: str, argument: str | None
) -> None:
    write_jsonl(Path("found.jsonl"), rows())
    before = files()
    fails(importing(rows(), **named), words, argument=argument)
    assert files() == before


# --- utility agree


def printed(content: Any) -> str:
    console = Console(width=200)
    with console.capture() as text:
        console.print(render_outcome_agreement(OutcomeAgreement.model_validate(content)))
    return text.get()


def test_agreement_is_of_what_is_captured_with_what_training_was_worth() -> None:
    imported(rows())
    found = agreed()
    assert (found["metric"], found["budget"], found["benchmarks"]) == ("acc", 4, ["mmlu"])
    assert {arm: fmean(runs.values()) for arm, runs in found["scores"].items()} == pytest.approx(
        {arm: score + 0.005 for arm, score in SCORES.items()}
    )
    kinds = [(row["name"], row["kind"]) for row in found["agreement"]]
    assert kinds == [("rating", "human"), ("near", "proxy")]
    for row in found["agreement"]:
        foretold = captured(row["name"])
        x, y = [foretold[arm] for arm in ARMS], [SCORES[arm] for arm in ARMS]
        agreement = row["agreement"]
        assert agreement["arms"] == sorted(ARMS)
        assert agreement["spearman"]["value"] == pytest.approx(stats.spearmanr(x, y)[0])
        assert agreement["kendall"]["value"] == pytest.approx(stats.kendalltau(x, y)[0])
        assert agreement["spearman"]["low"] is None
        assert 0.9 < agreement["reliability"] <= 1


def test_what_length_alone_foretells_is_always_beside_it() -> None:
    imported(rows())
    by_sets = agreed()["agreement"][0]["agreement"]
    by_export = agreed(export=Path("out"))["agreement"][0]["agreement"]
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    lengths = {
        arm: sum(sum(s["tokens"].values()) for s in manifest["sets"] if key(s) == (arm, 4))
        for arm in ARMS
    }
    expected = stats.spearmanr([lengths[arm] for arm in ARMS], [SCORES[arm] for arm in ARMS])[0]
    assert by_export["tokens"]["value"] == pytest.approx(expected)
    assert by_sets == by_export
    assert by_sets["partial"]["value"] != by_sets["spearman"]["value"]


def key(described: dict[str, Any]) -> tuple[str, int]:
    return described["arm"], described["budget"]


def test_a_loss_counts_the_other_way_round() -> None:
    turned = [{**row, "value": -row["value"]} for row in rows("loss", higher_is_better=False)]
    imported([*rows(), *turned])
    acc, loss = (agreed(metric=name) for name in ("acc", "loss"))
    assert acc["agreement"] == loss["agreement"]


def test_only_what_is_named_is_looked_at() -> None:
    other = [{**row, "value": -row["value"]} for row in rows(benchmark="arc")]
    imported([*rows(), *other, *rows(budget=8)])
    one = agreed(budget=4, benchmark=("arc",), utility=("near",))
    assert [row["name"] for row in one["agreement"]] == ["near"]
    assert one["benchmarks"] == ["arc"]
    x, y = captured("near"), {arm: -score for arm, score in SCORES.items()}
    expected = stats.spearmanr([x[arm] for arm in ARMS], [y[arm] for arm in ARMS])[0]
    assert one["agreement"][0]["agreement"]["spearman"]["value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"metric": "ac"}, "no metric 'ac'"),
        ({"budget": 5}, "no budget '5'"),
        ({"benchmark": ("mlu",)}, "no benchmark 'mlu'"),
        ({"utility": ("ratings",)}, "no utility 'ratings'. Did you mean 'rating'?"),
        ({"export": Path("sets")}, "sets/manifest.json"),
    ],
)
def test_what_is_not_there_is_refused(named: dict[str, Any], words: str) -> None:
    imported(rows())
    fails(agreeing(**named), words)


def test_several_of_a_kind_have_to_be_named() -> None:
    imported([*rows(), *rows("f1")])
    fails(agreeing(), "more than one metric: 'acc', 'f1'. Name one", argument="metric")
    imported([*rows(), *rows(budget=8)])
    fails(agreeing(), "more than one budget: '4', '8'. Name one", argument="budget")


def test_results_of_other_sets_are_refused() -> None:
    imported(rows())
    settings = ExportSettings(out=Path("chat"), pool="pool.jsonl", layout=("chat",))
    finished(export(Path("sets"), settings, session=Session()))
    other = agreeing(export=Path("chat"))
    fails(other, "`export` chat: the results are of another", argument="export")
    compared = Path("sets/sets.json")
    content = json.loads(compared.read_text(encoding="utf-8"))
    content["pool"]["sha256"] = "cd" * 32
    compared.write_text(json.dumps(content), encoding="utf-8")
    fails(agreeing(), "results.jsonl belongs to another pool", "cdcdcdcdcdcd")


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        (
            "walk",
            {"seeds": [7, 8]},
            "results.jsonl belongs to sets of suite 'demo', but other contains those of suite "
            "'walk'. Name the folder that `sets` wrote for suite 'demo'",
        ),
        (
            "demo",
            {"seeds": [1, 7]},
            "other: 6 of the 12 sets with results are not in this folder, for example 'short@1 + "
            "mock/first' with budget 4 and seed 0. It has budgets 4, 8 and seeds 1, 7. Name the "
            "folder that was",
        ),
        ("demo", {"budgets": [8]}, "other: 12 of the 12 sets"),
    ],
)
def test_sets_of_another_suite_on_the_same_pool_are_refused(
    name: str, more: dict[str, Any], words: str
) -> None:
    imported(rows())
    make_sets("other.yaml", "other", name, **more)
    fails(agreeing("other"), words)


def test_only_sets_that_are_used_have_to_be_there() -> None:
    imported([*rows(), *rows(budget=8)])
    make_sets("other.yaml", "other", budgets=[4])
    assert agreed(folder="other", budget=4)["budget"] == 4
    fails(agreeing("other", budget=8), "other: 12 of the 12 sets")


def test_results_of_a_selection_are_of_no_sets() -> None:
    select = ("pool.jsonl", "--budget", "4", "--strategy", "longest", "-o", "picked.jsonl")
    assert main(["select", *select, "--cache", "cache", "--quiet"]) == 0
    one = ExportSettings(out=Path("one"))
    finished(export(Path("picked.jsonl"), one, session=Session()))
    imported(rows()[2:3], export=Path("one"))
    fails(agreeing(), "results.jsonl belongs to a single selection of `select`, but sets")


def test_results_that_were_edited_are_refused() -> None:
    imported(rows())
    header, first, *others = read_jsonl(Path("results.jsonl"))
    for changed, words in (
        ({"budget": "4"}, "results.jsonl:2: budget ('4') must be a whole number. It was edited"),
        ({"value": 0.99}, "results.jsonl was edited"),
    ):
        write_jsonl(Path("results.jsonl"), [header, {**first, **changed}, *others])
        fails(agreeing(), words, "import the results again")


def test_sets_without_utilities_foretell_nothing() -> None:
    imported(rows())
    compared = Path("sets/sets.json")
    content = json.loads(compared.read_text(encoding="utf-8"))
    compared.write_text(json.dumps({**content, "utilities": []}), encoding="utf-8")
    fails(agreeing(), "sets.json has no utilities")
    compared.write_text(json.dumps({**content, "seeds": None}), encoding="utf-8")
    fails(agreeing(), "sets.json: is damaged; run `sets` again")
    compared.unlink()
    fails(agreeing(), "sets.json does not exist")


# --- the table


def shown(*rows: tuple[str, SetAgreement]) -> str:
    console = Console(width=120)
    with console.capture() as text:
        console.print(render_set_agreement(rows))
    return text.get()


def test_too_few_arms_have_no_figures() -> None:
    few = {arm: {"": score} for arm, score in [*SCORES.items()][:3]}
    text = shown(("rating (human)", set_agreement(few, few)))
    assert "too few arms" in text
    assert "Spearman" not in text
    assert "3 arms are on both sides, and at least 4 are needed" in text


def test_undefined_measures_are_left_out_and_intervals_come_with_arms() -> None:
    many = {f"arm{n}": {"": float(n * 5 % 9)} for n in range(9)}
    ordered = {f"arm{n}": {"": float(n)} for n in range(9)}
    found = set_agreement(many, ordered)
    text = shown(("odd [b]name[/b]", found))
    assert "odd [b]name[/b], 9 arms" in text
    rows = text[: text.index("ceiling")]
    assert "Spearman" in rows
    assert "tokens alone" not in rows
    assert found.spearman.low is not None
    assert found.spearman.high is not None
    assert f"{found.spearman.low:.2f} to {found.spearman.high:.2f}" in text
