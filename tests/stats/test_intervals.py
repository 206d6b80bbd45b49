"""Intervals and tests: equal to scipy's and statsmodels', honest about too little data."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats as reference
from statsmodels.regression import linear_model
from statsmodels.stats.multitest import multipletests

from selectllm.stats.interval import Interval
from selectllm.stats.intervals import (
    Estimate,
    bounded_mean_interval,
    holm,
    mean_estimate,
    mean_interval,
    ratio_interval,
    sign_flip_p,
)

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
    fit = linear_model.WLS(numerators / denominators, np.ones(n), weights=denominators).fit(
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
    fit = linear_model.WLS(numerators / denominators, np.ones(n), weights=denominators).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    low, high = fit.params[0] + fit.bse[0] * reference.t.ppf([0.025, 0.975], n_groups - 1)
    labels = [f"topic-{group}" for group in groups]
    ours = ratio_interval(numerators, denominators, groups=labels)
    assert bounds(ours) == pytest.approx((fit.params[0], low, high), **TIGHT)


def test_a_mean_over_groups_has_the_interval_of_ordinary_least_squares_with_clusters() -> None:
    values, _ = draws(5, 40)
    groups = np.arange(40) // 5
    fit = linear_model.OLS(values, np.ones(40)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    low, high = fit.params[0] + fit.bse[0] * reference.t.ppf([0.025, 0.975], 7)
    ours = mean_interval(values, groups=groups.tolist())
    assert bounds(ours) == pytest.approx((fit.params[0], low, high), **TIGHT)


@given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
def test_a_mean_is_the_ratio_whose_denominators_are_one(values: np.ndarray) -> None:
    assert mean_interval(values) == ratio_interval(values, np.ones(len(values)))


@given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
def test_groups_of_one_cluster_each_change_nothing(values: np.ndarray) -> None:
    labels = list(range(len(values)))
    grouped = mean_interval(values, groups=labels)
    assert bounds(grouped) == pytest.approx(bounds(mean_interval(values)), **TIGHT)


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


def estimate_of(values: np.ndarray, groups: list[int] | None = None) -> Estimate:
    estimate = mean_estimate(values, groups)
    assert estimate is not None
    return estimate


class TestEstimate:
    """A mean with its standard error, and the t tests of it."""

    @pytest.mark.parametrize("n", [2, 3, 30, 5000])
    @pytest.mark.parametrize("value", [-0.1, 0.0, 0.35, 3.0])
    def test_its_p_values_are_those_of_the_one_sample_t_test(self, n: int, value: float) -> None:
        values = np.random.default_rng(n).normal(0.3, 0.5, n)
        estimate = estimate_of(values)
        expected = {
            side: reference.ttest_1samp(values, value, alternative=side).pvalue
            for side in ("two-sided", "greater", "less")
        }
        assert estimate.p_two_sided(value) == pytest.approx(expected["two-sided"], **TIGHT)
        assert estimate.p_above(value) == pytest.approx(expected["greater"], **TIGHT)
        assert estimate.p_below(value) == pytest.approx(expected["less"], **TIGHT)

    @pytest.mark.parametrize(("n", "n_groups"), [(12, 2), (60, 6), (200, 30)])
    def test_over_groups_it_is_the_intercept_of_a_fit_with_cluster_errors(
        self, n: int, n_groups: int
    ) -> None:
        values = np.random.default_rng(n).normal(0.1, 0.5, n)
        groups = np.random.default_rng(n + 1).permutation(np.arange(n) % n_groups)
        fit = linear_model.OLS(values, np.ones(n)).fit(
            cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
        )
        estimate = estimate_of(values, groups.tolist())
        assert (estimate.mean, estimate.std_error) == pytest.approx(
            (fit.params[0], fit.bse[0]), **TIGHT
        )
        assert estimate.df == n_groups - 1
        assert estimate.p_two_sided() == pytest.approx(fit.pvalues[0], **TIGHT)

    @given(clusters.flatmap(lambda n: npst.arrays(float, n, elements=numbers)))
    def test_its_interval_is_the_one_of_the_mean(self, values: np.ndarray) -> None:
        assert estimate_of(values).interval(0.9) == mean_interval(values, 0.9)

    def test_the_two_sided_p_at_an_end_of_its_interval_is_what_the_interval_leaves_out(
        self,
    ) -> None:
        estimate = Estimate(0.2, 0.1, 11)
        interval = estimate.interval(0.93)
        ends = (estimate.p_two_sided(interval.low), estimate.p_two_sided(interval.high))
        assert ends == pytest.approx((0.07, 0.07), **TIGHT)

    @given(st.floats(-5, 5), st.floats(-5, 5))
    def test_what_is_not_shown_above_is_evidence_below(self, mean: float, value: float) -> None:
        estimate = Estimate(mean, 0.7, 8)
        assert estimate.p_above(value) + estimate.p_below(value) == pytest.approx(1.0)

    def test_a_p_value_far_in_the_tail_keeps_its_digits(self) -> None:
        p = Estimate(3.0, 0.1, 99).p_above()
        assert p == pytest.approx(reference.t.sf(30.0, 99), rel=1e-9)
        assert 0 < p < 1e-50

    def test_clusters_that_all_say_the_same_leave_no_doubt(self) -> None:
        estimate = estimate_of(np.full(4, 0.25))
        assert estimate == Estimate(0.25, 0.0, 3)
        assert (estimate.p_above(0.0), estimate.p_below(0.0), estimate.p_two_sided(0.0)) == (
            0,
            1,
            0,
        )
        assert (estimate.p_above(0.5), estimate.p_below(0.5), estimate.p_two_sided(0.5)) == (
            1,
            0,
            0,
        )
        assert (estimate.p_above(0.25), estimate.p_below(0.25)) == (1, 1)
        assert estimate.p_two_sided(0.25) == 1

    def test_below_two_clusters_or_groups_there_is_none(self) -> None:
        assert mean_estimate([]) is None
        assert mean_estimate([0.5]) is None
        assert mean_estimate([0.5, 0.6], groups=["one", "one"]) is None

    def test_it_refuses_what_the_intervals_refuse(self) -> None:
        with pytest.raises(ValueError, match="finite"):
            mean_estimate([0.1, float("inf")])
        with pytest.raises(ValueError, match="got 1 for 2 clusters"):
            mean_estimate([0.1, 0.2], groups=["a"])
        with pytest.raises(ValueError, match="confidence"):
            Estimate(0.0, 1.0, 3).interval(1.0)


def enumerated(values: np.ndarray) -> float:
    """The exact sign-flip p-value by scipy."""
    return float(
        reference.permutation_test(
            (values,),
            lambda x, axis: x.sum(axis=axis),
            permutation_type="samples",
            n_resamples=2**15,
            vectorized=True,
        ).pvalue
    )


class TestSignFlips:
    """The test that needs no normality."""

    @pytest.mark.parametrize("n", [2, 5, 11, 14])
    def test_all_patterns_of_up_to_14_clusters_are_counted_as_scipy_does(self, n: int) -> None:
        values = np.random.default_rng(n).normal(0.4, 0.8, n)
        assert sign_flip_p(values) == pytest.approx(enumerated(values), **TIGHT)

    @pytest.mark.parametrize("seed", range(5))
    def test_sums_that_tie_but_for_rounding_count_as_ties(self, seed: int) -> None:
        tenths = np.random.default_rng(seed).integers(-3, 5, 12)
        assert sign_flip_p(tenths / 10) == sign_flip_p(tenths) == enumerated(tenths)

    def test_clusters_without_a_difference_change_nothing(self) -> None:
        values = np.random.default_rng(1).normal(0.3, 0.4, 12)
        padded = np.concatenate((np.zeros(500), values))
        assert sign_flip_p(padded) == sign_flip_p(values)

    def test_the_clusters_of_a_group_flip_together(self) -> None:
        values = np.random.default_rng(2).normal(0.2, 0.5, 40)
        groups = (np.arange(40) % 8).tolist()
        sums = values.reshape(5, 8).sum(axis=0)
        assert sign_flip_p(values, groups) == pytest.approx(enumerated(sums), **TIGHT)

    def test_groups_whose_clusters_cancel_are_left_out(self) -> None:
        assert sign_flip_p([0.1, 0.2, -0.3, 0.4], ["a", "a", "a", "b"]) == 1.0

    def test_of_more_clusters_patterns_are_drawn(self) -> None:
        values = np.random.default_rng(3).normal(0.25, 1.0, 60)
        drawn, student = sign_flip_p(values), estimate_of(values).p_two_sided()
        assert drawn is not None
        assert drawn * 10_000 == pytest.approx(round(drawn * 10_000))
        assert drawn == pytest.approx(student, abs=0.01)  # 4 standard deviations of 9999 draws

    def test_the_seed_decides_the_draw(self) -> None:
        values = np.random.default_rng(4).normal(0.1, 1.0, 50)
        assert sign_flip_p(values, seed=1) == sign_flip_p(values, seed=1)
        assert len({sign_flip_p(values, seed=seed) for seed in range(5)}) > 1

    def test_blocks_of_draws_cover_all_of_them(self) -> None:
        strong = np.random.default_rng(5).normal(1.0, 1.0, 5000)
        assert sign_flip_p(strong) == 1 / 10_000
        assert sign_flip_p(strong - strong.mean()) == 1.0

    @given(npst.arrays(float, st.integers(1, 30), elements=st.floats(-1, 1)))
    def test_it_is_a_probability_and_blind_to_which_arm_is_which(self, values: np.ndarray) -> None:
        p = sign_flip_p(values)
        assert p is not None
        assert 0 < p <= 1
        assert sign_flip_p(-values) == p

    def test_equal_arms_are_called_different_as_often_as_alpha_says(self) -> None:
        rng = np.random.default_rng(6)
        p_values = [sign_flip_p(rng.standard_t(3, 12)) or 0.0 for _ in range(1000)]
        assert 30 <= sum(p <= 0.05 for p in p_values) <= 70  # 50 expected, standard deviation 7

    def test_no_values_have_no_p_value_and_a_single_one_or_zeros_show_nothing(self) -> None:
        assert sign_flip_p([]) is None
        assert sign_flip_p([0.7]) == 1.0
        assert sign_flip_p([0.0, 0.0]) == 1.0

    def test_it_refuses_what_the_estimate_refuses(self) -> None:
        with pytest.raises(ValueError, match="finite"):
            sign_flip_p([float("nan")])
        with pytest.raises(ValueError, match="got 3 for 2 clusters"):
            sign_flip_p([0.1, 0.2], groups=[1, 2, 3])


class TestHolm:
    """Several p-values, one chance of a false call."""

    @pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 30])
    def test_it_adjusts_as_statsmodels_does(self, n: int) -> None:
        p_values = np.random.default_rng(n).beta(0.3, 3.0, n).round(2).tolist()  # some tie
        with patch("gc.collect"):  # by which it takes a hundred times as long
            expected = multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(expected.tolist(), **TIGHT)

    def test_a_single_p_value_stays_and_none_stay_none(self) -> None:
        assert holm([0.03]) == [0.03]
        assert holm([]) == []

    @pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
    def test_what_is_no_probability_is_refused(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm([0.5, wrong])


class TestMeansOfValuesInARange:
    """Intervals of few clusters that stay in the range, and know that few have been seen."""

    @given(
        npst.arrays(np.float64, st.integers(2, 12), elements=st.floats(-1, 1, width=16)),
        st.sampled_from([0.8, 0.95, 0.99]),
    )
    def test_they_stay_in_it_and_have_a_width(self, values: np.ndarray, confidence: float) -> None:
        estimate, low, high = bounds(bounded_mean_interval(values, -1, 1, confidence))
        assert estimate == pytest.approx(values.mean(), abs=1e-12)
        assert -1 - 1e-12 <= low <= estimate + 1e-12
        assert estimate - 1e-12 <= high <= 1 + 1e-12
        assert high > low

    @pytest.mark.parametrize(("hits", "n"), [(3, 3), (0, 3), (7, 10), (1, 2)])
    @pytest.mark.parametrize(("least", "most"), [(0.0, 1.0), (-1.0, 1.0)])
    def test_shares_have_the_exact_one(self, hits: int, n: int, least: float, most: float) -> None:
        exact = reference.binomtest(hits, n).proportion_ci(0.95)
        expected = [least + (most - least) * share for share in (hits / n, exact.low, exact.high)]
        values = [most] * hits + [least] * (n - hits)
        found = bounds(bounded_mean_interval(values, least, most))
        assert found == pytest.approx(expected)

    @pytest.mark.parametrize("n", [3, 8, 20])
    @pytest.mark.parametrize("value", [0.0, 0.4, -1.0])
    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
    def test_equal_values_leave_open_what_has_not_been_seen(
        self, n: int, value: float, share: float
    ) -> None:
        """Of many clusters `share` are worth `value` and the others either end of the range."""
        rng = np.random.default_rng(7)
        for other in (-1.0, 1.0):
            true = share * value + (1 - share) * other
            seen_equal = (rng.random((4000, n)) < share).all(axis=1).mean()
            _, low, high = bounds(bounded_mean_interval([value] * n, -1, 1))
            missed = 0.0 if low <= true <= high else seen_equal
            assert missed <= 0.025 + 0.01

    def test_in_the_middle_of_the_range_it_is_students(self) -> None:
        values = [0.4, 0.5, 0.6, 0.45]
        assert bounded_mean_interval(values, 0, 1) == mean_interval(values)

    def test_one_cluster_has_none_and_what_lies_outside_is_refused(self) -> None:
        assert bounded_mean_interval([1.0], 0, 1) is None
        assert bounded_mean_interval([], 0, 1) is None
        with pytest.raises(ValueError, match="must lie from 0 to 1"):
            bounded_mean_interval([0.5, 1.5], 0, 1)
