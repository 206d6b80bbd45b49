"""A prompt on a pool of many Parquet files: rows stay there, and the picks are those of one file.

Slices are 40 rows, so that the pool of 330 is read, and its copy in order, in several.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from selectllm.core.errors import PoolError, RunError
from selectllm.core.types import Pool
from selectllm.data import stored_items
from selectllm.data.stored_items import StoredItems
from selectllm.jobs.handing import hand_over_selection
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectArguments
from selectllm.models.model import ModelSpec, Vote
from tests.conftest import pool_rows, read_jsonl, write_jsonl
from tests.support.forked import ASKING, fork
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import ProviderServer

ROWS, SLICE = 330, 40
MOCK: SelectArguments = {"prompt": "short@1", "model": "mock/random", "by": "random"}
VOTER = ModelSpec(name="voter", id="mock/random", vote=Vote(orders=3))
WAYS: dict[str, SelectArguments] = {
    "one round": {**MOCK, "budget": 66},
    "tournament": {**MOCK, "budget": 4, "cluster_size": 6},
    "divided by vectors": {**MOCK, "budget": 30, "by": "diverse"},
    "tournament by vectors": {**MOCK, "budget": 3, "cluster_size": 7, "by": "similar"},
    "whole clusters": {**MOCK, "budget": 300},
    "nothing usable": {**MOCK, "model": "mock/reply:no idea", "budget": 20, "max_filled": 1.0},
    "votes": {**MOCK, "model": VOTER, "budget": 40},
    "ordered": {**MOCK, "prompt": "criteria@1", "budget": 40, "sort": True},
    "distinct": {**MOCK, "budget": 20, "distinct": "exact"},
    "near-duplicates": {**MOCK, "budget": 20, "distinct": "0.95", "by": "diverse"},
    "prefilter": {**MOCK, "budget": 20, "prefilter": "longest:0.5", "by": "diverse"},
    "given": {**MOCK, "budget": 20, "given": "given.jsonl", "by": "diverse"},
}


@pytest.fixture(autouse=True)
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the current folder: the same rows in six files and in one, with ids and without."""
    monkeypatch.setattr(stored_items, "SLICE", SLICE)
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", random_vectors(ROWS))
    rows = [row | {"instruction": f"Explain {n % 300}"} for n, row in enumerate(pool_rows(ROWS))]
    write_jsonl(Path("given.jsonl"), rows[50:90])
    for name, drop in (("ids", []), ("no ids", ["id"])):
        frame = pl.from_dicts(rows).drop(drop)
        frame.write_parquet(f"{name}.parquet")
        Path(name).mkdir()
        for start in range(0, ROWS, 61):
            frame[start : start + 61].write_parquet(f"{name}/part-{start:03}.parquet")


def selected(pool: str, kept: str, **arguments: Any) -> Selection:
    with Session(cache=kept, vectors="v.npy") as session:
        return session.select(pool, **arguments)


def decided(log: Path) -> str:
    """The log but for times, and for where the pool lies."""
    return re.sub(r'"seconds":[0-9.e-]+', "", log.read_text("utf-8"))


@pytest.mark.parametrize("pool", ["ids", "no ids"])  # without ids, thirty texts come twice: -2
@pytest.mark.parametrize("way", WAYS)
def test_what_is_selected_is_the_same_to_the_byte(pool: str, way: str) -> None:
    found: list[tuple[bytes, str]] = []
    for number, source in enumerate((pool, f"{pool}.parquet")):
        log, out = Path(f"log{number}.jsonl"), Path(f"out{number}.jsonl")
        selection = selected(source, f"cache{number}", **WAYS[way], log=log)
        selection.write(out)
        found.append((out.read_bytes(), decided(log)))
        items = selection.pool.items
        assert isinstance(items, StoredItems) == (number == 0)
        assert not isinstance(items, StoredItems) or items._held is None
    assert found[0] == found[1]


def test_a_pool_is_gone_through_once_for_all_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    rows_at = stored_items._rows_at

    def counted(part: stored_items.PoolFile, numbers: Any) -> pl.DataFrame:
        read[part.path.name] += len(numbers)
        return rows_at(part, numbers)

    monkeypatch.setattr(stored_items, "_rows_at", counted)
    selection = selected("ids", "cache", **WAYS["one round"])
    sample = 5  # of the plan
    assert len(read) == 6
    # Its hash and the copy read every row, and what was picked is read again.
    assert sum(read.values()) == 2 * ROWS + sample + len(selection)
    assert [path.name for path in Path("cache").rglob("*") if path.name.startswith("tmp")] == []


