"""A mean of human ratings helped by a judge: against ppi-python, scipy and statsmodels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from sklearn.covariance import empirical_covariance
from statsmodels.regression import linear_model

from selectllm.core.arrays import Floats, Ints
from selectllm.stats.assisted import AssistedPaired, rated_needed
from selectllm.stats.intervals import ratio_estimate
from selectllm.stats.paired import Paired
from selectllm.stats.prediction_powered import (
    AssistedMean,
    cross_fitted,
    prediction_powered,
)

CLOSE = 1e-9
seeds = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def ppi() -> Any:
    """The reference implementation of the authors of the method."""
    import ppi_py

    return ppi_py


def drawn(
    seed: int, n: int = 40, of: int = 300, correlation: float = 0.7
) -> tuple[Floats, Floats, Ints]:
    """Human values of a sample, the judge's of all, and which the sample is."""
    rng = np.random.default_rng(seed)
    judge = rng.normal(0.1, 0.3, of)
    human = correlation * judge + rng.normal(0, 0.3 * (1 - correlation**2) ** 0.5, of)
    sample = rng.permutation(of)[:n]
    return human[sample], judge, sample


def with_tuning(human: Floats, judge: Floats, sample: Ints, tuning: float) -> AssistedMean:
    return AssistedMean(human, judge, sample, np.full(len(human), tuning))


