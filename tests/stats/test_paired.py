"""Paired differences: their mean, its error and p, and the bounds that hold at any size."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from selectllm.stats.paired import FEW_CLUSTERS, FEW_NONZERO, Paired, paired
from tests.support.verdict_cases import CLOSE, differences, ends

unhurried = settings(deadline=None)  # a busy machine is no failure
d_values = st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=2, max_size=40)
headrooms = st.floats(0.1, 1.0)
ALPHA = 0.05


def spread(n: int, mean: float = 0.0, seed: int = 0) -> Paired:
    """Clusters that all differ, with sd .2."""
    d = np.random.default_rng(seed).normal(size=n)
    return differences(mean + 0.2 * (d - d.mean()) / d.std(), headroom=0.5)


class TestPairing:
    """From G by cluster of both arms, and r, to differences."""

    a = {7: 0.2, 3: 0.5, 5: 1.0}
    b = {7: 0.3, 3: 0.5, 5: 0.4}
    chance = {7: 0.5, 3: 0.4, 5: 0.6}

    def test_each_cluster_gives_b_minus_a_in_the_order_of_asking(self) -> None:
        found = paired(self.a, self.b, self.chance, [5, 7, 3])
        assert found is not None
        assert found.values == pytest.approx([-0.6, 0.1, 0.0])
        assert found.headroom == pytest.approx([0.4, 0.5, 0.6])

    def test_clusters_that_decide_nothing_are_left_out(self) -> None:
        found = paired(self.a, self.b, {3: 0.4}, [5, 7, 3])
        assert found is not None
        assert len(found) == 1
        assert paired(self.a, self.b, {}, [5, 7, 3]) is None

    def test_groups_follow_the_clusters(self) -> None:
        groups = {3: "x", 5: "y", 7: "x"}
        found = paired(self.a, self.b, self.chance, [5, 7, 3], groups)
        assert found is not None
        assert found.groups == ("y", "x", "x")
        assert found.first(2).groups == ("y", "x")

    def test_a_cluster_that_an_arm_lacks_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            paired({}, self.b, self.chance, [5, 7, 3])

    def test_the_mean_is_the_difference_of_what_the_arms_captured(self) -> None:
        found = paired(self.a, self.b, self.chance, [3, 5, 7])
        assert found is not None

        def captured(gain: dict[int, float]) -> float:
            lift = sum(gain[c] - self.chance[c] for c in gain)
            return lift / sum(1 - r for r in self.chance.values())

        estimate = found.estimate()
        assert estimate is not None
        assert estimate.mean == pytest.approx(captured(self.b) - captured(self.a), **CLOSE)


class TestEstimate:
    """Against scipy and statsmodels, in the unit of report."""

    @unhurried
    @given(d_values, headrooms)
    def test_is_student_s_t_of_the_mean(self, d: list[float], headroom: float) -> None:
        estimate = differences(d, headroom).estimate()
        assert estimate is not None
        assert estimate.mean == pytest.approx(np.mean(d) / headroom, **CLOSE)
        if len(set(d)) > 1:
            low, high = reference.ttest_1samp(np.array(d) / headroom, 0).confidence_interval(0.95)
            assert ends(estimate.interval())[1:] == pytest.approx((low, high), **CLOSE)
            p = reference.ttest_1samp(d, 0).pvalue
            assert estimate.p_two_sided() == pytest.approx(p, **CLOSE)

    def test_clusters_of_a_group_are_allowed_to_depend_on_each_other(self) -> None:
        d = np.random.default_rng(1).normal(size=30) / 5
        groups = tuple(number % 7 for number in range(30))
        fit = sm.OLS(d, np.ones(30)).fit(
            cov_type="cluster", cov_kwds={"groups": np.array(groups)}, use_t=True
        )
        estimate = differences(d, groups=groups).estimate()
        assert estimate is not None
        # statsmodels also multiplies by (n - 1) / (n - 1): one coefficient.
        assert estimate.std_error == pytest.approx(fit.bse[0], **CLOSE)
        assert ends(estimate.interval())[1:] == pytest.approx(fit.conf_int()[0], **CLOSE)

    def test_one_cluster_or_group_has_none(self) -> None:
        assert differences([0.3]).estimate() is None
        assert differences([0.3, 0.1], groups=("x", "x")).estimate() is None

    def test_sd_is_that_of_the_sample_in_the_unit_of_report(self) -> None:
        d = [0.1, -0.2, 0.4]
        assert differences(d, 0.5).sd == pytest.approx(reference.tstd(d) / 0.5)
        assert np.isnan(differences([0.1]).sd)

    @unhurried
    @given(st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=2, max_size=8))
    def test_sign_flips_are_an_exact_test(self, d: list[float]) -> None:
        theirs = reference.permutation_test(
            [np.array(d)], np.sum, permutation_type="samples", n_resamples=2**8
        )
        assert differences(d).p_sign_flip() == pytest.approx(theirs.pvalue, **CLOSE)


class TestFew:
    """When a t interval is not to be trusted."""

    @pytest.mark.parametrize(
        ("clusters", "nonzero", "few"),
        [
            (FEW_CLUSTERS - 1, FEW_CLUSTERS - 1, True),
            (FEW_CLUSTERS, FEW_NONZERO - 1, True),
            (FEW_CLUSTERS, FEW_NONZERO, False),
            (5000, FEW_NONZERO - 1, True),
            (5000, 0, True),
        ],
    )
    def test_below_100_clusters_or_20_that_differ(
        self, clusters: int, nonzero: int, few: bool
    ) -> None:
        found = differences([0.5] * nonzero + [0.0] * (clusters - nonzero))
        assert (len(found), found.nonzero, found.few) == (clusters, nonzero, few)

    def test_rounding_is_no_difference(self) -> None:
        assert differences([0.3 - (0.1 + 0.2), 1e-15, 1e-9]).nonzero == 1

    def test_the_first_clusters_may_be_few(self) -> None:
        assert not spread(200).few
        assert spread(200).first(99).few


class TestAboveZero:
    """One-sided: by t, and by the bet too where there is little to go by."""

    def test_of_many_clusters_t_decides(self) -> None:
        se = 0.2 / np.sqrt(199)  # the builder's sd is that of the sample
        bar = reference.t.isf(ALPHA, 199)
        assert spread(200, 1.001 * bar * se).above_zero(ALPHA)
        assert not spread(200, 0.999 * bar * se).above_zero(ALPHA)
        assert not spread(200, -0.5).above_zero(ALPHA)

    def test_of_few_the_bet_must_agree(self) -> None:
        estimate = spread(60, 0.05).estimate()
        assert estimate is not None
        assert estimate.p_above() < ALPHA
        assert not spread(60, 0.05).above_zero(ALPHA)
        assert spread(60, 0.2).above_zero(ALPHA)

    def test_one_cluster_shows_nothing(self) -> None:
        assert not differences([1.0]).above_zero(ALPHA)


class TestBets:
    """Bounds that hold at any size."""

    @unhurried
    @given(d_values, headrooms)
    def test_lie_on_both_sides_of_the_mean_and_within_what_is_possible(
        self, d: list[float], headroom: float
    ) -> None:
        found, mean = differences(d, headroom), np.mean(d) / headroom
        least = np.array([-1 / headroom, found.bet_low(ALPHA), mean, found.bet_high(ALPHA)])
        most = np.append(least[1:], 1 / headroom)
        assert (least <= most + 1e-12).all()

    @unhurried
    @given(d_values)
    def test_mirror_when_the_arms_change_places(self, d: list[float]) -> None:
        found, mirrored = differences(d), differences([-each for each in d])
        assert found.bet_low(ALPHA) == pytest.approx(-mirrored.bet_high(ALPHA), abs=1e-12)

    @unhurried
    @given(d_values, headrooms)
    def test_are_in_the_unit_of_report(self, d: list[float], headroom: float) -> None:
        wide, narrow = differences(d, 1.0), differences(d, headroom)
        assert narrow.bet_low(ALPHA) == pytest.approx(wide.bet_low(ALPHA) / headroom, **CLOSE)

    @unhurried
    @given(d_values)
    def test_take_a_group_of_equal_clusters_for_one(self, d: list[float]) -> None:
        groups = tuple(range(len(d)))
        twice = differences(np.repeat(d, 2), groups=tuple(np.repeat(groups, 2).tolist()))
        assert twice.bet_low(ALPHA) == pytest.approx(differences(d).bet_low(ALPHA), **CLOSE)
        assert differences(d, groups=groups).bet_low(ALPHA) == pytest.approx(
            differences(d).bet_low(ALPHA), **CLOSE
        )

    def test_of_uneven_groups_are_near_the_mean_if_there_are_many(self) -> None:
        sizes = np.tile([1, 2, 5], 400)
        found = differences(np.full(3200, 0.4), groups=tuple(np.repeat(range(1200), sizes)))
        assert 0.3 < found.bet_low(ALPHA) <= 0.4
        assert 0.4 <= found.bet_high(ALPHA) < 0.5

    def test_of_uneven_groups_seldom_lie_above_the_truth(self) -> None:
        rng = np.random.default_rng(3)
        sizes = np.tile([1, 2, 5], 20)
        groups = tuple(np.repeat(np.arange(60), sizes).tolist())
        above = 0
        for _ in range(200):
            shared = np.where(rng.random(60) < 0.9, 1 / 9, -1.0)  # of mean 0
            above += differences(np.repeat(shared, sizes), groups=groups).bet_low(ALPHA) > 0
        assert above <= 200 * ALPHA
