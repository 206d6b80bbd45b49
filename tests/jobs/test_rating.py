"""Sheets for raters and their way back into ratings, by value."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from selectllm.cli import main
from selectllm.core.errors import RunError
from selectllm.jobs.importing import ImportedRatings, import_sheets
from selectllm.jobs.options import RatingRequest, SheetSettings
from selectllm.jobs.rating import Asked, ask
from selectllm.jobs.sync import finished
from selectllm.report.utilities import ratings_text
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import write_suite
from tests.support.jobs import Heard, fails
from tests.support.sheets import fill, rows_of

MODELS = "models: [mock/first] -> models: [mock/first, mock/random]"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 instructions without a rating, a suite, and two `ab` that nobody could decide yet."""
    folder = tmp_path_factory.mktemp("compared")
    names = ("id", "instruction", "input")
    write_jsonl(
        folder / "pool.jsonl", [{name: row[name] for name in names} for row in pool_rows(600)]
    )
    with contextlib.chdir(folder):
        write_suite(MODELS)
        words = ["ab", "suite.yaml", "--cache", "cache", "--quiet"]
        assert main([*words, "--a", "mock/first", "--b", "mock/random", "-o", "run"]) == 3
        main([*words, "--a", "strategy:first", "--b", "mock/first", "-o", "same"])
    return folder


@pytest.fixture
def heard(compared: Path, tmp_path: Path) -> Heard:
    """The same, to be changed."""
    shutil.copytree(compared, tmp_path / "here")
    return Heard(tmp_path / "here")


def asking(heard: Heard, target: str = "run", out: str = "sheet.csv", **named: Any) -> Any:
    settings = RatingRequest(out=Path(out), **named)
    return ask(Path(target), settings, session=heard.session())


def asked(heard: Heard, target: str = "run", out: str = "sheet.csv", **named: Any) -> Asked:
    result: Asked = finished(asking(heard, target, out, **named))
    return result


def importing(heard: Heard, *sheets: str, out: str | None = None, **named: Any) -> Any:
    settings = SheetSettings(**named)
    place = None if out is None else Path(out)
    return import_sheets(
        [Path(sheet) for sheet in sheets], place, settings, session=heard.session()
    )


def imported(heard: Heard, *sheets: str, **named: Any) -> ImportedRatings:
    result: ImportedRatings = finished(importing(heard, *sheets, **named))
    return result


def quality(item_id: str) -> int:
    """What raters would say."""
    return int(item_id.removeprefix("item-")) * 13 % 5 + 1


# What raters are asked


def test_only_what_one_arm_picked_is_asked_and_nobody_sees_whose_it_was(heard: Heard) -> None:
    result = asked(heard, differing=True)
    sheet = heard.folder / "sheet.csv"
    assert result.sheets == (sheet,)
    picked: dict[int, list[set[str]]] = {}
    for row in read_jsonl(heard.folder / "run/decisions.jsonl")[1:]:
        if "model" in row:
            picked.setdefault(row["cluster"], []).append(set(row["picks"]))
    differing = {item for a, b in picked.values() for item in a ^ b}
    assert {row["id"] for row in rows_of(sheet)[1]} == differing
    assert result.items == len(differing)
    described = (heard.folder / "sheet.ask.json").read_text("utf-8")
    for word in ("mock", "short@1", "cluster", "first", 'random"'):
        assert word not in sheet.read_text("utf-8-sig") + described


def test_each_rater_gets_a_sheet_in_an_order_of_its_own(heard: Heard) -> None:
    result = asked(heard, differing=True, raters=2)
    orders = [[row["id"] for row in rows_of(sheet)[1]] for sheet in result.sheets]
    assert [sheet.name for sheet in result.sheets] == ["sheet-1.csv", "sheet-2.csv"]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1] != sorted(orders[1])


def test_a_suite_asks_for_the_items_of_its_clusters(heard: Heard) -> None:
    assert asked(heard, "suite.yaml").items == 600
    assert asked(heard, "suite.yaml", "few.csv", limit=20).items == 100


@pytest.mark.parametrize("out", ["sheet.jsonl", "sheet.argilla"])
def test_other_layouts_are_written(heard: Heard, out: str) -> None:
    asked(heard, out=out)
    assert (heard.folder / out).exists()


@pytest.mark.parametrize(
    ("target", "named", "words", "argument"),
    [
        ("suite.yaml", {"differing": True}, ("`differing`", "not a run folder"), "differing"),
        ("same", {"differing": True}, ("nothing to rate", "same items"), None),
        ("run", {"out": "sheet.txt"}, (".csv",), None),
        ("run", {"out": "sheet"}, (".csv",), None),
        ("run", {"rubric": Path("none.txt")}, ("`rubric` none.txt cannot be read",), "rubric"),
    ],
)
def test_what_cannot_be_asked_is_named(
    heard: Heard, target: str, named: dict[str, Any], words: tuple[str, ...], argument: str | None
) -> None:
    fails(asking(heard, target, **named), *words, argument=argument)


