"""Utility files: what was computed comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import selectllm.report.schemas
from selectllm.core.errors import UtilityError
from selectllm.utility.imported import imported, read_ratings
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import read_utility, write_utility
from tests.conftest import read_jsonl, write_jsonl

POOL = "ab" * 32
NEAR = Utility(
    name="near",
    source="knn",
    kind="proxy",
    values={"b": 0.5, "a": -0.25, "c": 1.0},
    rater="knn-shapley k=5 cosine",
    reliability=0.75,
    range=(-1.0, 1.0),
    cost={"cpu_seconds": 1.5},
)
Change = Callable[[list[Any]], object]

utilities = st.builds(
    Utility,
    name=st.text(),
    source=st.text(),
    kind=st.sampled_from(["outcome", "human", "model", "proxy"]),
    values=st.dictionaries(st.text(min_size=1), st.floats(-2, 2), min_size=1, max_size=5),
    rater=st.none() | st.text(),
    reliability=st.none() | st.floats(0, 1),
    range=st.none() | st.just((-2.0, 2.0)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """NEAR in a file."""
    file = tmp_path / "near.utility.jsonl"
    write_utility(file, NEAR, POOL)
    return file


def edit(path: Path, change: Change) -> None:
    rows = read_jsonl(path)
    change(rows)
    write_jsonl(path, rows)


# --- what is written


def test_the_first_line_describes_the_utility_and_its_pool(path: Path) -> None:
    header = read_jsonl(path)[0]["utility"]
    assert len(header.pop("sha256")) == 64
    assert header == {
        "format": 1,
        "name": "near",
        "source": "knn",
        "kind": "proxy",
        "rater": "knn-shapley k=5 cosine",
        "higher_is_better": True,
        "reliability": 0.75,
        "range": [-1.0, 1.0],
        "cost": {"cpu_seconds": 1.5},
        "pool_sha256": POOL,
        "rows": 3,
    }


def test_the_items_follow_by_id(path: Path) -> None:
    assert read_jsonl(path)[1:] == [
        {"id": "a", "value": -0.25},
        {"id": "b", "value": 0.5},
        {"id": "c", "value": 1.0},
    ]


def test_every_line_is_as_the_schema_says(path: Path) -> None:
    schema = Path(selectllm.report.schemas.__file__).with_name("utility_file.json")
    validator = Draft202012Validator(json.loads(schema.read_bytes()))
    for line in read_jsonl(path):
        validator.validate(line)


def test_what_it_cost_is_in_no_hash(path: Path) -> None:
    quick = write_utility(path, replace(NEAR, cost={"cpu_seconds": 0.01}), POOL)
    slow = write_utility(path, replace(NEAR, cost={"cpu_seconds": 900, "usd": 2}), POOL)
    assert quick.sha256 == slow.sha256
    assert read_utility(path)[0].cost == {"cpu_seconds": 900, "usd": 2}


def test_the_pool_and_the_kind_are_in_the_hash(path: Path) -> None:
    human = Utility("near", "knn", "human", NEAR.values)
    proxy = Utility("near", "knn", "proxy", NEAR.values)
    made = [(human, POOL), (proxy, POOL), (proxy, "cd" * 32)]
    assert len({write_utility(path, each, pool).sha256 for each, pool in made}) == 3


@given(utility=utilities)
def test_a_utility_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, utility: Utility
) -> None:
    path = tmp_path_factory.mktemp("utility") / "u.jsonl"
    header = write_utility(path, utility, POOL)
    assert read_utility(path) == (utility, header)
    assert header.pool_sha256 == POOL


def test_what_no_file_could_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UtilityError, match=r"u\.csv: .*Name it \.jsonl"):
        write_utility(tmp_path / "u.csv", NEAR, POOL)
    with pytest.raises(UtilityError, match="utility none has no items"):
        write_utility(tmp_path / "u.jsonl", Utility("none", "knn", "proxy", {}), POOL)
    with pytest.raises(UtilityError, match=r"cost .* is not finite"):
        write_utility(tmp_path / "u.jsonl", replace(NEAR, cost={"usd": math.nan}), POOL)
    assert list(tmp_path.iterdir()) == []


# --- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop(), "holds 2 items, and its first line says 3. It was edited or cut"),
        (lambda rows: rows[1].update(value=0.9), "was edited: its sha256"),
        (lambda rows: rows[1].update(id="z"), "was edited: its sha256"),
        (lambda rows: rows[0]["utility"].update(kind="human"), "was edited: its sha256"),
        (lambda rows: rows[0]["utility"].update(reliability=0.9), "was edited: its sha256"),
        (lambda rows: rows[0]["utility"].update(pool_sha256="cd" * 32), "was edited: its sha256"),
        (lambda rows: rows[1].update(value="NaN"), r":2: item 'a': value \('NaN'\) is not a numb"),
        (lambda rows: rows[1].update(value=1e999), r":2: .*"),
        (lambda rows: rows[1].update(value=1.5), r":2: item 'a': value .* outside the range"),
        (lambda rows: rows[1].pop("value"), r":2: item 'a': value \(None\) is missing"),
        (lambda rows: rows[2].update(id="a"), r":3: item 'a' is in .*:2 too"),
        (lambda rows: rows[0]["utility"].update(format=2), ":1 does not begin a utility file of"),
        (lambda rows: rows[0]["utility"].update(kind="truth"), ":1 does not begin a utility file"),
        (lambda rows: rows[0]["utility"].update(reliability=2), ":1 does not begin a utility fil"),
        (lambda rows: rows[0]["utility"].update(higher_is_better=False), ":1 does not begin a"),
        (lambda rows: rows[0]["utility"].pop("rows"), ":1 does not begin a utility file"),
        (lambda rows: rows[0]["utility"].update(range=[1]), ":1 does not begin .*range"),
        (lambda rows: rows[0]["utility"].update(range=[1, 1]), r":1: range \[1, 1\] is empty"),
        (lambda rows: rows.pop(0), "is not a utility file"),
        (lambda rows: rows.clear(), "is not a utility file"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(
    path: Path, change: Change, message: str
) -> None:
    edit(path, change)
    with pytest.raises(UtilityError, match=rf"near\.utility\.jsonl.*{message}"):
        read_utility(path)


# --- in a suite


def test_a_file_says_of_itself_what_the_suite_does_not(path: Path) -> None:
    utility = imported(path, name="mine", pool_sha256=POOL)
    assert utility == Utility(
        "mine", "knn", "proxy", NEAR.values, NEAR.rater, NEAR.reliability, NEAR.range
    )


def test_what_the_suite_says_counts(path: Path) -> None:
    utility = imported(path, name="mine", kind="proxy", rater="me", value_range=(-2, 2))
    assert (utility.kind, utility.rater, utility.range) == ("proxy", "me", (-2, 2))
    assert utility.reliability == 0.75


def test_a_suite_cannot_make_an_outcome_of_a_proxy(path: Path) -> None:
    with pytest.raises(
        UtilityError, match=r"utility mine: kind: outcome, .* its kind is proxy\. Leave"
    ):
        imported(path, name="mine", kind="outcome")


def test_values_outside_the_suites_range_are_refused(path: Path) -> None:
    with pytest.raises(UtilityError, match=r"item 'a': value \(-0.25\) is outside the range"):
        imported(path, name="mine", value_range=(0, 1))


def test_a_file_of_another_pool_is_refused(path: Path) -> None:
    with pytest.raises(UtilityError, match=r"utility mine: .* belongs to another pool, or"):
        imported(path, name="mine", pool_sha256="cd" * 32)


def test_without_a_word_of_it_values_are_those_of_people(tmp_path: Path) -> None:
    plain = write_jsonl(tmp_path / "plain.jsonl", [{"id": "a", "value": 1}])
    assert imported(plain, name="mine").kind == "human"
    assert imported(plain, name="mine", kind="proxy").kind == "proxy"


def test_it_holds_no_ratings(path: Path) -> None:
    with pytest.raises(UtilityError, match=r"near\.utility\.jsonl is a utility file, which holds"):
        read_ratings(path)
