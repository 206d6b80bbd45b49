"""Group-sequential boundaries: the published ones, and the error they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from selectllm.stats.sequential import LOOKS, boundaries, critical, looks

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
UNEVEN = (0.35, 0.4, 0.75, 1.0)


def spent(fraction: float, alpha: float) -> float:
    """What each side may have spent of its error: Lan and DeMets 1983, the first of theirs."""
    z = reference.norm.isf(alpha / 4)
    return float(2 * reference.norm.sf(z / math.sqrt(fraction)))


def z_paths(fractions: tuple[float, ...], n: int) -> np.ndarray:
    """The z statistics of `n` simulated Brownian motions, shape (n, looks)."""
    times = np.array(fractions)
    steps = np.random.default_rng(0).normal(size=(n, len(times)))
    return np.cumsum(steps * np.sqrt(np.diff(times, prepend=0.0)), axis=1) / np.sqrt(times)


@pytest.mark.parametrize(
    ("n_looks", "published"),
    [
        (1, (1.9600,)),
        (2, (2.9626, 1.9686)),
        (3, (3.7103, 2.5114, 1.9930)),
        (5, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
    ],
)
def test_equal_looks_have_the_published_boundaries(
    n_looks: int, published: tuple[float, ...]
) -> None:
    fractions = [look / n_looks for look in range(1, n_looks + 1)]
    assert boundaries(fractions, 0.05) == pytest.approx(published, abs=2e-4)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.1])
def test_one_look_is_the_fixed_design(alpha: float) -> None:
    expected = reference.norm.isf(alpha / 2)
    assert boundaries([1.0], alpha) == pytest.approx((expected,), rel=1e-12)


@pytest.mark.parametrize("fractions", [FIVE, UNEVEN])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_a_brownian_motion_crosses_by_each_look_as_often_as_was_to_be_spent(
    fractions: tuple[float, ...], alpha: float
) -> None:
    n = 400_000
    over = np.abs(z_paths(fractions, n)) >= boundaries(fractions, alpha)
    crossed = np.maximum.accumulate(over, axis=1).mean(axis=0)
    planned = np.array([2 * spent(fraction, alpha) for fraction in fractions])
    assert planned[-1] == pytest.approx(alpha)
    assert (np.abs(crossed - planned) <= 4 * np.sqrt(planned / n) + 1 / n).all()


@pytest.mark.parametrize("fractions", [(0.5, 1.0), (0.3, 0.45, 1.0), (0.5, 0.99, 1.0)])
def test_the_multivariate_normal_gives_the_same_error(fractions: tuple[float, ...]) -> None:
    times = np.array(fractions)
    correlation = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    bars = np.array(boundaries(fractions, 0.05))
    normal = reference.multivariate_normal(
        np.zeros(len(times)), correlation, maxpts=10**6, abseps=1e-9, releps=1e-9, seed=0
    )
    assert 1 - normal.cdf(bars, lower_limit=-bars) == pytest.approx(0.05, abs=1e-6)


@given(
    st.lists(st.integers(1, 999), min_size=0, max_size=6, unique=True),
    st.sampled_from([0.01, 0.05, 0.1]),
)
def test_wherever_the_looks_are_the_first_spends_its_share_and_the_last_bar_is_the_highest_price(
    thousandths: list[int], alpha: float
) -> None:
    fractions = [each / 1000 for each in sorted(thousandths)] + [1.0]
    bars = boundaries(fractions, alpha)
    fixed = reference.norm.isf(alpha / 2)
    assert len(bars) == len(fractions)
    assert all(bar >= fixed - 1e-9 for bar in bars)
    if spent(fractions[0], alpha) > 1e-15:
        assert reference.norm.sf(bars[0]) == pytest.approx(spent(fractions[0], alpha), rel=1e-6)


def test_a_look_too_early_to_spend_anything_never_stops_and_changes_nothing() -> None:
    first, *others = boundaries([0.01, 0.5, 1.0], 0.05)
    assert first == math.inf
    assert others == pytest.approx(boundaries([0.5, 1.0], 0.05), abs=1e-9)


def test_a_boundary_of_seven_standard_deviations_is_still_exact() -> None:
    first, _ = boundaries([0.1, 1.0], 0.05)
    assert first > 6.9
    assert reference.norm.sf(first) == pytest.approx(spent(0.1, 0.05), rel=1e-6)


@pytest.mark.parametrize(
    "fractions",
    [
        [],
        [0.5],
        [0.5, 0.9],
        [0.5, 0.4, 1.0],
        [0.5, 0.5, 1.0],
        [0.5, 0.5001, 1.0],
        [0.0, 1.0],
        [-0.2, 1.0],
        [0.5, 1.0, 1.2],
        [0.5, math.nan, 1.0],
    ],
)
def test_fractions_that_do_not_rise_to_one_are_refused(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match=r"the last 1\. Got"):
        boundaries(fractions, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_a_level_outside_zero_and_one_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        boundaries([1.0], alpha)


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (150, (100, 112, 125, 138, 150)),
        (300, (100, 150, 200, 250, 300)),
        (500, (100, 200, 300, 400, 500)),
        (1000, (200, 400, 600, 800, 1000)),
    ],
)
def test_looks_are_equally_spaced_and_never_before_a_hundred_clusters(
    cap: int, expected: tuple[int, ...]
) -> None:
    assert looks(cap) == expected


@given(st.integers(150, 10**6))
def test_looks_rise_to_the_cap_and_have_boundaries(cap: int) -> None:
    counts = looks(cap)
    assert len(set(counts)) == LOOKS
    assert list(counts) == sorted(counts)
    assert (counts[0] >= 100, counts[-1]) == (True, cap)
    assert len(boundaries([count / cap for count in counts], 0.05)) == LOOKS


def test_a_cap_too_low_for_looks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 150 clusters to look before the end, got 149"):
        looks(149)


@pytest.mark.parametrize("df", [1, 4, 99, 10**6])
@pytest.mark.parametrize("z", [0.0, 1.96, 4.877, 8.1])
def test_a_critical_t_has_the_tail_of_its_z(z: float, df: int) -> None:
    tail = reference.t.sf(critical(z, df), df)
    assert tail == pytest.approx(reference.norm.sf(z), rel=1e-9)


def test_a_boundary_out_of_reach_stays_out_of_reach() -> None:
    assert critical(math.inf, 99) == math.inf
    assert critical(60.0, 99) == math.inf
