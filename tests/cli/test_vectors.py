"""`--vectors FILE.npy` as a user calls it, and what is said before a long embedding."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selectllm.cli.options import Common
from selectllm.cli.session import open_session
from selectllm.data.encoders import FunctionEncoder
from selectllm.jobs.long_embedding import announced
from selectllm.selection.clustering.partition import partition
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused, files
from tests.support.made_vectors import Vectors, blobs, random_vectors

SELECT = ("select", "pool.jsonl", "--budget", 5, "--vectors", "v.npy")
K_CENTER = (*SELECT, "--strategy", "k-center")
DIVERSE = (*SELECT, "--prompt", "short@1", "--model", "mock/first", "--cluster-size", 8)
BUNCHES = blobs(5, 8)  # item n is in bunch n // 8


@pytest.fixture(autouse=True)
def no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may embed: the encoder is a model that does not exist."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def rows() -> list[dict[str, object]]:
    """The 40 items of the pool, their ids in no order."""
    found = pool_rows()
    ids = [row["id"] for row in found]
    random.Random(0).shuffle(ids)
    return [row | {"id": name} for row, name in zip(found, ids, strict=True)]


@pytest.fixture
def pool(selectllm: Command, rows: list[dict[str, object]]) -> Path:
    """pool.jsonl in the current folder, with v.npy: bunches of 8 items."""
    np.save("v.npy", BUNCHES)
    return write_jsonl(Path("pool.jsonl"), rows)


def picked(rows: list[dict[str, object]], out: str = "pool.selected.jsonl") -> list[int]:
    """The places in the pool of what was selected."""
    places = {row["id"]: place for place, row in enumerate(rows)}
    return sorted(places[row["id"]] for row in read_jsonl(Path(out)))


def bunches(places: list[int]) -> list[int]:
    return sorted(place // 8 for place in places)


# --- select


def test_a_strategy_goes_by_the_given_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    outcome = selectllm(*K_CENTER, "--encoder", "none/such")
    assert outcome.code == 0, outcome.err
    assert bunches(picked(rows)) == [0, 1, 2, 3, 4]
    assert not list(Path("cache").glob("vectors/*"))


@pytest.mark.parametrize(
    "fewer", [("--distinct", "exact"), ("--distinct", "0.999"), ("--prefilter", "shortest:0.8")]
)
def test_a_narrowed_pool_keeps_its_rows(
    selectllm: Command, pool: Path, rows: list[dict[str, object]], fewer: tuple[str, str]
) -> None:
    rows[3] = rows[0] | {"id": rows[3]["id"]}  # a repeated text, for --distinct
    write_jsonl(pool, rows)
    outcome = selectllm(*K_CENTER, *fewer)
    assert outcome.code == 0, outcome.err
    assert bunches(picked(rows)) == [0, 1, 2, 3, 4]


def test_near_duplicates_are_those_of_the_given_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    vectors = random_vectors(40, 32)
    vectors[21] = vectors[9]
    np.save("v.npy", vectors)
    outcome = selectllm(*SELECT[:3], 39, *SELECT[4:], "--strategy", "first", "--distinct", "0.99")
    assert outcome.code == 0, outcome.err
    assert picked(rows) == [place for place in range(40) if place != 21]


def test_diverse_clusters_hold_one_item_of_each_bunch(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    by_bunch = bunch_of_each(rows)
    options = ("--prompt", "short@1", "--model", "mock/first", "--cluster-size", 5)
    outcome = selectllm(*SELECT[:3], 8, *SELECT[4:], *options, "--encoder", "none/such")
    assert outcome.code == 0, outcome.err
    decisions = read_jsonl(Path("pool.selected.jsonl.decisions.jsonl"))[1:]
    assert len(decisions) == 8
    for decision in decisions:
        assert sorted(by_bunch[name] for name in decision["shown"]) == [0, 1, 2, 3, 4]


def bunch_of_each(rows: list[dict[str, object]]) -> dict[str, int]:
    return {str(row["id"]): place // 8 for place, row in enumerate(rows)}


def test_a_tournament_divides_its_winners_by_their_own_rows(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    options = ("--prompt", "short@1", "--model", "mock/first", "--cluster-size", 5)
    assert selectllm(*SELECT[:3], 2, *SELECT[4:], *options).code == 0
    decisions = read_jsonl(Path("pool.selected.jsonl.decisions.jsonl"))[1:]
    winners = [name for d in decisions if d["round"] == 0 for name in d["picks"]]
    assert len(winners) == 8
    places = {str(row["id"]): place for place, row in enumerate(rows)}
    expected = partition(winners, BUNCHES[[places[name] for name in winners]], "diverse", 5, 1)
    shown = {tuple(sorted(d["shown"])) for d in decisions if d["round"] == 1}
    assert shown == {cluster.members for cluster in expected}


def test_clusters_are_remembered_by_the_vectors(selectllm: Command, pool: Path) -> None:
    assert selectllm(*DIVERSE).code == 0
    assert selectllm(*DIVERSE, "-o", "again.jsonl").code == 0
    assert len(list(Path("cache/clusters").iterdir())) == 1
    np.save("v.npy", random_vectors(40))
    assert selectllm(*DIVERSE, "-o", "other.jsonl").code == 0
    assert len(list(Path("cache/clusters").iterdir())) == 2


@pytest.mark.parametrize("options", [K_CENTER, DIVERSE])
def test_a_selection_by_other_vectors_is_another_call(
    selectllm: Command, pool: Path, options: tuple[object, ...]
) -> None:
    assert selectllm(*options).code == 0
    assert selectllm(*options).code == 0
    before = files()
    np.save("v.npy", random_vectors(40))
    assert_refused(selectllm(*options, "--quiet"), "another call (encoder differ)")
    assert {k: v for k, v in files().items() if k != "v.npy"} == {
        k: v for k, v in before.items() if k != "v.npy"
    }


def test_a_pool_with_rows_left_out_has_no_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    rows[6] = rows[6] | {"instruction": ""}
    write_jsonl(pool, rows)
    np.save("v.npy", BUNCHES[1:])  # as many rows as items are left, but whose?
    outcome = selectllm(*K_CENTER, "--skip-bad")
    assert_refused(outcome, "--vectors v.npy", "--skip-bad left out 1 of its rows (the first: 7)")
    assert not Path("pool.selected.jsonl").exists()


def test_skip_bad_with_nothing_to_skip_is_fine(selectllm: Command, pool: Path) -> None:
    assert selectllm(*K_CENTER, "--skip-bad").code == 0


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (BUNCHES[1:], ["39 rows for the 40 items of pool.jsonl"]),
        (BUNCHES * 2, ["40 rows are not of length 1", "v / np.linalg.norm(v"]),
        (BUNCHES.astype(np.float64), ["holds float64, not float32"]),
    ],
)
def test_vectors_that_cannot_be_used_end_the_call_before_anything_is_written(
    selectllm: Command, pool: Path, vectors: Vectors, words: list[str]
) -> None:
    np.save("v.npy", vectors)
    for options in (K_CENTER, DIVERSE):
        assert_refused(selectllm(*options, "--quiet"), "--vectors v.npy", *words)
        assert not Path("pool.selected.jsonl").exists()


# --- suites

SUITE = """\
name: demo
pool: pool.jsonl
utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]
clusters: {by: diverse, size: 5}
picks: 2
prompts: [short@1]
models: [mock/first]
strategies: [random, k-center, centroid]
"""


def evaluated(selectllm: Command, *options: object) -> dict[str, object]:
    outcome = selectllm("eval", "suite.yaml", "--vectors", "v.npy", "--json", *options)
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert isinstance(found, dict)
    return found


def test_eval_divides_and_picks_by_the_given_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    found = evaluated(selectllm, "-o", "run", "--encoder", "none/such")
    assert [s["strategy"] for s in found["strategies"]][1:] == ["k-center", "centroid"]  # type: ignore[attr-defined]
    by_bunch = bunch_of_each(rows)
    clusters = json.loads(Path("run/clusters.json").read_text("utf-8"))
    assert clusters["encoder"].startswith("vectors@")
    for cluster in clusters["clusters"]:
        assert sorted(by_bunch[name] for name in cluster["members"]) == [0, 1, 2, 3, 4]
    assert evaluated(selectllm, "-o", "run") == found
    assert selectllm("verify", "run").code == 0


def test_strategies_of_eval_see_the_rows_of_the_items_they_are_shown(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    # One direction for most, another for every fourth: the most typical are of the first.
    vectors = np.tile(np.eye(2, dtype=np.float32)[0], (40, 1))
    vectors[::4] = np.eye(2, dtype=np.float32)[1]
    np.save("v.npy", vectors)
    Path("suite.yaml").write_text(SUITE.replace("diverse, size: 5", "random, size: 20"), "utf-8")
    evaluated(selectllm, "-o", "run")
    odd = {row["id"] for row in rows[::4]}
    picks = [
        decision["picks"]
        for decision in read_jsonl(Path("run/decisions.jsonl"))[1:]
        if decision.get("strategy") == "centroid"
    ]
    assert len(picks) == 2
    assert not odd & {name for names in picks for name in names}


def test_runs_of_different_vectors_are_different_runs(selectllm: Command, pool: Path) -> None:
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    evaluated(selectllm, "-o", "run")
    np.save("v.npy", random_vectors(40))
    outcome = selectllm("eval", "suite.yaml", "--vectors", "v.npy", "-o", "run", "--quiet")
    assert_refused(outcome, "run/run.json", "clusters_sha256", "encoder")


@pytest.mark.parametrize(
    "verb", [("eval",), ("ab", "--a", "first", "--b", "strategy:k-center"), ("plan",)]
)
def test_every_verb_with_a_suite_wants_a_row_for_each_item(
    selectllm: Command, pool: Path, verb: tuple[str, ...]
) -> None:
    Path("suite.yaml").write_text(
        SUITE.replace("mock/first", "{name: first, id: mock/first}"), "utf-8"
    )
    np.save("v.npy", BUNCHES[1:])
    outcome = selectllm(verb[0], "suite.yaml", *verb[1:], "--vectors", "v.npy")
    assert_refused(outcome, "--vectors v.npy: 39 rows for the 40 items of ", "pool.jsonl")


def test_groups_of_a_suite_are_divided_by_their_own_rows(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    write_jsonl(pool, [row | {"half": place % 2} for place, row in enumerate(rows)])
    Path("suite.yaml").write_text(SUITE.replace("size: 5", "size: 5, group: half"), "utf-8")
    evaluated(selectllm, "-o", "run")
    by_bunch = bunch_of_each(rows)
    clusters = json.loads(Path("run/clusters.json").read_text("utf-8"))["clusters"]
    assert [sorted(by_bunch[m] for m in c["members"]) for c in clusters] == [[0, 1, 2, 3, 4]] * 8


# --- before a long embedding


def ticking(seconds: float) -> Iterator[float]:
    now = 100.0
    while True:
        yield now
        now += seconds


def heard(total: int, batches: int, seconds: float) -> list[str]:
    """What is said of `batches` batches of 64 texts that take so many seconds each."""
    notes: list[str] = []
    ticks = ticking(seconds)
    advance = announced(None, notes.append, lambda: next(ticks))
    advance(0, total)
    for batch in range(1, batches + 1):
        advance(min(total, 64 * batch), total)
    return notes


def test_a_long_embedding_is_announced_once_with_its_pace_and_what_to_do() -> None:
    (note,) = heard(1_000_000, 100, 2.0)
    assert note == (
        "note: embedding 1,000,000 new texts, about 32 a second, takes about 8.7 hours more. A run "
        "that is killed goes on where it was when it is started again; `vectors` FILE.npy takes "
        "vectors made elsewhere"
    )


@pytest.mark.parametrize(
    ("total", "seconds", "said"),
    [
        (20_001, 0.01, "less than a minute"),
        (20_001, 1.0, "about 5 minutes"),
        (20_000, 1.0, None),
        (1_000, 120.0, "about 13 minutes"),
        (1_000, 80.0, None),
        (500, 1e6, None),
    ],
)
def test_long_is_many_texts_or_ten_minutes(total: int, seconds: float, said: str | None) -> None:
    notes = heard(total, -(-total // 64), seconds)
    assert len(notes) == (said is not None)
    assert all(f"takes {said} more" in note for note in notes)


@pytest.mark.parametrize("quiet", [False, True])
def test_an_embedder_of_the_command_line_says_it_on_stderr_unless_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    encoder = FunctionEncoder("lengths@1", lambda texts: [[len(text), 1.0] for text in texts])
    texts = [f"text {number}" for number in range(20_001)]
    session = open_session(Common(cache=tmp_path, quiet=quiet), tmp_path)
    seen: list[tuple[int, int]] = []
    embedder = session.embedder(lambda done, total: seen.append((done, total)))
    replace(embedder, encoder=encoder).vectors(texts)
    session.cache.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("embedding 20,001 new texts, about ") == (not quiet)
    assert seen[-1] == (20_001, 20_001)
