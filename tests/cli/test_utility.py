"""From unlabelled instructions to a verdict: sheets, raters, ratings, `ab --differing`."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from selectllm.cli import main
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, write_suite
from tests.support.sheets import fill, rows_of

MODELS = "models: [mock/first] -> models: [mock/first, mock/random]"
ARMS = ("--a", "mock/first", "--b", "mock/random")


def instructions() -> list[dict[str, Any]]:
    """Items without responses and ratings."""
    names = ("id", "instruction", "input")
    return [{name: row[name] for name in names} for row in pool_rows(600)]


@pytest.fixture(autouse=True)
def unlabelled(selectllm: Command) -> list[dict[str, Any]]:
    """600 instructions without a rating, in the current folder."""
    write_jsonl(Path("pool.jsonl"), instructions())
    return instructions()


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An `ab` that nobody could decide yet, with its suite and its cache."""
    folder = tmp_path_factory.mktemp("undecided")
    with contextlib.chdir(folder):
        write_jsonl(Path("pool.jsonl"), instructions())
        words = ["ab", str(write_suite(MODELS)), *ARMS, "-o", "run", "--quiet"]
        assert main([*words, "--cache", "cache"]) == 3
    return folder


@pytest.fixture
def run(unlabelled: list[dict[str, Any]], undecided: Path) -> Path:
    """The same in the current folder."""
    shutil.copytree(undecided, ".", dirs_exist_ok=True)
    return Path("run")


def quality(item_id: str) -> int:
    """What raters would say."""
    return int(item_id.removeprefix("item-")) * 13 % 5 + 1


def rated_suite(**entry: Any) -> Path:
    utility = {"name": "rating", "source": "import", "file": "sheet.ratings.jsonl"}
    described = json.dumps(utility | {"range": [1, 5]} | entry)
    return write_suite(MODELS, f"utilities: [{described}]")


def ask(selectllm: Command, *words: object) -> Outcome:
    return selectllm("utility", "ask", *words, "--quiet")


def decide(selectllm: Command, *more: object, suite: Path | None = None) -> Outcome:
    return selectllm("ab", suite or rated_suite(), *ARMS, "--json", "--quiet", *more)


class TestTheWholeWay:
    """Both prompts are run, what differs is rated, the verdict is read."""

    def test_from_unlabelled_instructions_to_a_verdict(self, selectllm: Command, run: Path) -> None:
        assert ask(selectllm, run, "--differing", "-o", "sheet.csv").code == 0
        _, rows = rows_of(Path("sheet.csv"))
        decisions = read_jsonl(run / "decisions.jsonl")[1:]
        picked: dict[int, list[set[str]]] = {}
        for row in decisions:
            if "model" in row:
                picked.setdefault(row["cluster"], []).append(set(row["picks"]))
        differing = {item for a, b in picked.values() for item in a ^ b}
        assert {row["id"] for row in rows} == differing
        fill(Path("sheet.csv"), quality)
        assert selectllm("utility", "import", "sheet.csv").code == 0
        outcome = decide(selectllm, "--differing", "-o", "decided")
        assert "collect ratings" not in outcome.err
        (verdict,) = outcome.json["verdicts"]
        assert verdict["unit"] == "range"
        assert verdict["captured"] == {"a": None, "b": None}
        gains = [
            sum(quality(i) for i in b) - sum(quality(i) for i in a) for a, b in picked.values()
        ]
        expected = sum(gains) / len(gains) / (2 * 4)
        assert abs(verdict["difference"]["estimate"]) == pytest.approx(abs(expected))
        assert selectllm("verify", "decided").code == 0

    def test_it_decides_when_the_raters_prefer_one_arm(self, selectllm: Command, run: Path) -> None:
        ask(selectllm, run, "--differing", "-o", "sheet.csv")
        by_b = {
            item
            for row in read_jsonl(run / "decisions.jsonl")[1:]
            if row.get("model") == "mock/random"
            for item in row["picks"]
        }
        fill(Path("sheet.csv"), lambda item_id: 5 if item_id in by_b else 1)
        selectllm("utility", "import", "sheet.csv")
        outcome = decide(selectllm, "--differing")
        assert outcome.json["verdicts"][0]["word"] == "better"
        assert outcome.code == 0

    def test_a_margin_in_points_lets_arms_be_equivalent(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "-o", "sheet.csv")
        fill(Path("sheet.csv"), lambda item_id: 3)
        selectllm("utility", "import", "sheet.csv")
        suite = rated_suite()
        text = suite.read_text(encoding="utf-8")
        assert decide(selectllm, "--differing", suite=suite).code == 3
        suite.write_text(text + "gate: {rating_margin: 1.0}\n", encoding="utf-8")
        outcome = decide(selectllm, "--differing", suite=suite)
        assert outcome.json["verdicts"][0]["word"] == "equivalent"

    def test_what_is_missing_is_named_and_how_to_get_it(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "-o", "sheet.csv")
        _, rows = rows_of(Path("sheet.csv"))
        left_out = rows[0]["id"]
        fill(Path("sheet.csv"), lambda item_id: "" if item_id == left_out else 3)
        refused = selectllm("utility", "import", "sheet.csv")
        assert_refused(refused, left_out)
        assert selectllm("utility", "import", "sheet.csv", "--partial").code == 0
        assert_refused(decide(selectllm, "--differing"), "1 of the", left_out, "--differing")

    def test_without_differing_every_item_needs_a_rating(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "-o", "sheet.csv")
        fill(Path("sheet.csv"), quality)
        selectllm("utility", "import", "sheet.csv")
        assert_refused(decide(selectllm), "of the 600 items", "utility ask", "--differing")

    def test_full_ratings_serve_every_verb(self, selectllm: Command) -> None:
        assert ask(selectllm, write_suite(MODELS), "-o", "sheet.csv").code == 0
        assert len(rows_of(Path("sheet.csv"))[1]) == 600
        fill(Path("sheet.csv"), quality, "anna")
        selectllm("utility", "import", "sheet.csv")
        outcome = decide(selectllm)
        (verdict,) = outcome.json["verdicts"]
        assert verdict["unit"] == "captured"
        said = {"name": "rating", "kind": "human", "rater": "anna", "validation": None}
        assert said.items() <= verdict["utility"].items()


