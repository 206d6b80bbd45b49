"""Sets made by strategies, their log, and sets.json against the measures of single sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from selectllm.core.codec import canonical_json
from selectllm.core.errors import RunError, SuiteError
from selectllm.core.types import Attempt, Item, Pool
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.sets.log import SelectedSet, SetLog, Spent, spent
from selectllm.evaluation.sets.measures import measure_set, overlap
from selectllm.evaluation.sets.protocol import LeftOut, Protocol, chosen_by_strategy, sets_entry
from selectllm.evaluation.sets.results import pool_facts, set_results
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_entries import ClustersEntry, SetsEntry
from selectllm.report.schemas import schema
from selectllm.selection.by_model import SelectSettings
from selectllm.selection.by_strategy import select_by_strategy
from selectllm.selection.strategies import Candidates, find_strategy
from selectllm.utility.utility import Utility
from tests.support.made_vectors import random_vectors
from tests.support.meters import idle_meter

COUNT = 30
ITEMS = tuple(
    Item(
        f"i{n:02}",
        f"Say {'more ' * (n * 7 % 11)}of {n}",
        response=f"It is {n}.",
        row={"topic": "abc"[n % 3]},
    )
    for n in range(COUNT)
)
POOL = Pool(ITEMS, "0" * 64, "pool.jsonl")
VECTORS = random_vectors(COUNT)
SUITE = Suite(
    name="demo",
    pool="pool.jsonl",
    strategies=("random", "longest"),
    sets=SetsEntry(budgets=(9, 4), seeds=(0, 5), category="topic", groups=6),
)
RATING = Utility("rating", "ratings", "human", {item.id: float(n) for n, item in enumerate(ITEMS)})


def protocol(**sets: object) -> Protocol:
    """The protocol of SUITE with other sets, of the strategies random and longest."""
    assert SUITE.sets is not None
    entry = SUITE.sets.model_copy(update=sets)
    suite = SUITE.model_copy(update={"sets": entry})
    run = Run(suite, POOL, (), (), (), (RATING,), idle_meter())
    strategies = tuple(find_strategy(name) for name in ("random", "longest"))
    return Protocol(run, entry, strategies, "encoder@1")


def made(
    selector: str, budget: int, seed: int, ids: tuple[str, ...], **more: object
) -> SelectedSet:
    found = SelectedSet(selector, budget, seed, ids, 0, Spent(0, 0, 0, 0.0))
    return replace(found, **more)  # type: ignore[arg-type]


def attempt(**changes: object) -> Attempt:
    fields = {"finish_reason": "stop", "tokens_in": 10, "tokens_out": 2, "cost_usd": 0.5}
    fields |= {"request_sha256": "", "reply": "", "seconds": 1.0, "cached": False, **changes}
    return Attempt(**fields)  # type: ignore[arg-type]


# --- what a strategy selects at several budgets


@pytest.mark.parametrize("name", ["random", "longest", "k-center", "facility-location", "k-means"])
@given(seed=st.integers(0, 9), budgets=st.sets(st.integers(1, COUNT), min_size=1, max_size=4))
def test_a_set_is_what_select_selects_at_its_budget(
    name: str, seed: int, budgets: set[int]
) -> None:
    candidates = Candidates(ITEMS, seed, VECTORS)
    strategy = find_strategy(name)
    found = dict(chosen_by_strategy(candidates, strategy, sorted(budgets)))
    assert found == {
        budget: select_by_strategy(candidates, strategy, SelectSettings(budget, seed=seed))
        for budget in budgets
    }


@given(seed=st.integers(0, 9))
def test_where_few_were_measured_the_fills_are_those_of_select(seed: int) -> None:
    values = np.where(np.arange(COUNT) % 5 == 0, np.arange(COUNT, dtype=float), np.nan)
    candidates = Candidates(ITEMS, seed, VECTORS, values)
    strategy = find_strategy("oracle:rating")
    for budget, chosen in chosen_by_strategy(candidates, strategy, [3, 6, 8, 20]):
        alone = select_by_strategy(candidates, strategy, SelectSettings(budget, seed=seed))
        assert chosen == alone
        assert sum(choice.filled for choice in chosen) == max(0, budget - 6)


# --- the log


def test_a_log_that_is_opened_again_has_its_sets(tmp_path: Path) -> None:
    kept = made("strategy:first", 2, 1, ("a", "é"), filled=1, spent=Spent(3, None, 4, None))
    with SetLog(tmp_path / "sets.jsonl", {"x": 1}) as log:
        log.append(kept)
    with SetLog(tmp_path / "sets.jsonl", {"x": 1}) as log:
        assert log["strategy:first", 2, 1] == kept
        assert ("strategy:first", 2, 0) not in log


def test_a_log_of_another_protocol_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sets.jsonl"
    with SetLog(path, {"seeds": [0]}), pytest.raises(RunError, match="Another process"):
        SetLog(path, {"seeds": [0]})
    with SetLog(path, {"seeds": [1]}) as log:  # nothing was made yet
        log.append(SelectedSet("a", 1, 0, ("x",), 0, Spent(0, 0, 0, 0.0)))
    with pytest.raises(RunError, match="with different seeds"):
        SetLog(path, {"seeds": [0]})
    path.write_text(path.read_text() + '{"selector": "a"}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"sets\.jsonl:3 is not a set"):
        SetLog(path, {"seeds": [0]})


def test_what_one_reply_does_not_tell_the_sum_does_not_either() -> None:
    assert spent([]) == Spent(0, 0, 0, 0.0)
    assert spent([attempt(), attempt(cached=True)]) == Spent(2, 20, 4, 1.0)
    assert spent([attempt(), attempt(tokens_in=None, cost_usd=None)]) == Spent(2, None, 4, None)


# --- what a suite may say


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": None}, "'sets' is missing"),
        ({"clusters": ClustersEntry(limit=3)}, "clusters.limit: 3 makes no sense for sets"),
        ({"clusters": ClustersEntry(group="g")}, "clusters.group: 'g' makes no sense for sets"),
        ({"clusters": ClustersEntry(file="c.json")}, "clusters.file: 'c.json' makes no sense"),
        ({"orders": 2}, r"orders: 2 makes no sense for sets.*vote: \{orders: 2\}"),
        ({"repeats": 3}, "repeats: 3 makes no sense for sets"),
    ],
)
def test_what_contradicts_sets_of_the_whole_pool_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SuiteError, match=message):
        sets_entry(SUITE.model_copy(update=changes))


def test_a_budget_above_the_pool_is_refused_with_both_numbers() -> None:
    with pytest.raises(SuiteError, match=r"sets\.budgets: 31 is more than the 30 items"):
        protocol(budgets=(4, 31))


# --- sets.json


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f"i{number:02}" for number in numbers)


SETS = {
    ("strategy:random", 4, 0): ids(1, 5, 9, 20),
    ("strategy:random", 4, 5): ids(2, 5, 10, 21),
    ("strategy:longest", 4, 0): ids(1, 5, 9, 20),
    ("strategy:longest", 4, 5): ids(3, 8, 14, 22),
    **{
        (name, 9, seed): ids(*range(start, start + 9))
        for name, start in (("strategy:random", 0), ("strategy:longest", 8))
        for seed in (0, 5)
    },
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SetLog]:
    with SetLog(tmp_path / "finished.jsonl", {}) as found:
        for number, (key, members) in enumerate(SETS.items()):
            found.append(made(*key, members, spent=Spent(number, 10 * number, None, 0.0)))
        yield found


def found_in(log: SetLog, left_out: tuple[LeftOut, ...] = ()) -> Any:
    described = protocol()
    facts, notes = pool_facts(described, VECTORS)
    found = set_results(described, facts, log, left_out, notes)
    Draft202012Validator(schema("sets")).validate(found.to_json())
    return json.loads(canonical_json(found.to_json()))


def test_a_row_holds_mean_and_range_of_the_measures_of_its_sets(log: SetLog) -> None:
    facts, _ = pool_facts(protocol(), VECTORS)
    row = next(
        row
        for row in found_in(log)["sets"]
        if (row["selector"], row["budget"]) == ("strategy:random", 4)
    )
    single = [measure_set([1, 5, 9, 20], facts), measure_set([2, 5, 10, 21], facts)]
    for name in ("mean_pairwise_cosine", "vendi", "coverage", "category_entropy", "tokens_read"):
        values = [getattr(each, name) for each in single]
        expected = {"mean": fmean(values), "low": min(values), "high": max(values), "count": 2}
        assert row[name] == pytest.approx(expected), name
    best = sum(range(26, 30)) - 4 * 14.5
    captured = [(35 - 4 * 14.5) / best, (38 - 4 * 14.5) / best]
    assert row["captured"]["rating"]["mean"] == pytest.approx(fmean(captured))
    assert row["mean_value"]["rating"]["mean"] == pytest.approx((35 / 4 + 38 / 4) / 2)
    assert row["self_overlap"]["mean"] == overlap(ids(1, 5, 9, 20), ids(2, 5, 10, 21), COUNT)
    assert row["calls"] == {"mean": 0.5, "low": 0, "high": 1, "count": 2}
    assert row["tokens_out"] is None


def test_budgets_ascend_and_every_selector_has_a_row_at_each(log: SetLog) -> None:
    found = found_in(log)
    assert found["budgets"] == [4, 9]
    assert [(row["budget"], row["strategy"]) for row in found["sets"]] == [
        (4, "random"),
        (4, "longest"),
        (9, "random"),
        (9, "longest"),
    ]


def test_an_overlap_is_the_mean_over_seeds(log: SetLog) -> None:
    by_budget = {each["budget"]: each["overlap"] for each in found_in(log)["overlaps"]}
    apart = overlap(ids(2, 5, 10, 21), ids(3, 8, 14, 22), COUNT)
    assert apart is not None
    assert by_budget[4] == pytest.approx((1 + apart) / 2)
    assert by_budget[9] == overlap(ids(*range(9)), ids(*range(8, 17)), COUNT)


def test_the_pool_is_measured_as_if_it_were_the_set(log: SetLog) -> None:
    pool = found_in(log)["pool"]
    cosines = [float(VECTORS[a] @ VECTORS[b]) for a, b in combinations(range(COUNT), 2)]
    assert pool["mean_pairwise_cosine"] == pytest.approx(fmean(cosines), abs=1e-6)
    assert pool["category_entropy"] == pytest.approx(np.log2(3))
    assert pool["mean_value"] == {"rating": 14.5}
    assert pool["items"] == COUNT
    assert pool["groups"] == 6


def test_random_sets_are_told_beside_as_the_yardstick(log: SetLog) -> None:
    rng = np.random.default_rng(0)
    facts, _ = pool_facts(protocol(), VECTORS)
    drawn = [measure_set(rng.choice(COUNT, 4, replace=False), facts) for _ in range(2000)]
    yardstick = found_in(log)["random"][0]
    captured = np.array([each.captured["rating"] for each in drawn], dtype=float)
    coverage = np.array([each.coverage for each in drawn], dtype=float)
    assert yardstick["captured_sd"]["rating"] == pytest.approx(captured.std(), rel=0.1)
    assert yardstick["coverage"] == pytest.approx(coverage.mean(), rel=0.02)


def test_what_was_left_out_has_a_reason_and_no_row(log: SetLog) -> None:
    found = found_in(log, (LeftOut(Arm(strategy="longest"), "too many items"),))
    assert found["left_out"] == [{"selector": "strategy:longest", "reason": "too many items"}]
    assert {row["selector"] for row in found["sets"]} == {"strategy:random"}
    assert found["overlaps"] == []


def test_items_without_the_category_cost_its_entropy_and_nothing_else(log: SetLog) -> None:
    described = protocol(category="subject")
    facts, notes = pool_facts(described, VECTORS)
    found = set_results(described, facts, log, (), notes)
    assert found.category is None
    assert all(row.category_entropy is None for row in found.sets)
    assert "no entropy of subject: 30 of 30 items" in found.notes[0]


def test_a_set_that_is_the_whole_pool_captures_and_overlaps_nothing(tmp_path: Path) -> None:
    described = protocol(budgets=(COUNT,), seeds=(0,))
    facts, notes = pool_facts(described, VECTORS)
    with SetLog(tmp_path / "sets.jsonl", {}) as whole:
        for arm in described.arms:
            whole.append(made(arm.name, COUNT, 0, ids(*range(COUNT))))
        found = set_results(described, facts, whole, (), notes)
    Draft202012Validator(schema("sets")).validate(found.to_json())
    assert [row.captured for row in found.sets] == [{"rating": None}] * 2
    assert [row.self_overlap for row in found.sets] == [None] * 2
    assert found.overlaps[0].overlap is None
