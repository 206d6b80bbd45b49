"""Bad suites, and ratings, packs and clusters that do not fit them: one error, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import selectllm as sl
from selectllm.core.errors import UsageError
from tests.conftest import pool_rows, write_jsonl
from tests.support.cli_files import RATED, files, write_suite


@pytest.fixture(autouse=True)
def pool(forty: Path) -> Path:
    """Every test has 40 rated items."""
    return forty


def refused(suite: Path | str, *words: str) -> UsageError:
    """The error of an evaluation that writes nothing; it holds `words`."""
    before = files()
    with pytest.raises(UsageError) as caught:
        sl.evaluate(suite, out="run")
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files() == before
    return caught.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # unknown keys, at every level, with the closest match
        ("picks: 2 -> pick: 2", ("unknown key 'pick'. Did you mean 'picks'?",)),
        ("gate: {margn: 0.1}", ("unknown key 'gate.margn'. Did you mean 'margin'?",)),
        (
            "[mock/first] -> [{id: mock/first, temprature: 1}]",
            ("unknown key 'models.0.temprature'. Did you mean 'temperature'?",),
        ),
        (
            "[mock/first] -> [{id: mock/first, price: {inptu: 1, input: 1, output: 1}}]",
            ("unknown key 'models.0.price.inptu'. Did you mean 'input'?",),
        ),
        (
            "utilities: [{name: r, source: ratings, colum: rating}]",
            ("unknown key 'utilities.0.colum'. Did you mean 'column'?",),
        ),
        (  # knn is always a proxy, so nobody may say otherwise
            "utilities: [{name: near, source: knn, test: pool.jsonl, kind: human}]",
            ("unknown key 'utilities.0.kind'",),
        ),
        ("utilities: [{name: r, source: ratngs}]", ("utilities.0", "'ratings'")),
        # missing keys and wrong values
        ("name: demo -> seed: 1", ("'name' is missing",)),
        ("pool: pool.jsonl -> seed: 1", ("'pool' is missing",)),
        ("name: demo -> name: a/b", ("name: 'a/b'",)),
        ("picks: 2 -> picks: 0", ("picks: 0 should be at least 1",)),
        ("picks: 2 -> picks: two", ("picks: 'two' should be a whole number",)),
        ("by: random -> by: simlar", ("clusters.by: 'simlar'", "'similar'")),
        ("size: 5 -> size: 5, limit: 0", ("clusters.limit: 0",)),
        ("structured: on", ("structured: ", "'auto' or 'off'")),
        ("gate: {inconclusive: maybe}", ("gate.inconclusive: 'maybe'",)),
        ("[mock/first] -> [{id: mock/first, timeout: 0}]", ("models.0.timeout: 0",)),
        ("size: 5 -> size: 5, sise: 5", ("Did you mean 'size'?",)),
        ("knn: 5", ("unknown key 'knn'",)),
        ("[mock/first] -> [{id: a/b, price: {input: .inf, output: 1}}]", ("finite number",)),
        ("[mock/first] -> [{id: a/b, extra: {since: 2024-01-01}}]", ("what JSON can carry",)),
        # what the suite names and is not there
        ("pool: pool.jsonl -> pool: none.jsonl", ("none.jsonl",)),
        ("replies: none.jsonl", ("none.jsonl",)),
        ("size: 5 -> size: 5, file: none.json", ("none.json",)),
        ("size: 5 -> size: 5, group: topic", ("no column 'topic'",)),
        ("[short@1] -> [shrt@1]", ("no prompt 'shrt@1'",)),
        ("[short@1] -> [short@9]", ("short@9",)),
        ("[mock/first] -> [mock/frist]", ("mock/first, mock/random",)),
        ("[mock/first] -> [gpt-4o]", ("openai/gpt-4o",)),
        ("[mock/first] -> [local/smollm]", ("smollm2-135m",)),
        ("[mock/first] -> [{id: openai/m, api_base: 'not a url'}]", ("not a url",)),
        ("strategies: [longst]", ("Did you mean 'longest'?",)),
        # parts that contradict each other
        ("picks: 2 -> picks: 5", ("picks: 5 items cannot be chosen from clusters of 5", "smaller")),
        ("[short@1] -> [short@1, short@1]", ("prompts: Two entries have the name 'short@1'",)),
        (
            "[mock/first] -> [mock/first, mock/first]",
            ("models: Two entries have the name 'mock/first'",),
        ),
        (
            "[mock/first] -> [mock/first, {id: mock/random, name: mock/first}]",
            ("models: Two entries have the name 'mock/first'", "its own name"),
        ),
        (f"{RATED}{RATED}", ("the key 'utilities' appears twice",)),
        ("strategies: [first, first]", ("strategies: Two entries have the name 'first'",)),
        ("[short@1] -> []", ("prompts is empty. Name at least one prompt",)),
        ("[mock/first] -> []", ("models is empty. Name at least one prompt",)),
        (
            "prompts: [short@1]\nmodels: [mock/first]\n -> seed: 1\n",
            ("nothing to evaluate. Name prompts and models, or strategies",),
        ),
        ("gate: {utility: taste}", ("gate.utility: 'taste' is none of", "it has none")),
        ("budget: {name: '', limit: 1}", ("budget.name: '' should not be empty",)),
        ("sets: {budgets: []}", ("sets.budgets: [] should have 1 or more entries",)),
        # not a suite at all
        ("name: demo -> name: [demo", ("suite.yaml is not YAML",)),
        ("name: demo -> name: demo\nname: again", ("the key 'name' appears twice",)),
        # utilities that the pool cannot give
        (RATED.replace("[1, 5]", "[5, 1]"), ("range [5.0, 1.0] is empty",)),
        (RATED.replace("column: rating", "column: response"), ("is not a number",)),
        (RATED.replace("column: rating", "column: ratng"), ("Did you mean 'rating'",)),
        (RATED.replace("[1, 5]", "[1, 4]"), ("outside range",)),
        ("[mock/first] -> [mock/oracle]", ("picks by a utility",)),
        ("[mock/first] -> ['mock/skill:0.5']", ("mock/skill:0.5 picks by a utility",)),
        ("[mock/first] -> ['mock/skill:1.5']", ("mock/skill:1.5", "from 0", "to 1")),
        ("[mock/first] -> ['mock/skill:-0.1']", ("mock/skill:-0.1", "from 0", "to 1")),
        ("[mock/first] -> ['mock/skill:nan']", ("'nan' is not a number", "from 0", "to 1")),
        ("[mock/first] -> ['mock/skill:']", ("'' is not a number", "mock/skill:0.8")),
        ("[mock/first] -> [mock/skill]", ("not a scripted model", "mock/skill:S")),
    ],
)
def test_a_bad_suite_gets_one_clear_error_and_writes_nothing(
    change: str, words: tuple[str, ...]
) -> None:
    refused(write_suite(change), *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: caf\xe9", ("suite.yaml is not UTF-8", "Save it as UTF-8")),
        (b"- name: demo", ("a suite consists of keys and values. Begin it with `name:`",)),
        (b"", ("a suite consists of keys and values. Begin it with `name:`",)),
        (b'name: demo\npool: "half \\ud83d.jsonl"\n', ("suite.yaml: ", "pool")),
        (b"1: 2", ("1 Keys should be strings",)),
        (None, ("suite.yaml cannot be read (No such file or directory)",)),
    ],
)
def test_a_file_that_is_no_suite_is_refused(content: bytes | None, words: tuple[str, ...]) -> None:
    Path("suite.yaml").unlink()
    if content is not None:
        Path("suite.yaml").write_bytes(content)
    assert refused("suite.yaml", *words).argument == "suite"


def test_a_folder_is_no_suite() -> None:
    Path("eval").mkdir()
    assert refused("eval", "eval cannot be read (Is a directory)").argument == "suite"


def test_every_mistake_of_a_suite_is_told_at_once() -> None:
    suite = write_suite("picks: 2 -> pick: 2", "size: 5 -> sise: 5")
    refused(suite, "'pick'", "'clusters.sise'")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "rating is missing for 1 of 10 items: 'item-007'. Rate them"),
        ("good", "item 'item-007': rating ('good') is not a number"),
        (9, "item 'item-007': rating (9) is outside range [1.0, 5.0]"),
    ],
)
def test_one_bad_rating_names_its_item(value: object, words: str) -> None:
    rows = pool_rows(10)
    rows[7]["rating"] = value
    write_jsonl(Path("pool.jsonl"), rows)
    refused(write_suite(RATED), f"utility rating: {words}")


def test_knn_needs_responses() -> None:
    write_jsonl(Path("test.jsonl"), [{"instruction": "Explain topic 3."}] * 5)
    knn = "utilities: [{name: near, source: knn, test: test.jsonl, k: 2, answer: rouge-l}]"
    refused(write_suite(knn), "near", "response")


@pytest.mark.parametrize(
    ("line", "fault"),
    [(b"{", "pack.jsonl:1"), (b'\n{"key": "k"}', "pack.jsonl:2"), (b"\xff", "pack.jsonl:1")],
)
def test_damaged_recorded_replies_are_refused(line: bytes, fault: str) -> None:
    Path("pack.jsonl").write_bytes(line)
    refused(write_suite("replies: pack.jsonl"), f"{fault} is not a recorded reply")


# --- clusters.json


@pytest.fixture
def clusters() -> Path:
    """clusters.json of a run, as a suite may name it."""
    sl.evaluate(write_suite(), out="made")
    return Path("made/clusters.json").rename("clusters.json")


def edited(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        content = json.loads(path.read_bytes())
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return edit


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edited(lambda c: c["clusters"][0]["members"].reverse()), "its sha256 does not fit"),
        (edited(lambda c: c["clusters"].pop()), "its sha256 does not fit"),
        (edited(lambda c: c.pop("sha256")), "its sha256 does not fit"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "is not JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not JSON"),
        (lambda path: path.write_bytes(b"[1, 2]"), "its sha256 does not fit"),
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read (Is a directory)"),
    ],
)
def test_a_damaged_clusters_file_is_refused(
    clusters: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(clusters)
    suite = write_suite("size: 5 -> file: clusters.json", "by: random, -> ")
    refused(suite, "clusters.json", words)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (pool_rows(39), "1 items are not in"),
        ([{**row, "instruction": "Other."} for row in pool_rows()], "made from another pool"),
        (pool_rows()[::-1], "made from another pool"),
    ],
)
def test_the_clusters_of_another_pool_are_refused(
    clusters: Path, rows: list[Any], words: str
) -> None:
    write_jsonl(Path("pool.jsonl"), rows)
    suite = write_suite("size: 5 -> file: clusters.json", "by: random, -> ")
    refused(suite, "clusters.json", words, "Use the pool that it was made from")


def test_a_clusters_file_without_a_choice_is_refused(clusters: Path) -> None:
    change = ("size: 5 -> file: clusters.json", "by: random, -> ", "picks: 2 -> picks: 5")
    refused(
        write_suite(*change), "picks: 5 items cannot be chosen from clusters of at most 5 items"
    )


def test_a_damaged_remembered_partition_is_refused() -> None:
    suite = write_suite()
    sl.evaluate(suite, out="made")
    [remembered] = Path("cache/clusters").iterdir()
    edited(lambda content: content["clusters"].pop())(remembered)
    refused(suite, remembered.name, "sha256 does not fit")
    with pytest.raises(UsageError, match=f"{remembered.name}.*sha256 does not fit"):
        sl.select(
            "pool.jsonl",
            budget=8,
            cluster_size=5,
            by="random",
            prompt="short@1",
            model="mock/first",
        )
