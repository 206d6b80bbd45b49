"""`selectllm cache clear --pool`: what is removed of a pool, and what is told to remove."""

from __future__ import annotations

import io
import json
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from selectllm.core.types import Item, Reply
from selectllm.data.pool import load_pool
from selectllm.data.vector_store import VectorStore, text_keys
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cache_repair import ASIDE
from tests.cli.test_cache import REPLIES, pairs
from tests.conftest import Command, pool_rows, write_jsonl
from tests.models.wrappers.test_asked import ITEMS, SHOWING, update
from tests.support.cli_files import BODY, HEAD, RATED, served, write_suite
from tests.support.made_vectors import random_vectors
from tests.support.optimize_cases import make_suite
from tests.support.provider_server import ProviderServer

SECRET = "The merger with Nowhere Ltd is on the third of May"


@pytest.fixture
def two_pools(selectllm: Command) -> None:
    """A cache of replies to questions about two pools, their vectors and clusters."""
    write_jsonl(Path("pool.jsonl"), [{"id": i.id, "instruction": i.instruction, "input": i.input}
                                     for i in ITEMS])  # fmt: skip
    other = (Item("c", "Explain sand"), ITEMS[1])
    sand = replace(SHOWING.question, shown=other[:1])
    unsaid = replace(SHOWING.question, shown=())
    with closing(ReplyCache(REPLIES)) as cache:
        cache.put(SHOWING, Reply(SECRET, cost_usd=0.25))
        cache.put(replace(SHOWING, seed=1), Reply(SECRET * 5_000, cost_usd=0.25))
        cache.put(replace(SHOWING, seed=2, question=sand), Reply("about sand"))
        cache.put(replace(SHOWING, seed=3, question=unsaid), Reply("of who knows what"))
    store = VectorStore(Path("cache/vectors"), "encoder")
    texts = [ITEMS[0].text, "Explain sand", ITEMS[1].text]
    store.add(text_keys(texts), np.arange(12, dtype=np.float32).reshape(3, 4))
    sha256 = load_pool("pool.jsonl").pool.sha256
    for name, of in (("own", sha256), ("other", "0" * 64)):
        path = Path(f"cache/clusters/{name}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"pool_sha256": of, "clusters": []}), encoding="utf-8")


def holding(text: str) -> list[str]:
    """The files of the cache that hold a text."""
    files = [path for path in Path("cache").rglob("*") if path.is_file()]
    return [str(path) for path in files if text.encode() in path.read_bytes()]


def test_a_pool_is_forgotten_and_nothing_else(selectllm: Command, two_pools: None) -> None:
    assert len(holding(SECRET)) >= 2
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes")
    assert told.code == 0, told.err
    assert (
        "Removed what belongs to pool.jsonl: 2 replies (which cost 0.5000 USD), 2 vectors and 1 "
        "file of its clusters."
    ) in told.out
    assert "For 1 other replies it is not known which items they showed" in told.out
    assert "add --unknown" in told.out
    assert "  rm pool.jsonl    # the pool itself" in told.out
    assert holding(SECRET) == []
    assert len(holding("about sand")) == 1
    store = VectorStore(Path("cache/vectors"), "encoder")
    assert store.find(text_keys([ITEMS[0].text, "Explain sand", ITEMS[1].text])).tolist() == [
        -1,
        1,
        -1,
    ]
    assert store.read(np.array([1])).tolist() == [[4.0, 5.0, 6.0, 7.0]]
    assert [path.name for path in Path("cache/clusters").iterdir()] == ["other.json"]
    again = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes").out
    assert "0 replies (which cost 0.0000 USD), 0 vectors and 0 files" in again


def test_replies_to_unknown_questions_go_where_that_is_asked(
    selectllm: Command, two_pools: None
) -> None:
    update(REPLIES, "tag = NULL WHERE key = ?", replace(SHOWING, seed=2).key)
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--unknown", "--yes")
    assert "4 replies" in told.out
    assert "not known" not in told.out
    assert pairs() == []


def test_nothing_is_forgotten_before_somebody_agrees(
    selectllm: Command, two_pools: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    told = selectllm("cache", "clear", "--pool", "pool.jsonl")
    assert told.out == "Nothing was removed.\n"
    assert "Remove 2 replies (which cost 0.5000 USD)" in told.err
    assert len(pairs()) == 4


def test_what_else_holds_its_texts_is_told_with_commands_that_work(
    selectllm: Command, server: ProviderServer
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows())
    write_suite(RATED, served(server))
    assert selectllm("eval", "suite.yaml", "--quiet").code == 0
    selectllm("cache", "export", "pack.jsonl")
    (REPLIES / ASIDE).write_bytes(b"")
    options = ("--by", "random", "--prompt", "short@1", "--model", "mock/first", "--quiet")
    assert selectllm("select", "pool.jsonl", "--budget", 8, *options).code == 0
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes").out
    commands = [line.partition("#")[0].split() for line in told.splitlines() if "  rm " in line]
    assert [words[-1] for words in commands if words[1] == "-r"] == [
        str(path) for path in Path("eval/runs").iterdir()
    ]
    named = {words[-1] for words in commands if words[1] != "-r"}
    assert named == {
        "pool.jsonl",
        "pack.jsonl",
        "pool.selected.jsonl.decisions.jsonl",
        str(REPLIES / ASIDE),
    }
    for words in commands:
        subprocess.run(words, check=True)
    assert not any(Path("eval/runs").iterdir())


def test_the_results_of_every_verb_that_hold_picks_are_told(selectllm: Command) -> None:
    np.save("v.npy", random_vectors(40))
    others = [row | {"id": f"other-{row['id'][5:]}"} for row in pool_rows()]
    for name, rows in (("other", others), ("pool", pool_rows())):
        write_jsonl(Path(f"{name}.jsonl"), rows)
        sets = "sets: {budgets: [4], seeds: [0]}"
        suite = write_suite(RATED, sets, f"pool.jsonl -> {name}.jsonl", path=f"{name}.yaml")
        for verb in ("eval", "audit", "sets"):
            made = selectllm(verb, suite, "-o", f"eval/runs/{verb}-{name}", "--vectors", "v.npy")
            assert made.code == 0, made.err
        assert selectllm("audit", suite, "-o", f"eval/elsewhere/{name}").code == 0
        run = f"eval/runs/eval-{name}"
        assert selectllm("baseline", "set", run, "-o", f"eval/{name}.json").code == 0
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes").out
    commands = [line.partition("#")[0].split() for line in told.splitlines() if "  rm " in line]
    assert [words[-1] for words in commands if words[1] == "-r"] == [
        f"eval/runs/{verb}-pool" for verb in ("audit", "eval", "sets")
    ]
    assert {"eval/elsewhere/pool/order.decisions.jsonl", "eval/pool.json"} < {
        words[-1] for words in commands
    }
    assert "other" not in "".join(map("".join, commands))
    for words in commands:
        subprocess.run(words, check=True)
    assert not [
        path for path in Path("eval").rglob("*.json*") if "item-" in path.read_text("utf-8")
    ]


def test_the_folder_of_a_search_is_told_whose_manifest_holds_that_of_a_run(
    selectllm: Command,
) -> None:
    head = HEAD.replace("---\nd", "---\nvariables: {manner: [plain, kind]}\nd")
    suite = make_suite(
        selectllm, clusters=50, prompt=head + BODY.replace("Pick", "Be {{ manner }}. Pick")
    )
    grid = ("--grid", "--budget", 30, "--quiet", "-o", "eval/runs/found")
    assert selectllm("optimize", suite, *grid).code == 0
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes").out
    assert "  rm -r eval/runs/found    # results: item ids, picks and replies" in told


def test_what_filters_left_of_a_pool_is_forgotten_with_it(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    write_jsonl(Path("other.jsonl"), [row | {"id": f"o-{row['id']}"} for row in pool_rows(40)])
    words = ("--budget", 4, "--by", "random", "--prompt", "short@1", "--model", "mock/first")
    filters = ("--prefilter", "longest:0.5", "--quiet")
    for pool in ("pool.jsonl", "other.jsonl"):
        assert selectllm("select", pool, *words, *filters).code == 0
    divided = {path.name: path.read_text("utf-8") for path in Path("cache/clusters").iterdir()}
    assert len(divided) == 2
    told = selectllm("cache", "clear", "--pool", "pool.jsonl", "--yes").out
    assert "1 file of its clusters" in told
    assert "rm pool.selected.jsonl.decisions.jsonl" in told
    assert "rm other" not in told
    [left] = Path("cache/clusters").iterdir()
    assert '"o-' in divided[left.name]


@pytest.mark.parametrize("filters", [(), ("--prefilter", "longest:0.5")])
def test_clusters_of_a_pool_of_many_files_are_forgotten_with_it(
    selectllm: Command, filters: tuple[str, ...]
) -> None:
    rows = [{"id": f"i{number}", "instruction": f"Explain {number}"} for number in range(90)]
    words = ("--budget", 4, "--by", "random", "--prompt", "short@1", "--model", "mock/first")
    left = []
    for name, some in (("pool", rows), ("other", [row | {"id": "o" + row["id"]} for row in rows])):
        for start in range(0, 90, 30):
            path = Path(name, f"part-{start}.parquet")
            path.parent.mkdir(exist_ok=True)
            pl.from_dicts(some[start : start + 30]).write_parquet(path)
        before = {*Path("cache/clusters").glob("*.npy")}
        assert selectllm("select", name, *words, *filters, "--quiet").code == 0
        left = sorted({*Path("cache/clusters").glob("*.npy")} - before)
        assert len(left) == 1
    told = selectllm("cache", "clear", "--pool", "pool", "--yes").out
    assert "1 file of its clusters" in told
    assert sorted(Path("cache/clusters").iterdir()) == left


def test_a_budget_and_a_pool_are_not_cleared_at_once(selectllm: Command, two_pools: None) -> None:
    refused = selectllm("cache", "clear", "--pool", "pool.jsonl", "--budget", "team")
    assert (refused.code, refused.out) == (2, "")
    refused = selectllm("cache", "clear", "--unknown", "--yes")
    assert refused.code == 2
    assert "--pool is missing" in refused.err
    assert len(pairs()) == 4
