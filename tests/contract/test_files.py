"""Whatever a verb reads can be missing, damaged or something else: one error, nothing changed.

Each file that a verb reads is taken away, or gives way to bytes that are not UTF-8, to text that
is not of its format, or to a folder. Messages name the file; the exit code is 2. What each reader
says of a line or a field is tested where the reader is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.cli_files import assert_refused
from tests.support.written_by_0_1_0 import (
    ASKED,
    OTHERS,
    RECORDED,
    REGRESS,
    SELECTED,
    VECTORS,
    written,
)

pytestmark = pytest.mark.usefixtures("workspace")

RUN = ("run.json", "clusters.json", "utilities.jsonl", "decisions.jsonl")
OUT = ("-o", "new")
SELECT = ("select", "pool.jsonl", *SELECTED["spread.jsonl"], *VECTORS, "-o", "new.jsonl")
READERS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "verify": (("verify", "runs/asked"), tuple(f"runs/asked/{name}" for name in RUN)),
    "verify of regress": (("verify", "runs/regress"), ("runs/regress/baseline.json",)),
    "verify results": (("verify", "runs/asked"), ("runs/asked/results.json",)),
    "report": (("report", "runs/asked"), ("runs/asked/results.json",)),
    "baseline set": (
        ("baseline", "set", "runs/asked", "-o", "new.json"),
        tuple(f"runs/asked/{name}" for name in RUN),
    ),
    "eval": ((*ASKED, "--offline", *OUT), ("suites/asked.yaml", "pool.jsonl", "vectors.npy")),
    "eval with a pack": ((*RECORDED, *OUT), ("replies.jsonl",)),
    "regress": ((*REGRESS, *OUT), ("baseline.json", "replies.jsonl", "suites/recorded.yaml")),
    "select": (SELECT, ("pool.jsonl", "vectors.npy")),
    "sets": ((*OTHERS["sets"], *OUT), ("suites/sets.yaml", "pool.jsonl", "vectors.npy")),
    "optimize": ((*OTHERS["search"], *OUT), ("suites/grid.yaml", "pool.jsonl")),
    "export": ((*OTHERS["training"], *OUT), ("sets/sets.jsonl", "pool.jsonl")),
    "plan": (("plan", "suites/asked.yaml", *VECTORS), ("suites/asked.yaml", "pool.jsonl")),
}
"""The verb, and the files without which it cannot be."""
LOGS: dict[str, tuple[object, ...]] = {
    "runs/asked/decisions.jsonl": (*ASKED, "-o", "runs/asked"),
    "runs/asked/run.json": (*ASKED, "-o", "runs/asked"),
    "sets/sets.jsonl": (*OTHERS["sets"], "-o", "sets"),
    "search/decisions.jsonl": (*OTHERS["search"], "-o", "search"),
    "spread.jsonl.decisions.jsonl": (*SELECT[:-1], "spread.jsonl"),
}
"""What may be missing, since the verb then begins anew, but is not overwritten if damaged."""


def missing(path: Path) -> None:
    path.unlink()


def not_utf_8(path: Path) -> None:
    path.write_bytes(b"\xff\xfe" + path.read_bytes())


def not_its_format(path: Path) -> None:
    path.write_bytes(b"{]\n")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: tuple[Callable[[Path], None], ...] = (missing, not_utf_8, not_its_format, a_folder)


def assert_named(selectllm: Command, words: tuple[object, ...], file: str) -> None:
    before = written()
    outcome = selectllm(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert Path(file).name in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert written() == before
    assert not Path("new", "results.json").exists()


@contextmanager
def damaged(file: str, damage: Callable[[Path], None]) -> Iterator[None]:
    """The file is damaged, and whole again afterwards."""
    path, whole = Path(file), Path(file).read_bytes()
    damage(path)
    yield
    if path.is_dir():
        path.rmdir()
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("words", "file"), [(words, file) for words, files in READERS.values() for file in files]
)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written(
    selectllm: Command, words: tuple[object, ...], file: str
) -> None:
    for damage in DAMAGES:
        with damaged(file, damage):
            assert_named(selectllm, words, file)


@pytest.mark.parametrize("file", LOGS)
def test_a_log_that_cannot_be_read_is_named_and_left_as_it_is(
    selectllm: Command, file: str
) -> None:
    for damage in DAMAGES[1:]:
        with damaged(file, damage):
            assert_named(selectllm, LOGS[file], file)


@pytest.mark.parametrize("file", ["runs/asked/decisions.jsonl", "spread.jsonl.decisions.jsonl"])
def test_a_log_is_left_alone_by_a_call_with_another_pool(selectllm: Command, file: str) -> None:
    pool = Path("pool.jsonl")
    pool.write_text(pool.read_text("utf-8").replace("topic 1 ", "another topic "), "utf-8")
    shutil.rmtree("cache")
    before = written()
    outcome = selectllm(*LOGS[file], "--offline")
    assert_refused(outcome, "a different pool", "to start over")
    assert written() == before
