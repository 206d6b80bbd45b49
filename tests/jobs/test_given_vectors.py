"""Vectors made elsewhere: who selects by them, and what cannot be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest

from selectllm.core.errors import EncoderError, RunError, UsageError
from selectllm.jobs.selecting import select
from selectllm.jobs.selection import Selection
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectArguments
from selectllm.jobs.sync import finished
from selectllm.selection.clustering.partition import partition
from tests.conftest import pool_rows, write_jsonl
from tests.support.made_vectors import Vectors, blobs, random_vectors

K_CENTER: SelectArguments = {"strategy": "k-center"}
DIVERSE: SelectArguments = {"prompt": "short@1", "model": "mock/first", "cluster_size": 8}
BUNCHES = blobs(5, 8)  # item n is in bunch n // 8


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The 40 items of pool.jsonl, their ids in no order; v.npy has bunches of 8 of them.

    Nothing here may embed: the encoder is a model that does not exist.
    """
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", BUNCHES)
    pool = pool_rows()
    ids = [row["id"] for row in pool]
    random.Random(0).shuffle(ids)
    rows = [row | {"id": name} for row, name in zip(pool, ids, strict=True)]
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


def chosen(budget: int = 5, **arguments: Unpack[SelectArguments]) -> Selection:
    """What is selected of pool.jsonl by v.npy."""
    with Session(cache=Path("cache"), vectors=Path("v.npy"), encoder="none/such") as session:
        return finished(select("pool.jsonl", session=session, budget=budget, **arguments))


def places(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["id"]: place for place, row in enumerate(rows)}


def bunches(rows: list[dict[str, Any]], ids: list[str] | tuple[str, ...]) -> list[int]:
    place = places(rows)
    return sorted(place[name] // 8 for name in ids)


def ids(selection: Selection) -> list[str]:
    return [item.id for item in selection.items]


def test_a_strategy_goes_by_the_given_vectors(rows: list[dict[str, Any]]) -> None:
    assert bunches(rows, ids(chosen(**K_CENTER))) == [0, 1, 2, 3, 4]
    assert not list(Path("cache").glob("vectors/*"))


@pytest.mark.parametrize(
    "fewer", [{"distinct": "exact"}, {"distinct": 0.999}, {"prefilter": "shortest:0.8"}]
)
def test_a_narrowed_pool_keeps_its_rows(rows: list[dict[str, Any]], fewer: SelectArguments) -> None:
    rows[3] = rows[0] | {"id": rows[3]["id"]}  # a repeated text
    write_jsonl(Path("pool.jsonl"), rows)
    assert bunches(rows, ids(chosen(**K_CENTER, **fewer))) == [0, 1, 2, 3, 4]


def test_near_duplicates_are_those_of_the_given_vectors(rows: list[dict[str, Any]]) -> None:
    vectors = random_vectors(40, 32)
    vectors[21] = vectors[9]
    np.save("v.npy", vectors)
    selection = chosen(39, strategy="first", distinct=0.99)
    place = places(rows)
    assert [place[name] for name in ids(selection)] == [n for n in range(40) if n != 21]


def test_diverse_clusters_hold_one_item_of_each_bunch(rows: list[dict[str, Any]]) -> None:
    selection = chosen(8, **{**DIVERSE, "cluster_size": 5})
    assert len(selection.decisions) == 8
    for decision in selection.decisions:
        assert bunches(rows, decision.shown) == [0, 1, 2, 3, 4]


def test_a_tournament_divides_its_winners_by_their_own_rows(rows: list[dict[str, Any]]) -> None:
    decisions = chosen(2, **{**DIVERSE, "cluster_size": 5}).decisions
    winners = [name for d in decisions if d.round == 0 for name in d.picks]
    assert len(winners) == 8
    place = places(rows)
    expected = partition(winners, BUNCHES[[place[name] for name in winners]], "diverse", 5, 1)
    shown = {tuple(sorted(d.shown)) for d in decisions if d.round == 1}
    assert shown == {cluster.members for cluster in expected}


def test_clusters_are_remembered_by_the_vectors(rows: list[dict[str, Any]]) -> None:
    chosen(**DIVERSE)
    chosen(**DIVERSE)
    assert len(list(Path("cache/clusters").iterdir())) == 1
    np.save("v.npy", random_vectors(40))
    chosen(**DIVERSE)
    assert len(list(Path("cache/clusters").iterdir())) == 2


@pytest.mark.parametrize("how", [K_CENTER, DIVERSE])
def test_a_selection_by_other_vectors_is_another_call(
    rows: list[dict[str, Any]], how: SelectArguments
) -> None:
    first, again = chosen(log="log.jsonl", **how), chosen(log="log.jsonl", **how)
    assert ids(first) == ids(again)
    before = Path("log.jsonl").read_bytes()
    np.save("v.npy", random_vectors(40))
    with pytest.raises(RunError, match=r"a different encoder"):
        chosen(log="log.jsonl", **how)
    assert Path("log.jsonl").read_bytes() == before


def test_a_pool_with_rows_left_out_has_no_vectors(rows: list[dict[str, Any]]) -> None:
    assert len(chosen(skip_bad=True, **K_CENTER)) == 5
    rows[6] = rows[6] | {"instruction": ""}
    write_jsonl(Path("pool.jsonl"), rows)
    np.save("v.npy", BUNCHES[1:])  # as many rows as items are left, but whose?
    with pytest.raises(UsageError, match=r"`skip_bad` left out 1 of its rows \(the first: 7\)"):
        chosen(skip_bad=True, **K_CENTER)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (BUNCHES[1:], "39 rows for the 40 items of pool.jsonl"),
        (BUNCHES * 2, r"40 rows are not of length 1.*v / np\.linalg\.norm\(v"),
        (BUNCHES.astype(np.float64), "holds float64, not float32"),
    ],
)
@pytest.mark.parametrize("how", [K_CENTER, DIVERSE])
def test_vectors_that_cannot_be_used_end_the_call(
    rows: list[dict[str, Any]], vectors: Vectors, words: str, how: SelectArguments
) -> None:
    np.save("v.npy", vectors)
    with pytest.raises(EncoderError, match=words):
        chosen(**how)
