"""`--vectors FILE.npy` as a user calls it, and what is said before a long embedding."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selectllm.cli.options import Common
from selectllm.cli.session import open_session
from selectllm.data.encoders import FunctionEncoder
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import assert_refused
from tests.support.made_vectors import blobs, random_vectors

SELECT = ("select", "pool.jsonl", "--budget", 5, "--vectors", "v.npy")
K_CENTER = (*SELECT, "--strategy", "k-center")
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


def test_select_goes_by_the_given_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    outcome = selectllm(*K_CENTER, "--encoder", "none/such")
    assert outcome.code == 0, outcome.err
    assert bunches(picked(rows)) == [0, 1, 2, 3, 4]


def test_vectors_that_cannot_be_used_end_the_call_before_anything_is_written(
    selectllm: Command, pool: Path
) -> None:
    np.save("v.npy", BUNCHES[1:])
    outcome = selectllm(*K_CENTER, "--quiet")
    assert_refused(outcome, "--vectors v.npy", "39 rows for the 40 items of pool.jsonl")
    assert not Path("pool.selected.jsonl").exists()


def test_a_pool_with_rows_left_out_has_no_vectors(
    selectllm: Command, pool: Path, rows: list[dict[str, object]]
) -> None:
    rows[6] = rows[6] | {"instruction": ""}
    write_jsonl(pool, rows)
    np.save("v.npy", BUNCHES[1:])
    outcome = selectllm(*K_CENTER, "--skip-bad")
    assert_refused(outcome, "--vectors v.npy", "--skip-bad left out 1 of its rows (the first: 7)")


def bunch_of_each(rows: list[dict[str, object]]) -> dict[str, int]:
    return {str(row["id"]): place // 8 for place, row in enumerate(rows)}


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
    assert_refused(outcome, "run/run.json", "clusters", "encoder")


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
    assert_refused(outcome, "--vectors v.npy: ", "39 rows for the 40 items of ", "pool.jsonl")


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
    assert err.count("To embed 20,001 new texts at about ") == (not quiet)
    assert seen[-1] == (20_001, 20_001)
