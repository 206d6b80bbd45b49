"""Results of training elsewhere, from `export` to `utility import` and `utility agree`."""

from __future__ import annotations

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

from selectllm.downstream.outcomes.agreement import set_agreement
from selectllm.downstream.outcomes.schema import SetAgreementFigures
from selectllm.report.schemas import schema
from selectllm.report.set_agreement import render_set_agreement
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, files
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


def captured(utility: str, budget: int = 4) -> dict[str, float]:
    compared = json.loads(Path("sets/sets.json").read_text(encoding="utf-8"))
    rows = [row for row in compared["sets"] if row["budget"] == budget]
    return {row["selector"]: row["captured"][utility]["mean"] for row in rows}


# --- utility import --export


def test_what_was_read_is_told_and_kept(selectllm: Command) -> None:
    outcome = import_(selectllm, [*rows(), *rows("loss", higher_is_better=False)])
    assert outcome.code == 0, outcome.err
    first, arms, budgets, acc, loss, then = outcome.out.splitlines()
    assert first == "results.jsonl: 24 results of 12 runs"
    assert arms == f"arms: {', '.join(sorted(ARMS))}"
    assert budgets == "budgets: 4"
    assert (acc, loss) == ("metric acc: on mmlu", "metric loss: on mmlu")
    assert outcome.err.startswith("note: 12 of 24 exported sets have no result: ")
    assert then == "next: selectllm utility agree SETS_FOLDER --results results.jsonl"
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


def test_a_set_that_the_file_contradicts_is_refused(selectllm: Command) -> None:
    manifest = json.loads(Path("out/manifest.json").read_text(encoding="utf-8"))
    longest = next(
        each["name"] for each in manifest["sets"] if key(each) == ("strategy:longest", 4)
    )
    Path("found.json").write_text(json.dumps(annotations(longest, 1.0)), encoding="utf-8")
    write_jsonl(Path("found.jsonl"), rows()[2:3])
    for name in ("found.json", "found.jsonl"):
        asked = ("utility", "import", name, "--export", "out", "--arm")
        words = (
            "of 'strategy:longest', budget 4, seed 0",
            "not the given 'strategy:first', seed 0",
        )
        assert_refused(selectllm(*asked, "strategy:first", "--seed", 0), name, *words)
        assert selectllm(*asked, "strategy:longest", "--seed", 0).code == 0


def annotations(model: str, *preferences: float | None) -> list[dict[str, Any]]:
    """As AlpacaEval writes them, the last instruction twice."""
    numbers = [*range(len(preferences) - 1), max(len(preferences) - 2, 0)]
    return [
        {"instruction": f"do {number}", "preference": preference, "generator_2": model}
        for number, preference in zip(numbers, preferences, strict=True)
    ]


def test_annotations_that_nobody_could_settle_do_not_keep_runs_from_comparison(
    selectllm: Command,
) -> None:
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
    outcome = selectllm("utility", "import", *paths, "--export", "out")
    assert outcome.code == 0, outcome.err
    assert "note: 2 of 72 rows have no value (preference: null), and were left out" in outcome.err
    assert "2 of 6 tests were left out, which not every run was scored on" in agree(selectllm).out
    found = agree(selectllm, "--json").json
    assert found["tests"] == {"shared": 4, "left_out": 2}
    shares = {arm: (3 * score + 0.5) / 4 for arm, score in SCORES.items()}
    means = {arm: fmean(runs.values()) for arm, runs in found["scores"].items()}
    assert means == pytest.approx({arm: 100 * share for arm, share in shares.items()})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"arm": "strategy:longst"}, "did you mean 'strategy:longest'"),
        ({"pool_sha256": "cd" * 32}, "found.jsonl:1: the result is of another pool"),
        ({"value": "nan"}, "found.jsonl:1: value ('nan')"),
        ({"value": 1e999}, "found.jsonl:1"),
    ],
)
def test_results_that_cannot_be_of_these_sets_are_refused(
    selectllm: Command, row: dict[str, Any], words: str
) -> None:
    assert_refused(import_(selectllm, [{**rows()[0], **row}]), words)
    assert not Path("results.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--export", "out", "--partial"), "are for sheets"),
        (("--export", "out", "--add", "r.jsonl"), "are for sheets"),
        (("--arm", "strategy:first"), "are for results; add --export"),
        (("--training-seed", 3), "are for results; add --export"),
        (("--export", "out", "--budget", 4), "name its --arm too"),
        (("--export", "out", "-o", "found.jsonl"), "is one of the files to read"),
        (("--export", "sets"), "sets/manifest.json"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    selectllm: Command, options: tuple[object, ...], words: str
) -> None:
    write_jsonl(Path("found.jsonl"), rows())
    before = files()
    assert_refused(selectllm("utility", "import", "found.jsonl", *options), words)
    assert files() == before


