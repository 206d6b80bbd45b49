"""Exact figures of counts, against scipy.stats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selectllm.stats.binomial import n_to_rule_out, p_outnumbers, share_interval

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.001, 0.4))
def test_the_interval_of_a_share_is_clopper_and_pearson_s(
    count: tuple[int, int], alpha: float
) -> None:
    hits, n = count
    found = share_interval(hits, n, alpha)
    reference = stats.binomtest(hits, n).proportion_ci(1 - 2 * alpha, "exact")
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (hits / n, reference.low, reference.high), abs=1e-9
    )


@given(st.integers(0, 200), st.integers(0, 200))
def test_which_of_two_outnumbers_the_other_is_a_sign_test(more: int, fewer: int) -> None:
    expected = 1.0
    if more:
        expected = stats.binomtest(more, more + fewer, 0.5, "greater").pvalue
    assert p_outnumbers(more, fewer) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("share", "alpha"), [(0.02, 0.05), (0.05, 0.05), (0.1, 0.01)])
def test_the_least_n_that_rules_a_share_out_is_the_least(share: float, alpha: float) -> None:
    n = n_to_rule_out(share, alpha)
    assert n is not None
    assert share_interval(0, n, alpha).high <= share < share_interval(0, n - 1, alpha).high


def test_hits_that_are_expected_take_more() -> None:
    without, some = n_to_rule_out(0.02, 0.05), n_to_rule_out(0.02, 0.05, 0.01)
    assert without == 149
    assert some is not None
    assert some > 500


def test_what_is_as_frequent_as_the_share_is_never_ruled_out() -> None:
    assert n_to_rule_out(0.02, 0.05, 0.02) is None
    assert n_to_rule_out(0.0, 0.05) is None


@pytest.mark.parametrize(("hits", "n", "alpha"), [(1, 0, 0.05), (3, 2, 0.05), (1, 2, 0.0)])
def test_what_is_no_count_is_refused(hits: int, n: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"need|alpha"):
        share_interval(hits, n, alpha)
