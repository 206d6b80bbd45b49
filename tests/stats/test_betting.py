"""Betting bounds: true as often as they say, also where a sample shows no loss."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from selectllm.stats.betting import least_clusters, lower_bound, upper_bound

unhurried = settings(deadline=None)  # a busy machine is no failure
differences = st.lists(st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 1.0]), max_size=60)
levels = st.sampled_from([0.001, 0.01, 0.025, 0.05, 0.1, 0.2])


def most_capital(values: list[float], mean: float, alpha: float) -> float:
    """The most that betting on a mean above `mean` ever had: the paper's formulas, one by one."""
    m = (mean + 1) / 2
    capital = most = 1.0
    total, squares = 0.5, 0.25
    for seen, value in enumerate(values):
        x = (value + 1) / 2
        variance = squares / (seen + 1)
        bet = math.sqrt(2 * math.log(1 / alpha) / (len(values) * variance))
        capital *= 1 + min(bet, 0.75 / m) * (x - m)
        most = max(most, capital)
        total += x
        squares += (x - total / (seen + 2)) ** 2
    return most


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_bound_is_the_highest_mean_that_a_player_grew_rich_on(seed: int, alpha: float) -> None:
    values = np.random.default_rng(seed).uniform(-0.6, 1.0, 40).tolist()
    bound = lower_bound(values, alpha)
    assert most_capital(values, bound - 1e-9, alpha) >= 1 / alpha
    assert most_capital(values, bound + 1e-9, alpha) < 1 / alpha


@unhurried
@given(differences.filter(bool), levels)
def test_the_sample_mean_lies_between_the_bounds(values: list[float], alpha: float) -> None:
    slack = 1e-12  # the mean is added up in another order
    assert -1 <= lower_bound(values, alpha) <= fmean(values) + slack
    assert fmean(values) - slack <= upper_bound(values, alpha) <= 1


@unhurried
@given(differences, levels)
def test_the_arms_are_treated_alike(values: list[float], alpha: float) -> None:
    assert upper_bound(values, alpha) == -lower_bound([-value for value in values], alpha)


@pytest.mark.parametrize("seed", range(20))
def test_more_certainty_costs_width(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 0.0, 0.0, 1.0], 50) * rng.uniform(0, 1, 50)
    bounds = [lower_bound(values, alpha) for alpha in (0.001, 0.01, 0.05, 0.2, 0.5)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]


def test_with_many_clusters_the_bounds_close_in_on_the_mean() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.2, 10_000).clip(-1, 1)
    mean, margin = values.mean(), 1.5 * 1.645 * values.std() / 100  # half more than a t bound's
    assert mean - margin < lower_bound(values, 0.05) < mean < upper_bound(values, 0.05)
    assert upper_bound(values, 0.05) < mean + margin


def test_a_streak_at_the_start_lifts_no_bound_above_the_mean() -> None:
    assert lower_bound([1.0] * 200 + [-1.0] * 200, 0.05) == 0.0


def t_bound(values: np.ndarray) -> float:
    """Student's one-sided lower 95 % bound."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - reference.t.isf(0.05, len(values) - 1) * error)


def test_rare_big_losses_fool_the_t_bound_and_not_this_one() -> None:
    rng = np.random.default_rng(7)
    samples = np.where(rng.random((500, 30)) < 0.05, -1.0, 1 / 19)  # the mean is 0
    fooled = sum(t_bound(sample) > 0 for sample in samples)
    wrong = sum(lower_bound(sample, 0.05) > 0 for sample in samples)
    assert fooled > 75  # three times the 25 that it promises
    assert wrong <= 25


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("likely", [0.05, 0.5, 0.9])
def test_the_true_mean_is_rarely_outside(n: int, likely: float) -> None:
    rng = np.random.default_rng(n)
    samples = np.where(rng.random((400, n)) < likely, 0.5, -0.5)
    true = likely - 0.5
    assert sum(lower_bound(sample, 0.1) > true for sample in samples) <= 40 + 18
    assert sum(upper_bound(sample, 0.1) < true for sample in samples) <= 40 + 18


def test_without_values_nothing_is_ruled_out() -> None:
    assert (lower_bound([], 0.05), upper_bound([], 0.05)) == (-1.0, 1.0)
    assert lower_bound([0.0], 0.05) == -1.0


@pytest.mark.parametrize("margin", [1.0, 0.5, 0.2, 0.1, 0.05, 0.01])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_the_least_clusters_are_those_at_which_zeros_clear_the_margin(
    margin: float, alpha: float
) -> None:
    n = least_clusters(margin, alpha)
    assert lower_bound(np.zeros(n), alpha) > -margin
    assert lower_bound(np.zeros(n - 1), alpha) <= -margin


def test_a_tenth_at_five_percent_needs_39_clusters() -> None:
    assert least_clusters(0.1, 0.05) == 39


@pytest.mark.parametrize("wrong", [-1.1, 1.0001, float("nan"), float("inf")])
def test_values_outside_their_range_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between -1 and 1, got"):
        lower_bound([0.0, wrong], 0.05)


def test_values_outside_by_rounding_alone_are_taken() -> None:
    assert lower_bound([1 + 1e-12] * 9, 0.05) == lower_bound([1.0] * 9, 0.05)


def test_only_a_vector_of_values_is_taken() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        lower_bound([[0.0, 0.1]], 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
def test_a_level_outside_zero_and_one_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        upper_bound([0.1], alpha)
    with pytest.raises(ValueError, match="alpha"):
        least_clusters(0.1, alpha)


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.5])
def test_a_margin_outside_zero_and_one_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        least_clusters(margin, 0.05)
