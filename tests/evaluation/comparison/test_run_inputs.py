"""Evidence: what a run's folder tells of the run, and the folders that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.codec import sha256_json
from selectllm.core.errors import RunError
from selectllm.core.types import Pool
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.baseline import Baseline, Entry, write_baseline
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, read_run_inputs
from selectllm.evaluation.runs.run import Run, start_folder
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_entries import Gate
from selectllm.utility.utility import Utility
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite
from tests.support.meters import idle_meter
from tests.support.verdict_cases import AB, A, B, decisions_of, even, evidence_from

N = 6
VALUES = evidence_from(even(N), 1).utilities[0].values
CLUSTERS = evidence_from(even(N), 1).clusters
U, V = (Utility(name, "ratings", "human", VALUES) for name in "uv")
LOOKS = ((2, 1), (4, 3), (6, 5))
BASELINE = Baseline(
    suite="made-up",
    pool_sha256="0" * 64,
    settings={"picks": 1},
    clusters=CLUSTERS,
    utility=U,
    entries=(
        Entry(
            prompt="p@1",
            prompt_sha256="1" * 64,
            model="m",
            spec={"id": "mock/m"},
            decisions=tuple(
                replace(d, prompt_sha256="1" * 64)
                for d in decisions_of(evidence_from(even(N), 1), A, [[4]] * N)
            ),
            gain=dict.fromkeys(range(N), 1.0),
        ),
    ),
)


def a_run(**changes: Any) -> Run:
    suite = Suite.model_validate(
        {
            "name": "made-up",
            "pool": "pool.jsonl",
            "clusters": {"by": "random", "size": 5},
            "picks": 1,
            "prompts": ["p@1"],
            "models": ["mock/m"],
            "gate": {"margin": 0.2},
        }
    )
    rated = Utility("u", "ratings", "human", VALUES, "R", 0.7, (0.0, 4.0))
    made = Run(
        suite=suite,
        pool=Pool((), "0" * 64, "pool.jsonl"),
        clusters=CLUSTERS,
        selectors=(),
        strategies=(),
        utilities=(rated,),
        meter=idle_meter(),
    )
    return replace(made, **changes)


def started(folder: Path, **changes: Any) -> Run:
    """A run that is about to ask its first question."""
    folder.mkdir(exist_ok=True)
    run = a_run(**changes)
    start_folder(folder, run)
    return run


class TestRoundTrip:
    """A run's folder gives back the evidence that the run itself has."""

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"utilities": ()},
            {"utilities": (U, V)},
            {"comparison": ComparisonDesign("ab", (A, B, Arm(strategy="longest")), why="several")},
            {"comparison": ComparisonDesign("ab", (A, B), looks=LOOKS)},
            {"comparison": ComparisonDesign("swap", (A, B), retain=0.8)},
            {"comparison": ComparisonDesign("aa", (A, A), by="orders")},
            {"comparison": ComparisonDesign("regress", (A,)), "baseline": BASELINE},
        ],
    )  # fmt: skip
    def test_of_every_kind_of_run(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        run = started(tmp_path / "run", **changes)
        found = read_run_inputs(tmp_path / "run")
        assert found == run.inputs
        assert found.gate == Gate(margin=0.2)

    def test_ratings_of_differing_items_may_be_partial(self, tmp_path: Path) -> None:
        few = {item_id: VALUES[item_id] for item_id in ("000-1", "003-4")}
        utility = Utility("u", "ratings", "human", few, range=(0.0, 4.0))
        started(tmp_path / "run", utilities=(utility,), comparison=replace(AB, differing=True))
        found = read_run_inputs(tmp_path / "run")
        assert found.utilities == (utility,)
        assert found.covering == ()


class TestRefusedFolders:
    """Whatever does not belong together is named."""

    def refused(self, folder: Path) -> str:
        with pytest.raises(RunError) as error:
            read_run_inputs(folder)
        assert str(error.value).startswith(str(folder))
        return str(error.value)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("run.json", "Is the folder a finished run?"),
            ("clusters.json", "does not exist"),
            ("utilities.jsonl", "cannot be read (No such file"),
            ("baseline.json", "There is no such baseline"),
        ],
    )
    def test_a_file_is_missing(self, tmp_path: Path, name: str, message: str) -> None:
        started(tmp_path, comparison=ComparisonDesign("regress", (A,)), baseline=BASELINE)
        (tmp_path / name).unlink()
        assert message in self.refused(tmp_path)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("run.json", "{", "cannot be read as JSON"),
            ("run.json", "[]", "is not a JSON object"),
            ("run.json", "{}", "has no manifest. Is the folder a run?"),
            ("clusters.json", "{", "is not JSON"),
            ("utilities.jsonl", "{}\n{", "cannot be read as utilities"),
            ("utilities.jsonl", '{}\n{"id": "x"}\n', "cannot be read as utilities"),
            ("utilities.jsonl", '{}\n{"id": "x", "values": {"w": 1}}', "cannot be read as util"),
        ],
    )
    def test_a_file_is_damaged(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        started(tmp_path)
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert message in self.refused(tmp_path)

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"clusters": CLUSTERS[:-1]}, "clusters.json"),
            ({"clusters": CLUSTERS[::-1]}, "clusters.json"),
            ({"utilities": (Utility("u", "r", "human", {**VALUES, "000-0": 9.0}),)}, "(u)"),
            ({"baseline": replace(BASELINE, suite="other")}, "baseline.json"),
        ],
    )
    def test_a_file_is_another_run_s(
        self, tmp_path: Path, changed: dict[str, Any], named: str
    ) -> None:
        changes = {"comparison": ComparisonDesign("regress", (A,)), "baseline": BASELINE}
        started(tmp_path, **changes)
        manifest = (tmp_path / "run.json").read_bytes()
        started(tmp_path, **changes | changed)
        (tmp_path / "run.json").write_bytes(manifest)  # beside files of another run
        message = self.refused(tmp_path)
        assert named in message
        assert "Run the evaluation again" in message

    def test_a_value_was_edited(self, tmp_path: Path) -> None:
        started(tmp_path)
        path = tmp_path / "utilities.jsonl"
        path.write_text(path.read_text("utf-8").replace('{"u":4', '{"u":3', 1), encoding="utf-8")
        assert "utilities.jsonl (u) no longer match the manifest of the run" in self.refused(
            tmp_path
        )

    @pytest.mark.parametrize(
        "change",
        [
            lambda manifest: manifest.pop("gate"),
            lambda manifest: manifest.update(gate={"margin": -1}),
            lambda manifest: manifest.update(pairs=[["p"]]),
            lambda manifest: manifest.update(comparison={"kind": "ab"}),
            lambda manifest: manifest.update(comparison={"kind": "ab", "arms": [], "looks": [[1]]}),
        ],
    )
    def test_a_manifest_of_another_version(
        self, tmp_path: Path, change: Callable[[dict[str, Any]], object]
    ) -> None:
        started(tmp_path)
        path = tmp_path / "run.json"
        content = json.loads(path.read_bytes())
        change(content["manifest"])
        path.write_text(json.dumps(content), encoding="utf-8")
        assert "run.json is not a manifest that this version can read" in self.refused(tmp_path)

    def test_a_baseline_that_was_edited(self, tmp_path: Path) -> None:
        started(tmp_path, comparison=ComparisonDesign("regress", (A,)), baseline=BASELINE)
        edited = replace(BASELINE, pool_sha256="f" * 64)
        write_baseline(tmp_path / "baseline.json", edited)
        assert sha256_json(edited.content) == edited.sha256
        assert "baseline.json no longer match the manifest" in self.refused(tmp_path)


