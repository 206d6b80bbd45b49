"""The correlation of d that two random pickers show, by people's and by a judge's ratings."""

from __future__ import annotations

import numpy as np
import pytest

from selectllm.core.arrays import Floats
from selectllm.stats.assisted import random_correlation

K = 3


def clusters(count: int, seed: int) -> list[tuple[Floats, Floats]]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        human = rng.integers(1, 6, int(rng.integers(6, 12))).astype(float)
        made.append((human, human + rng.normal(0, 1, len(human))))
    return made


def gain(values: Floats, picks: Floats) -> float:
    ascending = np.sort(values)
    low, high = ascending[:K].sum(), ascending[-K:].sum()
    return float((values[picks].sum() - low) / (high - low)) if high > low else 0.0


def test_it_is_that_of_many_random_picks() -> None:
    rng, found = np.random.default_rng(1), []
    drawn = clusters(40, 2)
    for human, judge in drawn * 200:
        a, b = (rng.permutation(len(human))[:K] for _ in range(2))
        found.append([gain(each, b) - gain(each, a) for each in (human, judge)])
    expected = np.corrcoef(np.array(found).T)[0, 1]
    assert random_correlation(drawn, K) == pytest.approx(expected, abs=0.03)


def test_it_is_1_for_the_same_ratings_on_another_scale_and_none_without_any_choice() -> None:
    drawn = [(human, 10 * human - 3) for human, _ in clusters(5, 3)]
    assert random_correlation(drawn, K) == pytest.approx(1)
    assert random_correlation([(human, -human) for human, _ in drawn], K) == pytest.approx(-1)
    assert random_correlation([(human[:K], human[:K]) for human, _ in drawn], K) is None
    assert random_correlation([(human, np.ones_like(human)) for human, _ in drawn], K) is None
