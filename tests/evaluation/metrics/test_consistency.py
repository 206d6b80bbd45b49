"""Consistency: 1 for the same picks, 0 for random ones; slots tested against their null."""

from __future__ import annotations

import random
from itertools import combinations, product
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.metrics import cohen_kappa_score

from selectllm.core.types import Decision
from selectllm.evaluation.metrics.consistency import (
    order_consistency,
    order_overlaps,
    overlap,
    overlaps,
    repeat_consistency,
    slot_histogram,
)
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import mean_interval

ITEMS = tuple("abcdefgh")


def decide(
    picks: str, cluster: int = 0, order: int = 0, repeat: int = 0, shown: str = "abcdefgh"
) -> Decision:
    """A decision on a cluster of eight items called a to h; every letter of `picks` is picked."""
    return Decision(
        cluster=cluster,
        order=order,
        repeat=repeat,
        round=0,
        shown=tuple(shown),
        picks=tuple(picks),
        status="ok",
    )


def value(interval: Interval | None) -> float:
    assert interval is not None
    return interval.estimate


def between(a: str, b: str, k: int) -> float:
    """The overlap of two sets of picks, seen in two equal clusters."""
    return value(overlap([decide(a, c) for c in (0, 1)], [decide(b, c) for c in (0, 1)], k))


picks_of_three = st.permutations(ITEMS).map(lambda items: "".join(items[:3]))


@given(picks_of_three, picks_of_three)
def test_overlap_is_cohens_kappa_of_the_two_selectors(a: str, b: str) -> None:
    reference = cohen_kappa_score([item in a for item in ITEMS], [item in b for item in ITEMS])
    assert between(a, b, 3) == pytest.approx(reference, abs=1e-12)


@given(picks_of_three)
def test_the_same_picks_in_any_order_overlap_exactly_one(picks: str) -> None:
    assert between(picks, picks[::-1], 3) == 1.0


@given(picks_of_three)
def test_random_picks_overlap_zero_on_average(picks: str) -> None:
    every = [between(picks, "".join(other), 3) for other in combinations(ITEMS, 3)]
    assert fmean(every) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b"), [("", "abc"), ("", ""), ("a", "bcd"), ("bcd", "a"), ("ab", "bc")]
)
def test_missing_picks_count_as_drawn_at_random_from_the_unpicked(a: str, b: str) -> None:
    def fillings(picks: str) -> list[str]:
        rest = combinations([item for item in ITEMS if item not in picks], 3 - len(picks))
        return [picks + "".join(more) for more in rest]

    expected = fmean(between(x, y, 3) for x, y in product(fillings(a), fillings(b)))
    assert between(a, b, 3) == pytest.approx(expected, abs=1e-12)


def test_overlap_matches_cluster_order_and_repeat_and_drops_the_rest() -> None:
    ours = [decide("ab", c, order, r) for c, order, r in product(range(3), range(2), range(2))]
    theirs = [decide("ab", c, 1, 1) for c in range(2)] + [decide("gh", 7), decide("gh", 0, 5)]
    assert overlap(ours, theirs, 2) == Interval(1.0, 1.0, 1.0)
    assert overlap(ours[:4], theirs, 2) is None  # one cluster in common


def test_overlap_averages_within_clusters_before_it_counts_them() -> None:
    ours = [decide("a", 0, order) for order in range(3)] + [decide("a", 1)]
    theirs = [decide("a", 0, order) for order in range(3)] + [decide("b", 1)]
    assert overlap(ours, theirs, 1) == mean_interval([1.0, -1 / 7])


def test_selectors_shown_different_items_cannot_overlap() -> None:
    with pytest.raises(ValueError, match="cluster 4: its two decisions show different items"):
        overlap([decide("a", 4)], [decide("a", 4, shown="abcdefgx")], 1)


def test_a_cluster_that_is_taken_whole_does_not_count() -> None:
    whole = [decide("ab", c, shown="ab") for c in range(2)]
    assert overlap(whole, whole, 2) is None


def test_order_consistency_is_the_mean_over_all_pairs_of_orders_of_a_cluster() -> None:
    first = [decide(picks, 0, order) for order, picks in enumerate(("ab", "ab", "ac"))]
    second = [decide(picks, 1, order) for order, picks in enumerate(("ab", "cd", "ef"))]
    half = between("ab", "ac", 2)
    none = between("ab", "cd", 2)
    expected = mean_interval([(1 + half + half) / 3, none])
    ours = order_consistency([*first, *second], 2)
    assert ours is not None
    assert expected is not None
    assert ours.to_json() == pytest.approx(expected.to_json())


def test_order_consistency_compares_within_a_repeat_and_repeat_consistency_within_an_order() -> (
    None
):
    decisions = [
        decide("ab" if repeat == 0 else "cd", cluster, order, repeat)
        for cluster, order, repeat in product(range(2), range(2), range(2))
    ]
    assert value(order_consistency(decisions, 2)) == 1.0
    assert value(repeat_consistency(decisions, 2)) == between("ab", "cd", 2)


