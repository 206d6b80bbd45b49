"""Logs, run folders and caches that do not fit the call: exit 2, and left as they were."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, read_jsonl
from tests.support.cli_files import (
    ASKING,
    LOG,
    MOCK,
    assert_refused,
    at,
    files,
    select,
    served,
    write_suite,
)
from tests.support.provider_server import FAULTS, ProviderServer

# --- logs and run folders of another call


@pytest.mark.parametrize(
    ("change", "different"),
    [
        (("--budget", 4), "a different budget (3)."),
        (("--seed", 1), "a different seed (0)."),
        (("--prompt", "rank@1"), "a different prompt (short@1)."),
        (("--model", "mock/random"), "a different model (mock/first)."),
        (("--model-arg", "temperature=1"), "other settings of the model (temperature)."),
        (("--cluster-size", 7), "a different cluster size (auto)."),
        (("--by", "similar"), "a different --by (random)."),
        (("--reask", 0), "a different --reask (2)."),
    ],
)
def test_the_log_of_another_selection_is_refused(
    selectllm: Command, pool_file: Path, change: tuple[object, ...], different: str
) -> None:
    first = ("select", pool_file, "--budget", 3, "--quiet", *MOCK)
    assert selectllm(*first).code == 0
    before = files()
    outcome = selectllm(*first, *change)
    assert_refused(
        outcome, f"this log was written with {different}", "-o", "delete /", f"{LOG} to start over"
    )
    assert files() == before


def test_a_strategy_does_not_go_on_in_a_models_log(selectllm: Command, pool_file: Path) -> None:
    assert selectllm("select", pool_file, "--budget", 3, *MOCK).code == 0
    before = files()
    outcome = selectllm("select", pool_file, "--budget", 3, "--strategy", "first")
    assert_refused(outcome, "this log was written with", "a different prompt (short@1)")
    assert files() == before


def test_a_log_of_failures_alone_is_replaced_by_the_corrected_call(
    selectllm: Command, pool_file: Path
) -> None:
    with ProviderServer(lambda *request: FAULTS["404"]) as server:
        assert select(selectllm, *at(server)).code == 6
        assert [row["status"] for row in read_jsonl(LOG)[1:]]
        suite = write_suite(served(server))
        assert selectllm("eval", suite, "-o", "run").code == 6
    assert select(selectllm, "--model", "mock/first").code == 0
    assert {row["model"] for row in read_jsonl(LOG)[1:]} == {"mock/first"}
    assert selectllm("eval", write_suite(), "-o", "run").code == 0
    assert selectllm("verify", "run").code == 0
    assert selectllm("eval", write_suite("seed: 7"), "-o", "run").code == 2


@pytest.mark.parametrize("line", [b"{", b'"text"', b'{"cluster": 0}', b"\xff"])
def test_a_damaged_log_is_refused_with_its_line(
    selectllm: Command, pool_file: Path, line: bytes
) -> None:
    asked = ("select", pool_file, "--budget", 3, "--quiet", *MOCK)
    assert selectllm(*asked).code == 0
    log = Path("pool.selected.jsonl.decisions.jsonl")
    lines = log.read_bytes().split(b"\n")
    for number in (1, 3):
        log.write_bytes(b"\n".join([*lines[: number - 1], line, *lines[number:]]))
        before = files()
        place = f"decisions.jsonl:{number}"
        assert_refused(selectllm(*asked), place, "move it away", "selectllm log repair ")
        assert files() == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.json", b"[]", "run.json is not a JSON object"),
        ("run.json", b"{}", "run.json: this run was written with another version"),
    ],
)
def test_a_damaged_run_folder_is_refused(
    selectllm: Command, pool_file: Path, name: str, content: bytes, words: str
) -> None:
    suite = write_suite()
    assert selectllm("eval", suite, "-o", "run").code == 0
    Path("run", name).write_bytes(content)
    before = files()
    assert_refused(selectllm("eval", suite, "-o", "run"), words)
    assert files() == before


def test_a_foreign_log_without_its_manifest_stays_as_it_was(
    selectllm: Command, pool_file: Path
) -> None:
    assert selectllm("eval", write_suite("seed: 5"), "-o", "run").code == 0
    Path("run/run.json").unlink()
    suite = write_suite()
    before = files()
    assert_refused(selectllm("eval", suite, "-o", "run"), "decisions.jsonl", "seed")
    assert files() == before


def test_a_report_of_a_damaged_run_is_refused(selectllm: Command) -> None:
    Path("results.json").write_bytes(b"{")
    assert_refused(selectllm("report", "."), "results.json cannot be read as JSON")
    Path("results.json").write_bytes(b"{}")
    assert_refused(selectllm("report", "."), "results.json", "not the results of a run")


@pytest.mark.parametrize("verb", ["select", "eval"])
def test_an_output_place_that_cannot_be_is_refused(
    selectllm: Command, pool_file: Path, verb: str
) -> None:
    suite = write_suite()
    before = files()
    if verb == "eval":
        outcome = selectllm("eval", suite, "-o", "pool.jsonl/run")
    else:
        out = "pool.jsonl/out.jsonl"
        outcome = selectllm("select", pool_file, "--budget", 3, "-o", out, "--quiet", *MOCK)
    assert_refused(outcome, "pool.jsonl", "Check the path" if verb == "eval" else "another file")
    assert files() == before


# --- a cache that holds what selectllm did not write


class Planted:
    """Unpickled, it would write a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("planted.txt", "w")


