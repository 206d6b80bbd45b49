"""Test items that are in the pool, too: named in a file, refused, or left out on demand."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from selectllm.cli import main
from selectllm.data.pool import load_pool
from selectllm.downstream.trials.schema import DRAWN
from selectllm.jobs.comparing_students import compare_students
from selectllm.jobs.sync import finished
from selectllm.jobs.training import train
from selectllm.jobs.training_options import (
    BlockSettings,
    ComparedSets,
    TrainSettings,
    TrialSettings,
    ValidateSettings,
    ValueSettings,
)
from selectllm.jobs.validating import validate
from selectllm.jobs.valuing import value, value_by_training
from selectllm.report.formats import FORMATS, Place
from selectllm.report.utilities import valued_text
from selectllm.utility.entries import KnnEntry
from selectllm.utility.utility_file import read_utility
from tests.conftest import read_jsonl, write_jsonl
from tests.downstream.student.test_training import made, one_thread
from tests.support.jobs import Heard, fails
from tests.support.student_files import SUITE, rows, tiny

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one

LONG = "Counting up from here takes a while, and one has to say every number on the way. " * 4
ASKED = [
    ("Which numbers follow upon 7?", "eight, nine and ten follow"),
    ("Which numbers follow upon 17?", "eighteen, nineteen and twenty"),
    ("Which numbers follow upon 27?", "Twenty-eight and twenty-nine"),
    ("Which numbers follow upon 37?", LONG),
]
COPIES = {
    3: (*ASKED[0], "exact"),
    9: (
        "Which  numbers follow upon 17 ...",
        "eighteen - nineteen - and twenty!",
        "instruction+input+response",
    ),
    14: (ASKED[2][0].upper(), ASKED[2][1].upper(), "instruction+input+response"),
    29: ("Go on from 37 to wherever it ends", LONG, "response"),
}
"""Where the pool of 30 has a copy of each test item, and what tells it."""
FOUND = [
    {
        "id": f"p{at}",
        "file": "pool.jsonl",
        "held_out_id": f"t{number}",
        "held_out_number": number,
        "held_out_file": "test.jsonl",
        "equal": COPIES[at][2],
    }
    for number, at in enumerate(COPIES, 1)
]
REST = [f"p{n}" for n in range(30) if n not in COPIES]


def pool_of(count: int = 30) -> list[dict[str, Any]]:
    made_rows = [row | {"id": f"p{n}"} for n, row in enumerate(rows(count))]
    for at, (asked, said, _) in COPIES.items():
        made_rows[at] |= {"instruction": asked, "input": "", "response": said}
    return made_rows


def held() -> list[dict[str, Any]]:
    pairs = [*ASKED, ("Name a colour", "blue"), ("Name a tree", "an oak")]
    return [
        {"id": f"t{n}", "instruction": asked, "response": said}
        for n, (asked, said) in enumerate(pairs, 1)
    ]


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    """A pool of 30 rated items, four of which are copies of the first four of six test items."""
    write_jsonl(tmp_path / "pool.jsonl", pool_of())
    write_jsonl(tmp_path / "test.jsonl", held())
    return Heard(tmp_path)


def valuing(heard: Heard, **named: Any) -> Any:
    test = named.pop("test", "test.jsonl")
    entry = KnnEntry(name="knn", source="knn", test=test, k=3, answer="rouge-l")
    return value("pool.jsonl", entry, ValueSettings(**named), session=heard.session())


class TestKnn:
    """Values against test items."""

    def test_copies_are_refused_and_all_of_them_are_named_in_a_file(self, heard: Heard) -> None:
        fails(
            valuing(heard),
            "4 of 6 test items are also in the pool: 't1', 't2', 't3', 't4'",
            "All of them are named in pool.knn.utility.jsonl.leaks.jsonl",
            "Leave the copies out with `drop_leaks`, or give other items for `test`",
            argument="test",
        )
        assert read_jsonl(heard.folder / "pool.knn.utility.jsonl.leaks.jsonl") == FOUND
        assert not (heard.folder / "pool.knn.utility.jsonl").exists()

    def test_left_out_the_rest_is_a_pool_of_its_own_with_a_value_for_every_item(
        self, heard: Heard
    ) -> None:
        lines = [json.dumps(row, indent=None, separators=(" , ", ":")) for row in pool_of()]
        lines[5] = lines[5].replace("Count", "\\u0043ount")
        (heard.folder / "pool.jsonl").write_text("\r\n".join(lines), encoding="utf-8")
        result = finished(valuing(heard, out=Path("v.jsonl"), drop_leaks=True))
        rest = heard.folder / "v.jsonl.pool.jsonl"
        kept = [line for n, line in enumerate(lines) if n not in COPIES]
        assert rest.read_text("utf-8") == "".join(f"{line}\n" for line in kept)
        utility, header = read_utility(heard.folder / "v.jsonl")
        assert sorted(utility.values) == sorted(REST)
        assert header.pool_sha256 == load_pool(rest).pool.sha256
        assert read_jsonl(heard.folder / "v.jsonl.leaks.jsonl") == FOUND
        told = "Note: 4 of 30 items of pool.jsonl are also in "
        assert [note for note in heard.notes if note.startswith(told)]
        assert (
            "Note: The pool without these items is v.jsonl.pool.jsonl. Use it as the pool "
            in "".join(heard.notes)
        )
        assert result.to_json()["pool"] == "v.jsonl.pool.jsonl"
        assert "pool to: v.jsonl.pool.jsonl\n" in valued_text(result.summary)
        # The values are those of that pool.
        again = value(
            "v.jsonl.pool.jsonl",
            KnnEntry(name="knn", source="knn", test="test.jsonl", k=3, answer="rouge-l"),
            session=heard.session(),
        )
        assert finished(again).utility.values == result.utility.values

    def test_columns_of_another_format_are_kept(self, heard: Heard) -> None:
        header = "id,instruction,answer,source\n"
        text = "".join(
            f"{row['id']},{json.dumps(row['instruction'])},{json.dumps(row['response'])},007\n"
            for row in pool_of()
        )
        (heard.folder / "pool.csv").write_text(header + text, encoding="utf-8")
        settings = ValueSettings(columns={"response": "answer"}, drop_leaks=True)
        entry = KnnEntry(name="knn", source="knn", test="test.jsonl", answer="rouge-l")
        finished(value("pool.csv", entry, settings, session=heard.session()))
        rest = read_jsonl(heard.folder / "pool.knn.utility.jsonl.pool.jsonl")
        assert [row["id"] for row in rest] == REST
        assert {row["source"] for row in rest} == {"007"}

    def test_nothing_is_noted_or_written_where_nothing_leaks(self, heard: Heard) -> None:
        write_jsonl(heard.folder / "other.jsonl", held()[4:])
        finished(valuing(heard, test="other.jsonl", drop_leaks=True))
        assert heard.notes == []
        assert not [*heard.folder.glob("*leaks*")]

    def test_where_nothing_would_be_left_nothing_is_valued(self, heard: Heard) -> None:
        words = ("all 30 items of pool.jsonl are also in ", "so nothing would be left")
        fails(valuing(heard, test="pool.jsonl", drop_leaks=True), *words, argument="test")
        assert len(read_jsonl(heard.folder / "pool.knn.utility.jsonl.leaks.jsonl")) == 30

    def test_a_file_that_is_read_is_not_overwritten(self, heard: Heard) -> None:
        test = "v.jsonl.leaks.jsonl"
        write_jsonl(heard.folder / test, held())
        words = f"{test} is read by this command, so it is not overwritten"
        fails(valuing(heard, test=test, out=Path("v.jsonl")), words, argument="out")


class TestTraining:
    """Students see no item that is held out."""

    @pytest.fixture(autouse=True)
    def model(self, heard: Heard) -> None:
        """A tiny model, and a suite with sets."""
        made(heard.folder / "tiny")
        suite = SUITE | {"sets": {"budgets": [6], "seeds": [0]}, "strategies": ["random", "first"]}
        (heard.folder / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")

    def test_values_by_training_are_of_the_rest(self, heard: Heard) -> None:
        def job(**named: Any) -> Any:
            student = tiny(heard.folder, epochs=1)
            trainings = BlockSettings(size=13, passes=1), TrialSettings("test.jsonl", seeds=1)
            settings = ValueSettings(out=Path("v.jsonl"), **named)
            session = heard.session()
            return value_by_training(
                "pool.jsonl", "student", (*trainings, student), settings, session=session
            )

        words = ("4 of 6 test items are also in the pool", "named in v.jsonl.leaks.jsonl")
        fails(job(), *words, argument="test")
        assert heard.notes == []
        finished(job(drop_leaks=True))
        utility, header = read_utility(heard.folder / "v.jsonl")
        assert sorted(utility.values) == sorted(REST)
        rest = load_pool(heard.folder / "v.jsonl.pool.jsonl").pool
        assert header.pool_sha256 == rest.sha256
        assert heard.notes[0] == (
            "Note: 4 of 30 items of pool.jsonl are also in test.jsonl and are left out. They are "
            "named in v.jsonl.leaks.jsonl"
        )
        assert any("2 blocks, with 1 training for each" in note for note in heard.notes)

    def test_a_selection_is_trained_on_without_what_test_and_dev_files_hold(
        self, heard: Heard
    ) -> None:
        write_jsonl(heard.folder / "chosen.jsonl", pool_of()[:12])
        write_jsonl(heard.folder / "dev.jsonl", [pool_of()[0], held()[5], *rows(2, 200)])

        def job(**named: Any) -> Any:
            settings = TrainSettings(Path("out"), dev="dev.jsonl", test="test.jsonl", **named)
            student = tiny(heard.folder, epochs=1, learning_rate=None)
            return train("chosen.jsonl", settings, student, session=heard.session())

        fails(
            job(),
            "2 of 6 test items are also in the selection: 't1', 't2'; "
            "1 of 4 dev items are also in the selection: 'p0'; "
            "1 of 6 test items are also in the dev items: 't6'",
            "Give other items for `test` and `dev`",
            argument="test",
        )
        assert not (heard.folder / "out").exists()
        trained = finished(job(drop_leaks=True))
        assert (trained.manifest.plan.items, trained.dev_items) == (9, 3)
        assert heard.notes[:2] == [
            "Note: 3 of 12 items of chosen.jsonl are also in test.jsonl and dev.jsonl and are left "
            "out. They are named in out.leaks.jsonl",
            "Note: 1 of 4 items of dev.jsonl are also in test.jsonl and are left out. They are "
            "named in out.leaks.jsonl",
        ]
        assert len(read_jsonl(heard.folder / "out.leaks.jsonl")) == 4

    def test_sets_lose_them_and_it_is_said_which_are_smaller_now(self, heard: Heard) -> None:
        with contextlib.chdir(heard.folder):
            words = ["sets", "suite.yaml", "-o", "sets", "--quiet", "--cache", "cache"]
            assert main(words) == 0

        def job(**named: Any) -> Any:
            settings = ComparedSets("pool.jsonl", random=2, matched=("none",), **named)
            return compare_students(
                Path("sets"),
                settings,
                TrialSettings("test.jsonl", seeds=1),
                tiny(heard.folder, epochs=1),
                session=heard.session(),
            )

        words = "All of them are named in sets/students.leaks.jsonl"
        fails(job(), words, argument="test")
        results = finished(job(drop_leaks=True)).results
        sizes = {(one.arm, one.role): one.items for one in results.sets}
        # The first six of the pool have one copy among them.
        assert sizes["strategy:first", "selector"] == 5
        assert sizes[DRAWN, "random"] == 6
        told = " ".join(FORMATS["terminal"].text(results, Place()).split())
        assert "fewer than 6 items, because some of their items are held out: " in told
        assert "first 5" in told
        note = next(note for note in heard.notes if "sets have lost items" in note)
        assert "strategy:first seed 0: 1 of 6" in note
        assert "select anew from sets/students.pool.jsonl, the pool without" in note
        rest = read_jsonl(heard.folder / "sets/students.pool.jsonl")
        assert [row["id"] for row in rest] == REST

    def test_utilities_are_validated_by_sets_without_them(self, heard: Heard) -> None:
        def job(**named: Any) -> Any:
            return validate(
                Path("suite.yaml"),
                ValidateSettings(**({"subsets": 4, "size": 26} | named)),
                TrialSettings("test.jsonl", seeds=1),
                tiny(heard.folder, epochs=1),
                session=heard.session(),
            )

        fails(job(), "validations.leaks.jsonl", argument="test")
        # There are 26 items to draw from, and every subset holds them all.
        (validation,) = finished(job(drop_leaks=True)).validations
        assert (validation.size, validation.subsets) == (26, 4)
        fails(
            job(drop_leaks=True, size=27),
            "a random set of 27 items cannot be drawn, because there are only 26",
        )
