"""`verify`: a run's figures follow from its folder, and whatever does not is named."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.cli import main
from selectllm.evaluation.runs.verify import ABSENT, Difference, differences
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import RATED, assert_refused, write_suite

RUN = Path("run")
TWO = "mock/first -> mock/first, mock/oracle"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two models and the default strategies on 8 clusters of 5."""
    folder = tmp_path_factory.mktemp("finished")
    with contextlib.chdir(folder):
        write_jsonl(Path("pool.jsonl"), pool_rows())
        suite = write_suite(TWO, RATED)
        assert main(["eval", str(suite), "-o", str(RUN), "--cache", "cache"]) == 0
    return folder


@pytest.fixture
def run(selectllm: Command, finished: Path) -> Path:
    """The same in the current folder, with its pool and suite."""
    shutil.copytree(finished, ".", dirs_exist_ok=True)
    return RUN


def edit(name: str, change: Callable[[Any], None]) -> None:
    """Change the content of one of the run's JSON files."""
    path = RUN / name
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_lines(name: str, change: Callable[[list[Any]], None]) -> None:
    """Change the rows of one of the run's JSON lines files."""
    rows = read_jsonl(RUN / name)
    change(rows)
    write_jsonl(RUN / name, rows)


def edit_decision(**fields: Any) -> str:
    """Give the first decision of short@1 + mock/first other fields; returns what it is called."""

    def change(rows: list[Any]) -> None:
        row = next(row for row in rows if row.get("model") == "mock/first" and row["cluster"] == 0)
        for name, value in fields.items():
            row[name] = value(row) if callable(value) else value

    edit_lines("decisions.jsonl", change)
    return "decisions[short@1 + mock/first, cluster 0, order 0, repeat 0]"


# --- a run as it was left


def test_every_figure_of_a_run_follows_from_its_folder(selectllm: Command, run: Path) -> None:
    outcome = selectllm("verify", run)
    assert (outcome.code, outcome.err) == (0, "")
    numbers = selectllm("verify", run, "--json").json["figures"]
    assert numbers > 200
    assert outcome.out.startswith(f"All {numbers} figures in results.json ")


