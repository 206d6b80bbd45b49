"""evaluate: what it gives back, and that the command line gives the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import RunError, SuiteError, UsageError
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.stats.intervals import Interval
from tests.conftest import Command
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import ProviderServer


def test_an_evaluation_has_its_results_decisions_and_folder(folder: Path) -> None:
    run = sl.evaluate("suite.yaml")
    assert run.folder.parent == folder / "eval/runs"
    assert json.loads((run.folder / "results.json").read_text()) == run.results.to_json()
    assert {pair.model for pair in run.results.pairs} == {"oracle", "random"}
    assert {decision.model for decision in run.decisions} >= {"oracle", "random"}
    assert run.spent_usd == 0


def test_captured_is_1_for_the_best_picks_and_near_0_for_random_ones(folder: Path) -> None:
    run = sl.evaluate("suite.yaml")
    assert run.captured("short@1", "oracle") == Interval(1.0, 1.0, 1.0)
    chance = run.captured("short@1", "random", utility="rating")
    assert chance is not None
    assert chance.low < 0 < chance.high
    assert run.captured_by("random") == Interval(0.0, 0.0, 0.0)


def test_what_the_run_has_not_is_refused_with_what_it_has(folder: Path) -> None:
    run = sl.evaluate("suite.yaml")
    with pytest.raises(UsageError, match=r"short@1 \+ oracl.*Did you mean"):
        run.captured("short@1", "oracl")
    with pytest.raises(UsageError, match="utility 'ratin'"):
        run.captured("short@1", "oracle", utility="ratin")
    with pytest.raises(UsageError, match="strategy 'longes'"):
        run.captured_by("longes")
    with pytest.raises(UsageError, match="format 'pdf'"):
        run.report("pdf")


def test_reports_of_all_formats_tell_the_same_figures(folder: Path) -> None:
    run = sl.evaluate("suite.yaml")
    assert json.loads(run.report("json")) == run.results.to_json()
    for text in (run.report(), run.report("html"), run._repr_html_()):
        assert "oracle" in text
        assert "1.00" in text
    assert run._repr_html_().startswith("<pre")
    assert "\x1b" not in run.report()


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_frames_have_a_row_for_each_thing(folder: Path, library: str) -> None:
    verdict = sl.ab("suite.yaml", a="random", b="oracle")

    def frame(rows: str) -> object:
        return getattr(verdict.run, f"to_{library}")(rows)

    decisions, pairs, verdicts = map(frame, ("decisions", "pairs", "verdicts"))
    assert len(decisions) == len(verdict.run.decisions)
    assert list(decisions["cluster"]) == [d.cluster for d in verdict.run.decisions]
    assert list(pairs["model"]) == [pair.model for pair in verdict.run.results.pairs]
    assert "agreement.rating.captured.low" in pairs.columns
    assert list(verdicts["word"]) == ["better"]
    with pytest.raises(UsageError, match="`rows`"):
        frame("overlap")


def test_the_seed_the_limit_and_the_folder_may_be_said(folder: Path) -> None:
    run = sl.evaluate("suite.yaml", seed=3, limit=5, out="run")
    assert (run.folder, run.run.suite.seed, run.results.clusters) == (Path("run"), 3, 5)
    with pytest.raises(RunError, match="run"):
        sl.evaluate("suite.yaml", seed=4, out="run")


def test_a_suite_may_be_loaded_before_or_made_in_python(folder: Path) -> None:
    loaded = load_suite(folder / "suite.yaml")
    assert loaded.source == folder / "suite.yaml"
    assert loaded.model_copy(update={"seed": 1}).folder == folder
    assert loaded.at("../pool.jsonl") == folder / "../pool.jsonl"
    made = Suite.model_validate(loaded.model_dump(exclude_unset=True))
    assert (made.source, made.folder) == (None, Path.cwd())
    assert sl.evaluate(made, out="a").results == sl.evaluate(loaded, out="b").results


def test_paths_of_a_suite_are_relative_to_its_file(folder: Path) -> None:
    write_suite(RATED, "pool: pool.jsonl -> pool: ../pool.jsonl", path="suites/mine.yaml")
    assert sl.evaluate("suites/mine.yaml", out="run").results.suite == "demo"


def test_recorded_replies_serve_the_next_evaluation(folder: Path, server: ProviderServer) -> None:
    write_suite(RATED, served(server), "replies: pack.jsonl")
    first = sl.evaluate("suite.yaml", record="pack.jsonl", out="one")
    asked = server.count
    again = sl.evaluate("suite.yaml", offline=True, cache=folder / "empty", out="two")
    assert server.count == asked
    assert again.results == first.results


def test_bad_input_is_refused_before_anything_is_written(folder: Path) -> None:
    write_suite("picks: 2 -> picks: 5")
    with pytest.raises(SuiteError, match="picks: 5"):
        sl.evaluate("suite.yaml")
    with pytest.raises(SuiteError, match=r"nothing\.yaml cannot be read"):
        sl.evaluate("nothing.yaml")
    write_suite(RATED)
    with pytest.raises(UsageError, match="`limit` 0"):
        sl.evaluate("suite.yaml", limit=0)
    assert not (folder / "eval").exists()


def test_the_command_line_and_python_write_the_same_bytes(folder: Path, selectllm: Command) -> None:
    run = asyncio.run(sl.evaluate_async("suite.yaml", out="python"))
    told = selectllm("eval", "suite.yaml", "-o", "shell", "--json")
    assert told.json == run.results.to_json()
    names = {path.name for path in run.folder.iterdir()}
    assert names == {path.name for path in Path("shell").iterdir()}
    for name in ("results.json", "clusters.json", "utilities.jsonl", "run.json"):
        assert Path("shell", name).read_bytes() == (run.folder / name).read_bytes()