def test_a_sheet_is_never_overwritten_and_a_pool_that_has_changed_is_refused(heard: Heard) -> None:
    asked(heard)
    fails(asking(heard), "sheet.csv", "exists")
    pool = heard.folder / "pool.jsonl"
    write_jsonl(pool, read_jsonl(pool)[:-1])
    fails(asking(heard, out="other.csv"), "not the pool", kind=RunError)


# What they say


def test_two_raters_are_averaged_with_their_agreement(heard: Heard) -> None:
    asked(heard, differing=True, raters=2)
    fill(heard.folder / "sheet-1.csv", lambda i: min(5, quality(i) + 1), "anna")
    fill(heard.folder / "sheet-2.csv", quality, "ben")
    result = imported(heard, "sheet-1.csv", "sheet-2.csv")
    assert result.file == Path("sheet.ratings.jsonl")
    assert "2 raters. Krippendorff's alpha" in ratings_text(result.summary)
    head, *rows = read_jsonl(heard.folder / "sheet.ratings.jsonl")
    assert head["ratings"]["raters"] == ["anna", "ben"]
    for row in rows:
        both = [min(5, quality(row["id"]) + 1), quality(row["id"])]
        assert row["value"] == pytest.approx(sum(both) / 2)


def test_what_was_read_is_told_and_who_did_not_answer(heard: Heard) -> None:
    items = asked(heard, differing=True, raters=2).items
    fill(heard.folder / "sheet-1.csv", quality, "anna")
    read = imported(heard, "sheet-1.csv").summary
    assert heard.notes[-1] == "Note: 2 raters were asked, and 1 answered."
    entry = {"name": "rating", "source": "import", "file": "sheet-1.ratings.jsonl"}
    assert read.to_json() == {
        "file": "sheet-1.ratings.jsonl",
        "items": items,
        "asked": items,
        "raters": ["anna"],
        "raters_asked": 2,
        "alpha": None,
        "rater_noise": None,
        "utility": {**entry, "range": [1, 5]},
    }
    assert "suite's utilities: {name: rating, source: import" in ratings_text(read)


def test_what_is_rated_already_is_not_asked_again(heard: Heard) -> None:
    asked(heard, "suite.yaml", "first.csv", limit=20)
    fill(heard.folder / "first.csv", quality, "anna")
    imported(heard, "first.csv")
    rated = Path("first.ratings.jsonl")
    assert asked(heard, "suite.yaml", "more.csv", limit=30, rated=rated).items == 50
    nothing = asking(heard, "suite.yaml", "none.csv", limit=20, rated=rated)
    fails(nothing, "nothing to rate, because first.ratings.jsonl has all 100 items")
    fill(heard.folder / "more.csv", quality, "anna")
    joined = imported(heard, "more.csv", out="sheet.ratings.jsonl", add=rated)
    assert len(joined.ratings.values) == 150
    fill(heard.folder / "more.csv", lambda item_id: 6 - quality(item_id), "anna")
    again = importing(heard, "more.csv", add=Path("sheet.ratings.jsonl"))
    fails(again, "`add` ", "'anna' rated item ", argument="add")


def test_a_scale_and_a_rubric_of_ones_own(heard: Heard) -> None:
    (heard.folder / "rubric.txt").write_text("Is it funny?", encoding="utf-8")
    asked(heard, scale=(0, 10), rubric=Path("rubric.txt"))
    sheet = heard.folder / "sheet.csv"
    assert rows_of(sheet)[0][0][0] == "# Is it funny?"
    fill(sheet, lambda item_id: 10)
    assert imported(heard, "sheet.csv").to_json()["utility"]["range"] == [0, 10]


@pytest.mark.parametrize("value", ["6", "nan", "inf", "good", "1,234", "-1"])
def test_a_rating_that_is_none_names_file_item_and_value(heard: Heard, value: str) -> None:
    asked(heard)
    sheet = heard.folder / "sheet.csv"
    bad = rows_of(sheet)[1][2]["id"]
    fill(sheet, lambda item_id: value if item_id == bad else 3)
    fails(importing(heard, "sheet.csv"), "sheet.csv:", bad, value)
    assert not (heard.folder / "sheet.ratings.jsonl").exists()


def test_what_was_left_out_or_not_asked_for_is_named(heard: Heard) -> None:
    asked(heard)
    sheet = heard.folder / "sheet.csv"
    left_out = rows_of(sheet)[1][0]["id"]
    fill(sheet, lambda item_id: "" if item_id == left_out else 3)
    fails(importing(heard, "sheet.csv"), left_out, "import without them (`partial`)")
    assert left_out not in imported(heard, "sheet.csv", partial=True).ratings.values
    with sheet.open("a", encoding="utf-8") as handle:
        handle.write(",stranger,what,,3,\n")
    fails(importing(heard, "sheet.csv", partial=True), "stranger")