@pytest.mark.parametrize(
    "command",
    [
        ("ab", "--a", "mock/first", "--b", "mock/oracle"),
        ("swap", "--from", "mock/oracle", "--to", "mock/first"),
        ("aa", "--model", "mock/first"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("few_resamples")
def test_verdicts_and_noise_follow_from_it_too(
    selectllm: Command, pool_file: Path, command: tuple[str, ...]
) -> None:
    verb, *options = command
    selectllm(verb, write_suite(TWO, RATED), "-o", RUN, *options)
    outcome = selectllm("verify", RUN)
    assert (outcome.code, outcome.err) == (0, "")


def test_so_does_a_regression_test_against_a_baseline(
    selectllm: Command, run: Path, pool_file: Path
) -> None:
    assert selectllm("baseline", "set", run, "-o", "baseline.json").code == 0
    outcome = selectllm(
        "regress", write_suite(TWO, RATED), "--baseline", "baseline.json", "-o", "again"
    )
    assert outcome.code == 0, outcome.err
    assert selectllm("verify", "again").code == 0


def test_so_does_a_sequential_comparison_that_stopped_early(
    selectllm: Command, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "pool.jsonl", pool_rows(1000))
    arms = ("--a", "mock/random", "--b", "mock/oracle", "--design", "sequential")
    suite = write_suite("mock/first -> mock/random, mock/oracle", RATED)
    assert selectllm("ab", suite, "-o", RUN, *arms).code == 0
    design = json.loads((RUN / "results.json").read_bytes())["verdicts"][0]["design"]
    assert design["calls_saved"] > 0
    assert selectllm("verify", RUN).code == 0


def test_a_run_without_utilities_is_verified_as_well(selectllm: Command, pool_file: Path) -> None:
    assert selectllm("eval", write_suite("orders: 2\nrepeats: 2"), "-o", RUN).code == 0
    assert selectllm("verify", RUN).code == 0


def test_a_run_is_not_changed_by_it(selectllm: Command, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    selectllm("verify", run)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_no_model_is_loaded(selectllm: Command, run: Path) -> None:
    code = (
        "from selectllm.cli import main; assert main(['verify', 'run']) == 0\n"
        "import sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"litellm", "torch", "sklearn", "sentence_transformers", "xllamacpp"}


# --- results.json


def test_a_changed_figure_is_named_with_both_values(selectllm: Command, run: Path) -> None:
    path = "pairs[1].agreement.rating.captured.estimate"
    edit("results.json", lambda found: captured(found).update(estimate=0.31))
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert outcome.out == f"{path}: 0.31 in results.json, 1.0 recomputed\n"
    difference = {"path": path, "file": "results.json", "source": "recomputed"}
    assert selectllm("verify", run, "--json").json["differences"] == [
        {**difference, "found": 0.31, "expected": 1.0}
    ]


def captured(found: Any) -> Any:
    return found["pairs"][1]["agreement"]["rating"]["captured"]


def test_a_figure_that_was_taken_out_or_put_in_is_named(selectllm: Command, run: Path) -> None:
    edit("results.json", lambda found: (captured(found).pop("low"), found.update(extra=7)))
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert "extra: 7 in results.json, nothing recomputed" in outcome.out
    assert "captured.low: nothing in results.json, 1.0 recomputed" in outcome.out
    rows = selectllm("verify", run, "--json").json["differences"]
    assert [sorted({"found", "expected"} & row.keys()) for row in rows] == [["found"], ["expected"]]


def test_nan_is_no_number_of_json(selectllm: Command, run: Path) -> None:
    edit("results.json", lambda found: captured(found).update(estimate=math.nan))
    assert_refused(selectllm("verify", run), "results.json", "NaN")


def test_the_terminal_lists_twenty_differences_and_json_all(selectllm: Command, run: Path) -> None:
    edit("results.json", lambda found: found["pairs"][0]["slots"].update(counts=list(range(30))))
    outcome = selectllm("verify", run)
    lines = outcome.out.splitlines()
    total = len(selectllm("verify", run, "--json").json["differences"])
    assert total > 20
    assert len(lines) == 21
    assert lines[-1] == f"There are {total - 20} more. To list them all, use --json."


# --- decisions.jsonl


def test_a_pick_exchanged_for_another_changes_figures(selectllm: Command, run: Path) -> None:
    edit_decision(picks=lambda row: row["shown"][-2:])
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert "pairs[0].slots.counts[0]: 8 in results.json, 7 recomputed" in outcome.out


def ids(row: Any) -> Any:
    return row["shown"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("picks", lambda row: ["item-x", ids(row)[0]], '"item-x"'),
        ("picks", lambda row: ids(row)[:3], " allowed"),
        ("picks", lambda row: ids(row)[:1] * 2, " allowed"),
        ("shown", lambda row: [*ids(row)[:4], "item-x"], " in clusters.json"),
        ("ranking", lambda row: ids(row)[:4], " shown"),
        ("status", "error", '"error" in decisions.jsonl, ["ok"'),
        ("prompt_sha256", "0" * 64, " in run.json"),
    ],
)
def test_a_decision_that_cannot_be_of_this_run_is_named(
    selectllm: Command, run: Path, field: str, value: Any, told: str
) -> None:
    place = edit_decision(**{field: value})
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    line = next(each for each in outcome.out.splitlines() if each.startswith(f"{place}.{field}: "))
    assert told in line


def test_a_missing_decision_is_named(selectllm: Command, run: Path) -> None:
    edit_lines("decisions.jsonl", lambda rows: rows.remove(rows[-1]))
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert outcome.out.startswith("decisions[short@1 + mock/oracle, cluster ")
    assert outcome.out.endswith(", order 0, repeat 0]: 0 in decisions.jsonl, 1 expected\n")


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("order", 1, "cluster 0, order 1, repeat 0]"),
        ("cluster", 99, "cluster 99, order 0, repeat 0]"),
        ("model", "mock/other", "mock/other, cluster 0"),
        ("round", 1, "repeat 0, round 1]"),
    ],
)
def test_a_decision_on_what_was_not_asked_is_named(
    selectllm: Command, run: Path, field: str, value: object, place: str
) -> None:
    place_before = edit_decision(**{field: value})
    outcome = selectllm("verify", run)
    missing, extra = outcome.out.splitlines()
    assert outcome.code == 1
    assert missing == f"{place_before}: 0 in decisions.jsonl, 1 expected"
    assert place in extra
    assert extra.endswith(": 1 in decisions.jsonl, 0 expected")


def test_a_strategy_has_to_have_decided_as_well(selectllm: Command, run: Path) -> None:
    def cut(rows: list[Any]) -> None:
        rows.remove(next(row for row in rows if row.get("strategy") == "longest"))

    edit_lines("decisions.jsonl", cut)
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert outcome.out.startswith("decisions[strategy:longest, cluster ")


# --- the other files


def test_a_changed_setting_in_run_json_is_named(selectllm: Command, run: Path) -> None:
    edit("run.json", lambda content: content["manifest"].update(picks=3))
    outcome = selectllm("verify", run)
    assert outcome.code == 1
    assert outcome.out == "manifest.picks: 2 in decisions.jsonl, 3 in run.json\n"


def test_a_changed_utility_is_named(selectllm: Command, run: Path) -> None:
    edit_lines("utilities.jsonl", lambda rows: rows[1]["values"].update(rating=17))
    assert_refused(selectllm("verify", run), "utilities.jsonl (rating)")


def test_a_changed_cluster_is_named(selectllm: Command, run: Path) -> None:
    def exchange(content: Any) -> None:
        first, second = (cluster["members"] for cluster in content["clusters"][:2])
        first[0], second[0] = second[0], first[0]

    edit("clusters.json", exchange)
    assert_refused(selectllm("verify", run), "clusters.json", "sha256 does not fit")


def test_a_damaged_results_file_is_named(selectllm: Command, run: Path) -> None:
    (run / "results.json").write_text("[]")
    assert_refused(selectllm("verify", run), "results.json", "not a JSON object")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("cluster", ["a"], "not a decision"),
        ("picks", [["a"]], "not a decision"),
        ("attempts", [], "not a decision"),
        ("status", "fine", "not a decision"),
    ],
    ids=str,
)
def test_a_log_of_other_types_is_no_traceback(
    selectllm: Command, run: Path, field: str, value: Any, says: str
) -> None:
    def mistyped(row: Any) -> Any:
        return value or [{**each, "tokens_in": "many"} for each in row[field]]

    edit_decision(**{field: mistyped})
    assert_refused(selectllm("verify", run), says)


