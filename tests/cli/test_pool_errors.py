"""Bad pools on the command line: one error with file, line and fix, exit 2, nothing written."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import MOCK, assert_refused, files, write_suite

GOOD = b'{"id": "a", "instruction": "Say a."}\n{"id": "b", "instruction": "Say b."}\n'


@dataclass(frozen=True)
class Bad:
    """A pool file that cannot be used, and what has to be said about it."""

    name: str
    content: bytes
    words: tuple[str, ...]


BAD = {
    "not UTF-8": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "c", "instruction": "caf\xe9"}\n',
        ("pool.jsonl:3: byte 32 (0xe9) is not UTF-8", "Save the file as UTF-8"),
    ),
    "not JSON": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "c", "instruction": "open\n',
        ("pool.jsonl:3: not JSON at column", "Write one JSON object there"),
    ),
    "no object": Bad(
        "pool.jsonl",
        GOOD + b'["c", "Say c."]\n',
        ("pool.jsonl:3: the row is not an object: ['c', 'Say c.']", '{"instruction": ...}'),
    ),
    "instruction empty": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "c", "instruction": " \\n"}\n',
        ("pool.jsonl:3: instruction is empty", "Fill it"),
    ),
    "instruction missing": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "c"}\n',
        ("pool.jsonl:3: instruction is missing", "Fill it"),
    ),
    "instruction not text": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "c", "instruction": 7}\n',
        ("pool.jsonl:3: instruction is a number, not text: 7", "Write it as text"),
    ),
    "duplicate id": Bad(
        "pool.jsonl",
        GOOD + b'{"id": "a", "instruction": "Say c."}\n',
        ("pool.jsonl:3: id 'a' is already used by", "pool.jsonl:1", "Make ids unique"),
    ),
    "missing column": Bad(
        "pool.jsonl",
        b'{"id": "a", "question": "Say a."}\n',
        ("pool.jsonl:1: no column holds the instruction", "instruction", "question"),
    ),
    "empty pool": Bad(
        "pool.jsonl", b"\n", ("pool.jsonl: the pool is empty", "Give it at least one row")
    ),
    "empty array": Bad("pool.json", b"[]", ("pool.json: the pool is empty",)),
    "header alone": Bad("pool.csv", b"id,instruction\n", ("pool.csv: the pool is empty",)),
    "unknown suffix": Bad(
        "pool.doc", GOOD, ("pool.doc: no pool format has the suffix '.doc'", ".jsonl, .json, .csv")
    ),
    "no suffix": Bad("pool", GOOD, ("pool: no pool format has the suffix ''", ".parquet")),
    "zipped Parquet": Bad("pool.parquet.gz", GOOD, ("no pool format has the suffix",)),
    "array element": Bad(
        "pool.json",
        b'[{"instruction": "Say a."},\n 7]',
        ("pool.json: element 2: the row is not an object: 7",),
    ),
    "broken array": Bad(
        "pool.json", b'[{"instruction": "Say a."},\n {', ("pool.json:2: not JSON at column",)
    ),
    "lines in .json": Bad("pool.json", GOOD, ("pool.json:1: ", "call the file .jsonl")),
    "CSV not UTF-8": Bad(
        "pool.csv",
        b"id,instruction\na,Say a.\nb,caf\xe9\n",
        ("pool.csv:3: byte 0xe9 is not UTF-8", "Save the file as UTF-8"),
    ),
    "CSV ragged": Bad(
        "pool.csv",
        b"id,instruction\na,Say a, b, c.\n",
        ("pool.csv:2: 4 fields where the header names 2", "in quotes"),
    ),
    "CSV open quote": Bad(
        "pool.csv", b'id,instruction\na,"Say\n', ("pool.csv:2: broken CSV", "in quotes")
    ),
    "broken gzip": Bad(
        "pool.jsonl.gz",
        gzip.compress(GOOD, mtime=0)[:-9],
        ("pool.jsonl.gz is broken gzip", "Compress the file again"),
    ),
    "zipped row": Bad(
        "pool.jsonl.gz",
        gzip.compress(GOOD + b"{", mtime=0),
        ("pool.jsonl.gz:3: not JSON",),
    ),
    "broken Parquet": Bad(
        "pool.parquet", b"PAR1 no more", ("pool.parquet is broken Parquet", "Write the file again")
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
class TestABadPool:
    """Every way in which a pool can be bad, by either verb."""

    def test_is_refused_by_select(self, selectllm: Command, bad: Bad) -> None:
        Path(bad.name).write_bytes(bad.content)
        before = files()
        assert_refused(selectllm("select", bad.name, "--budget", 1, *MOCK), *bad.words)
        assert files() == before

    def test_is_refused_by_eval(self, selectllm: Command, bad: Bad) -> None:
        Path(bad.name).write_bytes(bad.content)
        suite = write_suite(f"pool.jsonl -> {bad.name}")
        before = files()
        assert_refused(selectllm("eval", suite, "-o", "run"), *bad.words)
        assert files() == before


@pytest.mark.parametrize("verb", ["select", "eval"])
def test_a_pool_that_is_not_there_or_a_folder_is_refused(selectllm: Command, verb: str) -> None:
    def outcome() -> tuple[str, ...]:
        return ("eval", str(suite)) if verb == "eval" else ("select", "pool.jsonl", *budget)

    suite, budget = write_suite(), ("--budget", "1", *MOCK)
    assert_refused(selectllm(*outcome()), "pool.jsonl does not exist", "Check the path")
    Path("pool.jsonl").mkdir()
    assert_refused(selectllm(*outcome()), "pool.jsonl is a folder", "Name a pool file in it")
    assert list(files()) == ["suite.yaml"]


def test_the_test_file_of_knn_is_read_as_strictly(selectllm: Command, pool_file: Path) -> None:
    Path("test.jsonl").write_bytes(GOOD + b"{\n")
    suite = write_suite("utilities: [{name: near, source: knn, test: test.jsonl}]")
    assert_refused(selectllm("eval", suite, "-o", "run"), "test.jsonl:3: not JSON")
    assert not Path("run").exists()


# --- what the flags that the errors name do


def test_map_is_the_way_out_of_a_missing_column(selectllm: Command) -> None:
    rows = [{"question": f"Say {number}."} for number in range(9)]
    write_jsonl(Path("pool.jsonl"), rows)
    asked = ("select", "pool.jsonl", "--budget", 2, *MOCK)
    assert "--map instruction=question" in selectllm(*asked).err
    assert selectllm(*asked, "--map", "instruction=question").code == 0
    assert "question" in selectllm("eval", write_suite()).err
    assert selectllm("eval", write_suite("columns: {instruction: question}")).code == 0


def test_columns_of_a_suite_that_are_not_there_are_refused(
    selectllm: Command, pool_file: Path
) -> None:
    suite = write_suite("columns: {instruction: instrction}")
    outcome = selectllm("eval", suite, "-o", "run")
    assert_refused(outcome, "pool.jsonl:1", "Did you mean 'instruction'")
    assert not Path("run").exists()


def test_skip_bad_goes_on_and_says_which_rows_and_why(selectllm: Command) -> None:
    bad = {
        41: (b'{"id": "x", "instruction": "caf\xe9"}', "byte 32 (0xe9) is not UTF-8"),
        42: (b'{"id": "x", "instruction": "q", "n": ' + b"9" * 6000 + b"}", "too many digits"),
        43: (b'{"id": "x"', "not JSON"),
        44: (b"7", "the row is not an object: 7"),
        45: (b'{"id": "x", "instruction": ""}', "instruction is empty"),
        46: (b'{"id": "x", "instruction": 7}', "instruction is a number, not text: 7"),
        47: (b'{"id": "item-000", "instruction": "Twice."}', "id 'item-000' is already used by"),
    }
    pool = write_jsonl(Path("pool.jsonl"), pool_rows(40))
    pool.write_bytes(pool.read_bytes() + b"".join(row + b"\n" for row, _ in bad.values()))
    outcome = selectllm("select", pool, "--budget", 40, "--skip-bad", *MOCK)
    assert outcome.code == 0, outcome.err
    assert "7 bad rows were left out. They are in pool.selected.jsonl.rejected.jsonl" in outcome.err
    rejected = read_jsonl(Path("pool.selected.jsonl.rejected.jsonl"))
    assert {row["line"] for row in rejected} == bad.keys()
    for row in rejected:
        assert bad[row["line"]][1] in row["reason"]
    assert rejected[0]["row"] == '{"id": "x", "instruction": "caf\\xe9"}'
    assert json.loads(rejected[6]["row"])["instruction"] == "Twice."
    chosen = {row["id"] for row in read_jsonl(Path("pool.selected.jsonl"))}
    assert chosen == {row["id"] for row in pool_rows(40)}


def test_skip_bad_does_not_save_a_pool_without_any_good_row(selectllm: Command) -> None:
    Path("pool.jsonl").write_bytes(b'7\n{"instruction": ""}\n')
    outcome = selectllm("select", "pool.jsonl", "--budget", 1, "--skip-bad", *MOCK)
    assert_refused(
        outcome, "none of its 2 rows can be read", "pool.jsonl:1: the row is not an object"
    )
    assert list(files()) == ["pool.jsonl"]


def test_skip_bad_counts_the_budget_by_the_good_rows(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [*pool_rows(6), 7])
    outcome = selectllm("select", "pool.jsonl", "--budget", 7, "--skip-bad", *MOCK)
    assert_refused(outcome, "--budget 7 must be from 1 to 6")
    assert list(files()) == ["pool.jsonl"]


def test_a_selection_never_replaces_its_pool(selectllm: Command, pool_file: Path) -> None:
    before = files()
    outcome = selectllm("select", "pool.jsonl", "--budget", 3, "-o", "pool.jsonl", *MOCK)
    assert_refused(outcome, "pool.jsonl")
    assert files() == before
