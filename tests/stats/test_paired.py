"""Paired differences: their mean, its error and p, and both with one more cluster."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.regression import linear_model

from selectllm.stats.paired import Paired, paired
from tests.support.verdict_cases import CLOSE, differences, ends

d_values = st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=2, max_size=40)
headrooms = st.floats(0.1, 1.0)
ALPHA = 0.05
levels = st.sampled_from([0.001, 0.01, 0.025, 0.05, 0.1])


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
        fit = linear_model.OLS(d, np.ones(30)).fit(
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

    @given(st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=2, max_size=8))
    def test_sign_flips_are_an_exact_test(self, d: list[float]) -> None:
        theirs = reference.permutation_test(
            [np.array(d)], np.sum, permutation_type="samples", n_resamples=2**8
        )
        assert differences(d).p_sign_flip() == pytest.approx(theirs.pvalue, **CLOSE)


def test_rounding_is_no_difference() -> None:
    assert differences([0.3 - (0.1 + 0.2), 1e-15, 1e-9]).nonzero == 1


def test_groups_are_counted_where_there_are_any() -> None:
    assert differences([0.1, 0.2, 0.3], groups=("x", "y", "x")).group_count == 2
    assert differences([0.1, 0.2]).group_count is None


class TestOneMore:
    """What the sample would show, had it held one more cluster (or group) of some value."""

    @given(d_values, headrooms, levels)
    def test_is_student_s_t_of_the_values_and_that_one(
        self, d: list[float], headroom: float, alpha: float
    ) -> None:
        found, longer = differences(d, headroom), np.append(d, -1) / headroom
        if len(set(longer)) == 1:
            assert found.low_with_one_more(alpha) == pytest.approx(longer[0])
            return
        t = reference.ttest_1samp(longer, 0, alternative="greater")
        bound = t.confidence_interval(1 - alpha).low
        assert found.low_with_one_more(alpha) == pytest.approx(max(bound, -1 / headroom), **CLOSE)
        if len(set(d)) > 1:
            alone = reference.ttest_1samp(np.array(d) / headroom, 0, alternative="greater")
            assert found.p_above() == pytest.approx(max(t.pvalue, alone.pvalue), **CLOSE)

    @pytest.mark.parametrize("sizes", [[3, 3, 3, 3, 3], [1, 1, 4], [4, 4, 4, 12]])
    def test_of_groups_is_a_group_as_large_as_that_of_an_average_cluster(
        self, sizes: list[int]
    ) -> None:
        rng = np.random.default_rng(len(sizes))
        labels = np.repeat(np.arange(len(sizes)), sizes)
        d = rng.uniform(-1, 1, len(labels))
        more = round(np.square(sizes).sum() / sum(sizes))
        fit = linear_model.OLS(np.append(d, [-1] * more), np.ones(len(d) + more)).fit(
            cov_type="cluster",
            cov_kwds={"groups": np.append(labels, [len(sizes)] * more)},
            use_t=True,
        )
        found = differences(d, 0.5, groups=tuple(labels.tolist())).with_one_more(-1)
        assert (found.mean, found.df) == (pytest.approx(fit.params[0] / 0.5), len(sizes))
        # statsmodels also multiplies by (n - 1) / (n - 1): one coefficient.
        assert found.std_error == pytest.approx(fit.bse[0] / 0.5, **CLOSE)

    @given(d_values, levels)
    def test_groups_of_one_cluster_are_no_groups(self, d: list[float], alpha: float) -> None:
        alone, grouped = differences(d), differences(d, groups=tuple(range(len(d))))
        assert grouped.low_with_one_more(alpha) == alone.low_with_one_more(alpha)
        assert grouped.p_above(-0.1) == alone.p_above(-0.1)

    @given(st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 5)), min_size=2), st.randoms())
    def test_groups_may_have_any_names_and_clusters_any_order(
        self, rows: list[tuple[int, int]], random: Random
    ) -> None:
        shuffled = random.sample(rows, len(rows))
        names = tuple(f"g{group}" for _, group in shuffled)
        one = differences([d / 8 for d, _ in rows], groups=tuple(group for _, group in rows))
        other = differences([d / 8 for d, _ in shuffled], groups=names)
        assert other.low_with_one_more(ALPHA) == pytest.approx(
            one.low_with_one_more(ALPHA), **CLOSE
        )

    @given(d_values, headrooms)
    def test_mirrors_when_the_arms_change_places(self, d: list[float], headroom: float) -> None:
        found, mirrored = (differences(each, headroom) for each in (d, [-each for each in d]))
        low, high = found.low_with_one_more(ALPHA), mirrored.high_with_one_more(ALPHA)
        assert low == pytest.approx(-high, **CLOSE)
        assert found.p_above(0.1) == pytest.approx(mirrored.p_below(-0.1), **CLOSE)

    @given(d_values, st.floats(-3, -1), st.floats(-3, -1), levels)
    def test_the_worse_it_could_go_the_less_is_shown(
        self, d: list[float], one: float, other: float, alpha: float
    ) -> None:
        worse, milder = (
            differences(d, least=least, most=3.0) for least in (min(one, other), max(one, other))
        )
        rounding = 1e-9
        assert worse.low_with_one_more(alpha) <= milder.low_with_one_more(alpha) + rounding
        if worse.p_above() < 0.1:  # where it is anything but shown, its size means nothing
            assert milder.p_above() <= worse.p_above() + rounding

    def test_no_bound_lies_beyond_what_is_possible(self) -> None:
        found = differences([0.1, 0.2], 0.5)
        assert found.low_with_one_more(1e-6) == -2.0
        assert found.low_with_one_more(0.0) == -2.0
        assert found.high_with_one_more(0.0) == 2.0

    def test_where_there_is_no_estimate_nothing_is_shown(self) -> None:
        assert differences([1.0]).p_above() == differences([1.0]).p_below() == 1.0
        assert differences([1.0, 1.0], groups=("x", "x")).p_above() == 1.0
        with pytest.raises(ValueError, match="no cluster"):
            differences([]).with_one_more(-1)

    def test_rare_large_losses_fool_the_t_test_and_not_this_one(self) -> None:
        rng = np.random.default_rng(7)
        samples = np.where(rng.random((500, 60)) < 0.02, -0.9, 0.9 * 0.02 / 0.98)  # of mean 0
        fooled = [each for each in map(differences, samples) if by_t(each) < ALPHA]
        wrong = [each for each in fooled if each.p_above() < ALPHA]
        assert len(fooled) > 75  # three times the 25 that it promises
        assert len(wrong) <= 25

    def test_a_group_that_loses_is_as_rare_as_it_may_be(self) -> None:
        """One group in 12 loses .7: of 10 groups, none of which may have been seen."""
        rng, groups = np.random.default_rng(8), np.repeat(np.arange(10), 11)
        effects = np.where(rng.random((300, 10)) < 1 / 12, -0.7, 0.7 / 11)
        values = effects[:, groups] + rng.normal(0, 0.3, (300, 110))
        found = [differences(row, groups=tuple(groups.tolist())) for row in values]
        assert sum(by_t(each) < ALPHA for each in found) > 60
        assert not any(each.p_above() < ALPHA for each in found)


def by_t(found: Paired) -> float:
    estimate = found.estimate()
    assert estimate is not None
    return estimate.p_above()
