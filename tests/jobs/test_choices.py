"""Which job is meant: by what is given, for the command line and Python alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError
from selectllm.jobs.importing import import_either
from selectllm.jobs.options import ResultSettings, SheetSettings
from selectllm.jobs.plan_choice import plan_either
from selectllm.jobs.planning import SuitePlan
from selectllm.jobs.retelling import RetellRequest
from selectllm.jobs.selection_files import selection_files
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.sync import finished
from tests.support.cli_files import RATED, write_suite

STRATEGY: dict[str, Any] = {"budget": (4,), "strategy": "longest"}


@pytest.fixture
def work(folder: Path) -> Path:
    """A suite that has sets, and its pool."""
    write_suite(RATED, "sets: {budgets: [4]}")
    return folder


def planned(target: str, **given: Any) -> SuitePlan | SelectionPlan:
    with sl.Session() as session:
        return finished(plan_either(Path(target), session=session, **given))


class TestAPlan:
    """`plan_either`."""

    def test_of_a_pool_is_that_of_its_selection(self, work: Path) -> None:
        plan = planned("pool.jsonl", **STRATEGY)
        assert isinstance(plan, SelectionPlan)
        assert plan.text == (
            "The strategy longest would select 4 of 200 items, with 0 calls (0 at most).\n"
            "No text of the pool leaves this machine."
        )

    @pytest.mark.parametrize(("kind", "told"), [("eval", "eval"), ("sets", "sets")])
    def test_of_a_suite_is_of_the_kind_that_is_asked_for(
        self, work: Path, kind: str, told: str
    ) -> None:
        plan = planned("suite.yaml", kind=kind)
        assert isinstance(plan, SuitePlan)
        assert plan.results.to_json()["for"] == told

    @pytest.mark.parametrize(
        ("target", "given", "argument"),
        [
            ("pool.jsonl", {**STRATEGY, "limit": 3}, "limit"),
            ("suite.yaml", {"by": "random"}, "by"),
            ("suite.yaml", {"only": ("short@1",)}, "only"),
            ("suite.yaml", {"kind": "sets", "limit": 3}, "limit"),
            ("suite.yaml", {"kind": "sets", "strategy": "longest"}, "strategy"),
            ("suite.yaml", {"kind": "sets", "from_": "x"}, "from_"),
        ],
    )
    def test_has_no_argument_of_another(
        self, work: Path, target: str, given: dict[str, Any], argument: str
    ) -> None:
        with pytest.raises(UsageError, match=f"`{argument}`") as caught:
            planned(target, **given)
        assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("sheets", "results"),
    [
        (SheetSettings(), ResultSettings(arm="random")),
        (SheetSettings(partial=True), ResultSettings(export=Path("export"))),
    ],
)
def test_sheets_and_results_have_settings_of_their_own(
    work: Path, sheets: SheetSettings, results: ResultSettings
) -> None:
    with sl.Session() as session, pytest.raises(UsageError, match="`export`") as caught:
        finished(import_either([Path("x.csv")], None, sheets, results, session=session))
    assert caught.value.argument == "export"


@pytest.mark.parametrize(
    ("pool", "out"),
    [
        ("pool.jsonl", "pool.selected.jsonl"),
        ("data/pool.csv.gz", "data/pool.selected.jsonl"),
        ("hf:org/name:train", "name.selected.jsonl"),
    ],
)
def test_a_selection_is_called_after_its_pool(pool: str, out: str) -> None:
    files = selection_files(Path(pool))
    assert files.out == Path(out)
    assert files.log == Path(f"{out}.decisions.jsonl")
    assert files.rejected == Path(f"{out}.rejected.jsonl")


@pytest.mark.parametrize("out", ["picks.csv", "pool.jsonl"])
def test_a_selection_is_not_written_over_its_pool_or_as_another_format(out: str) -> None:
    with pytest.raises(UsageError, match="`out`") as caught:
        selection_files(Path("pool.jsonl"), Path(out))
    assert caught.value.argument == "out"


def test_a_selection_is_told_alone() -> None:
    request = RetellRequest(folders=[Path("run"), Path("picks.jsonl")])
    with pytest.raises(UsageError, match=r"picks\.jsonl is a selection"):
        request.check()
