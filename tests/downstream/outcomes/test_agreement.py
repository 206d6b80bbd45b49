"""Set-level agreement: figures as scipy has them, p-values by all orders, and what is withheld."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selectllm.core.arrays import Floats
from selectllm.core.codec import canonical_json
from selectllm.downstream.outcomes.agreement import set_agreement
from selectllm.downstream.outcomes.schema import SetAgreement
from selectllm.downstream.outcomes.scores import Runs
from selectllm.stats.rank_correlation import (
    DRAWS,
    decision_accuracy,
    kendall,
    orders_of,
    partial_spearman,
    spearman,
)

SIDES = st.integers(4, 7).flatmap(
    lambda n: st.tuples(
        *(
            st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(lambda v: len({*v}) > 1)
            for _ in range(2)
        )
    )
)


def numbers(count: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=count)


def side(values: Floats | list[float]) -> dict[str, Runs]:
    """One run for each arm."""
    return {f"arm{number:02}": {"seed 0": float(v)} for number, v in enumerate(values)}


def runs(*of_arms: list[float]) -> dict[str, Runs]:
    return {
        f"arm{number:02}": {f"seed {run}": value for run, value in enumerate(values)}
        for number, values in enumerate(of_arms)
    }


# --- the figures


@given(SIDES)
def test_figures_are_those_of_scipy_ties_included(sides: tuple[list[int], list[int]]) -> None:
    x, y = (np.array(values, dtype=float) for values in sides)
    none = orders_of(len(x))[:1]
    assert spearman(x, y, none).value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert kendall(x, y, none).value == pytest.approx(stats.kendalltau(x, y).statistic)


@given(SIDES)
def test_decision_accuracy_is_the_share_of_pairs_ordered_alike_ties_half(
    sides: tuple[list[int], list[int]],
) -> None:
    x, y = sides
    shares = [
        0.5 if x[i] == x[j] or y[i] == y[j] else float((x[i] < x[j]) == (y[i] < y[j]))
        for i, j in combinations(range(len(x)), 2)
    ]
    found = decision_accuracy(np.array(x, float), np.array(y, float), orders_of(len(x))[:1])
    assert found.value == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("ties", [False, True])
def test_up_to_8_arms_the_p_value_is_exact(ties: bool) -> None:
    x, y = numbers(6, 1), numbers(6, 2)
    if ties:
        x[0], y[1] = x[1], y[2]
    for ours, theirs in ((spearman, stats.spearmanr), (kendall, stats.kendalltau)):

        def statistic(moved: Floats, theirs: object = theirs) -> float:
            return float(theirs(moved, y).statistic)  # type: ignore[operator]

        reference = stats.permutation_test(
            (x,), statistic, permutation_type="pairings", n_resamples=10**6
        )
        null = reference.null_distribution
        expected = np.mean(np.abs(null) >= abs(reference.statistic) - 1e-9)
        assert ours(x, y, orders_of(6)).p == pytest.approx(expected)


def test_above_8_arms_the_p_value_is_drawn_by_the_seed_and_never_0() -> None:
    x = np.arange(12.0)
    perfect = spearman(x, x, orders_of(12))
    assert perfect.p == 1 / (DRAWS + 1)
    y = x + 4 * numbers(12, 3)
    found = spearman(x, y, orders_of(12))
    assert found.p == spearman(x, y, orders_of(12)).p
    assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.02)
    assert found.p != spearman(x, y, orders_of(12, seed=1)).p
    assert kendall(x, y, orders_of(12)).p == pytest.approx(
        stats.kendalltau(x, y, method="exact").pvalue, abs=0.02
    )


def test_four_arms_in_perfect_order_have_a_p_value_of_one_in_twelve() -> None:
    x = np.arange(4.0)
    for figure in (spearman, kendall, decision_accuracy):
        assert figure(x, x, orders_of(4)).p == pytest.approx(2 / 24)


def test_p_values_keep_their_level_where_nothing_is_foretold() -> None:
    rng = np.random.default_rng(0)
    orders = orders_of(7)
    found = [spearman(rng.normal(size=7), rng.normal(size=7), orders).p for _ in range(400)]
    rejected = np.mean(np.array(found, dtype=float) <= 0.05)
    assert stats.binomtest(int(rejected * 400), 400, 0.05, alternative="greater").pvalue > 0.001


def test_the_partial_correlation_is_that_of_the_ranks_residuals() -> None:
    x, y, z = numbers(9, 4), numbers(9, 5), numbers(9, 6)
    ranks = [stats.rankdata(values) for values in (x, y, z)]
    on_z = np.column_stack([np.ones(9), ranks[2]])
    left = [r - on_z @ np.linalg.lstsq(on_z, r, rcond=None)[0] for r in ranks[:2]]
    found = partial_spearman(x, y, z, orders_of(9))
    assert found.value == pytest.approx(stats.pearsonr(*left).statistic)
    t_test = 2 * stats.t.sf(
        abs(found.value or 0) * math.sqrt(6 / (1 - (found.value or 0) ** 2)), df=6
    )
    assert found.p == pytest.approx(t_test, abs=0.05)


def test_what_length_alone_explains_is_gone_from_the_partial_correlation() -> None:
    rng = np.random.default_rng(7)
    tokens = np.arange(40.0)
    x, y = tokens + rng.normal(size=40), tokens + rng.normal(size=40)
    orders = orders_of(40)
    assert (spearman(x, y, orders).value or 0) > 0.95
    assert abs(partial_spearman(x, y, tokens, orders).value or 0) < 0.4


def test_a_partial_correlation_is_undefined_where_tokens_order_like_one_side() -> None:
    x, y = np.arange(6.0), numbers(6, 1)
    assert partial_spearman(x, y, x * 3, orders_of(6)).value is None
    assert partial_spearman(x, y, np.ones(6), orders_of(6)).p is None


# --- intervals


def test_there_is_no_interval_below_8_arms() -> None:
    for count, there in ((7, False), (8, True)):
        found = set_agreement(side(numbers(count, 0)), side(numbers(count, 1)))
        for figure in (found.spearman, found.kendall, found.decisions):
            assert (figure.low is not None) == there


def test_the_interval_of_spearman_is_that_of_bonett_and_wright() -> None:
    x, y = numbers(15, 1), numbers(15, 1) + numbers(15, 2)
    found = spearman(x, y, orders_of(15))
    r = stats.spearmanr(x, y).statistic
    reach = stats.norm.ppf(0.975) * math.sqrt((1 + r**2 / 2) / 12)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(math.tanh(math.atanh(r) - reach))
    assert found.interval.high == pytest.approx(math.tanh(math.atanh(r) + reach))


def test_a_perfect_order_of_few_arms_leaves_room_for_less() -> None:
    x = np.arange(8.0)
    found = spearman(x, x, orders_of(8)).interval
    assert found is not None
    assert found.high == 1
    assert 0.5 < found.low < 0.95
    turned = decision_accuracy(x, -x, orders_of(8)).interval
    assert turned is not None
    assert turned.low == 0
    assert 0.02 < turned.high < 0.5


def test_intervals_cover_what_they_should() -> None:
    rng, rho, n, trials = np.random.default_rng(3), 0.8, 12, 600
    truth = {"spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}
    none = orders_of(n)[:1]
    inside = dict.fromkeys(truth, 0)
    for _ in range(trials):
        x = rng.normal(size=n)
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
        for name, figure in (("spearman", spearman), ("kendall", kendall)):
            interval = figure(x, y, none).interval
            assert interval is not None
            inside[name] += interval.low <= truth[name] <= interval.high
    for hits in inside.values():
        assert stats.binomtest(hits, trials, 0.93, alternative="less").pvalue > 0.001


# --- the agreement of two sides


def test_below_4_arms_nothing_is_said() -> None:
    found = set_agreement(side([1, 2, 3]), side([1, 2, 3, 4]))
    assert found.status == "too few arms"
    assert found.arms == ("arm00", "arm01", "arm02")
    assert found.spearman.value is None
    assert "3 arms" in found.notes[0]


def test_arms_that_are_all_equal_have_no_order() -> None:
    found = set_agreement(side([1, 1, 1, 1]), side([1, 2, 3, 4]))
    assert (found.status, found.kendall.value) == ("no spread", None)
    assert "foretold" in found.notes[0]


def test_only_arms_on_both_sides_count() -> None:
    foretold = {**side([1, 2, 3, 4]), "other": {"seed 0": -9.0}}
    found = set_agreement(foretold, side([1, 2, 3, 4]))
    assert len(found.arms) == 4
    assert found.decisions.value == 1


def test_runs_of_an_arm_are_averaged() -> None:
    outcomes = runs([1, 3], [5, 1], [4, 4], [9, 1])
    found = set_agreement(side([2, 3, 4, 5]), outcomes)
    assert found.spearman.value == pytest.approx(1)


def test_tokens_are_a_control_of_their_own() -> None:
    tokens = {f"arm{number:02}": 10.0 * number for number in range(6)}
    found = set_agreement(side(numbers(6, 1)), side(list(range(6))), tokens)
    assert found.tokens.value == pytest.approx(1)
    assert found.partial.value is None
    without = set_agreement(side(numbers(6, 1)), side(numbers(6, 2)))
    assert without.tokens.value is without.partial.value is None


def test_reliability_is_the_intraclass_correlation_of_the_runs_and_caps_agreement() -> None:
    table = np.array([[1.0, 2.0], [2.0, 2.5], [4.0, 3.0], [3.5, 5.0], [6.0, 5.5]])
    found = set_agreement(side(list(range(5))), runs(*table.tolist()))
    between = 2 * table.mean(axis=1).var(ddof=1)
    within = table.var(axis=1, ddof=1).mean()
    assert found.reliability == pytest.approx((between - within) / between)
    assert found.foretold_reliability is None
    assert found.ceiling == pytest.approx(math.sqrt(found.reliability or 0))
    both = set_agreement(runs(*table.tolist()), runs(*table.tolist()))
    assert both.ceiling == pytest.approx(found.reliability)


def test_noisy_outcomes_are_said_to_be_noisy() -> None:
    rng = np.random.default_rng(1)
    noisy = runs(*rng.normal(size=(8, 2)).tolist())
    found = set_agreement(side(numbers(8, 2)), noisy)
    assert found.reliability is not None
    assert found.reliability < 0.5
    assert "training again would order the arms otherwise" in found.notes[-1]
    single = set_agreement(side(numbers(5, 2)), side(numbers(5, 3)))
    assert single.ceiling is None
    assert "no two-sided p-value can be below 0.017" in single.notes[0]
    assert "none of the arms has two runs" in single.notes[1]


def test_numbers_that_are_not_finite_and_missing_tokens_are_errors() -> None:
    with pytest.raises(ValueError, match="finite"):
        set_agreement(side([1, 2, 3, math.nan]), side([1, 2, 3, 4]))
    for few in (2, 4):  # also where there are no figures to give
        arms = side([*map(float, range(few))])
        with pytest.raises(ValueError, match=r"lack 'arm00', 'arm01'$"):
            set_agreement(arms, arms, {arm: 1.0 for arm in [*arms][2:]})


@given(SIDES, st.permutations(range(7)))
def test_neither_the_order_of_arms_nor_a_monotone_scale_matters(
    sides: tuple[list[int], list[int]], order: list[int]
) -> None:
    x, y = side([*map(float, sides[0])]), side([*map(float, sides[1])])
    names = [f"arm{number:02}" for number in order if number < len(x)]
    stretched = {arm: {"seed 0": math.exp(x[arm]["seed 0"])} for arm in names}
    one, other = set_agreement(x, y), set_agreement(stretched, {arm: y[arm] for arm in names})
    assert one.spearman.value == pytest.approx(other.spearman.value)
    assert one.decisions == other.decisions


def test_what_is_found_is_json() -> None:
    found: SetAgreement = set_agreement(
        side(numbers(9, 1)), runs(*np.random.default_rng(0).normal(size=(9, 3)).tolist())
    )
    content = json.loads(canonical_json(found.to_json()))
    assert content["spearman"].keys() == {"value", "p", "low", "high"}
    assert content["partial"] == {"value": None, "p": None, "low": None, "high": None}
