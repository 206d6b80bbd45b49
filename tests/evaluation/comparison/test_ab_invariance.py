"""What a verdict of `ab` does not depend on, on simulated picks of many seeds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selectllm.core.types import Cluster
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import Verdict
from tests.support.verdict_cases import CLOSE, A, B, ends, simulated, verdict_of

few_examples = settings(max_examples=15)
seeds = st.integers(0, 10**6)
sizes = st.sampled_from([40, 120])
MIRRORED = {"better": "worse", "worse": "better"}


def figures(verdict: Verdict) -> tuple[float, ...]:
    """Every figure of a verdict's intervals."""
    captured = [*ends(verdict.captured.a), *ends(verdict.captured.b)]
    return (*ends(verdict.difference), *ends(verdict.inner), *captured)


def assert_same(one: Verdict, other: Verdict) -> None:
    assert (one.word, one.reason) == (other.word, other.reason)
    assert figures(one) == pytest.approx(figures(other), **CLOSE)


@few_examples
@given(sizes, seeds)
def test_arms_that_change_places_mirror_it(n: int, seed: int) -> None:
    case = simulated(n, 0.3, 0.6, seed=seed)
    forth = verdict_of(case)
    back = verdict_of(case.where(comparison=ComparisonDesign("ab", (B, A))))
    assert back.word == MIRRORED.get(forth.word, forth.word)
    middle, low, high = ends(forth.difference)
    assert ends(back.difference) == pytest.approx((-middle, -high, -low), **CLOSE)
    assert back.p == forth.p
    assert forth.one_more is not None
    assert back.one_more is not None
    assert back.one_more.low == pytest.approx(-forth.one_more.high, **CLOSE)


@few_examples
@given(sizes, seeds, st.floats(0.01, 100), st.floats(-100, 100))
def test_utilities_may_be_on_any_scale(n: int, seed: int, factor: float, shift: float) -> None:
    case = simulated(n, 0.3, 0.5, seed=seed)
    utility = case.inputs.utilities[0]
    moved = {item_id: factor * value + shift for item_id, value in utility.values.items()}
    assert_same(
        verdict_of(case.where(utilities=(replace(utility, values=moved),))), verdict_of(case)
    )


@few_examples
@given(sizes, seeds, st.randoms(use_true_random=False))
def test_decisions_may_come_in_any_order(n: int, seed: int, random: Random) -> None:
    case = simulated(n, 0.3, 0.5, seed=seed)
    shuffled = list(case.decisions)
    random.shuffle(shuffled)
    mixed = replace(case, decisions=tuple(shuffled))
    assert verdict_of(mixed).to_json() == verdict_of(case).to_json()


@few_examples
@given(sizes, seeds)
def test_items_may_have_any_ids(n: int, seed: int) -> None:
    case = simulated(n, 0.3, 0.5, seed=seed)
    utility = case.inputs.utilities[0]
    names = np.random.default_rng(seed).permutation(len(utility.values))
    new = dict(zip(utility.values, (f"x{name:04}" for name in names), strict=True))
    renamed = case.where(
        clusters=tuple(
            Cluster(each.id, tuple(sorted(new[member] for member in each.members)))
            for each in case.inputs.clusters
        ),
        utilities=(replace(utility, values={new[i]: u for i, u in utility.values.items()}),),
    )
    decisions = tuple(
        replace(d, shown=tuple(new[i] for i in d.shown), picks=tuple(new[i] for i in d.picks))
        for d in case.decisions
    )
    assert_same(verdict_of(replace(renamed, decisions=decisions)), verdict_of(case))
