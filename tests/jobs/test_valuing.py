"""Utilities that are computed, trained and held against training, by value."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.cli import main
from selectllm.core.errors import UtilityError
from selectllm.data.pool import load_pool
from selectllm.jobs.comparing_students import compare_students
from selectllm.jobs.sync import finished
from selectllm.jobs.training_options import (
    BlockSettings,
    ComparedSets,
    TrialSettings,
    ValidateSettings,
    ValueSettings,
)
from selectllm.jobs.validating import Validated, validate
from selectllm.jobs.valuing import Valued, value, value_by_training
from selectllm.report.utilities import valued_text
from selectllm.utility.entries import KnnEntry
from selectllm.utility.knn import Answer
from selectllm.utility.utility_file import read_utility
from selectllm.utility.validation import read_validation
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.downstream.student.test_training import made, one_thread
from tests.support.cli_files import files
from tests.support.jobs import Heard, fails
from tests.support.made_vectors import random_vectors
from tests.support.student_files import SUITE, rows, tiny

__all__ = ["one_thread"]  # a fixture: models this small only wait for a second one

UTILITIES = [
    *SUITE["utilities"],
    {"name": "noise", "source": "ratings", "column": "noise", "kind": "human"},
]


class TestKnn:
    """What responses would do for held-out items."""

    @pytest.fixture
    def heard(self, tmp_path: Path) -> Heard:
        """A pool of 40 rated items and five others to be held out."""
        write_jsonl(tmp_path / "pool.jsonl", pool_rows())
        held = [{"instruction": f"What is topic {n}?", "response": f"It is {n}."} for n in range(5)]
        write_jsonl(tmp_path / "test.jsonl", held)
        return Heard(tmp_path)

    @staticmethod
    def valuing(heard: Heard, answer: Answer = "rouge-l", k: int = 5, **named: Any) -> Any:
        test = named.pop("test", "test.jsonl")
        entry = KnnEntry(name="knn", source="knn", test=test, k=k, answer=answer)
        return value("pool.jsonl", entry, ValueSettings(**named), session=heard.session())

    def test_the_file_is_beside_the_pool_and_of_it(self, heard: Heard) -> None:
        result: Valued = finished(self.valuing(heard))
        assert result.file == Path("pool.knn.utility.jsonl")
        utility, header = read_utility(heard.folder / result.file)
        assert header.pool_sha256 == load_pool(heard.folder / "pool.jsonl").pool.sha256
        assert utility.cost["cpu_seconds"] > 0
        assert utility.rater == "knn-shapley k=5 rouge-l"
        first, last = valued_text(result.summary).splitlines()
        for fact in (str(result.file), "40 items", "kind: proxy", f"{utility.reliability:.2f}"):
            assert fact in first
        assert last.endswith(f": {{name: knn, source: import, file: {result.file}}}")
        assert result.to_json() == {
            "file": "pool.knn.utility.jsonl",
            "sha256": header.sha256,
            "name": "knn",
            "kind": "proxy",
            "rater": utility.rater,
            "reliability": utility.reliability,
            "items": 40,
            "cost": utility.cost,
        }

    def test_columns_are_named_as_for_any_pool(self, heard: Heard) -> None:
        renamed = [{**row, "answer": row["response"], "response": None} for row in pool_rows()]
        write_jsonl(heard.folder / "pool.jsonl", renamed)
        words = ("40 of 40 in the pool have none", "`columns={'response': 'COL'}`")
        fails(self.valuing(heard), *words, kind=UtilityError)
        assert finished(self.valuing(heard, columns={"response": "answer"})).utility.values

    @pytest.mark.parametrize(
        ("file", "content", "words"),
        [
            ("pool.jsonl", [{"instruction": "Why?"}], "1 of 1 in the pool have none"),
            ("test.jsonl", [{"instruction": "Why?"}], "1 of 1 in the test pool have none"),
            ("pool.jsonl", [], "pool.jsonl"),
            ("test.jsonl", [], "test.jsonl"),
        ],
    )
    def test_what_cannot_be_valued_is_refused(
        self, heard: Heard, file: str, content: list[Any], words: str
    ) -> None:
        write_jsonl(heard.folder / file, content)
        fails(self.valuing(heard), words)

    @pytest.mark.parametrize(
        ("named", "words", "argument"),
        [
            ({"out": Path("near.csv")}, "`out` near.csv: a utility file is JSON lines", "out"),
            ({"out": Path("pool.jsonl")}, "`out` pool.jsonl is the pool itself", "out"),
            ({"test": "nowhere.jsonl"}, "nowhere.jsonl does not exist", None),
        ],
    )
    def test_settings_that_cannot_work_are_refused_at_once(
        self, heard: Heard, named: dict[str, Any], words: str, argument: str | None
    ) -> None:
        before = files(heard.folder)
        fails(self.valuing(heard, **named), words, argument=argument)
        assert files(heard.folder) == before


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """A tiny model, a pool whose lengths matter, test items and a suite; trainings are kept."""
    folder = tmp_path_factory.mktemp("ready")
    made(folder / "tiny")
    rng = np.random.default_rng(0)
    pool = [row | {"noise": float(rng.normal())} for row in rows(30)]
    write_jsonl(folder / "pool.jsonl", pool)
    write_jsonl(folder / "test.jsonl", rows(12, 100))
    write_suite(folder)
    return Heard(folder)


def write_suite(folder: Path, **changes: Any) -> None:
    described = SUITE | {"utilities": UTILITIES, "sets": {"budgets": [6], "seeds": [0]}}
    described |= {"strategies": ["random", "longest"]}
    (folder / "suite.yaml").write_text(json.dumps(described | changes), encoding="utf-8")


class TestByTraining:
    """Values of single items, from students trained on blocks of the pool."""

    @staticmethod
    def valuing(
        heard: Heard, file: str = "pool.jsonl", test: str = "test.jsonl", **named: Any
    ) -> Any:
        out = named.pop("out", None)
        trainings = (
            replace(BlockSettings(size=6, passes=2), **named),
            TrialSettings(test=test, seeds=1),
            tiny(heard.folder, epochs=1),
        )
        settings = ValueSettings(out=out)
        return value_by_training(file, "student", trainings, settings, session=heard.session())

    def test_every_item_has_a_value_and_more_passes_go_on_from_there(self, ready: Heard) -> None:
        result: Valued = finished(self.valuing(ready))
        utility, _ = read_utility(ready.folder / "pool.student.utility.jsonl")
        assert utility == result.utility
        assert len(utility.values) == 30
        assert (utility.kind, utility.source) == ("outcome", "student")
        assert utility.reliability is not None
        assert utility.cost["cpu_seconds"] > 0
        # Each pass is held against its own mean.
        assert sum(utility.values.values()) == pytest.approx(0, abs=1e-9)
        assert any("10 blocks, with 1 training for each" in note for note in ready.notes)
        (log,) = (ready.folder / "cache/student/trials").glob("*.jsonl")
        before = read_jsonl(log)
        finished(self.valuing(ready, passes=3))
        assert read_jsonl(log)[: len(before)] == before
        assert len(read_jsonl(log)) == len(before) + 5

    @pytest.mark.parametrize(
        ("named", "words", "argument"),
        [
            ({"size": 30}, "blocks of 30 items are too large for 30 items", None),
            ({"out": Path("values.csv")}, "End the name in .jsonl", "out"),
            ({"file": "bare.jsonl"}, "bare.jsonl: 12 of 12 items have no response", "columns"),
        ],
    )
    def test_what_cannot_be_valued_is_named(
        self, ready: Heard, named: dict[str, Any], words: str, argument: str | None
    ) -> None:
        bare = [{"id": f"b{n}", "instruction": f"Ask {n}"} for n in range(12)]
        write_jsonl(ready.folder / "bare.jsonl", bare)
        fails(self.valuing(ready, **named), words, argument=argument)


class TestValidate:
    """LDS: the order of random subsets by training, and by a utility's sum."""

    @staticmethod
    def validating(heard: Heard, test: str = "test.jsonl", **named: Any) -> Any:
        return validate(
            Path("suite.yaml"),
            replace(ValidateSettings(subsets=8), **named),
            TrialSettings(test=test),
            tiny(heard.folder, epochs=1),
            session=heard.session(),
        )

    def test_subsets_are_trained_once_and_shared_with_compare(self, ready: Heard) -> None:
        result: Validated = finished(self.validating(ready))
        folder = ready.folder / "validations"
        assert result.folder == folder
        for name, validation in zip(("length", "noise"), result.validations, strict=True):
            assert read_validation(folder / f"{name}.validation.json") == validation
            assert (validation.subsets, validation.size) == (8, 6)
            assert validation.lds.low is not None
        log = max(
            (ready.folder / "cache/student/trials").glob("*.jsonl"),
            key=lambda path: path.stat().st_mtime,
        )
        before = len(read_jsonl(log))
        (noise,) = finished(self.validating(ready, utility=("noise",), out=Path("one"))).validations
        assert noise == result.validations[1]
        assert noise.status == "unvalidated"
        assert [path.name for path in (ready.folder / "one").iterdir()] == ["noise.validation.json"]
        np.save(ready.folder / "v.npy", random_vectors(30))
        with contextlib.chdir(ready.folder):
            words = ["sets", "suite.yaml", "--vectors", "v.npy", "-o", "sets", "--quiet"]
            assert main([*words, "--cache", "cache"]) == 0
        compared = ComparedSets(pool="pool.jsonl", matched=("none",))
        trials, student = TrialSettings(test="test.jsonl"), tiny(ready.folder, epochs=1)
        session = ready.session()
        finished(compare_students(Path("sets"), compared, trials, student, session=session))
        # Two sets, of random and longest; of the other random ones all were there.
        assert len(read_jsonl(log)) == before + 2 * 2

    @pytest.mark.parametrize(
        ("named", "words", "argument"),
        [
            (
                {"utility": ("rating",)},
                "`utility` rating: the suite has no such utility. It has length, noise",
                "utility",
            ),
            (
                {"size": 31},
                "a random set of 31 items cannot be drawn, because there are only 30",
                None,
            ),
        ],
    )
    def test_what_cannot_be_validated_is_named(
        self, ready: Heard, named: dict[str, Any], words: str, argument: str | None
    ) -> None:
        fails(self.validating(ready, out=Path("none"), **named), words, argument=argument)
        assert not (ready.folder / "none").exists()

    def test_a_suite_without_utilities_has_nothing_to_validate(
        self, ready: Heard, tmp_path: Path
    ) -> None:
        bare = Heard(tmp_path / "bare")
        shutil.copytree(ready.folder, bare.folder, ignore=shutil.ignore_patterns("cache"))
        write_suite(bare.folder, utilities=[])
        fails(self.validating(bare), "has no utilities to validate")