# --- utility agree


def test_agreement_is_of_what_is_captured_with_what_training_was_worth(
    selectllm: Command,
) -> None:
    import_(selectllm, rows())
    found = agree(selectllm, "--json").json
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


def test_what_length_alone_foretells_is_always_beside_it(selectllm: Command) -> None:
    import_(selectllm, rows())
    by_sets = agree(selectllm, "--json").json["agreement"][0]["agreement"]
    by_export = agree(selectllm, "--json", "--export", "out").json["agreement"][0]["agreement"]
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


def test_a_loss_counts_the_other_way_round(selectllm: Command) -> None:
    turned = [{**row, "value": -row["value"]} for row in rows("loss", higher_is_better=False)]
    import_(selectllm, [*rows(), *turned])
    acc, loss = (agree(selectllm, "--json", "--metric", name).json for name in ("acc", "loss"))
    assert acc["agreement"] == loss["agreement"]


def test_only_what_is_named_is_looked_at(selectllm: Command) -> None:
    other = [{**row, "value": -row["value"]} for row in rows(benchmark="arc")]
    import_(selectllm, [*rows(), *other, *rows(budget=8)])
    one = agree(selectllm, "--json", "--budget", 4, "--benchmark", "arc", "--utility", "near").json
    assert [row["name"] for row in one["agreement"]] == ["near"]
    assert one["benchmarks"] == ["arc"]
    x, y = captured("near"), {arm: -score for arm, score in SCORES.items()}
    expected = stats.spearmanr([x[arm] for arm in ARMS], [y[arm] for arm in ARMS])[0]
    assert one["agreement"][0]["agreement"]["spearman"]["value"] == pytest.approx(expected)


def test_the_table_has_every_figure_with_what_limits_it(selectllm: Command) -> None:
    import_(selectllm, rows())
    outcome = agree(selectllm)
    assert outcome.code == 0, outcome.err
    for words in (
        "demo: acc on mmlu, sets of 4, 12 runs",
        "rating (kind: human; unvalidated), item by item: unknown (no reliability)",
        "rating (kind: human; unvalidated), 6 arms",
        "near (kind: proxy; unvalidated), 6 arms",
        "Spearman",
        "tokens alone",
        "given tokens",
        "rating (kind: human; unvalidated): 1.00 (reliability of the outcomes 1.00",
        "6 arms: no interval below 8",
        "p is of each utility alone; 2 were looked at",
    ):
        assert words in outcome.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--metric", "ac"), "no metric 'ac'"),
        (("--budget", 5), "no budget '5'"),
        (("--benchmark", "mlu"), "no benchmark 'mlu'"),
        (("--utility", "ratings"), "no utility 'ratings'; did you mean 'rating'?"),
        (("--export", "sets"), "sets/manifest.json"),
    ],
)
def test_what_is_not_there_is_refused(
    selectllm: Command, options: tuple[object, ...], words: str
) -> None:
    import_(selectllm, rows())
    assert_refused(agree(selectllm, *options), words)


def test_several_of_a_kind_have_to_be_named(selectllm: Command) -> None:
    import_(selectllm, [*rows(), *rows("f1")])
    assert_refused(agree(selectllm), "several of metric: 'acc', 'f1'; name one")
    import_(selectllm, [*rows(), *rows(budget=8)])
    assert_refused(agree(selectllm), "several of budget: '4', '8'; name one")


def test_results_of_other_sets_are_refused(selectllm: Command) -> None:
    import_(selectllm, rows())
    selectllm("export", "sets", "--pool", "pool.jsonl", "-o", "chat", "--layout", "chat")
    assert_refused(agree(selectllm, "--export", "chat"), "--export chat: the results are of ano")
    compared = Path("sets/sets.json")
    content = json.loads(compared.read_text(encoding="utf-8"))
    content["pool"]["sha256"] = "cd" * 32
    compared.write_text(json.dumps(content), encoding="utf-8")
    assert_refused(agree(selectllm), "results.jsonl: is of another pool", "cdcdcdcdcdcd")


