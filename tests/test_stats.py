"""Intervals: equal to scipy's and statsmodels', honest about too little data."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats as reference

from selectllm.stats import Interval, mean_interval, ratio_interval

unhurried = settings(deadline=None)  # a busy machine is no failure
TIGHT = {"rel": 1e-9, "abs": 1e-12}
numbers = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
clusters = st.integers(2, 40)


def bounds(interval: Interval | None) -> tuple[float, float, float]:
    assert interval is not None
    return interval.estimate, interval.low, interval.high


def draws(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up numerators and positive denominators of n clusters."""
    rng = np.random.default_rng(seed)
    denominators = rng.uniform(0.2, 1.0, n)
    return rng.normal(0.4, 0.3, n) * denominators, denominators


@pytest.mark.parametrize("n", [2, 3, 10, 500])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_a_mean_has_the_t_interval_of_scipy(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(3.0, 2.0, n)
    scipy_interval = reference.ttest_1samp(values, 0.0).confidence_interval(confidence)
    expected = (values.mean(), scipy_interval.low, scipy_interval.high)
    assert bounds(mean_interval(values, confidence)) == pytest.approx(expected, **TIGHT)


@pytest.mark.parametrize("n", [2, 7, 300])
def test_a_ratio_has_the_interval_of_a_weighted_fit_with_robust_errors(n: int) -> None:
    numerators, denominators = draws(n, n)
    fit = sm.WLS(numerators / denominators, np.ones(n), weights=denominators).fit(
        cov_type="HC1", use_t=True
    )
    expected = (fit.params[0], *fit.conf_int(0.05)[0])
    assert bounds(ratio_interval(numerators, denominators)) == pytest.approx(expected, **TIGHT)


@pytest.mark.parametrize(("n", "n_groups"), [(12, 2), (60, 6), (200, 30)])
def test_a_ratio_over_groups_has_the_interval_of_statsmodels_cluster_errors(
    n: int, n_groups: int
) -> None:
    numerators, denominators = draws(n, n)
    groups = np.random.default_rng(n + 1).permutation(np.arange(n) % n_groups)
    fit = sm.WLS(numerators / denominators, np.ones(n), weights=denominators).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    low, high = fit.params[0] + fit.bse[0] * reference.t.ppf([0.025, 0.975], n_groups - 1)
    labels = [f"topic-{group}" for group in groups]
    ours = ratio_interval(numerators, denominators, groups=labels)
    assert bounds(ours) == pytest.approx((fit.params[0], low, high), **TIGHT)


def test_a_mean_over_groups_has_the_interval_of_ordinary_least_squares_with_clusters() -> None:
    values, _ = draws(5, 40)
    groups = np.arange(40) // 5
    fit = sm.OLS(values, np.ones(40)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    low, high = fit.params[0] + fit.bse[0] * reference.t.ppf([0.025, 0.975], 7)
    ours = mean_interval(values, groups=groups.tolist())
    assert bounds(ours) == pytest.approx((fit.params[0], low, high), **TIGHT)


@unhurried
@given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
def test_a_mean_is_the_ratio_whose_denominators_are_one(values: np.ndarray) -> None:
    assert mean_interval(values) == ratio_interval(values, np.ones(len(values)))


@unhurried
@given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
def test_groups_of_one_cluster_each_change_nothing(values: np.ndarray) -> None:
    labels = list(range(len(values)))
    grouped = mean_interval(values, groups=labels)
    assert bounds(grouped) == pytest.approx(bounds(mean_interval(values)), **TIGHT)


@unhurried
@given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
def test_the_estimate_lies_within_its_interval(values: np.ndarray) -> None:
    estimate, low, high = bounds(mean_interval(values))
    assert low <= estimate <= high


def test_numerators_equal_to_their_denominators_give_exactly_one() -> None:
    _, denominators = draws(3, 100)
    assert ratio_interval(denominators, denominators) == Interval(1.0, 1.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(1000):
        denominators = rng.uniform(0.3, 0.7, 40)
        numerators = 0.25 * denominators + rng.normal(0.0, 0.2, 40)
        _, low, high = bounds(ratio_interval(numerators, denominators))
        covered += low <= 0.25 <= high
    assert 930 <= covered <= 970  # 950 expected, standard deviation 7


@pytest.mark.parametrize("values", [[], [0.5]])
def test_below_two_clusters_there_is_no_interval(values: list[float]) -> None:
    assert mean_interval(values) is None


def test_a_single_group_gives_no_interval() -> None:
    assert mean_interval([0.1, 0.2, 0.3], groups=["only"] * 3) is None


def test_denominators_that_sum_to_zero_give_no_interval() -> None:
    assert ratio_interval([0.0, 0.0], [0.0, 0.0]) is None


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval([0.1, float("nan")])


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        ratio_interval([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="got 1 for 2 clusters"):
        mean_interval([1.0, 2.0], groups=["a"])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_outside_zero_and_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([0.1, 0.2], confidence)


def test_an_interval_is_written_as_estimate_low_and_high() -> None:
    assert Interval(0.5, 0.25, 0.75).to_json() == {"estimate": 0.5, "low": 0.25, "high": 0.75}
