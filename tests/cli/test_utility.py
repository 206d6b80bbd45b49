"""From unlabelled instructions to a verdict: sheets, raters, ratings, `ab --differing`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, write_suite

MODELS = "models: [mock/first] -> models: [mock/first, mock/random]"
ARMS = ("--a", "mock/first", "--b", "mock/random")


@pytest.fixture(autouse=True)
def unlabelled(selectllm: Command) -> list[dict[str, Any]]:
    """600 instructions without a rating, in the current folder."""
    names = ("id", "instruction", "input")
    rows = [{name: row[name] for name in names} for row in pool_rows(600)]
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


@pytest.fixture
def run(selectllm: Command) -> Path:
    """An `ab` that nobody could decide yet."""
    outcome = selectllm("ab", write_suite(MODELS), *ARMS, "-o", "run", "--quiet")
    assert outcome.code == 3
    return Path("run")


def rows_of(sheet: Path) -> tuple[list[list[str]], list[dict[str, str]]]:
    """A CSV sheet's comment rows and its items."""
    text = sheet.read_text(encoding="utf-8-sig")
    table = list(csv.reader(io.StringIO(text)))
    comments = [row for row in table if row[0].startswith("#")]
    header, *rows = table[len(comments) :]
    return comments, [dict(zip(header, row, strict=True)) for row in rows]


def fill(sheet: Path, rate: Any, rater: str = "") -> None:
    """What a person does in a spreadsheet: a number per row, and save."""
    comments, rows = rows_of(sheet)
    with sheet.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows(comments)
        writer.writerow(rows[0].keys())
        for row in rows:
            writer.writerow({**row, "rating": rate(row["id"]), "rater": rater}.values())


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


