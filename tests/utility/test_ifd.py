"""IFD as a utility: a bounded number that keeps the strategy's order, and a suite's source."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from selectllm.core.types import Item
from selectllm.data.pool import load_pool
from selectllm.report.schemas import schema
from selectllm.selection.scorers.language_model import load_language_model
from selectllm.selection.scorers.likelihood import ifd_scores
from selectllm.selection.strategies import Candidates, find_strategy
from selectllm.utility.ifd import ifd_utility, worth
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.selection.scorers.test_likelihood import HashModel
from tests.support.cli_files import assert_refused, write_suite

SCORES = st.floats(1e-3, 1e3) | st.just(math.nan)
IFD = "utilities: [{name: difficulty, source: ifd}]"


def test_below_1_the_worth_is_the_ifd_and_from_1_on_it_falls() -> None:
    assert [worth(score) for score in (0.2, 0.99, 1.0, 2.0, math.nan)] == [0.2, 0.99, 0, -0.5, -1]


@given(st.lists(SCORES, min_size=2, max_size=12))
def test_the_best_items_are_those_that_the_strategy_picks_in_its_order(
    scores: list[float],
) -> None:
    items = [Item(f"i{number}", "do it", response="done") for number in range(len(scores))]
    candidates = Candidates(items, 0, values=np.array(scores))
    order = find_strategy("ifd").choose(candidates, len(items))
    worths = [worth(scores[position]) for position in order]
    assert worths == sorted(worths, reverse=True)


@given(st.floats(min_value=0, exclude_min=True) | st.just(math.nan))
def test_the_worth_is_between_minus_1_and_1(score: float) -> None:
    assert -1 <= worth(score) < 1


def test_the_utility_is_a_proxy_that_names_its_model() -> None:
    utility = ifd_utility({"a": 0.5, "b": 4.0}, name="difficulty", model="lm@1")
    assert utility.values == {"a": 0.5, "b": -0.75}
    assert (utility.source, utility.kind, utility.rater) == ("ifd", "proxy", "ifd of lm@1")
    assert utility.range == (-1.0, 1.0)


def scored(path: Path, cache: Path) -> dict[str, float]:
    """What the embedded model finds, had it been asked before: no weights are loaded here."""
    identity = load_language_model(None, cache).identity
    return ifd_scores(load_pool(path).pool.items, HashModel(identity), cache)


def test_a_suite_takes_it_from_the_embedded_model_and_its_cache(
    selectllm: Command, pool_file: Path
) -> None:
    scores = scored(pool_file, Path("cache"))
    outcome = selectllm("eval", write_suite(IFD), "--json", "-o", "run")
    assert outcome.code == 0, outcome.err
    agreement = outcome.json["pairs"][0]["agreement"]["difficulty"]
    assert agreement["kind"] == "proxy"
    _, *rows = read_jsonl(Path("run/utilities.jsonl"))
    assert {row["id"]: row["values"]["difficulty"] for row in rows} == pytest.approx(
        {item: worth(score) for item, score in scores.items()}
    )


def test_it_needs_responses(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{**row, "response": None} for row in pool_rows()])
    outcome = selectllm("eval", write_suite(IFD), "-o", "run")
    assert_refused(outcome, "utility difficulty needs a response", "40 of 40 in the pool have none")


def test_the_model_may_be_another_and_the_kind_may_not(selectllm: Command, pool_file: Path) -> None:
    named = IFD.replace("ifd}", "ifd, model: ./nowhere}")
    assert_refused(selectllm("eval", write_suite(named)), "no language model folder ./nowhere")
    human = IFD.replace("ifd}", "ifd, kind: human}")
    outcome = selectllm("eval", write_suite(human))
    assert_refused(outcome, "unknown key 'utilities.0.kind'", "keys here are: model, name, source")


def test_the_schema_of_suites_knows_it() -> None:
    suite = {"name": "s", "pool": "p", "utilities": [{"name": "d", "source": "ifd"}]}
    Draft202012Validator(schema("suite")).validate(json.loads(json.dumps(suite)))
