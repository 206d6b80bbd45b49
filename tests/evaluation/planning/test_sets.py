"""`selectllm plan --for sets`: what the sets of a suite will take, held against making them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from selectllm.report.schemas import schema
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import assert_refused, files
from tests.support.made_vectors import random_vectors
from tests.support.provider_server import ProviderServer

SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [8], "seeds": [0, 1]},
    "prompts": ["short@1"],
    "models": ["mock/first"],
    "strategies": ["random", "longest"],
}
PRICED = {"name": "m", "id": "openai/m", "price": {"input": 2, "output": 10}, "max_tokens": 100}


@pytest.fixture(autouse=True)
def pool(selectllm: Command) -> None:
    np.save("v.npy", random_vectors(40))
    write_jsonl(Path("pool.jsonl"), pool_rows())


def suite(**changes: object) -> Path:
    Path("suite.yaml").write_text(json.dumps({**SUITE, **changes}), encoding="utf-8")
    return Path("suite.yaml")


def plan(selectllm: Command, *options: object, **changes: object) -> Any:
    """The plan as JSON, once it keeps to its schema."""
    outcome = selectllm("plan", suite(**changes), "--for", "sets", "--json", *options)
    assert outcome.code == 0, outcome.err
    Draft202012Validator(schema("plan_sets")).validate(outcome.json)
    return outcome.json


def told(selectllm: Command, *options: object, **changes: object) -> str:
    """The plan as people read it, on one line."""
    outcome = selectllm("plan", suite(**changes), "--for", "sets", *options)
    assert outcome.code == 0, outcome.err
    return " ".join(outcome.out.split())


# --- rounds and calls


def test_a_budget_far_below_the_clusters_takes_tournament_rounds(selectllm: Command) -> None:
    (pair,) = plan(selectllm, "--budget", 1)["asking"]
    assert [(r["clusters"], r["size"], r["picks"]) for r in pair["rounds"]] == [
        (8, 5, 1),
        (2, 4, 1),
        (1, 2, 1),
    ]
    assert pair["calls"] == 2 * (8 + 2 + 1)
    assert pair["calls_most"] == 3 * pair["calls"]
    text = told(selectllm, "--budget", 1)
    assert "8 clusters of about 5 items, with at least 1 pick from each, then 2 clusters" in text


def test_a_large_pool_is_planned_without_dividing_it(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{"instruction": f"Say {n}."} for n in range(100_000)])
    found = plan(selectllm, "--budget", 1000, "--seed", 3, clusters={"by": "random", "size": 50})
    (pair,) = found["asking"]
    assert [(r["clusters"], r["calls"]) for r in pair["rounds"]] == [(2000, 2000), (40, 40)]
    assert found["seeds"] == [3]
    assert found["total"]["calls"] == 2040


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 7, 8, 13, 20, 33, 39, 40])
def test_the_calls_are_those_that_making_the_sets_takes(selectllm: Command, budget: int) -> None:
    (pair,) = plan(selectllm, "--budget", budget)["asking"]
    making = ("sets", "suite.yaml", "--budget", budget, "--vectors", "v.npy", "--json")
    row = next(row for row in selectllm(*making).json["sets"] if row["model"])
    assert pair["calls"] == row["calls"]["mean"] * 2
    if row["calls"]["mean"]:
        assert pair["tokens_in"] == pytest.approx(row["tokens_in"]["mean"] * 2, rel=0.35)


def test_seeds_budgets_and_pairs_multiply_what_is_asked(selectllm: Command) -> None:
    one = plan(selectllm, "--seed", 0)["total"]
    assert plan(selectllm)["total"]["calls"] == 2 * one["calls"] == 16
    found = plan(selectllm, prompts=["short@1", "rank@1"], sets={"budgets": [8, 16]})
    assert found["total"]["calls"] == 3 * 2 * 2 * one["calls"]
    assert len(found["asking"]) == 4
    text = told(selectllm, prompts=["short@1", "rank@1"], sets={"budgets": [8, 16]})
    assert "4 selectors x 2 budgets x 3 seeds make 24 sets" in text


def test_a_vote_multiplies_the_calls_of_its_model(selectllm: Command) -> None:
    voting = {"id": "mock/first", "name": "v", "vote": {"orders": 3}}
    (pair,) = plan(selectllm, models=[voting])["asking"]
    assert pair["calls"] == 2 * 8 * 3
    assert pair["rounds"][0]["calls"] == 8 * 3


def test_strategies_that_ask_a_model_are_measured_once_for_all_sets(selectllm: Command) -> None:
    rating, sampling = "rating:quality@1+mock/first", "open-endedness:mock/first"
    changes = {"strategies": ["longest", rating, sampling], "prompts": [], "models": []}
    found = plan(selectllm, **changes)
    assert {each["strategy"]: each["calls"] for each in found["asking"]} == {
        rating: 40,
        sampling: 120,
    }
    assert found["unasked"] == ["strategy:longest"]
    assert all(each["budget"] is None for each in found["asking"])


def test_prompts_that_do_not_fit_are_counted_and_not_asked(selectllm: Command) -> None:
    small = {"id": "mock/first", "context": 300, "max_tokens": 299}
    found = plan(selectllm, models=[small])
    assert (found["total"]["calls"], found["total"]["too_long"]) == (0, 16)
    assert "longer than the model's context" in told(selectllm, models=[small])


# --- money and time


def test_calls_are_priced_as_plan_prices_them(selectllm: Command) -> None:
    found = plan(selectllm, models=[PRICED])
    (pair,) = found["asking"]
    usd = (pair["tokens_in"] * 2 + pair["tokens_out"] * 10) / 1e6
    assert pair["usd"] == pytest.approx(usd)
    assert found["total"]["usd"] == pair["usd"] < pair["usd_most"]
    assert pair["price"] == {"input": 2, "output": 10, "source": "suite"}
    assert pair["hours"] == pytest.approx(pair["calls"] * pair["pace"]["seconds"] / 8 / 3600)
    assert math.isclose(
        plan(selectllm, "-j", 1, models=[PRICED])["total"]["hours"], 8 * pair["hours"]
    )


def test_a_model_without_a_price_makes_the_total_unknown(selectllm: Command) -> None:
    models = [PRICED, "openai/no-such-model"]
    total = plan(selectllm, models=models)["total"]
    assert (total["usd"], total["usd_most"]) == (None, None)
    assert "price of short@1 + openai/no-such-model is not known" in told(selectllm, models=models)


def test_nothing_is_sent_divided_or_written(selectllm: Command) -> None:
    with ProviderServer() as server:
        model = {"name": "m", "id": "openai/m", "api_base": server.base_url}
        suite(models=[model])
        before = files()
        found = plan(selectllm, models=[model], clusters={"by": "diverse", "size": 5})
        assert server.count == 0
    assert found["total"]["calls"] == 16
    assert files().keys() == before.keys()


# --- what cannot be planned


def test_what_will_be_left_out_is_said_before(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    found = plan(selectllm, strategies=["longest", "ifd"])
    assert [each["selector"] for each in found["left_out"]] == ["strategy:ifd"]
    assert "left out ifd:" in told(selectllm, strategies=["longest", "ifd"])


def test_only_the_named_selectors_are_planned(selectllm: Command) -> None:
    found = plan(selectllm, "--only", "longest")
    assert (found["asking"], found["unasked"]) == ([], ["strategy:longest"])
    assert found["total"]["usd"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--for", "sets", "--limit", 3), ("--limit does not go with --for sets",)),
        (("--for", "sets", "--a", "x", "--b", "y"), ("--a goes with --for ab",)),
        (("--pool", "pool.jsonl"), ("--pool goes with --for sets",)),
        (("--for", "ab", "--budget", 3), ("--budget goes with --for sets",)),
        (("--for", "sets", "--budget", 99), ("sets.budgets: 99", "the 40 items")),
    ],
)
def test_options_of_other_plans_are_refused(
    selectllm: Command, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    assert_refused(selectllm("plan", suite(), *options), *words)
