"""Strengths from comparisons: against scipy's maximum, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from selectllm.stats.bradley_terry import strengths

Wins = list[tuple[int, int]]


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[int, Wins]:
    m = draw(st.integers(2, 7))
    sides = st.tuples(st.integers(0, m - 1), st.integers(0, m - 1)).filter(lambda p: p[0] != p[1])
    return m, draw(st.lists(sides, max_size=40))


@given(case=comparisons(), prior=st.floats(0.3, 10))
def test_they_are_the_maximum_that_scipy_finds(case: tuple[int, Wins], prior: float) -> None:
    m, wins = case

    def loss(at: np.ndarray) -> float:
        return float(
            sum(np.logaddexp(0, at[lost] - at[won]) for won, lost in wins)
            + at @ at / (2 * prior**2)
        )

    found = strengths(m, wins, prior)
    reference = minimize(loss, np.zeros(m), method="BFGS", options={"gtol": 1e-9})
    assert found.mean == pytest.approx(reference.x, abs=1e-4)
    assert loss(found.mean) <= reference.fun + 1e-9


@given(case=comparisons())
def test_the_covariance_is_the_inverse_of_the_curvature(case: tuple[int, Wins]) -> None:
    m, wins = case
    found = strengths(m, wins, 2.0)
    p = 1 / (1 + np.exp(found.mean[:, None] - found.mean[None, :]))
    counts = np.zeros((m, m))
    for won, lost in wins:
        counts[won, lost] += 1
        counts[lost, won] += 1
    weight = counts * p * (1 - p)
    curvature = np.diag(weight.sum(axis=1) + 1 / 4) - weight
    assert found.covariance @ curvature == pytest.approx(np.eye(m), abs=1e-8)


def test_before_any_comparison_all_are_equal_and_nothing_is_known() -> None:
    nothing = strengths(3, [], 2.0)
    assert nothing.mean == pytest.approx([0, 0, 0])
    assert nothing.covariance == pytest.approx(4 * np.eye(3))
    assert nothing.apart(0, 1) == 0


def test_two_of_which_one_won_three_of_four_games_without_a_prior_to_speak_of() -> None:
    """The odds are 3 to 1: the difference of the strengths is log 3."""
    found = strengths(2, [(0, 1)] * 3 + [(1, 0)], prior_sd=1e4)
    assert found.mean[0] - found.mean[1] == pytest.approx(np.log(3), abs=1e-5)
    assert found.apart(0, 1) == pytest.approx(np.log(3) / np.sqrt(4 / 3), abs=1e-3)


@given(case=comparisons())
def test_whose_wins_are_turned_round_has_the_strengths_turned_round(
    case: tuple[int, Wins],
) -> None:
    m, wins = case
    turned = strengths(m, [(lost, won) for won, lost in wins])
    assert strengths(m, wins).mean == pytest.approx(-turned.mean, abs=1e-7)
