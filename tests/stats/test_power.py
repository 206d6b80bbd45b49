"""Power: statsmodels' numbers, the three questions agree, and bisection finds any threshold."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.power import TTestPower

from selectllm.stats.power import (
    clusters_needed,
    clusters_to_decide,
    detectable,
    least_integer,
    power,
    threshold,
)

ALTERNATIVE = {1: "larger", 2: "two-sided"}
effects = st.floats(0.001, 2.0)
spreads = st.floats(0.05, 1.0)
levels = st.sampled_from([0.001, 0.01, 0.05, 0.1])
sides_of_a_test = st.sampled_from([1, 2])


def statsmodels_power(effect: float, sd: float, n: int, alpha: float, sides: int) -> float:
    return float(TTestPower().power(effect / sd, n, alpha, alternative=ALTERNATIVE[sides]))


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.1])
@pytest.mark.parametrize("sides", [1, 2])
def test_the_power_is_that_of_statsmodels(alpha: float, sides: int) -> None:
    for effect, n in product((0.002, 0.02, 0.04), (2, 3, 14, 100, 1000)):
        expected = statsmodels_power(effect, 0.35, n, alpha, sides)
        assert power(effect, 0.35, n, alpha, sides) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("sides", [1, 2])
def test_the_clusters_needed_are_those_of_statsmodels_rounded_up(sides: int) -> None:
    for sd, effect in product((0.1, 0.21, 0.35), (0.02, 0.03, 0.05, 0.1)):
        exact = TTestPower().solve_power(effect / sd, None, 0.05, 0.8, ALTERNATIVE[sides])
        assert clusters_needed(effect, sd, 0.05, sides=sides) == math.ceil(exact)


@pytest.mark.parametrize("n", [2, 5, 30, 1000])
@pytest.mark.parametrize("sides", [1, 2])
def test_the_detectable_effect_has_the_power_asked_for_by_statsmodels(n: int, sides: int) -> None:
    effect = detectable(0.21, n, 0.05, power=0.9, sides=sides)
    assert statsmodels_power(effect, 0.21, n, 0.05, sides) == pytest.approx(0.9, rel=1e-9)


@given(effects, spreads, levels, sides_of_a_test)
def test_one_cluster_fewer_than_needed_is_too_few(
    effect: float, sd: float, alpha: float, sides: int
) -> None:
    n = clusters_needed(effect, sd, alpha, sides=sides)
    assert power(effect, sd, n, alpha, sides) >= 0.8
    assert n == 2 or power(effect, sd, n - 1, alpha, sides) < 0.8


@given(effects, spreads, st.integers(2, 5000), levels, sides_of_a_test)
def test_power_grows_with_clusters_and_effect_and_is_a_probability(
    effect: float, sd: float, n: int, alpha: float, sides: int
) -> None:
    here = power(effect, sd, n, alpha, sides)
    rounding = 1e-12
    assert alpha / sides * (1 - rounding) <= here <= 1
    assert power(effect, sd, n + 1, alpha, sides) >= here - rounding
    assert power(2 * effect, sd, n, alpha, sides) >= here - rounding
    assert power(-effect, sd, n, alpha, sides) == here


@pytest.mark.parametrize("sides", [1, 2])
def test_at_a_million_clusters_the_normal_distribution_rules(sides: int) -> None:
    z = reference.norm.isf(0.05 / sides) + reference.norm.isf(0.2)
    assert detectable(0.35, 10**6, 0.05, sides=sides) == pytest.approx(z * 0.35 / 1e3, rel=1e-5)
    assert clusters_needed(0.0009, 0.35, 0.05, sides=sides) == pytest.approx(
        (z * 0.35 / 0.0009) ** 2, rel=1e-5
    )
    assert power(0.001, 0.35, 10**6, 0.05, sides) == pytest.approx(
        reference.norm.sf(reference.norm.isf(0.05 / sides) - 1 / 0.35), rel=1e-4
    )


@pytest.mark.parametrize("effect", [0.1, 0.15, 0.3])
def test_a_power_near_one_is_that_of_the_upper_tail_alone(effect: float) -> None:
    upper = reference.nct.sf(reference.t.isf(0.025, 99), 99, 10 * effect / 0.35)
    assert power(effect, 0.35, 100, 0.05) == pytest.approx(upper, abs=1e-6)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 10**6), (1.0, 1000), (40.0, 30), (1e9, 2)])
def test_what_no_test_could_miss_has_power_one(effect: float, n: int) -> None:
    assert power(effect, 1.0, n, 0.05) == pytest.approx(1.0, abs=1e-6)


def test_with_two_clusters_and_a_tiny_alpha_only_the_spread_estimate_matters() -> None:
    bar = reference.t.isf(5e-7, 1)  # about 636,619
    effect = bar * reference.norm.isf(0.1) / math.sqrt(2)  # P(|z| < 1.28) is 0.8
    assert power(effect, 1.0, 2, 1e-6) == pytest.approx(0.8, abs=1e-6)


def test_no_effect_is_found_as_often_as_alpha_says() -> None:
    assert power(0.0, 0.3, 50, 0.05) == 0.05
    assert power(1e-12, 0.3, 50, 0.05) == pytest.approx(0.05)
    assert power(0.0, 0.0, 50, 0.05) == 0.05


def test_without_spread_two_clusters_show_any_effect() -> None:
    assert power(0.01, 0.0, 2, 0.05) == 1.0
    assert clusters_needed(0.01, 0.0, 0.05) == 2
    assert detectable(0.0, 2, 0.05) == 0.0


def test_below_two_clusters_there_is_no_test() -> None:
    assert power(1.0, 0.1, 1, 0.05) == 0.0
    assert detectable(0.1, 1, 0.05) == math.inf


def test_a_power_that_alpha_alone_gives_needs_no_effect() -> None:
    assert detectable(0.2, 10, 0.1, power=0.05) == 0.0


def test_no_number_of_clusters_finds_an_effect_of_zero() -> None:
    with pytest.raises(ValueError, match="effect of 0"):
        clusters_needed(0.0, 0.2, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_a_level_outside_zero_and_a_half_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        power(0.1, 0.2, 10, alpha)


@pytest.mark.parametrize("wanted", [0.0, 1.0, 80.0])
def test_a_power_outside_zero_and_one_is_refused(wanted: float) -> None:
    with pytest.raises(ValueError, match="power"):
        clusters_needed(0.1, 0.2, 0.05, power=wanted)
    with pytest.raises(ValueError, match="power"):
        detectable(0.2, 10, 0.05, power=wanted)


def test_a_test_has_one_side_or_two() -> None:
    with pytest.raises(ValueError, match="1 or 2 sides, got 3"):
        power(0.1, 0.2, 10, 0.05, sides=3)


@pytest.mark.parametrize(("effect", "sd"), [(math.nan, 0.1), (0.1, -0.1), (0.1, math.inf)])
def test_an_effect_or_spread_that_is_no_number_is_refused(effect: float, sd: float) -> None:
    with pytest.raises(ValueError, match="sd of 0 or more"):
        power(effect, sd, 10, 0.05)


# Bisection


@given(st.floats(0, 0.999))
def test_a_threshold_lies_between_the_two_numbers_found(edge: float) -> None:
    fails, holds = threshold(lambda x: x > edge, 0.0, 1.0)
    assert fails <= edge < holds
    assert holds - fails < 1e-15


@given(st.integers(-50, 50), st.integers(0, 10**9))
def test_the_least_integer_is_found_from_the_start_on(start: int, further: int) -> None:
    assert least_integer(lambda n: n >= start + further, start) == start + further


def test_a_condition_that_holds_at_the_start_is_asked_once() -> None:
    asked: list[int] = []
    assert least_integer(lambda n: not asked.append(n), 7) == 7
    assert asked == [7]


@pytest.mark.parametrize("least", [10, 1000, 10**6])
def test_few_questions_are_enough(least: int) -> None:
    asked: list[int] = []
    assert least_integer(lambda n: not asked.append(n) and n >= least, 0) == least
    assert len(asked) <= 3 * least.bit_length()


class TestWithOneMore:
    """The power of the rule that one more cluster, as far against the effect as can be, holds."""

    @pytest.mark.parametrize(
        ("effect", "sd", "n", "alpha", "extreme"),
        [
            (0.2, 0.2, 20, 0.05, 1.0),
            (0.056, 0.2, 100, 0.05, 1.0),
            (0.12, 0.35, 60, 0.025, 2.0),
            (0.9, 0.1, 5, 0.05, 1.0),
        ],
    )
    def test_is_that_of_samples_tested_one_by_one(
        self, effect: float, sd: float, n: int, alpha: float, extreme: float
    ) -> None:
        x = np.random.default_rng(n).normal(effect, sd, (20_000, n))
        more = np.column_stack((x, np.full(len(x), -extreme)))
        p, p_more = (
            reference.ttest_1samp(each, 0, axis=1, alternative="greater").pvalue
            for each in (x, more)
        )
        shown = float(np.mean(np.maximum(p, p_more) < alpha))
        assert power(effect, sd, n, alpha, 1, extreme) == pytest.approx(shown, abs=0.012)

    def test_without_spread_it_is_a_matter_of_arithmetic(self) -> None:
        # (n m - W - t (m + W)) / (n + 1) is above 0: t is 1.692 on 33 degrees, 1.694 on 32.
        assert clusters_needed(0.08, 0.0, 0.05, sides=1, extreme=0.92) == 33
        assert (1.694 + 1) / 33 > 0.08 > (1.692 + 1) / 34

    @given(effects, spreads, st.integers(2, 500), levels, sides_of_a_test)
    def test_is_less_the_worse_it_can_go_and_never_more_than_that_of_t(
        self, effect: float, sd: float, n: int, alpha: float, sides: int
    ) -> None:
        found = [power(effect, sd, n, alpha, sides, extreme) for extreme in (3.0, 1.0, 0.5)]
        assert found == sorted(found)
        assert found[-1] <= power(effect, sd, n, alpha, sides) + 1e-4

    @pytest.mark.parametrize("sides", [1, 2])
    def test_what_is_detectable_is_found_so_often_and_needs_so_many(self, sides: int) -> None:
        effect = detectable(0.4, 150, 0.05, sides=sides, extreme=2.0)
        assert power(effect, 0.4, 150, 0.05, sides, 2.0) == pytest.approx(0.8)
        assert clusters_needed(effect, 0.4, 0.05, sides=sides, extreme=2.0) == 150
        assert effect > detectable(0.4, 150, 0.05, sides=sides)

    def test_too_few_units_show_nothing_that_is_possible(self) -> None:
        assert detectable(0.0, 3, 0.05, extreme=2.0) == math.inf
        assert power(1.9, 0.0, 3, 0.05, 2, 2.0) == 0.0

    def test_to_decide_takes_more_than_by_t_alone(self) -> None:
        by_t = clusters_to_decide(0.02, 0.1, 0.4, 0.05)
        found = clusters_to_decide(0.02, 0.1, 0.4, 0.05, extreme=2.0)
        assert by_t is not None
        assert found is not None
        assert by_t < found < 2 * by_t

    def test_a_distance_below_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="most extreme value"):
            power(0.1, 0.2, 10, 0.05, 1, -1.0)
