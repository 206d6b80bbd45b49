"""Results from elsewhere: read as they are, tied to exported sets, one score an arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from selectllm.core.errors import RunError, UtilityError
from selectllm.core.types import Item
from selectllm.downstream.outcomes.agreement import set_agreement
from selectllm.downstream.outcomes.export import write_export
from selectllm.downstream.outcomes.exported import Exported, SetReference, check_pool, read_exported
from selectllm.downstream.outcomes.importing import import_results
from selectllm.downstream.outcomes.results import ResultsFile, read_results, write_results
from selectllm.downstream.outcomes.schema import Result
from selectllm.downstream.outcomes.scores import arm_scores, captured_by_arm, tokens_by_arm
from selectllm.downstream.outcomes.training_sets import TrainingSet, TrainingSets
from selectllm.report.schemas import schema
from tests.conftest import read_jsonl, write_jsonl
from tests.support.sets_cases import compared_sets

POOL = "ab" * 32
RANDOM, LONGEST = "strategy:random", "strategy:longest"
ITEMS = tuple(Item(f"i{n}", f"question {n} " * n, response="yes " * n) for n in range(1, 9))


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    """Two arms at budgets 2 and 4; random with two seeds."""
    draws = [(RANDOM, 2, 0), (RANDOM, 2, 1), (RANDOM, 4, 0), (LONGEST, 2, 0), (LONGEST, 4, 0)]
    sets = [TrainingSet(arm, budget, seed, ITEMS[seed:][:budget]) for arm, budget, seed in draws]
    write_export(tmp_path / "out", TrainingSets(POOL, "demo", tuple(sets)))
    return read_exported(tmp_path / "out")


def name_of(exported: Exported, arm: str, budget: int, seed: int = 0) -> str:
    return exported.find(SetReference(arm, budget, seed), "").name


def row(**more: Any) -> dict[str, Any]:
    """A result of the longest 2; the keys of `more` that are None are left out."""
    told = {"arm": LONGEST, "budget": 2, "benchmark": "mmlu", "metric": "acc", "value": 0.5}
    return {name: value for name, value in {**told, **more}.items() if value is not None}


def from_rows(exported: Exported, folder: Path, *rows: Mapping[str, Any]) -> list[Result]:
    return [*import_results([write_jsonl(folder / "rows.jsonl", rows)], exported).results]


def from_json(exported: Exported, folder: Path, content: object, **more: Any) -> list[Result]:
    path = folder / "found.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return [*import_results([path], exported, **more).results]


# --- rows


def test_a_row_is_tied_to_the_set_that_it_is_of(exported: Exported, tmp_path: Path) -> None:
    (found,) = from_rows(exported, tmp_path, row(training_seed=2021))
    source = hashlib.sha256((tmp_path / "rows.jsonl").read_bytes()).hexdigest()
    expected = Result(
        arm=LONGEST,
        budget=2,
        seed=0,
        training_seed=2021,
        benchmark="mmlu",
        test_id=None,
        metric="acc",
        value=0.5,
        higher_is_better=True,
        source_file_sha256=source,
    )
    assert found == expected


def test_the_name_of_a_set_says_budget_and_seed(exported: Exported, tmp_path: Path) -> None:
    name = name_of(exported, RANDOM, 2, 1)
    (found,) = from_rows(exported, tmp_path, row(arm=name, budget=None))
    assert (found.arm, found.budget, found.seed) == (RANDOM, 2, 1)


def test_rows_of_csv_are_the_same_as_of_json_lines(exported: Exported, tmp_path: Path) -> None:
    rows = [
        row(test_id="t1", benchmark=None, value=-0.25),
        row(test_id="t2", benchmark=None, metric="loss", value=1.5, higher_is_better=False),
    ]
    names = ["arm", "budget", "seed", "test_id", "metric", "value", "higher_is_better"]
    lines = [",".join(str(each.get(name, "")) for name in names) for each in rows]
    (tmp_path / "rows.csv").write_text("\n".join([",".join(names), *lines]), encoding="utf-8")
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    wanted = [each.cell for each in from_rows(exported, tmp_path, *rows)]
    for path in ("rows.csv", "rows.json"):
        found = import_results([tmp_path / path], exported).results
        assert [each.cell for each in found] == wanted
    assert {each.benchmark for each in found} == {"test"}
    assert [each.higher_is_better for each in found] == [True, False]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"arm": "strategy:longst"},
            r":2: there is no exported arm .*Did you mean 'strategy:longest'",
        ),
        ({"arm": None}, ":2: arm is missing"),
        ({"metric": ""}, ":2: metric is missing"),
        ({"benchmark": None}, ":2: benchmark or test_id is missing"),
        ({"arm": RANDOM}, r":2: 'strategy:random', budget 2 may be any of several sets"),
        ({"budget": 3}, r":2: 'strategy:longest', budget 3 was not exported"),
        ({"seed": 2021}, r"seed 2021 was not exported; a seed of the training goes into"),
        ({"seed": "zero"}, r":2: seed \('zero'\) must be a whole number"),
        ({"value": None}, r":2: value \(None\) is missing"),
        ({"value": "good"}, r":2: value \('good'\) is not a number"),
        ({"value": "1e999"}, r":2: value \('1e999'\) is not finite"),
        ({"metric": "eval_loss"}, ":2: metric 'eval_loss' looks as if lower were better"),
        ({"higher_is_better": "maybe"}, r":2: higher_is_better \('maybe'\) must be true or false"),
        (
            {"pool_sha256": "cd" * 32},
            r":2: the result belongs to another pool \(sha256 cdcdcdcdcdcd\)",
        ),
        ({"file_sha256": "cd" * 32}, r":2 was trained on a file .* that is not the exported"),
        ({}, r":2: acc of 'strategy:longest' on 'mmlu' is in .*rows\.jsonl:1 too"),
        ({"higher_is_better": False, "seed": 0, "training_seed": 1}, "higher_is_better differs"),
        ({"test_id": "t1"}, "a whole benchmark here and single tests there, or the other way"),
    ],
)
def test_a_bad_row_is_named(
    exported: Exported, tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(UtilityError, match=message):
        from_rows(exported, tmp_path, row(), row(**more))


def test_values_that_json_does_not_have_are_named(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(value=float("nan"))), encoding="utf-8")
    with pytest.raises(UtilityError, match=r"rows\.jsonl:1: NaN"):
        import_results([tmp_path / "rows.jsonl"], exported)


def test_hashes_of_the_export_are_accepted(exported: Exported, tmp_path: Path) -> None:
    made = exported.find(SetReference(LONGEST, 2), "")
    stated = row(pool_sha256=POOL, file_sha256=made.files["chat"].upper())
    assert from_rows(exported, tmp_path, stated)


# --- lm-evaluation-harness


def lm_eval(name: str, **more: Any) -> dict[str, Any]:
    """results_*.json as lm-eval 0.4 lays it out."""
    return {
        "results": {
            "mmlu": {"alias": "mmlu", "acc,none": 0.4, "acc_stderr,none": 0.01},
            "mmlu_stem": {"alias": " - stem", "acc,none": 0.3, "acc_stderr,none": 0.02},
            "mmlu_physics": {"alias": "  - physics", "acc,none": 0.2, "acc_stderr,none": "N/A"},
            "gsm8k": {
                "alias": "gsm8k",
                "exact_match,strict-match": 0.1,
                "exact_match_stderr,strict-match": 0.01,
                "exact_match,flexible-extract": 0.15,
                "exact_match_stderr,flexible-extract": 0.01,
            },
            "wikitext": {"alias": "wikitext", "sample_len": 62, "word_perplexity,none": 12.5},
            "leader": {" ": " ", "alias": "leader"},
            "ifeval": {"alias": " - ifeval", "prompt_level_strict_acc,none": 0.6},
        },
        "group_subtasks": {
            "mmlu": ["mmlu_stem"],
            "mmlu_stem": ["mmlu_physics"],
            "leader": ["ifeval"],
            "gsm8k": [],
        },
        "higher_is_better": {
            "mmlu": {"acc": True},
            "gsm8k": {"exact_match": True},
            "wikitext": {"word_perplexity": False},
        },
        "n-shot": {"mmlu": 5},
        "config": {"model": "hf", "model_args": f"pretrained=base,peft=runs/{name}/last"},
        "model_name": f"runs/{name}/last",
        **more,
    }


def test_lm_eval_is_read_as_it_is(exported: Exported, tmp_path: Path) -> None:
    content = lm_eval(name_of(exported, RANDOM, 2, 1))
    found = from_json(exported, tmp_path, content, training_seed=7)
    assert {(each.arm, each.budget, each.seed, each.training_seed) for each in found} == {
        (RANDOM, 2, 1, 7)
    }
    values = {(each.benchmark, each.metric): (each.value, each.higher_is_better) for each in found}
    assert values == {
        ("mmlu", "acc"): (0.4, True),
        ("gsm8k", "exact_match,strict-match"): (0.1, True),
        ("gsm8k", "exact_match,flexible-extract"): (0.15, True),
        ("wikitext", "word_perplexity"): (12.5, False),
        ("ifeval", "prompt_level_strict_acc"): (0.6, True),
    }
    assert {each.test_id for each in found} == {None}


def test_an_older_lm_eval_file_is_read_too(exported: Exported, tmp_path: Path) -> None:
    old = {
        "results": {"wikitext": {"word_perplexity": 9.0}, "piqa": {"acc": 0.7, "acc_stderr": 0.1}},
        "config": {"model_args": {"pretrained": f"/models/{name_of(exported, LONGEST, 4)}"}},
    }
    found = from_json(exported, tmp_path, old)
    directions = {(each.arm, each.benchmark, each.higher_is_better) for each in found}
    assert directions == {(LONGEST, "wikitext", False), (LONGEST, "piqa", True)}


def test_what_lm_eval_left_out_is_not_missed(exported: Exported, tmp_path: Path) -> None:
    name = name_of(exported, LONGEST, 2)
    sparse = {"higher_is_better": {"mmlu": True}, "group_subtasks": None, "config": None}
    found = from_json(exported, tmp_path, lm_eval(name, **sparse))
    assert {each.benchmark for each in found} >= {"mmlu", "mmlu_physics", "wikitext"}


def test_a_model_of_another_name_needs_to_be_said(exported: Exported, tmp_path: Path) -> None:
    content = lm_eval("my-model")
    names = "'runs/my-model/last', 'base', 'runs', 'my-model', 'last'"
    with pytest.raises(UtilityError, match=rf"names \({names}\) is that .* `arm`, `budget` and"):
        from_json(exported, tmp_path, content)
    with pytest.raises(UtilityError, match=r"found\.json.*does not name its model\. Say which set"):
        from_json(exported, tmp_path, {**content, "model_name": None, "config": {}})
    found = from_json(exported, tmp_path, content, given=SetReference(LONGEST, 4))
    assert {(each.arm, each.budget) for each in found} == {(LONGEST, 4)}


def test_the_name_of_an_arm_is_enough_where_it_has_one_set(tmp_path: Path) -> None:
    sets = (TrainingSet(LONGEST, 2, 0, ITEMS[:2]), TrainingSet(RANDOM, 2, 0, ITEMS[2:4]))
    write_export(tmp_path / "out", TrainingSets(POOL, None, sets))
    exported = read_exported(tmp_path / "out")
    found = from_json(exported, tmp_path, lm_eval("x", model_name=LONGEST, config={}))
    assert {each.arm for each in found} == {LONGEST}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (SetReference(RANDOM), "but 'strategy:random' was given"),
        (SetReference(LONGEST, 2), "but 'strategy:longest', budget 2 was given"),
        (
            SetReference(LONGEST, 4, 1),
            "but 'strategy:longest', budget 4, seed 1 was given",
        ),
    ],
)
def test_a_file_that_names_another_set_than_the_given_one_is_refused(
    exported: Exported, tmp_path: Path, given: SetReference, words: str
) -> None:
    own = "says that it belongs to 'strategy:longest', budget 4, seed 0, "
    content = lm_eval(name_of(exported, LONGEST, 4))
    with pytest.raises(UtilityError, match=rf"results\.mmlu\.acc,none {own}{words}"):
        from_json(exported, tmp_path, content, given=given)
    path = write_jsonl(tmp_path / "rows.jsonl", [row(budget=4)])
    with pytest.raises(UtilityError, match=rf"rows\.jsonl:1 {own}{words}\. Correct `arm`"):
        import_results([path], exported, given)


def test_a_file_may_name_the_given_set_itself(exported: Exported, tmp_path: Path) -> None:
    name = name_of(exported, LONGEST, 4)
    path = write_jsonl(tmp_path / "rows.jsonl", [row(budget=4)])
    for given in (SetReference(LONGEST), SetReference(LONGEST, 4, 0), SetReference(name)):
        found = [
            *from_json(exported, tmp_path, lm_eval(name), given=given),
            *import_results([path], exported, given).results,
        ]
        assert {(each.arm, each.budget) for each in found} == {(LONGEST, 4)}


def test_a_file_that_names_an_arm_of_several_sets_leaves_the_rest_to_say(
    exported: Exported, tmp_path: Path
) -> None:
    content = lm_eval("x", model_name=RANDOM, config={})
    found = from_json(exported, tmp_path, content, given=SetReference(RANDOM, 2, 1))
    assert {(each.arm, each.budget, each.seed) for each in found} == {(RANDOM, 2, 1)}
    with pytest.raises(UtilityError, match="may be any of several sets"):
        from_json(exported, tmp_path, content, given=SetReference(RANDOM, 2))
    with pytest.raises(UtilityError, match="belongs to 'strategy:random', but"):
        from_json(exported, tmp_path, content, given=SetReference(LONGEST, 2))


@pytest.mark.parametrize("odd", [[], "N/A", None, {}, float("nan"), float("inf")])
def test_a_figure_of_lm_eval_that_is_no_number_is_left_out_alone(
    exported: Exported, tmp_path: Path, odd: Any
) -> None:
    name = name_of(exported, LONGEST, 2)
    results = {"mmlu": {"acc,none": 0.4, "acc_stderr,none": "N/A", "submission,none": odd}}
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(lm_eval(name, results=results)), encoding="utf-8")
    content = import_results([path], exported)
    assert [(each.metric, each.value) for each in content.results] == [("acc", 0.4)]
    assert content.unsettled == 1
    with pytest.raises(UtilityError, match="none of its 1 rows has a value"):
        from_json(exported, tmp_path, lm_eval(name, results={"mmlu": {"acc,none": odd}}))


# --- AlpacaEval


def annotation(number: int, preference: float | None, model: str) -> dict[str, Any]:
    return {
        "dataset": "helpful_base",
        "instruction": f"Do thing {number}",
        "output_1": "a",
        "generator_1": "gpt4_1106_preview",
        "output_2": "b",
        "generator_2": model,
        "annotator": "weighted_alpaca_eval_gpt4_turbo",
        "preference": preference,
    }


def test_annotations_average_to_the_win_rate(exported: Exported, tmp_path: Path) -> None:
    preferences = [1.0, 2.0, 1.5, 0.0, 1.25, None]  # 1.5, formerly 0, is a draw; null is dropped
    model = name_of(exported, LONGEST, 2)
    content = [annotation(n, preference, model) for n, preference in enumerate(preferences)]
    found = from_json(exported, tmp_path, content)
    assert fmean(each.value for each in found) == pytest.approx(
        100 * (0 + 1 + 0.5 + 0.5 + 0.25) / 5
    )
    assert {(each.benchmark, each.metric) for each in found} == {("alpaca_eval", "win_rate")}
    assert len({each.test_id for each in found}) == 5


def test_annotations_of_other_models_are_left_out(exported: Exported, tmp_path: Path) -> None:
    model = name_of(exported, LONGEST, 2)
    content = [annotation(1, 2.0, model), annotation(1, 1.0, "gpt-4")]
    assert [each.value for each in from_json(exported, tmp_path, content)] == [100.0]
    with pytest.raises(UtilityError, match=r"its model's names \('gpt-4'\) is that of one"):
        from_json(exported, tmp_path, content[1:])
    others = [*content[1:], annotation(1, 1.0, "gpt-3")]
    with pytest.raises(UtilityError, match=r"none of its models \('gpt-4', 'gpt-3'\) has the name"):
        from_json(exported, tmp_path, others, given=SetReference(LONGEST, 2))


def test_annotations_without_a_preference_are_left_out_and_counted(
    exported: Exported, tmp_path: Path
) -> None:
    model, path = name_of(exported, LONGEST, 2), tmp_path / "annotations.json"
    unsettled = [annotation(1, None, model), annotation(2, None, "gpt-4")]
    path.write_text(json.dumps([*unsettled, annotation(3, 2.0, model)]), encoding="utf-8")
    content = import_results([path], exported)
    assert (len(content.results), content.unsettled) == (1, 1)
    path.write_text(json.dumps(unsettled), encoding="utf-8")
    with pytest.raises(UtilityError, match=r"annotations\.json: none of its 1 rows has a value"):
        import_results([path], exported)


def test_an_instruction_that_comes_twice_is_two_tests(exported: Exported, tmp_path: Path) -> None:
    model = name_of(exported, LONGEST, 2)

    def values(*preferences: float | None) -> dict[str | None, float]:
        content = [annotation(1, each, model) for each in preferences]
        found = from_json(exported, tmp_path, content)
        return {each.test_id: each.value for each in found}

    first, second = values(1.0, 2.0)
    assert second == f"{first}-2"
    assert values(1.0, 2.0) == {first: 0, second: 100}
    assert values(None, 2.0) == {second: 100}  # what has no preference counts all the same


@pytest.mark.parametrize("preference", [0.5, 2.5, float("inf"), "b"])
def test_a_preference_that_is_none_is_named(
    exported: Exported, tmp_path: Path, preference: Any
) -> None:
    with pytest.raises(UtilityError, match="element 1: preference"):
        from_json(exported, tmp_path, [annotation(1, preference, LONGEST)])


def test_a_leaderboard_gives_the_win_rates_of_exported_sets(
    exported: Exported, tmp_path: Path
) -> None:
    names = [name_of(exported, LONGEST, 2), name_of(exported, RANDOM, 2, 1)]
    header = (
        ",win_rate,standard_error,n_wins,n_wins_base,n_draws,n_total,discrete_win_rate,mode,"
        "avg_length,length_controlled_winrate,lc_standard_error"
    )
    lines = [
        header,
        f"{names[0]},12.5,1.1,100,700,5,805,12.7,community,1500,14.5,.7",
        "gpt4_1106_preview,50.0,0.0,0,0,805,805,50.0,minimal,2049,50.0,",
        f"{names[1]},9.5,1.1,90,700,15,805,9.7,community,1100,,",
    ]
    (tmp_path / "leaderboard.csv").write_text("\n".join(lines), encoding="utf-8")
    found = import_results([tmp_path / "leaderboard.csv"], exported).results
    assert {(each.arm, each.metric, each.value) for each in found} == {
        (LONGEST, "win_rate", 12.5),
        (LONGEST, "discrete_win_rate", 12.7),
        (LONGEST, "length_controlled_winrate", 14.5),
        (RANDOM, "win_rate", 9.5),
        (RANDOM, "discrete_win_rate", 9.7),
    }


# --- files


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json is not JSON"),
        (
            "a.json",
            '{"scores": 1}',
            r"a\.json is not a kind of result file that selectllm knows\. Give rows",
        ),
        ("a.json", "[]", r"is not a kind of result file that selectllm knows"),
        ("a.jsonl", "", "holds no results"),
        ("a.txt", "", r"suffix '\.txt'"),
        ("a.csv", "arm,value\n", "no column 'metric'"),
        ("a.json", '{"results": {}}', "holds no results"),
        ("a.json", '{"results": {"mmlu": 0.4}}', r"results\.mmlu \(0\.4\) contains no metrics"),
        ("a.json", '[{"arm": "x"}, 3]', "element 1: metric is missing"),
    ],
)
def test_files_of_no_known_format_are_refused(
    exported: Exported, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UtilityError, match=message):
        import_results([tmp_path / name], exported)


def test_a_file_that_is_not_there_is_named(exported: Exported, tmp_path: Path) -> None:
    for name in ("none.json", "none.csv", "none.jsonl"):
        with pytest.raises(UtilityError, match=name):
            import_results([tmp_path / name], exported)


def test_a_folder_that_was_not_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Name a folder that `export` wrote"):
        read_exported(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1, "verb": "export"}', encoding="utf-8")
    with pytest.raises(RunError, match="damaged"):
        read_exported(tmp_path)


def test_an_export_of_another_pool_is_refused(exported: Exported) -> None:
    check_pool(exported, POOL, "the run")
    with pytest.raises(UtilityError, match="the run belongs to another pool"):
        check_pool(exported, "cd" * 32, "the run")


def test_results_come_back_as_they_were_written(exported: Exported, tmp_path: Path) -> None:
    rows = [
        row(test_id=f"t{n}", benchmark="own", value=n, training_seed=n % 2 or None)
        for n in range(4)
    ]
    path, others = write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "b.json"
    others.write_text(json.dumps(lm_eval(name_of(exported, RANDOM, 4))), encoding="utf-8")
    content = import_results([path, others], exported)
    write_results(tmp_path / "results.jsonl", content)
    for line in read_jsonl(tmp_path / "results.jsonl"):
        Draft202012Validator(schema("outcomes")).validate(line)
    assert read_results(tmp_path / "results.jsonl") == content
    assert content.export_sha256 == exported.sha256
    again = tmp_path / "again.jsonl"
    write_results(again, import_results([others, path], exported))
    assert again.read_bytes() == (tmp_path / "results.jsonl").read_bytes()


def test_results_that_were_cut_are_refused(exported: Exported, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    results = from_rows(exported, tmp_path, row())
    write_results(path, ResultsFile(POOL, None, exported.sha256, tuple(results)))
    header, line = read_jsonl(path)
    for lines, message in (
        ([header], "holds 0 results, and its first line says 1"),
        ([line, line], "does not begin a results file"),
        ([{**header, "note": ""}, line], "does not begin a results file"),
        (
            [{"results": {**header["results"], "format": 2}}, line],
            "does not begin a results file of format 1",
        ),
        ([header, {"arm": "x", "value": 1}], ":2 is not a line of a results file"),
        ([header, {**line, "more": 1}], r":2 is not a line .* \('more' missing or unknown\)"),
        ([], "holds no results"),
    ):
        with pytest.raises(UtilityError, match=message):
            read_results(write_jsonl(path, lines))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("arm", 3, "must be text"),
        ("budget", "10", "must be a whole number"),
        ("budget", True, "must be a whole number"),
        ("seed", None, "must be a whole number"),
        ("training_seed", 1.5, "must be a whole number or null"),
        ("benchmark", None, "must be text"),
        ("test_id", 4, "must be text or null"),
        ("metric", ["acc"], "must be text"),
        ("value", "high", "must be a number"),
        ("value", 10**400, "is not finite"),
        ("higher_is_better", 1, "must be true or false"),
        ("source_file_sha256", None, "must be text"),
    ],
)
def test_a_field_of_another_type_is_named(
    exported: Exported, tmp_path: Path, name: str, value: Any, words: str
) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, ResultsFile(POOL, None, POOL, (result(),)))
    header, line = read_jsonl(path)
    write_jsonl(path, [header, {**line, name: value}])
    with pytest.raises(UtilityError, match=rf"results\.jsonl:2: {name} \(.*\) {words}"):
        read_results(path)


@pytest.mark.parametrize("name", ["pool_sha256", "suite", "export_sha256", "unsettled", "sha256"])
def test_the_first_line_has_types_too_and_is_hashed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, ResultsFile(POOL, None, POOL, (result(),)))
    header, line = read_jsonl(path)
    other = 7 if name == "unsettled" else "cd" * 32
    for value, message in (
        (1.5, rf":1: {name} \(1\.5\) must be"),
        (other, "It was edited|was edited: its sha256"),
    ):
        write_jsonl(path, [{"results": {**header["results"], name: value}}, line])
        with pytest.raises(UtilityError, match=message):
            read_results(path)


def test_lines_that_were_edited_or_moved_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, ResultsFile(POOL, None, POOL, (result(), result(LONGEST))))
    header, one, other = read_jsonl(path)
    for lines in ([{**one, "value": 0.5}, other], [other, one], [one, one]):
        with pytest.raises(UtilityError, match=r"results\.jsonl was edited: its sha256 is not"):
            read_results(write_jsonl(path, [header, *lines]))


# --- one score an arm


def result(arm: str = RANDOM, value: float = 0.0, **more: Any) -> Result:
    fields = {"budget": 2, "seed": 0, "training_seed": None, "benchmark": "b", "test_id": None}
    other = {
        "metric": "acc",
        "higher_is_better": True,
        "source_file_sha256": POOL,
        **fields,
        **more,
    }
    return Result(arm=arm, value=value, **{**other, **fields, **more})


def test_a_score_is_a_mean_over_tests_then_benchmarks_in_each_run() -> None:
    results = [
        *(result(value=v, benchmark="own", test_id=f"t{n}") for n, v in enumerate((1, 2, 6))),
        result(value=5),
        *(result(value=0, seed=1, benchmark="own", test_id=f"t{n}") for n in range(3)),
        result(value=1, seed=1, training_seed=None),
    ]
    scores = arm_scores(results)
    assert scores.runs == {RANDOM: {"seed 0": 4.0, "seed 1": 0.5}}
    assert (scores.metric, scores.budget, scores.benchmarks) == ("acc", 2, ("b", "own"))
    assert arm_scores(results, benchmarks=["b"]).runs == {RANDOM: {"seed 0": 5, "seed 1": 1}}


def test_trainings_of_one_set_are_runs_of_their_own() -> None:
    results = [result(value=v, training_seed=2021 + v) for v in (0, 1)]
    assert arm_scores(results).runs == {
        RANDOM: {"seed 0, training 2021": 0, "seed 0, training 2022": 1}
    }


def test_losses_have_their_sign_turned() -> None:
    results = [result(value=2.5, metric="loss", higher_is_better=False)]
    assert arm_scores(results).runs == {RANDOM: {"seed 0": -2.5}}


@pytest.mark.parametrize(
    ("extra", "arguments", "message"),
    [
        (result(LONGEST, metric="f1"), {}, "more than one metric: 'acc', 'f1'. Name one"),
        (result(LONGEST, budget=4), {}, "more than one budget: '2', '4'. Name one"),
        (result(LONGEST), {"metric": "ac"}, "no metric 'ac'. Did you mean 'acc'"),
        (result(LONGEST), {"benchmarks": ["c"]}, "no benchmark 'c'"),
        (
            result(LONGEST, benchmark="c"),
            {},
            "'strategy:longest', seed 0: has no result of benchmark 'b'",
        ),
        (result(benchmark="c", higher_is_better=False), {}, "higher is better on some benchmarks"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(
    extra: Result, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UtilityError, match=message):
        arm_scores([result(), extra], **arguments)


def of_tests(arm: str, *names: str, **more: Any) -> list[Result]:
    """Single tests of a run; the values are the numbers in their names."""
    return [result(arm, float(name[1:]), test_id=name, **more) for name in names]


def test_only_tests_that_every_run_has_count() -> None:
    results = [*of_tests(RANDOM, "t1", "t2", "t6"), *of_tests(LONGEST, "t2", "t6", "t9")]
    scores = arm_scores(results)
    assert scores.runs == {RANDOM: {"seed 0": 4}, LONGEST: {"seed 0": 4}}
    assert (scores.tests, scores.left_out) == (2, 2)
    assert scores.sets == {(RANDOM, 2, 0), (LONGEST, 2, 0)}
    whole = [result(arm, 0, benchmark="c") for arm in (RANDOM, LONGEST)]
    scores = arm_scores([*results, *whole])
    assert scores.runs == {RANDOM: {"seed 0": 2}, LONGEST: {"seed 0": 2}}
    assert (scores.tests, scores.left_out) == (3, 2)


def test_less_than_half_of_the_tests_are_too_few() -> None:
    many, few = of_tests(RANDOM, "t1", "t2", "t3", "t4", "t5"), of_tests(LONGEST, "t1", "t2")
    assert arm_scores([*many[:4], *few]).tests == 2
    elsewhere = [
        each
        for arm in (RANDOM, LONGEST)
        for each in of_tests(arm, "t1", "t2", "t3", benchmark="c")  # cannot make up for it
    ]
    told = "benchmark 'b': only 2 of its 5 tests, .*; 'strategy:longest', seed 0 lacks 3"
    with pytest.raises(UtilityError, match=told):
        arm_scores([*many, *few, *elsewhere])


def test_what_foretells_comes_from_the_sets_and_the_export(exported: Exported) -> None:
    content = compared_sets({RANDOM: 0.0, LONGEST: 0.4, "whole": None}, "rating", (2, 4))
    assert captured_by_arm(content, "rating", 2) == {RANDOM: 0.0, LONGEST: 0.4}
    with pytest.raises(UtilityError, match="no utility 'ratng'"):
        captured_by_arm(content, "ratng", 2)
    with pytest.raises(UtilityError, match="no budget '3'"):
        captured_by_arm(content, "rating", 3)
    tokens = tokens_by_arm(exported, 2)
    assert tokens.keys() == {RANDOM, LONGEST}
    by_seed = [each.tokens for each in exported.sets if (each.arm, each.budget) == (RANDOM, 2)]
    assert tokens[RANDOM] == fmean(by_seed)


def test_from_result_files_to_agreement(tmp_path: Path) -> None:
    arms = [f"strategy:s{number}" for number in range(5)]
    sets = tuple(
        TrainingSet(arm, 2, seed, ITEMS[n:][:2]) for n, arm in enumerate(arms) for seed in (0, 1)
    )
    write_export(tmp_path / "out", TrainingSets(POOL, "demo", sets))
    exported = read_exported(tmp_path / "out")
    rows = [
        row(arm=each.arm, seed=each.seed, metric="loss", value=9 - n // 2, higher_is_better=False)
        for n, each in enumerate(exported.sets)
    ]
    scores = arm_scores(from_rows(exported, tmp_path, *rows))
    foretold = {arm: {"": float(number)} for number, arm in enumerate(arms)}
    found = set_agreement(foretold, scores.runs, tokens_by_arm(exported, 2))
    assert found.status == "ok"
    assert found.spearman.value == found.decisions.value == pytest.approx(1)
    assert found.reliability == 1
    assert found.tokens.value == pytest.approx(1)
