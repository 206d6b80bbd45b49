"""Files that are written where somebody says: no file of another kind is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import selectllm as sl
from selectllm.core.errors import RunError, UsageError
from selectllm.jobs import contents
from selectllm.jobs.contents import held, replaceable
from tests.conftest import Command
from tests.support.written_by_0_1_0 import GOLDEN

ROOT = Path(__file__).parents[2]
KINDS = {
    "baseline.json": contents.BASELINE,
    "replies.jsonl": contents.PACK,
    "chosen.jsonl": contents.SELECTION,
    "chosen.jsonl.decisions.jsonl": contents.LOG,
    "runs/asked/decisions.jsonl": contents.LOG,
    "runs/asked/results.json": contents.REPORT,
    "sets/sets.json": contents.REPORT,
    "search/optimize.json": contents.REPORT,
    "sets/sets.jsonl": contents.LOG,
    "pool.jsonl": contents.UNKNOWN,
    "runs/asked/clusters.json": contents.UNKNOWN,
    "suites/asked.yaml": contents.OF_PEOPLE[".yaml"],
}


@pytest.mark.parametrize("file", KINDS)
def test_a_file_shows_what_it_is_by_what_it_holds(file: str) -> None:
    assert held(GOLDEN / file) == KINDS[file]


@pytest.mark.parametrize("kind", [contents.REPORT, contents.BASELINE, contents.SELECTION])
def test_only_the_same_kind_is_replaced(kind: str) -> None:
    fit = {file for file in KINDS if replaceable(GOLDEN / file, kind) is None}
    assert fit == {file for file, found in KINDS.items() if found == kind}


@pytest.mark.parametrize(
    ("content", "report", "baseline"),
    [("", True, True), ("# Notes\n", True, False), ("{half", False, False), ("[]", False, False)],
)
def test_a_report_replaces_text_that_is_no_data(
    tmp_path: Path, content: str, report: bool, baseline: bool
) -> None:
    file = tmp_path / "file"
    file.write_text(content, encoding="utf-8")
    fits = [replaceable(file, kind) is None for kind in (contents.REPORT, contents.BASELINE)]
    assert fits == [report, baseline]
    assert replaceable(tmp_path / "nothing", contents.REPORT) is None


RUN = ("report", "runs/asked", "--as", "markdown", "-o")
BASELINE = ("baseline", "set", "runs/asked", "-o")
SELECT = ("select", "pool.jsonl", "--budget", "3", "--strategy", "longest", "-o")
MANY = ("suites/asked.yaml", "baseline.json", "replies.jsonl", "mine.jinja", "sheet.csv")


@pytest.mark.parametrize(
    ("words", "file"),
    [
        *((RUN, f"runs/asked/{name}") for name in ("decisions.jsonl", "results.json", "run.json")),
        *((RUN, name) for name in (*MANY, "pool.jsonl", "chosen.jsonl")),
        *((BASELINE, name) for name in ("suites/asked.yaml", "pool.jsonl", "notes.md")),
        *((SELECT, name) for name in ("replies.jsonl", "notes.jsonl", "runs/asked/sets.jsonl")),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_what_is_kept_or_anothers_input_is_not_replaced(
    selectllm: Command, words: tuple[str, ...], file: str
) -> None:
    for name, text in (("mine.jinja", "{{ k }}"), ("sheet.csv", "id,rating\n"), ("notes.md", "#")):
        Path(name).write_text(text, encoding="utf-8")
    Path("notes.jsonl").write_text("a line of mine", encoding="utf-8")
    Path("runs/asked/sets.jsonl").write_text("{}", encoding="utf-8")
    before = Path(file).read_bytes()
    refused = selectllm(*words, file)
    assert (refused.code, refused.out) == (2, "")
    assert f"-o {file} " in refused.err
    assert "not overwritten" in refused.err
    assert Path(file).read_bytes() == before


@pytest.mark.usefixtures("workspace")
def test_what_was_written_by_the_same_verb_is_written_anew(selectllm: Command) -> None:
    for words, file in ((RUN, "told.md"), (BASELINE, "kept.json"), (SELECT, "new.jsonl")):
        assert [selectllm(*words, file).code for _ in range(2)] == [0, 0]


UTILITY = ("utility", "ifd", "pool.jsonl", "-o")
RECORD = ("eval", "suites/asked.yaml", "--record")


@pytest.mark.parametrize("words", [UTILITY, RECORD])
@pytest.mark.parametrize("file", ["chosen.jsonl", "pool.jsonl", "runs/asked/decisions.jsonl"])
@pytest.mark.usefixtures("workspace")
def test_values_and_replies_replace_no_other_kind(
    selectllm: Command, words: tuple[str, ...], file: str
) -> None:
    before = Path(file).read_bytes()
    refused = selectllm(*words, file)
    assert (refused.code, "overwritten" in refused.err) == (2, True)
    assert Path(file).read_bytes() == before


@pytest.mark.parametrize("name", ["clusters.json", "results.json", "baseline.json"])
def test_a_run_begins_in_no_folder_that_holds_its_files(folder: Path, name: str) -> None:
    Path("mine").mkdir()
    Path("mine", name).write_text("{}", encoding="utf-8")
    with pytest.raises(
        RunError, match=f"mine holds {name}, which does not belong to a run"
    ) as caught:
        sl.evaluate("suite.yaml", out="mine")
    assert caught.value.argument == "out"
    assert [*Path("mine").iterdir()] == [Path("mine", name)]
    assert Path("mine", name).read_text(encoding="utf-8") == "{}"


@pytest.fixture
def workspace(selectllm: Command) -> None:
    shutil.copytree(GOLDEN, ".", dirs_exist_ok=True)


MODEL = {"prompt": "short@1", "model": "mock/first"}


@pytest.mark.parametrize("how", [MODEL, {"strategy": "random"}])
@pytest.mark.parametrize("log", ["pool.jsonl", "./pool.jsonl", "suite.yaml", "line.txt"])
def test_a_log_is_never_written_into_a_file_of_something_else(
    folder: Path, how: dict[str, str], log: str
) -> None:
    Path("line.txt").write_text("one line without an end", encoding="utf-8")
    before = Path(log).read_bytes()
    with pytest.raises(UsageError) as caught:
        sl.select("pool.jsonl", budget=4, log=log, **how)  # type: ignore[arg-type]
    assert caught.value.argument == "log"
    assert "remove" not in str(caught.value)
    assert Path(log).read_bytes() == before
    expected = "is read by this command" if "pool" in log else "is not a log of selectllm"
    assert expected in str(caught.value)
    assert isinstance(caught.value, RunError) == ("pool" not in log)


def test_a_selection_is_not_written_over_anything_else(folder: Path) -> None:
    selection = sl.select("pool.jsonl", budget=4, strategy="random")
    refused: tuple[Callable[[], None], ...] = (
        lambda: selection.write("notes.jsonl"),
        lambda: selection.write("log.jsonl"),
    )
    Path("notes.jsonl").write_text("mine\n", encoding="utf-8")
    sl.select("pool.jsonl", budget=4, strategy="random", log="log.jsonl")
    for write in refused:
        with pytest.raises(UsageError, match="not a selection, and is not overwritten") as caught:
            write()
        assert caught.value.argument == "path"
    selection.write("out.jsonl")
    selection.write("out.jsonl")