class TestAsk:
    """What raters see, and what they do not."""

    def test_arms_picks_and_clusters_are_hidden(self, selectllm: Command, run: Path) -> None:
        ask(selectllm, run, "--differing", "-o", "sheet.csv")
        everything = Path("sheet.csv").read_text("utf-8-sig") + Path("sheet.ask.json").read_text(
            "utf-8"
        )
        for word in ("mock", "short@1", "cluster", "first", 'random"'):
            assert word not in everything

    def test_each_rater_gets_a_sheet_in_an_order_of_its_own(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "--raters", 2, "-o", "sheet.csv")
        orders = [[r["id"] for r in rows_of(Path(f"sheet-{n}.csv"))[1]] for n in (1, 2)]
        assert sorted(orders[0]) == sorted(orders[1])
        assert orders[0] != orders[1] != sorted(orders[1])

    def test_two_raters_are_averaged_with_their_agreement(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "--raters", 2, "-o", "sheet.csv")
        fill(Path("sheet-1.csv"), lambda i: min(5, quality(i) + 1), "anna")
        fill(Path("sheet-2.csv"), quality, "ben")
        outcome = selectllm("utility", "import", "sheet-1.csv", "sheet-2.csv")
        assert "2 rater(s), Krippendorff's alpha" in outcome.out
        head, *rows = read_jsonl(Path("sheet.ratings.jsonl"))
        assert head["ratings"]["raters"] == ["anna", "ben"]
        for row in rows:
            both = [min(5, quality(row["id"]) + 1), quality(row["id"])]
            assert row["value"] == pytest.approx(sum(both) / 2)

    def test_what_was_read_is_told_as_json_or_without_notes(
        self, selectllm: Command, run: Path
    ) -> None:
        ask(selectllm, run, "--differing", "--raters", 2, "-o", "sheet.csv")
        fill(Path("sheet-1.csv"), quality, "anna")
        asked = ("utility", "import", "sheet-1.csv")
        outcome = selectllm(*asked, "--json")
        assert outcome.err == "note: 2 raters were asked, 1 answered\n"
        told = outcome.json
        assert told["file"] == "sheet-1.ratings.jsonl"
        assert told["items"] == told["asked"] == len(rows_of(Path("sheet-1.csv"))[1])
        assert (told["raters"], told["raters_asked"]) == (["anna"], 2)
        assert told["alpha"] is told["rater_noise"] is None
        entry = {"name": "rating", "source": "import", "file": "sheet-1.ratings.jsonl"}
        assert told["utility"] == {**entry, "range": [1, 5]}
        quiet = selectllm(*asked, "--quiet")
        assert quiet.err == ""
        assert "in the suite: {name: rating, source: import" in quiet.out

    def test_what_is_rated_already_is_not_asked_again(self, selectllm: Command, run: Path) -> None:
        suite = write_suite(MODELS)
        ask(selectllm, suite, "--limit", 20, "-o", "first.csv")
        fill(Path("first.csv"), quality, "anna")
        selectllm("utility", "import", "first.csv")
        ask(selectllm, suite, "--limit", 30, "--rated", "first.ratings.jsonl", "-o", "more.csv")
        assert len(rows_of(Path("more.csv"))[1]) == 50
        fill(Path("more.csv"), quality, "anna")
        joined = ("--add", "first.ratings.jsonl", "-o", "sheet.ratings.jsonl")
        assert selectllm("utility", "import", "more.csv", *joined).code == 0
        assert decide(selectllm, "--limit", 30).code in (0, 1, 3)

    def test_a_scale_and_a_rubric_of_ones_own(self, selectllm: Command, run: Path) -> None:
        Path("rubric.txt").write_text("Is it funny?", encoding="utf-8")
        ask(selectllm, run, "--range", 0, 10, "--rubric", "rubric.txt", "-o", "sheet.csv")
        assert rows_of(Path("sheet.csv"))[0][0][0] == "# Is it funny?"
        fill(Path("sheet.csv"), lambda item_id: 10)
        assert selectllm("utility", "import", "sheet.csv").code == 0

    def test_a_sheet_is_never_overwritten(self, selectllm: Command, run: Path) -> None:
        ask(selectllm, run, "-o", "sheet.csv")
        assert_refused(ask(selectllm, run, "-o", "sheet.csv"), "sheet.csv", "exists")

    @pytest.mark.parametrize("name", ["sheet.txt", "sheet"])
    def test_an_unknown_suffix_is_refused(self, selectllm: Command, run: Path, name: str) -> None:
        assert_refused(ask(selectllm, run, "-o", name), ".csv")

    def test_differing_needs_a_run(self, selectllm: Command) -> None:
        outcome = ask(selectllm, write_suite(MODELS), "--differing", "-o", "sheet.csv")
        assert_refused(outcome, "--differing", "no run folder")

    def test_a_pool_that_has_changed_is_refused(
        self, selectllm: Command, run: Path, unlabelled: list[dict[str, Any]]
    ) -> None:
        write_jsonl(Path("pool.jsonl"), unlabelled[:-1])
        assert_refused(ask(selectllm, run, "-o", "sheet.csv"), "not the pool")

    def test_arms_that_agree_leave_nothing_to_rate(self, selectllm: Command) -> None:
        arms = ("--a", "strategy:first", "--b", "mock/first")
        selectllm("ab", write_suite(MODELS), *arms, "-o", "same", "--quiet")
        outcome = ask(selectllm, "same", "--differing", "-o", "sheet.csv")
        assert_refused(outcome, "nothing to rate", "same items")

    @pytest.mark.parametrize("name", ["sheet.jsonl", "sheet.argilla"])
    def test_other_layouts_are_written(self, selectllm: Command, run: Path, name: str) -> None:
        assert ask(selectllm, run, "-o", name).code == 0
        assert Path(name).exists()


@pytest.mark.parametrize(
    ("value", "says"),
    [("6", "6"), ("nan", "nan"), ("inf", "inf"), ("good", "good"), ("4,5", "4,5"), ("-1", "-1")],
)
def test_a_rating_that_is_none_names_file_item_and_value(
    selectllm: Command, run: Path, value: str, says: str
) -> None:
    ask(selectllm, run, "-o", "sheet.csv")
    bad = rows_of(Path("sheet.csv"))[1][2]["id"]
    fill(Path("sheet.csv"), lambda item_id: value if item_id == bad else 3)
    assert_refused(selectllm("utility", "import", "sheet.csv"), "sheet.csv:", bad, says)
    assert not Path("sheet.ratings.jsonl").exists()


def test_an_id_that_was_not_asked_for_is_named(selectllm: Command, run: Path) -> None:
    ask(selectllm, run, "-o", "sheet.csv")
    fill(Path("sheet.csv"), quality)
    with Path("sheet.csv").open("a", encoding="utf-8") as handle:
        handle.write(",stranger,what,,3,\n")
    assert_refused(selectllm("utility", "import", "sheet.csv"), "stranger")


def test_ratings_of_another_pool_are_refused(
    selectllm: Command, run: Path, unlabelled: list[dict[str, Any]]
) -> None:
    ask(selectllm, run, "-o", "sheet.csv")
    fill(Path("sheet.csv"), quality)
    selectllm("utility", "import", "sheet.csv")
    write_jsonl(Path("pool.jsonl"), [{**unlabelled[0], "instruction": "new"}, *unlabelled[1:]])
    assert_refused(decide(selectllm), "another pool")