def test_a_run_that_is_not_finished_says_how_to_finish_it(selectllm: Command, run: Path) -> None:
    (run / "results.json").unlink()
    assert_refused(selectllm("verify", run), "not finished", "Run the same command again")


def test_a_folder_that_is_no_run_is_refused(selectllm: Command) -> None:
    Path("empty").mkdir()
    assert_refused(selectllm("verify", "empty"), "run.json", "Is the folder a finished run?")


# --- what counts as a difference


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differences(value, json.loads(json.dumps(value))) == []


@given(st.floats(1e-3, 1e9))
def test_the_last_digits_of_a_number_may_be_rounded_otherwise(number: float) -> None:
    assert differences([number], [number * (1 + 1e-11)]) == []
    assert differences([number], [number * (1 + 1e-8)]) != []


def test_zero_may_be_off_by_rounding() -> None:
    assert differences(0.0, 1e-17) == []
    assert differences(0.0, 1e-9) == [Difference("", 0.0, 1e-9)]


@pytest.mark.parametrize(
    ("found", "recomputed"),
    [(math.nan, math.nan), (None, 0), (True, 1), (False, 0), ("1", 1), ([], {}), (0, [])],
)
def test_values_of_other_kinds_differ(found: Any, recomputed: Any) -> None:
    (difference,) = differences({"a": found}, {"a": recomputed})
    assert difference.path == "a"


def test_differences_are_named_by_where_they_are() -> None:
    found = {"a": [{"b": 1}, 2], "c": 3}
    recomputed = {"a": [{"b": 0}, 2, 4], "d": None}
    assert differences(found, recomputed) == [
        Difference("a[0].b", 1, 0),
        Difference("a[2]", ABSENT, 4),
        Difference("c", 3, ABSENT),
        Difference("d", ABSENT, None),
    ]


def test_a_long_value_is_cut_in_the_text_and_whole_in_json() -> None:
    difference = Difference("a", "x" * 500, None)
    assert difference.text == f'a: "{"x" * 76}... in results.json, null recomputed'
    assert difference.to_json()["found"] == "x" * 500
