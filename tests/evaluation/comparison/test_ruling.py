"""The rules: which word an interval has earned, and what takes it back."""

from __future__ import annotations

import json
import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.ab import ab_word
from selectllm.evaluation.comparison.regress import regress_word
from selectllm.evaluation.comparison.ruling import (
    Bounds,
    Ruling,
    WordOf,
    corrected,
    holm_levels,
    rule,
)
from selectllm.evaluation.comparison.schema import Design, Shares, Verdict
from selectllm.evaluation.comparison.swap import swap_word
from selectllm.stats.interval import Interval
from tests.support.verdict_cases import differences

MARGIN, ALPHA = 0.1, 0.05
LEVELS = (ALPHA, ALPHA)
TINY = 1e-12
RULES: list[WordOf] = [ab_word, regress_word, swap_word]
LOSS = "small certain loss"
GAIN = "small certain gain"
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def both(low: float, high: float) -> Bounds:
    """One interval for direction and margin, as regress and swap have it."""
    return Bounds(low, high, low, high)


class TestAbWord:
    """Direction by the outer interval, equivalence by the inner one."""

    @pytest.mark.parametrize(
        ("bounds", "word"),
        [
            (Bounds(TINY, 0.3, 0.02, 0.28), "better"),
            (Bounds(0.0, 0.3, 0.02, 0.28), "inconclusive"),
            (Bounds(-0.3, -TINY, -0.28, -0.02), "worse"),
            (Bounds(-0.3, 0.0, -0.28, -0.02), "inconclusive"),
            (Bounds(-0.3, 0.3, -0.2, 0.2), "inconclusive"),
            (Bounds(-0.12, 0.12, -0.1 + TINY, 0.1 - TINY), "equivalent"),
            (Bounds(-0.12, 0.12, -0.1, 0.09), "inconclusive"),
            (Bounds(-0.12, 0.12, -0.09, 0.1), "inconclusive"),
            (Bounds(0.0, 0.0, 0.0, 0.0), "equivalent"),
        ],
    )
    def test_off_zero_is_a_direction_and_inside_the_margin_is_equivalent(
        self, bounds: Bounds, word: Word
    ) -> None:
        assert ab_word(bounds, MARGIN) == word

    @pytest.mark.parametrize(
        ("bounds", "without"),
        [(Bounds(0.01, 0.09, 0.02, 0.08), "better"), (Bounds(-0.09, -0.01, -0.08, -0.02), "worse")],
    )
    def test_equivalent_wins_over_a_direction(self, bounds: Bounds, without: Word) -> None:
        assert ab_word(bounds, MARGIN) == "equivalent"
        assert ab_word(bounds, None) == without

    def test_without_a_margin_nothing_is_equivalent(self) -> None:
        assert ab_word(Bounds(0.0, 0.0, 0.0, 0.0), None) == "inconclusive"


class TestRegressWord:
    """Pass if a loss of the margin is ruled out, fail if there is a loss."""

    @pytest.mark.parametrize(
        ("low", "high", "word"),
        [
            (-0.1 + TINY, 0.3, "pass"),
            (-0.1, 0.3, "inconclusive"),
            (-0.2, 0.0, "inconclusive"),
            (-0.2, -TINY, "fail"),
            (0.2, 0.3, "pass"),
        ],
    )
    def test_by_the_lower_bound_and_the_upper_one(
        self, low: float, high: float, word: Word
    ) -> None:
        assert regress_word(both(low, high), MARGIN) == word

    def test_pass_wins_over_fail(self) -> None:
        assert regress_word(both(-0.09, -0.01), MARGIN) == "pass"
        assert regress_word(both(-0.09, -0.01), None) == "fail"

    def test_direction_and_margin_may_be_read_from_two_intervals(self) -> None:
        assert regress_word(Bounds(-0.3, TINY, -0.2, -0.01), MARGIN) == "inconclusive"
        assert regress_word(Bounds(-0.3, 0.1, -0.09, 0.0), MARGIN) == "pass"


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (TINY, 0.2, "safe"),
        (0.0, 0.2, "inconclusive"),
        (-0.2, 0.0, "inconclusive"),
        (-0.2, -TINY, "not safe"),
    ],
)
def test_swap_s_word_is_the_side_of_zero_that_x_lies_on(
    low: float, high: float, word: Word
) -> None:
    assert swap_word(both(low, high)) == word