class TestWhatItSays:
    """Of the clusters asked, and the utility that decides."""

    sequential = evidence_from(even(N), 1, comparison=replace(AB, looks=LOOKS))

    @pytest.mark.parametrize(
        ("decided", "asked"),
        [(set(), 2), ({0}, 2), ({0, 1}, 2), ({2}, 4), ({0, 3}, 4), ({4}, 6), (set(range(6)), 6)],
    )
    def test_a_sequential_run_has_asked_up_to_the_look_of_its_last_decision(
        self, decided: set[int], asked: int
    ) -> None:
        assert self.sequential.asked(decided) == asked

    def test_clusters_count_by_their_place_and_not_by_their_id(self) -> None:
        turned = replace(self.sequential, clusters=self.sequential.clusters[::-1])
        assert turned.order == [5, 4, 3, 2, 1, 0]
        assert turned.asked({5}) == 2
        assert turned.asked({0}) == 6

    @pytest.mark.parametrize("comparison", [None, AB])
    def test_other_runs_have_asked_all(self, comparison: ComparisonDesign | None) -> None:
        assert evidence_from(even(N), 1, comparison=comparison).asked({0}) == N

    def test_its_first_clusters_are_a_run_of_their_own(self) -> None:
        part = self.sequential.first(4)
        assert part.order == [0, 1, 2, 3]
        assert part.comparison == self.sequential.comparison

    def test_the_first_utility_decides_unless_the_gate_names_another(self) -> None:
        inputs = replace(self.sequential, utilities=(U, V))
        assert inputs.headline is U
        assert replace(inputs, gate=Gate(utility="v")).headline is V
        assert replace(inputs, utilities=()).headline is None

    def test_of_differing_items_all_other_utilities_cover_the_clusters(self) -> None:
        inputs = replace(self.sequential, utilities=(U, V))
        assert inputs.covering == (U, V)
        assert replace(inputs, comparison=replace(AB, differing=True)).covering == (V,)

    def test_groups_are_of_grouped_clusters_only(self) -> None:
        assert self.sequential.groups is None
        grouped = tuple(replace(each, group=f"g{each.id % 2}") for each in CLUSTERS[:3])
        assert replace(self.sequential, clusters=grouped).groups == {0: "g0", 1: "g1", 2: "g0"}


def test_clusters_with_other_groups_are_not_those_of_the_manifest(
    selectllm: Command, tmp_path: Path
) -> None:
    rows = [row | {"topic": f"t{number % 4}"} for number, row in enumerate(pool_rows(40))]
    write_jsonl(tmp_path / "pool.jsonl", rows)
    suite = write_suite(RATED, "size: 5} -> size: 5, group: topic}")
    assert selectllm("eval", suite, "-o", "run", "--quiet").code == 0
    content = json.loads(Path("run/clusters.json").read_text("utf-8"))
    del content["sha256"]
    for entry in content["clusters"]:
        entry["group"] = "all"
    content["sha256"] = sha256_json(content)
    Path("run/clusters.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RunError, match=r"clusters\.json"):
        read_run_inputs(Path("run"))
