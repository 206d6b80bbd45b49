"""A suite on a pool of many Parquet files: rows stay there, and its results are those of one file.

Slices are 40 rows, so that the pool of 330 is read in several.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from selectllm.data import stored_items
from selectllm.data.stored_items import StoredItems
from selectllm.jobs.session import Session
from tests.conftest import pool_rows
from tests.support.made_vectors import random_vectors

ROWS = 330
SUITE = """
name: both
pool: POOL
picks: 2
prompts: [short@1, criteria@1]
models: [mock/random, mock/first]
utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]
"""
CLUSTERS = {
    "limit": "clusters: {by: diverse, size: 6, limit: 9}",
    "group": "clusters: {by: diverse, size: 6, group: part, limit: 20}\norders: 2",
    "at random": "clusters: {by: random, size: 7}\nstrategies: [random, k-center, longest]",
}


@pytest.fixture(autouse=True)
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the current folder: the same rows in six files and in one."""
    monkeypatch.setattr(stored_items, "SLICE", 40)
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", random_vectors(ROWS))
    rows = [row | {"part": f"part {number % 4}"} for number, row in enumerate(pool_rows(ROWS))]
    frame = pl.from_dicts(rows)
    frame.write_parquet("pool.parquet")
    Path("pool").mkdir()
    for start in range(0, ROWS, 61):
        frame[start : start + 61].write_parquet(f"pool/part-{start:03}.parquet")


@pytest.fixture
def stays_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where single items are looked at, after which all would be held."""
    getitem = StoredItems.__getitem__

    def of_many(self: StoredItems, at: Any) -> Any:
        assert isinstance(at, slice)
        return getitem(self, at)

    monkeypatch.setattr(StoredItems, "__getitem__", of_many)


def ran(pool: str, clusters: str, run: str) -> list[str]:
    """Every file of a run, but for how long it took and where its pool is."""
    Path("suite.yaml").write_text(SUITE.replace("POOL", pool) + CLUSTERS[clusters], "utf-8")
    with Session(cache=f"cache-{run}", vectors="v.npy") as session:
        session.evaluate("suite.yaml", out=run)
    files = sorted(path for path in Path(run).iterdir() if path.name != "environment.json")
    texts = [re.sub(r'"seconds": ?[0-9.e-]+', "", path.read_text("utf-8")) for path in files]
    assert "results.json" in {path.name for path in files}
    return [text.replace(f'"path": "../{pool}"', "") for text in texts]


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.usefixtures("stays_in_place")
def test_results_are_the_same_to_the_byte(clusters: str) -> None:
    assert ran("pool", clusters, "a-run") == ran("pool.parquet", clusters, "b-run")


@pytest.mark.usefixtures("stays_in_place")
def test_sets_are_the_same_items() -> None:
    found = []
    for number, pool in enumerate(("pool", "pool.parquet")):
        more = "clusters: {by: diverse, size: 6}\nsets: {budgets: [8], seeds: [0, 1]}"
        Path("suite.yaml").write_text(SUITE.replace("POOL", pool) + more, "utf-8")
        with Session(cache=f"cache{number}", vectors="v.npy") as session:
            session.sets("suite.yaml", out=f"sets{number}")
        log = Path(f"sets{number}/sets.jsonl").read_text("utf-8")
        found.append(re.sub(r'"seconds": ?[0-9.e-]+', "", log))
    assert found[0] == found[1]