def test_after_sigkill_the_same_command_goes_on_to_the_same_selection() -> None:
    script = (
        "import sys; from selectllm.data import stored_items; "
        f"stored_items.SLICE = {SLICE}; "
        "import selectllm as sl; from selectllm.models.model import ModelSpec; "
        "model = ModelSpec(name='m', id='openai/m', api_base=sys.argv[1]); "
        "session = sl.Session(cache='cache', concurrency=2); "
        "session.select('no ids', budget=66, prompt='short@1', model=model, by='random', "
        "log='log.jsonl').write('out.jsonl')"
    )
    with ProviderServer(reply=lambda messages: "[2]", latency=0.1) as server:
        process = fork("-c", script, server.base_url, loads=ASKING)
        deadline = time.monotonic() + 300
        while server.count < 25 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kept = len(read_jsonl(Path("log.jsonl"))) - 1
        assert 20 <= kept < 66
        assert [path for path in Path("cache").iterdir() if path.is_file()] == []  # no copy is left
        assert fork("-c", script, server.base_url, loads=ASKING).wait() == 0
        assert server.count <= 66 + 2  # those under way were sent twice
        asked = [server.base_url, "no ids.parquet", "again.jsonl"]
        whole = script.replace("'no ids'", "sys.argv[2]").replace("'out.jsonl'", "sys.argv[3]")
        whole = whole.replace("'log.jsonl'", "'again.log.jsonl'")
        assert fork("-c", whole, *asked, loads=ASKING).wait() == 0
        assert server.count <= 66 + 2  # the same questions, from the cache
    assert Path("out.jsonl").read_bytes() == Path("again.jsonl").read_bytes()


def test_a_file_that_changes_meanwhile_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from selectllm.selection import by_model

    def changed(*arguments: Any) -> Any:
        pl.read_parquet("ids/part-122.parquet").head(9).write_parquet("ids/part-122.parquet")
        return made(*arguments)

    made = by_model.round_tasks
    monkeypatch.setattr(by_model, "round_tasks", changed)
    with pytest.raises(PoolError, match=r"part-122.parquet has changed since the pool was read"):
        selected("ids", "cache", **WAYS["one round"])


def test_bad_rows_are_left_out_where_they_lie() -> None:
    for name in ("ids", "ids.parquet"):
        files = sorted(Path(name).iterdir()) if name == "ids" else [Path(name)]
        for file in files:
            frame = pl.read_parquet(file)
            bad = pl.col("id").is_in(["item-003", "item-200"]) | pl.col("id").str.ends_with("77")
            texts = pl.when(bad).then(pl.lit("")).otherwise(pl.col("instruction"))
            frame.with_columns(texts.alias("instruction")).write_parquet(file)
    found = []
    for name in ("ids", "ids.parquet"):
        with Session(cache=f"cache {name}") as session:
            selection = session.select(name, skip_bad=True, **WAYS["one round"])
        selection.write("out.jsonl")
        rejected = [replace(one, place=None) for one in selection.rejected]
        found.append((Path("out.jsonl").read_bytes(), rejected))
        assert isinstance(selection.pool.items, StoredItems) == (name == "ids")
    assert found[0] == found[1]
    assert len(found[0][1]) >= 3


def test_what_is_handed_over_reads_the_clusters_of_the_picks_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed = []
    for name in ("ids", "ids.parquet"):
        with Session(cache=f"cache {name}") as session, monkeypatch.context() as held:
            selection = session.select(name, **WAYS["tournament"])
            if name == "ids":
                held.setattr(Pool, "by_id", property(lambda pool: pytest.fail("all rows are held")))
            hand_over_selection(selection, "label-studio", Path("out.json"), {}, session=session)
        handed.append(Path("out.json").read_bytes())
    assert handed[0] == handed[1]


@pytest.mark.parametrize(("fitting", "what"), [(0, "the decisions on a large pool"), (4, "a copy")])
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (errno.ENOSPC, r"\(No space left on device\)\. Make room there, or choose another cache$"),
        (errno.EMFILE, r"\(Too many open files\)$"),
    ],
)
def test_a_cache_that_cannot_hold_what_is_large_is_named_and_room_advised_where_it_is_full(
    monkeypatch: pytest.MonkeyPatch, fitting: int, what: str, reason: int, told: str
) -> None:
    files = [tempfile.TemporaryFile for _ in range(fitting)]

    def full(dir: Path) -> Any:
        if files:
            return files.pop()(dir=dir)
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises((PoolError, RunError), match=f"cache cannot hold {what}.* {told}"):
        selected("ids", "cache", **WAYS["one round"])


def test_clusters_and_decisions_of_such_a_pool_are_read_where_they_lie() -> None:
    for _ in range(2):  # divided, then known
        selection = selected("ids", "cache", **WAYS["divided by vectors"], log=Path("log.jsonl"))
        decisions = selection.decisions
        assert [each.cluster for each in decisions] == [*range(len(decisions))]
        assert decisions[-1] == decisions[1:][-1]
        assert sorted({pick for each in decisions for pick in each.picks}) == sorted(
            choice.item.id for choice in selection.chosen
        )
    assert [path.suffix for path in Path("cache/clusters").iterdir()] == [".npy"]
    assert not [path for path in Path("cache").iterdir() if path.is_file()]
    whole = selected("ids.parquet", "cache", **WAYS["divided by vectors"])  # the same clusters
    assert list(whole.decisions) == [
        replace(each, attempts=other.attempts)
        for each, other in zip(decisions, whole.decisions, strict=True)
    ]