def test_decisions_in_any_order_give_the_same_to_the_last_bit() -> None:
    rng = random.Random(3)
    decisions = [
        decide("".join(rng.sample(ITEMS, rng.randint(0, 3))), c, order)
        for c, order in product(range(20), range(4))
    ]
    shuffled = rng.sample(decisions, len(decisions))
    assert order_consistency(shuffled, 3) == order_consistency(decisions, 3)
    assert slot_histogram(shuffled, 3) == slot_histogram(decisions, 3)
    assert overlap(shuffled, decisions, 3) == overlap(decisions, shuffled, 3)


@given(st.lists(st.lists(st.sampled_from(ITEMS), unique=True, max_size=4), max_size=6))
def test_each_pair_of_orders_counts_as_it_does_alone(picks: list[list[str]]) -> None:
    decisions = [decide("".join(each), 0, order) for order, each in enumerate(picks)]
    assert order_overlaps(decisions, 3) == overlaps(combinations(decisions, 2), 3)


def test_orders_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="show different items"):
        order_consistency([decide("ab"), decide("ab", order=1, shown="abcdefgx")], 2)


def test_one_order_has_no_order_consistency() -> None:
    assert order_consistency([decide("ab", c) for c in range(5)], 2) is None


class TestSlots:
    """Slot histograms: counts, and whether the slot matters."""

    def shuffled(self, rng: random.Random, n: int, m: int, k: int) -> list[Decision]:
        """Decisions of a selector that picks the items a, b, ..., whatever the slot."""
        items = "abcdefghijklmnop"[:m]
        return [decide(items[:k], c, shown="".join(rng.sample(items, m))) for c in range(n)]

    def test_picks_are_counted_by_the_slot_they_were_shown_in(self) -> None:
        decisions = [decide("ah"), decide("h", 1), decide("ba", 2, shown="ba" + "cdefgh")]
        histogram = slot_histogram(decisions, 2)
        assert histogram.counts == (2, 1, 0, 0, 0, 0, 0, 2)
        assert histogram.expected == (5 / 8,) * 8

    def test_for_one_pick_it_is_pearsons_chi_square(self) -> None:
        decisions = self.shuffled(random.Random(0), 50, 8, 1)
        histogram = slot_histogram(decisions, 1)
        reference = chisquare(histogram.counts)
        assert histogram.chi2 == pytest.approx(reference.statistic)
        assert histogram.p == pytest.approx(reference.pvalue)
        assert histogram.df == 7

    def test_for_k_picks_the_variance_is_that_of_draws_without_replacement(self) -> None:
        n, m, k = 60, 8, 3
        histogram = slot_histogram(self.shuffled(random.Random(1), n, m, k), k)
        variance = n * (k / m) * (1 - k / m) * m / (m - 1)
        deviations = np.array(histogram.counts) - n * k / m
        assert histogram.chi2 == pytest.approx((deviations**2).sum() / variance)

    @pytest.mark.parametrize(("m", "k"), [(14, 3), (10, 5)])
    def test_a_selector_blind_to_slots_is_accused_in_one_of_twenty_cases(
        self, m: int, k: int
    ) -> None:
        rng = random.Random(m)
        p = [slot_histogram(self.shuffled(rng, 40, m, k), k).p for _ in range(400)]
        accused = sum(each is not None and each < 0.05 for each in p)
        assert 8 <= accused <= 34  # 20 expected, standard deviation 4.4

    def test_a_selector_that_takes_the_first_slots_is_found_out(self) -> None:
        rng = random.Random(5)
        orders = ["".join(rng.sample(ITEMS, 8)) for _ in range(30)]
        decisions = [decide(shown[:2], c, shown=shown) for c, shown in enumerate(orders)]
        histogram = slot_histogram(decisions, 2)
        assert histogram.counts == (30, 30, 0, 0, 0, 0, 0, 0)
        assert histogram.p is not None
        assert histogram.p < 1e-9

    def test_repeats_of_an_order_are_no_new_evidence(self) -> None:
        once = self.shuffled(random.Random(2), 30, 8, 2)
        again = [decide("ab", d.cluster, 0, 1, "".join(d.shown)) for d in once]
        assert slot_histogram([*once, *again], 2).chi2 == slot_histogram(once, 2).chi2
        assert sum(slot_histogram([*once, *again], 2).counts) == 2 * 2 * 30

    def test_clusters_of_different_sizes_are_tested_apart_and_added(self) -> None:
        rng = random.Random(4)
        small = self.shuffled(rng, 40, 7, 2)
        large = [
            decide("ab", 100 + d.cluster, shown="".join(d.shown))
            for d in self.shuffled(rng, 40, 8, 2)
        ]
        parts = [slot_histogram(part, 2) for part in (small, large)]
        both = slot_histogram([*small, *large], 2)
        assert both.chi2 == pytest.approx(sum(part.chi2 or 0 for part in parts))
        assert both.df == 6 + 7
        assert both.expected[7] == pytest.approx(40 * 2 / 8)

    def test_without_picks_there_is_no_test(self) -> None:
        histogram = slot_histogram([decide(""), decide("", 1)], 2)
        assert histogram.counts == (0,) * 8
        assert (histogram.chi2, histogram.df, histogram.p) == (None, 0, None)

    def test_without_decisions_there_are_no_slots(self) -> None:
        assert slot_histogram([], 2).to_json() == {
            "counts": [],
            "expected": [],
            "chi2": None,
            "df": 0,
            "p": None,
        }