def make_sets(selectllm: Command, name: str, **more: Any) -> None:
    """The sets of another suite, in the folder `other`."""
    sets = {**SUITE["sets"], **more}
    suite = {**SUITE, "name": name, "sets": sets}
    Path("other.yaml").write_text(json.dumps(suite), encoding="utf-8")
    made = selectllm("sets", "other.yaml", "--vectors", "v.npy", "-o", "other", "--quiet")
    assert made.code == 0, made.err


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        (
            "walk",
            {"seeds": [7, 8]},
            "results.jsonl: is of sets of suite 'demo', and other holds those of suite 'walk'; "
            "name the folder that `sets` wrote for suite 'demo'",
        ),
        (
            "demo",
            {"seeds": [1, 7]},
            "other: lacks 6 of the 12 sets that the results are of, such as 'short@1 + mock/first'"
            ", budget 4, seed 0; it has budgets 4, 8 and seeds 1, 7: name the folder that was",
        ),
        ("demo", {"budgets": [8]}, "other: lacks 12 of the 12 sets"),
    ],
)
def test_sets_of_another_suite_on_the_same_pool_are_refused(
    selectllm: Command, name: str, more: dict[str, Any], words: str
) -> None:
    import_(selectllm, rows())
    make_sets(selectllm, name, **more)
    assert_refused(selectllm("utility", "agree", "other", "--results", "results.jsonl"), words)


def test_only_sets_that_are_used_have_to_be_there(selectllm: Command) -> None:
    import_(selectllm, [*rows(), *rows(budget=8)])
    make_sets(selectllm, "demo", budgets=[4])
    asked = ("utility", "agree", "other", "--results", "results.jsonl", "--budget")
    assert selectllm(*asked, 4).code == 0
    assert_refused(selectllm(*asked, 8), "other: lacks 12 of the 12 sets")


def test_results_of_a_selection_are_of_no_sets(selectllm: Command) -> None:
    select = ("select", "pool.jsonl", "--budget", 4, "--strategy", "longest", "-o", "picked.jsonl")
    assert selectllm(*select, "--quiet").code == 0
    assert selectllm("export", "picked.jsonl", "-o", "one").code == 0
    write_jsonl(Path("found.jsonl"), rows()[2:3])
    assert selectllm("utility", "import", "found.jsonl", "--export", "one").code == 0
    assert_refused(agree(selectllm), "results.jsonl: is of one selection of `select`, and sets")


def test_results_that_were_edited_are_refused(selectllm: Command) -> None:
    import_(selectllm, rows())
    header, first, *others = read_jsonl(Path("results.jsonl"))
    for changed, words in (
        ({"budget": "4"}, "results.jsonl:2: budget ('4') must be a whole number; it was edited"),
        ({"value": 0.99}, "results.jsonl: is not what was written"),
    ):
        write_jsonl(Path("results.jsonl"), [header, {**first, **changed}, *others])
        assert_refused(agree(selectllm), words, "import the results again")


def test_sets_without_utilities_foretell_nothing(selectllm: Command) -> None:
    import_(selectllm, rows())
    compared = Path("sets/sets.json")
    content = json.loads(compared.read_text(encoding="utf-8"))
    compared.write_text(json.dumps({**content, "utilities": []}), encoding="utf-8")
    assert_refused(agree(selectllm), "sets.json: has no utilities")
    compared.write_text(json.dumps({**content, "seeds": None}), encoding="utf-8")
    assert_refused(agree(selectllm), "sets.json: is damaged; run `sets` again")
    compared.unlink()
    assert_refused(agree(selectllm), "sets.json: there is no such file")


# --- the table


def shown(*found: tuple[str, Any]) -> str:
    rows = [(name, SetAgreementFigures.model_validate(told)) for name, told in found]
    console = Console(width=120)
    with console.capture() as text:
        console.print(render_set_agreement(rows))
    return text.get()


def test_too_few_arms_have_no_figures() -> None:
    few = {arm: {"": score} for arm, score in [*SCORES.items()][:3]}
    text = shown(("rating (human)", set_agreement(few, few).to_json()))
    assert "too few arms" in text
    assert "Spearman" not in text
    assert "3 arms are on both sides, and at least 4 are needed" in text


def test_undefined_measures_are_left_out_and_intervals_come_with_arms() -> None:
    many = {f"arm{n}": {"": float(n * 5 % 9)} for n in range(9)}
    ordered = {f"arm{n}": {"": float(n)} for n in range(9)}
    found = set_agreement(many, ordered)
    text = shown(("odd [b]name[/b]", found.to_json()))
    assert "odd [b]name[/b], 9 arms" in text
    rows = text[: text.index("ceiling")]
    assert "Spearman" in rows
    assert "tokens alone" not in rows
    assert found.spearman.interval is not None
    assert f"{found.spearman.interval.low:.2f} to {found.spearman.interval.high:.2f}" in text