class TestAgainstReferences:
    """Estimate, standard error, degrees of freedom, tuning."""

    @pytest.mark.parametrize("tuning", [0.0, 0.35, 1.0])
    def test_the_estimate_is_that_of_ppi_python(self, ppi: Any, tuning: float) -> None:
        for seed in range(5):
            human, judge, sample = drawn(seed)
            found = with_tuning(human, judge, sample, tuning)
            estimate = found.estimate()
            rest = judge[found.rest]
            theirs = ppi.ppi_mean_pointestimate(human, judge[sample], rest, lam=found.weight)
            assert estimate is not None
            assert estimate.mean == pytest.approx(float(np.squeeze(theirs)), abs=CLOSE)

    def test_the_standard_error_is_that_of_ppi_python(self, ppi: Any) -> None:
        human, judge, sample = drawn(1)
        found = with_tuning(human, judge, sample, 0.6)
        rest = judge[found.rest]
        low, high = ppi.ppi_mean_ci(human, judge[sample], rest, alpha=0.05, lam=found.weight)
        z = reference.norm.ppf(0.975)
        theirs = float(np.squeeze(high - low)) / 2 / z
        # ppi-python divides by n where an unbiased variance divides by n - 1.
        own = np.var(human - found.weight * judge[sample]) / len(human)
        beside = np.var(found.weight * rest) / len(rest)
        assert theirs == pytest.approx((own + beside) ** 0.5, abs=CLOSE)
        ours = found.estimate()
        assert ours is not None
        unbiased = own * len(human) / (len(human) - 1) + beside * len(rest) / (len(rest) - 1)
        assert ours.std_error == pytest.approx(unbiased**0.5, abs=CLOSE)

    @given(seeds, st.floats(0.01, 1), st.integers(3, 60))
    def test_interval_and_p_are_those_of_welch_s_test_in_scipy(
        self, seed: int, tuning: float, n: int
    ) -> None:
        human, judge, sample = drawn(seed, n)
        found = with_tuning(human, judge, sample, tuning)
        corrected, rest = human - found.weight * judge[sample], -found.weight * judge[found.rest]
        test = reference.ttest_ind(corrected, rest, equal_var=False)
        ours = found.estimate()
        assert ours is not None
        assert ours.df == pytest.approx(test.df, rel=CLOSE)
        assert ours.mean / ours.std_error == pytest.approx(test.statistic, rel=1e-8)
        assert ours.p_two_sided() == pytest.approx(test.pvalue, rel=1e-8)
        interval, theirs = ours.interval(0.95), test.confidence_interval(0.95)
        assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), abs=CLOSE)

    def test_the_tuning_of_a_fold_is_the_slope_of_statsmodels_in_the_others(self) -> None:
        human, judge, sample = drawn(3)
        of_fold = np.arange(len(human)) % 5
        tuning = cross_fitted(human, judge[sample], of_fold)
        for fold in range(5):
            others = of_fold != fold
            design = np.column_stack((np.ones(others.sum()), judge[sample][others]))
            slope = linear_model.OLS(human[others], design).fit().params[1]
            assert 0 < slope < 1
            assert tuning[of_fold == fold] == pytest.approx(slope, abs=CLOSE)

    def test_without_folds_the_tuning_is_the_least_variance_of_ppi_python(self, ppi: Any) -> None:
        human, judge, sample = drawn(4)
        least = reference.linregress(judge[sample], human).slope
        weights = np.linspace(0, 1, 401)
        spread = [with_tuning(human, judge, sample, w).estimate() for w in weights]
        best = weights[int(np.argmin([each.std_error for each in spread if each]))]
        assert best == pytest.approx(least, abs=0.12)  # whose judge varies as in the sample
        theirs = float(
            np.squeeze(ppi.ppi_mean_pointestimate(human, judge[sample], np.delete(judge, sample)))
        )
        ours = prediction_powered(human, judge, sample, tail=0).estimate()
        assert ours is not None
        assert ours.mean == pytest.approx(theirs, abs=0.02)

    def test_a_cross_fitted_estimate_is_the_mean_of_its_folds_in_ppi_python(self, ppi: Any) -> None:
        human, judge, sample = drawn(5, n=50)
        found = prediction_powered(human, judge, sample, tail=0)
        rest, total = judge[found.rest], 0.0
        for tuning in np.unique(found.tuning):
            fold = found.tuning == tuning
            weight = tuning * len(rest) / len(judge)
            theirs = ppi.ppi_mean_pointestimate(human[fold], judge[sample][fold], rest, lam=weight)
            total += float(np.squeeze(theirs)) * fold.sum()
        ours = found.estimate()
        assert len(np.unique(found.tuning)) == 10
        assert ours is not None
        assert ours.mean == pytest.approx(total / len(human), abs=CLOSE)

    def test_groups_are_the_sandwich_of_statsmodels(self) -> None:
        human, judge, sample = drawn(6, n=120)
        groups = tuple((np.arange(300) // 12).tolist())
        found = AssistedMean(human, judge, sample, np.full(120, 0.5), groups)
        # Two means whose difference is the estimate: of what is corrected, and of the rest.
        y = np.append(human - found.weight * judge[sample], found.weight * judge[found.rest])
        first = np.append(np.ones(120), np.zeros(180))
        labels = np.array(groups)[np.append(sample, found.rest)]
        assert len(set(labels[:120])) == 25
        design = np.column_stack((first, 1 - first))
        fit = linear_model.OLS(y, design).fit(
            cov_type="cluster",
            cov_kwds={"groups": labels, "use_correction": False, "df_correction": False},
        )
        both = fit.t_test(np.array([[1.0, 1.0]]))
        ours = found.estimate()
        assert ours is not None
        assert ours.mean == pytest.approx(float(both.effect[0]), abs=CLOSE)
        theirs = float(np.squeeze(both.sd)) * (25 / 24) ** 0.5
        assert ours.std_error == pytest.approx(theirs, abs=CLOSE)
        assert ours.df == 24

    def test_the_correlation_is_pearson_s(self) -> None:
        human, judge, sample = drawn(7)
        found = prediction_powered(human, judge, sample, tail=0)
        cov = empirical_covariance(np.column_stack((human, judge[sample])))
        expected = cov[0, 1] / (cov[0, 0] * cov[1, 1]) ** 0.5
        assert found.correlation == pytest.approx(expected, abs=CLOSE)


class TestWhatAJudgeCannotDo:
    """Whatever it says, the human ratings decide."""

    @pytest.mark.parametrize("what", ["constant", "opposite", "none beside the sample"])
    def test_a_useless_judge_leaves_people_alone(self, what: str) -> None:
        human, judge, sample = drawn(8)
        if what == "constant":
            judge = np.full_like(judge, 0.4)
        elif what == "opposite":
            judge = -judge
        else:
            judge, sample = judge[sample], np.arange(len(human))
        ours = prediction_powered(human, judge, sample).estimate()
        alone = Paired(human, np.ones(len(human))).estimate()
        assert ours is not None
        assert alone is not None
        assert (ours.mean, ours.std_error, ours.df) == pytest.approx(
            (alone.mean, alone.std_error, alone.df)
        )

    @given(seeds, st.floats(-5, 5))
    def test_a_judge_that_rates_all_higher_changes_nothing(self, seed: int, more: float) -> None:
        human, judge, sample = drawn(seed)
        ours, moved = (
            prediction_powered(human, each, sample).estimate() for each in (judge, judge + more)
        )
        assert ours is not None
        assert moved is not None
        assert moved.mean == pytest.approx(ours.mean, abs=CLOSE)
        assert moved.std_error == pytest.approx(ours.std_error, abs=CLOSE)

    def test_what_it_says_of_few_clusters_moves_nothing(self) -> None:
        """Fewer than three in a sample's worth: no human rating may have tested them."""
        human, judge, sample = drawn(9, n=60, of=600)
        rest = np.setdiff1d(np.arange(600), sample)
        wild = judge.copy()
        wild[rest[:20]] = judge.max() + 1
        ends = [prediction_powered(human, each, sample).judge for each in (judge, wild)]
        assert ends[1].max() < judge.max()
        raw = prediction_powered(human, wild, sample, tail=0).estimate()
        drawn_in = prediction_powered(human, wild, sample).estimate()
        plain = prediction_powered(human, judge, sample).estimate()
        assert raw is not None
        assert drawn_in is not None
        assert plain is not None
        assert abs(drawn_in.mean - plain.mean) < abs(raw.mean - plain.mean) / 3

    def test_the_mean_over_all_samples_is_that_of_people(self) -> None:
        """Of a judge that is far off: by brute force over many samples of one population."""
        rng = np.random.default_rng(0)
        human = rng.normal(0.2, 0.3, 80)
        judge = 0.6 * human + 0.5 + rng.normal(0, 0.2, 80)
        means = []
        for _ in range(1500):
            sample = rng.permutation(80)[:20]
            found = prediction_powered(human[sample], judge, sample).estimate()
            assert found is not None
            means.append(found.mean)
        error = np.std(means) / len(means) ** 0.5
        assert np.mean(means) == pytest.approx(human.mean(), abs=4 * error)


class TestOneMore:
    """Had people rated one more cluster."""

    def test_it_is_welch_s_test_of_one_value_more(self) -> None:
        human, judge, sample = drawn(10)
        found = with_tuning(human, judge, sample, 0.5)
        more = np.append(found.corrected, -1.0)
        rest = found.weight * (judge[found.rest] - judge[found.rest].mean())
        test = reference.ttest_ind(more, rest, equal_var=False)
        ours = found.with_one_more(-1.0)
        assert (ours.mean, ours.df) == pytest.approx((more.mean(), test.df), rel=CLOSE)
        assert ours.mean / ours.std_error == pytest.approx(test.statistic, rel=1e-8)

    def test_without_a_judge_it_is_that_of_paired(self) -> None:
        human, judge, sample = drawn(11)
        for groups in (None, tuple((np.arange(300) % 20).tolist())):
            of_sample = None if groups is None else tuple(groups[place] for place in sample)
            ours = AssistedMean(human, judge, sample, np.zeros(40), groups).with_one_more(-1.0)
            plain = Paired(human, np.ones(40), of_sample).with_one_more(-1.0)
            assert (ours.mean, ours.std_error, ours.df) == pytest.approx(
                (plain.mean, plain.std_error, plain.df), rel=CLOSE
            )

    def test_a_paired_comparison_tells_it_in_its_unit(self) -> None:
        human, judge, sample = drawn(12)
        paired = AssistedPaired(human, np.full(40, 0.5), judge=judge, sample=sample)
        mean, ours = prediction_powered(human, judge, sample), paired.estimate()
        plain = mean.estimate()
        assert ours is not None
        assert plain is not None
        assert ours.mean == pytest.approx(2 * plain.mean)
        assert paired.with_one_more(-1.0).mean == pytest.approx(2 * mean.with_one_more(-1.0).mean)
        assert paired.p_sign_flip() is None
        assert paired.p_above() >= ours.p_above()
        with pytest.raises(NotImplementedError):
            paired.first(3)

    def test_with_flat_clusters_the_error_is_that_of_a_ratio(self) -> None:
        """Without a judge: what intervals.ratio_estimate says, statsmodels' HC1 behind it."""
        human, _, sample = drawn(15)
        human = human + 0.3
        headroom = np.full(40, 0.5)
        human[:12] = headroom[:12] = 0
        paired = AssistedPaired(human, headroom, judge=np.zeros(300), sample=sample)
        ours, theirs = paired.estimate(), ratio_estimate(human, headroom)
        assert ours is not None
        assert theirs is not None
        assert (ours.mean, ours.std_error, ours.df) == pytest.approx(
            (theirs.mean, theirs.std_error, theirs.df), rel=CLOSE
        )


class TestInput:
    """What is refused, and what cannot be told."""

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"sample": np.array([0, 0, 1])}, "distinct"),
            ({"sample": np.array([0, 1, 9])}, "distinct"),
            ({"sample": np.array([0, 1])}, "as many positions"),
            ({"human": np.array([0.1, np.nan, 0.2])}, "finite"),
            ({"groups": ["a"]}, "a group per cluster"),
        ],
    )
    def test_numbers_that_do_not_fit_are_refused(self, change: dict[str, Any], match: str) -> None:
        right = {"human": np.zeros(3), "judge": np.zeros(9), "sample": np.arange(3)}
        with pytest.raises(ValueError, match=match):
            prediction_powered(**(right | change))

    def test_too_few_clusters_have_no_estimate(self) -> None:
        one = prediction_powered(np.array([0.3]), np.zeros(9), np.array([4]))
        assert one.estimate() is None
        assert one.correlation is None
        assert one.saved is None
        nothing = prediction_powered(np.zeros(0), np.zeros(9), np.zeros(0, dtype=np.intp))
        assert nothing.estimate() is None
        with pytest.raises(ValueError, match="no cluster"):
            nothing.with_one_more(-1.0)

    def test_a_group_is_in_one_fold(self) -> None:
        human, judge, sample = drawn(13, n=60)
        groups = tuple((np.arange(300) % 15).tolist())
        found = prediction_powered(human, judge, sample, groups)
        tuning: dict[int, set[float]] = {}
        for place, each in zip(sample.tolist(), found.tuning.tolist(), strict=True):
            tuning.setdefault(groups[place], set()).add(each)
        assert all(len(each) == 1 for each in tuning.values())
        assert len(np.unique(found.tuning)) == 10


class TestSaved:
    """What a judge is worth in human ratings."""

    def test_a_good_judge_saves_what_its_correlation_says(self) -> None:
        human, judge, sample = drawn(14, n=400, of=4000, correlation=0.6)
        saved = prediction_powered(human, judge, sample).saved
        assert saved == pytest.approx(0.36 * 0.9, abs=0.07)

    def test_rated_clusters_that_are_needed_fall_with_the_correlation(self) -> None:
        def alone(sd: float) -> int:
            return int(np.ceil((2.8 * sd / 0.1) ** 2))

        needed = [rated_needed(alone, 0.5, each, 2000) for each in (-0.5, 0.0, 0.3, 0.6, 0.9)]
        assert needed[:2] == [196, 196]
        assert needed[1:] == sorted(needed[1:], reverse=True)
        assert needed[3] == pytest.approx(196 * (1 - 0.36), rel=0.06)
        assert rated_needed(alone, 0.5, 0.9, 100) is None  # all 100 are not enough
        assert rated_needed(alone, 0.5, 0.9, 196) is not None