class TestRule:
    """The word with its reason and notes, if one more cluster could not change it."""

    @pytest.mark.parametrize("word_of", RULES)
    @pytest.mark.parametrize("ends", [(0.2, 0.3), (-0.3, -0.2), (-0.3, 0.3)])
    def test_of_many_clusters_the_intervals_decide(
        self, word_of: WordOf, ends: tuple[float, float]
    ) -> None:
        found = differences(np.full(5000, np.mean(ends)))
        ruling = rule(word_of, found, both(*ends), MARGIN, LEVELS)
        assert ruling.word == word_of(both(*ends), MARGIN)

    @pytest.mark.parametrize(
        ("word_of", "bounds", "note"),
        [
            (ab_word, Bounds(0.01, 0.09, 0.02, 0.08), GAIN),
            (ab_word, Bounds(-0.09, -0.01, -0.08, -0.02), LOSS),
            (regress_word, both(-0.09, -0.01), LOSS),
            (ab_word, Bounds(-0.09, 0.01, -0.08, 0.0), None),
            (regress_word, both(-0.09, 0.0), None),
            (regress_word, both(0.02, 0.08), None),
        ],
    )
    def test_a_word_that_wins_over_another_says_so(
        self, word_of: WordOf, bounds: Bounds, note: str | None
    ) -> None:
        middle = (bounds.low + bounds.high) / 2
        notes = rule(word_of, differences(np.full(5000, middle)), bounds, MARGIN, LEVELS).notes
        assert [each.partition(":")[0] for each in notes] == ([note] if note else [])

    def test_what_one_more_cluster_would_change_is_not_said(self) -> None:
        strong = rule(ab_word, differences([0.9] * 50), both(0.8, 1.0), MARGIN, LEVELS)
        assert strong.word == "better"
        weak = differences([0.05] * 30)
        taken_back = rule(ab_word, weak, both(0.04, 0.06), None, LEVELS)
        assert taken_back.word == "inconclusive"
        assert taken_back.reason == (
            "by its interval it would be better, but one more cluster that went as badly as "
            "possible would change that, and these clusters are too few to rule it out"
        )
        assert taken_back.one_more is not None
        assert taken_back.one_more.low == weak.low_with_one_more(ALPHA) <= 0

    def test_with_groups_it_is_one_more_group(self) -> None:
        found = differences([0.3] * 100, groups=tuple(n % 5 for n in range(100)))
        ruling = rule(ab_word, found, both(0.2, 0.4), None, LEVELS)
        assert ruling.word == "inconclusive"
        assert "one more group of clusters that went as badly as possible" in ruling.reason
        alone = rule(ab_word, differences([0.3] * 100), both(0.2, 0.4), None, LEVELS)
        assert alone.word == "better"

    def test_a_word_that_is_taken_back_leaves_no_note(self) -> None:
        ruling = rule(regress_word, differences([-0.02] * 10), both(-0.03, -0.01), MARGIN, LEVELS)
        assert (ruling.word, ruling.notes) == ("inconclusive", ())

    def test_one_more_cluster_never_gives_a_word_that_the_interval_does_not(self) -> None:
        ruling = rule(ab_word, differences([0.9] * 50), both(-0.1, 1.0), MARGIN, LEVELS)
        assert (ruling.word, ruling.reason) == ("inconclusive", "the interval is too wide to say")

    def test_each_bound_is_of_its_own_level(self) -> None:
        found = differences([0.3] * 40)
        assert rule(ab_word, found, both(0.2, 0.4), MARGIN, (0.01, 0.2)).one_more == Bounds(
            found.low_with_one_more(0.01),
            found.high_with_one_more(0.01),
            found.low_with_one_more(0.2),
            found.high_with_one_more(0.2),
        )

    @pytest.mark.parametrize(
        ("n", "word"), [(32, "inconclusive"), (33, "pass"), (20, "inconclusive"), (500, "pass")]
    )
    def test_no_difference_passes_once_a_cluster_that_loses_all_weighs_less_than_the_margin(
        self, n: int, word: Word
    ) -> None:
        # (1 + t) / (n + 1) of d, which is 0.1 * 0.8 at the margin: t is 1.692 on 33 degrees.
        found = differences([0.0] * n, 0.8)
        assert rule(regress_word, found, both(0.0, 0.0), MARGIN, LEVELS).word == word

    @given(
        st.lists(st.floats(-1, 1), min_size=2, max_size=40),
        st.floats(1, 3),
        st.floats(1, 3),
        st.sampled_from(RULES),
    )
    def test_the_worse_a_cluster_can_go_the_less_is_said(
        self, d: list[float], one: float, other: float, word_of: WordOf
    ) -> None:
        milder, worse = (differences(d, least=-size, most=size) for size in sorted((one, other)))
        estimate = milder.estimate()
        assert estimate is not None
        interval = estimate.interval(1 - 2 * ALPHA)
        bounds = Bounds.of(interval, interval)
        words = [rule(word_of, each, bounds, MARGIN, LEVELS).word for each in (milder, worse)]
        assert words[1] in (words[0], "inconclusive")
        assert words[0] in (word_of(bounds, MARGIN), "inconclusive")


