"""Raters: alpha as Krippendorff published it, noise and reliability by analysis of variance."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.regression import linear_model

from selectllm.utility.annotation.rater_agreement import (
    Level,
    krippendorff_alpha,
    mean_ratings,
    rater_noise,
    reliability,
)

Table = dict[str, dict[str, float]]

TIGHT = {"rel": 1e-9, "abs": 1e-12}
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")

# Krippendorff 2011, section C: four observers, twelve units, a dot where one did not look.
PUBLISHED = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}

tables = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2),
    st.dictionaries(st.sampled_from("XYZW"), st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0])),
    max_size=8,
)


def by_item(observers: dict[str, str]) -> Table:
    rows = {rater: cells.split() for rater, cells in observers.items()}
    return {
        f"unit {unit}": {
            rater: float(cells[unit]) for rater, cells in rows.items() if cells[unit] != "."
        }
        for unit in range(12)
    }


def disagreement(a: float, b: float, level: Level, counts: Counter[float]) -> float:
    """The distance of two ratings as Krippendorff defines it, by the text."""
    if a == b:
        return 0.0
    if level == "nominal":
        return 1.0
    if level == "interval":
        return (a - b) ** 2
    if level == "ratio":
        return ((a - b) / (a + b)) ** 2
    between = sum(count for value, count in counts.items() if min(a, b) <= value <= max(a, b))
    return float((between - (counts[a] + counts[b]) / 2) ** 2)


def alpha_pair_by_pair(ratings: Table, level: Level) -> float | None:
    """1 - observed / expected, by visiting every pair of ratings."""
    items = [list(raters.values()) for raters in ratings.values() if len(raters) > 1]
    everything = [value for item in items for value in item]
    counts = Counter(everything)
    n = len(everything)
    observed = sum(
        disagreement(a, b, level, counts) / (len(item) - 1) / n
        for item in items
        for a, b in permutations(item, 2)
    )
    expected = sum(disagreement(a, b, level, counts) for a, b in permutations(everything, 2))
    return 1 - observed / (expected / (n * (n - 1))) if expected else None


def draws(seed: int, items: int, raters: int, missing: float = 0.0) -> Table:
    """Made-up ratings: what the item is worth, and noise; every item keeps one rating."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(3, 1, items)
    table: Table = {}
    for i in range(items):
        given = [r for r in range(raters) if r == 0 or rng.random() >= missing]
        table[f"i{i}"] = {f"r{r}": float(worth[i] + rng.normal(0, 0.7)) for r in given}
    return table


@pytest.mark.parametrize(
    ("level", "published"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_alpha_is_what_krippendorff_published(level: Level, published: float) -> None:
    assert krippendorff_alpha(by_item(PUBLISHED), level) == pytest.approx(published, abs=5e-4)


@given(tables, st.sampled_from(LEVELS))
def test_alpha_is_its_definition_over_all_pairs(ratings: Table, level: Level) -> None:
    expected = alpha_pair_by_pair(ratings, level)
    assert krippendorff_alpha(ratings, level) == (
        None if expected is None else pytest.approx(expected, **TIGHT)
    )


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_is_one_when_raters_agree_on_items_that_differ(level: Level) -> None:
    agreed = {"a": {"X": 1.0, "Y": 1.0}, "b": {"X": 4.0, "Y": 4.0}}
    assert krippendorff_alpha(agreed, level) == 1.0


def test_alpha_is_below_zero_when_raters_disagree_more_than_by_chance() -> None:
    opposed = {"a": {"X": 1.0, "Y": 5.0}, "b": {"X": 5.0, "Y": 1.0}}
    alpha = krippendorff_alpha(opposed)
    assert alpha is not None
    assert alpha < 0


@pytest.mark.parametrize(
    "ratings",
    [{}, {"a": {}}, {"a": {"X": 1.0}, "b": {"Y": 2.0}}, {"a": {"X": 3.0, "Y": 3.0}}],
    ids=["no items", "no ratings", "no two ratings of an item", "no variation"],
)
def test_alpha_is_none_where_it_is_undefined(ratings: Table) -> None:
    assert [krippendorff_alpha(ratings, level) for level in LEVELS] == [None] * 4


def test_an_item_with_one_rating_does_not_change_alpha() -> None:
    ratings = by_item(PUBLISHED)
    assert krippendorff_alpha({**ratings, "new": {"A": 5.0}}) == krippendorff_alpha(ratings)


def test_a_ratio_scale_has_no_negative_numbers() -> None:
    with pytest.raises(ValueError, match=r"0 or more, got -1\.0"):
        krippendorff_alpha({"a": {"X": -1.0, "Y": 2.0}}, "ratio")


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_noise_is_the_mean_square_within_items(missing: float) -> None:
    ratings = draws(1, 30, 4, missing)
    values = [value for raters in ratings.values() for value in raters.values()]
    owner = np.repeat(np.arange(len(ratings)), [len(raters) for raters in ratings.values()])
    fit = linear_model.OLS(values, np.eye(len(ratings))[owner]).fit()
    assert rater_noise(ratings) == pytest.approx(np.sqrt(fit.mse_resid), **TIGHT)


def test_noise_is_none_without_two_ratings_of_one_item_and_zero_without_differences() -> None:
    assert rater_noise({"a": {"X": 1.0}, "b": {"Y": 2.0}}) is None
    assert rater_noise({"a": {"X": 2.0, "Y": 2.0}, "b": {"X": 5.0}}) == 0.0


@pytest.mark.parametrize("raters", [2, 3, 7])
def test_reliability_is_icc_of_the_mean_when_every_item_has_as_many_raters(raters: int) -> None:
    ratings = draws(2, 40, raters)
    f = reference.f_oneway(*[list(given.values()) for given in ratings.values()]).statistic
    assert reliability(ratings) == pytest.approx(1 - 1 / f, **TIGHT)


def test_reliability_with_missing_ratings_is_the_share_that_the_worth_of_items_has() -> None:
    ratings = draws(3, 6000, 4, missing=0.5)
    left = np.mean([0.7**2 / len(raters) for raters in ratings.values()])
    assert reliability(ratings) == pytest.approx(1 / (1 + left), abs=0.02)


def test_reliability_is_zero_rather_than_negative() -> None:
    noise_only = {"a": {"X": 1.0, "Y": 5.0}, "b": {"X": 5.0, "Y": 1.5}}
    assert reliability(noise_only) == 0.0


@pytest.mark.parametrize(
    "ratings",
    [{}, {"a": {"X": 1.0}, "b": {"X": 2.0}}, {"a": {"X": 1.0, "Y": 3.0}, "b": {"X": 2.0}}],
    ids=["no items", "one rater", "equal means"],
)
def test_reliability_is_none_where_it_is_undefined(ratings: Table) -> None:
    assert reliability(ratings) is None


@given(tables)
def test_a_mean_is_within_its_ratings_and_items_without_any_have_none(ratings: Table) -> None:
    means = mean_ratings(ratings)
    assert set(means) == {item for item, raters in ratings.items() if raters}
    for item, mean in means.items():
        values = list(ratings[item].values())
        assert min(values) <= mean <= max(values)
        assert mean == pytest.approx(np.mean(values), **TIGHT)