class TestAskAndImport:
    """How sheets are asked for and read on the command line."""

    def test_what_was_asked_is_told_as_text_or_json(self, selectllm: Command, run: Path) -> None:
        outcome = selectllm("utility", "ask", run, "--raters", 2, "-o", "sheet.csv")
        assert outcome.out == (
            "Wrote 600 items for 2 raters to sheet-1.csv, sheet-2.csv.\n"
            "Once they are filled in, run: selectllm utility import sheet-1.csv sheet-2.csv\n"
        )
        told = ask(selectllm, run, "-o", "one.csv", "--json").json
        assert told == {"sheets": ["one.csv"], "items": 600, "raters": 1}

    def test_what_was_read_is_told_as_json_or_without_notes(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "--raters", 2, "-o", "sheet.csv")
        fill(Path("sheet-1.csv"), quality, "anna")
        asked = ("utility", "import", "sheet-1.csv")
        outcome = selectllm(*asked, "--json")
        assert outcome.err == "Note: 2 raters were asked, and 1 answered.\n"
        assert outcome.json["file"] == "sheet-1.ratings.jsonl"
        quiet = selectllm(*asked, "--quiet")
        assert quiet.err == ""
        assert "suite's utilities: {name: rating, source: import" in quiet.out

    def test_options_reach_the_sheet(self, selectllm: Command, run: Path) -> None:
        suite = write_suite(MODELS)
        Path("rubric.txt").write_text("Is it funny?", encoding="utf-8")
        scale = ("--range", 0, 10, "--rubric", "rubric.txt")
        ask(selectllm, suite, "--limit", 20, *scale, "-o", "first.csv")
        comments, rows = rows_of(Path("first.csv"))
        assert (comments[0][0], len(rows)) == ("# Is it funny?", 100)
        fill(Path("first.csv"), lambda item_id: 10, "anna")
        assert selectllm("utility", "import", "first.csv").code == 0
        rated = ("--rated", "first.ratings.jsonl")
        ask(selectllm, suite, "--limit", 30, *scale, *rated, "-o", "more.csv")
        assert len(rows_of(Path("more.csv"))[1]) == 50
        fill(Path("more.csv"), lambda item_id: 0, "anna")
        joined = ("--add", "first.ratings.jsonl", "-o", "sheet.ratings.jsonl")
        assert selectllm("utility", "import", "more.csv", *joined).code == 0

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--differing",), ("--differing: suite.yaml is not a run folder",)),
            (("--rubric", "none.txt"), ("--rubric none.txt cannot be read as text",)),
            (("-o", "sheet.txt"), (".csv",)),
        ],
    )
    def test_what_cannot_be_asked_is_refused(
        self, selectllm: Command, options: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        outcome = ask(selectllm, write_suite(MODELS), "-o", "sheet.csv", *options)
        assert_refused(outcome, *words)

    def test_what_cannot_be_read_is_refused(self, selectllm: Command, run: Path) -> None:
        ask(selectllm, run, "-o", "sheet.csv")
        fill(Path("sheet.csv"), lambda item_id: "good" if item_id == "item-003" else 3)
        refused = selectllm("utility", "import", "sheet.csv")
        assert_refused(refused, "sheet.csv:", "item-003", "good")
        Path("sheet.ask.json").unlink()
        refused = selectllm("utility", "import", "sheet.csv")
        assert_refused(refused, "Name the .ask.json that was written with the sheet: --ask FILE")


def test_ratings_of_another_pool_are_refused(
    selectllm: Command, run: Path, unlabelled: list[dict[str, Any]]
) -> None:
    ask(selectllm, run, "-o", "sheet.csv")
    fill(Path("sheet.csv"), quality)
    selectllm("utility", "import", "sheet.csv")
    write_jsonl(Path("pool.jsonl"), [{**unlabelled[0], "instruction": "new"}, *unlabelled[1:]])
    assert_refused(decide(selectllm), "another pool")