class TestHolm:
    """Several verdicts share one error rate."""

    @given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
    def test_p_is_at_most_its_level_exactly_where_statsmodels_rejects(
        self, p: list[float], alpha: float
    ) -> None:
        ours = [each <= level for each, level in zip(p, holm_levels(p, alpha), strict=True)]
        with patch("gc.collect"):  # by which it takes a hundred times as long
            adjusted = multipletests(p, alpha, method="holm")[1]
        assert all(  # at the bound itself rounding decides
            rejected == (q <= alpha)
            for rejected, q in zip(ours, adjusted, strict=True)
            if not math.isclose(q, alpha, rel_tol=1e-9)
        )

    def test_the_levels_are_alpha_over_what_is_left_until_one_fails(self) -> None:
        levels = holm_levels([0.02, 0.001, 0.5, 0.4], 0.06)
        assert levels == pytest.approx([0.02, 0.015, 0.03, 0.03])

    def test_a_single_one_has_alpha_and_none_have_none(self) -> None:
        assert holm_levels([0.9], ALPHA) == [ALPHA]
        assert holm_levels([], ALPHA) == []

    def test_a_word_lost_to_the_correction_says_so(self) -> None:
        open_ = Ruling("inconclusive", "too wide", notes=("n",))
        found = corrected(open_, "better")
        assert (found.word, found.notes) == ("inconclusive", ("n",))
        assert found.reason == "on its own it would be better, but not among several (Holm)"

    def test_other_rulings_keep_their_reason(self) -> None:
        open_, better = Ruling("inconclusive", "too wide"), Ruling("better", "above 0")
        assert corrected(open_, "inconclusive") == open_
        assert corrected(better, "better") == better


def test_a_verdict_s_json_has_every_field_and_nothing_but_json() -> None:
    verdict = Verdict(
        kind="ab",
        word="better",
        reason="r",
        a="a",
        b="b",
        alpha=ALPHA,
        margin=None,
        difference=Interval(0.2, 0.1, 0.3),
        notes=("n",),
        design=Design(kind="fixed", why=None, cap=9, looks=(), calls=18, calls_saved=0),
        valid_rate=Shares(a=1.0, b=None),
    )
    row = verdict.to_json()
    assert set(row) == set(Verdict.model_fields) - Verdict.absent
    assert json.loads(json.dumps(row)) == row
    assert row["difference"] == {"estimate": 0.2, "low": 0.1, "high": 0.3}
