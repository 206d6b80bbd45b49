"""Two raters of the same items: against scikit-learn, statsmodels, scipy and our own alpha."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from sklearn.metrics import cohen_kappa_score
from statsmodels.discrete.discrete_model import Logit
from statsmodels.stats.inter_rater import cohens_kappa

from selectllm.core.arrays import Floats
from selectllm.stats.judge_agreement import interval_alpha, preferences, weighted_kappa
from selectllm.stats.rank_correlation import spearman
from selectllm.utility.annotation.rater_agreement import krippendorff_alpha

CLOSE = 1e-9
seeds = st.integers(0, 10**6)


def two_raters(seed: int, n: int = 60) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    human = rng.integers(1, 6, n).astype(float)
    judge = np.clip(human + rng.integers(-2, 3, n), 1, 5).astype(float)
    return human, judge


@given(seeds)
def test_kappa_is_that_of_scikit_learn_and_statsmodels(seed: int) -> None:
    human, judge = two_raters(seed)
    found = weighted_kappa(human, judge)
    assert found == pytest.approx(cohen_kappa_score(human, judge, weights="quadratic"), abs=CLOSE)
    table = np.zeros((5, 5))
    np.add.at(table, (human.astype(int) - 1, judge.astype(int) - 1), 1)
    theirs = cohens_kappa(table, wt="fc").kappa  # quadratic
    assert found == pytest.approx(theirs, abs=CLOSE)


@given(seeds)
def test_alpha_is_krippendorff_s(seed: int) -> None:
    human, judge = two_raters(seed)
    table = {
        str(number): {"human": ours, "judge": theirs}
        for number, (ours, theirs) in enumerate(zip(human, judge, strict=True))
    }
    assert interval_alpha(human, judge) == pytest.approx(krippendorff_alpha(table), abs=CLOSE)


@given(seeds)
def test_spearman_without_a_p_value_is_scipy_s(seed: int) -> None:
    human, judge = two_raters(seed)
    found = spearman(human, judge)
    assert found.value == pytest.approx(reference.spearmanr(human, judge).statistic, abs=CLOSE)
    assert found.p is None
    assert found.interval is not None


def test_the_odds_are_those_of_a_logistic_regression_in_statsmodels() -> None:
    human, judge = two_raters(3)
    judge = judge + np.random.default_rng(3).normal(0, 0.5, 60)
    groups = [list(range(start, start + 6)) for start in range(0, 60, 6)]
    found = preferences(human, judge, groups)
    wins, differences, alike = [], [], []
    for group in groups:
        for place, i in enumerate(group):
            for j in group[place + 1 :]:
                if human[i] != human[j]:
                    wins.append(float(human[i] > human[j]))
                    differences.append(judge[i] - judge[j])
                    alike.append((human[i] > human[j]) == (judge[i] > judge[j]))
    scale = np.sqrt(np.mean(np.square(differences)))
    fit = Logit(np.array(wins), np.array(differences) / scale).fit(disp=0)
    assert found.pairs == len(wins)
    assert found.agree == pytest.approx(np.mean(alike), abs=CLOSE)
    assert found.log_odds == pytest.approx(float(fit.params[0]), abs=1e-6)


def test_preferences_at_their_ends() -> None:
    human = np.array([1.0, 2.0, 3.0, 3.0])
    group = [[0, 1, 2, 3]]
    same = preferences(human, 10 * human, group)
    assert (same.pairs, same.agree, same.log_odds) == (5, 1.0, math.inf)
    assert preferences(human, -human, group).log_odds == -math.inf
    silent = preferences(human, np.ones(4), group)
    assert (silent.agree, silent.log_odds) == (0.5, None)
    assert preferences(np.ones(4), human, group).agree is None
    assert preferences(human, human, []).pairs == 0


def test_what_cannot_be_told_is_none() -> None:
    ones = np.ones(4)
    assert interval_alpha(ones, ones) is None
    assert weighted_kappa(ones, ones) is None
    assert weighted_kappa(np.zeros(0), np.zeros(0)) is None
    assert interval_alpha(np.zeros(0), np.zeros(0)) is None
    assert weighted_kappa(ones, 2 * ones) == 0
