"""Which runs there are, and results that are told from their file alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from selectllm.cli import main
from selectllm.core.errors import RunError, UsageError
from selectllm.jobs.reporting import read_finished
from selectllm.jobs.runs import list_runs

RUNS = Path(__file__).parents[1] / "golden" / "written_by_0_1_0"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with three runs: the newest a swap, then a search, then sets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "LOCK.yaml").touch()
    runs = tmp_path / "eval" / "runs"
    for seconds, (name, result) in enumerate(
        [("sets", "sets.json"), ("search", "optimize.json"), ("runs/swap", "results.json")]
    ):
        shutil.copytree(RUNS / name, runs / Path(name).name)
        os.utime(runs / Path(name).name / result, (1e9 + seconds, 1e9 + seconds))
    return tmp_path


def test_the_newest_comes_first_with_what_it_found(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[::2]] == [
        f"eval/runs/{name}" for name in ("swap", "search", "sets")
    ]
    assert lines[1].split()[0] == "inconclusive:"


def test_json_tells_folder_time_and_state(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["state"] for run in found] == ["finished"] * 3
    assert [Path(run["folder"]).name for run in found] == ["swap", "search", "sets"]


def test_it_is_said_which_folder_is_listed_and_how_another_is(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(workspace / "eval" / "runs" / "search", tmp_path / "mine" / "search")
    assert main(["runs"]) == 0
    listed = capsys.readouterr()
    assert "search" not in listed.out
    assert f"Only {Path('eval', 'runs')} was looked into" in listed.err.replace(f"{tmp_path}/", "")
    assert "selectllm runs FOLDER" in listed.err
    assert main(["runs", "mine"]) == 0
    assert "search" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_not_finished_or_damaged_is_listed_as_such(workspace: Path) -> None:
    runs = workspace / "eval" / "runs"
    (runs / "swap" / "results.json").unlink()
    (runs / "sets" / "sets.json").write_text("{}", "utf-8")
    states = {run.folder.name: run.state for run in list_runs(runs)}
    assert states == {"swap": "unfinished", "sets": "damaged", "search": "finished"}
    assert main(["runs"]) == 0


def test_without_runs_it_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert "selectllm eval" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch"):
        list_runs(tmp_path / "nosuch")


@pytest.mark.parametrize(
    "file",
    ["sets/sets.json", "search/optimize.json", "runs/ab/results.json", "runs/aa/results.json"],
)
def test_a_result_is_told_by_its_folder_or_its_file_whatever_it_is_called(
    file: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(RUNS / file, copy)
    by_folder, path = read_finished((RUNS / file).parent)
    assert path == RUNS / file
    assert read_finished(RUNS / file)[0] == by_folder == read_finished(copy)[0]


@pytest.mark.parametrize("content", ["{}", "[]", '{"suite": "s", "for": 3}'])
def test_another_file_is_no_result(content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content, "utf-8")
    with pytest.raises(RunError, match=r"other\.json"):
        read_finished(tmp_path / "other.json")