PICKLE = pickle.dumps(Planted())


def plant(column: str, value: object) -> None:
    with sqlite3.connect("cache/replies/cache.db") as database:
        database.execute(f"UPDATE Cache SET {column} = ?", (value,))
    database.close()


@pytest.mark.parametrize(
    "row",
    [
        {"mode": 4, "value": PICKLE},
        {"mode": 2, "value": PICKLE},
        {"value": PICKLE},
        {"value": "no JSON"},
        {"value": "[1]"},
        {"value": '{"reply": {"text": "[1]", "extra": 1}}'},
    ],
    ids=["pickle", "binary", "bytes", "not JSON", "no object", "no reply"],
)
def test_a_planted_row_is_refused_unread_and_clear_removes_it(
    selectllm: Command, pool_file: Path, server: ProviderServer, row: dict[str, object]
) -> None:
    suite = write_suite(served(server))
    assert selectllm("eval", suite, "-o", "first").code == 0
    before = files()
    for column, value in row.items():
        plant(column, value)
    words = ("holds a row that this version of selectllm did not write", "selectllm cache clear")
    assert_refused(selectllm("eval", suite, "-o", "run"), *words)
    asked = ("select", pool_file, "--budget", 8, *ASKING, "--cluster-size", 5, *at(server))
    assert selectllm("cache", "ls").code == 2
    assert selectllm("cache", "stats").code == 2
    assert not Path("planted.txt").exists()
    assert not Path("run/results.json").exists()
    assert {name: files()[name] for name in before} == before
    assert server.count == 8
    assert "Removed 8 replies" in selectllm("cache", "clear", "--yes").out
    assert selectllm("eval", suite, "-o", "run").code == 0
    assert selectllm(*asked).code == 0


def test_a_planted_key_is_refused_unread(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    assert selectllm("eval", write_suite(served(server)), "-o", "first").code == 0
    with sqlite3.connect("cache/replies/cache.db") as database:
        database.execute("UPDATE Cache SET raw = 0, key = ? WHERE rowid = 1", (PICKLE,))
    database.close()
    assert_refused(selectllm("cache", "ls"), "a row that this version of selectllm did not write")
    assert not Path("planted.txt").exists()


def test_a_cache_that_takes_no_reply_is_told_once_and_the_log_has_all_that_was_paid_for(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    assert selectllm("eval", write_suite(served(server)), "-o", "first").code == 0
    with closing(sqlite3.connect("cache/replies/cache.db")) as database, database:
        database.execute("DELETE FROM Cache")
        refusal = "SELECT RAISE(ABORT, 'page 7 is malformed')"
        database.execute(f"CREATE TRIGGER broken BEFORE INSERT ON Cache BEGIN {refusal}; END")
    outcome = selectllm("eval", "suite.yaml", "-o", "second")
    assert outcome.code == 0
    assert outcome.err.count("page 7 is malformed") == 1
    assert "selectllm cache verify --repair" in outcome.err
    assert server.count == 16
    attempts = [row["attempts"] for row in read_jsonl(Path("second/decisions.jsonl"))[1:]]
    assert [each["cached"] for asked in attempts for each in asked] == [False] * 8


def test_a_file_that_is_no_cache_is_refused(selectllm: Command, pool_file: Path) -> None:
    Path("cache/replies").mkdir(parents=True)
    Path("cache/replies/cache.db").write_bytes(b"not a database" * 100)
    outcome = selectllm("select", pool_file, "--budget", 3, *MOCK)
    assert_refused(outcome, "cache/replies: the reply cache is damaged", "cache verify --repair")
    assert list(files()) == ["pool.jsonl"]


def test_the_cache_is_for_its_owner_alone(
    selectllm: Command, pool_file: Path, server: ProviderServer
) -> None:
    assert selectllm("eval", write_suite(served(server)), "-o", "run").code == 0
    assert Path("cache/replies").stat().st_mode & 0o777 == 0o700
    assert read_jsonl(Path("run/decisions.jsonl"))[-1]["attempts"][0]["cached"] is False
