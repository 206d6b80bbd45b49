"""Agreement: figures equal to scikit-learn's, scipy's and those worked out by hand."""

from __future__ import annotations

import random
from itertools import combinations, pairwise, permutations
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score, ndcg_score, roc_auc_score

from selectllm.evaluation.metrics.agreement import Choice, agreement, random_agreement
from selectllm.stats.intervals import mean_interval, ratio_interval
from tests.support.agreement_cases import (
    CLOSE,
    Values,
    all_subsets,
    best,
    cluster,
    clusters_that_differ,
    estimate,
    pick,
    twice,
)


def gain_by_hand(u: Values, picks: tuple[str, ...], k: int) -> float:
    """G: where the picks' sum lies between the worst and the best sum of any k items."""
    sums = [sum(subset) for subset in combinations(u.values(), k)]
    return (sum(u[p] for p in picks) - min(sums)) / (max(sums) - min(sums))


def top_share_by_hand(u: Values, k: int) -> Values:
    """How often each item is in the top k when ties are broken in all ways."""
    orders = [order for order in permutations(u) if all(u[a] >= u[b] for a, b in pairwise(order))]
    return {item_id: fmean(item_id in order[:k] for order in orders) for item_id in u}


class TestReferences:
    """The figures of others, and brute force."""

    @given(clusters_that_differ())
    def test_gain_is_the_place_between_the_worst_and_the_best_subset(
        self, case: tuple[Values, int]
    ) -> None:
        u, k = case
        for picks in all_subsets(u, k):
            by_hand = gain_by_hand(u, picks, k)
            assert agreement([pick(u, picks)], u, k).gain[0] == pytest.approx(by_hand, **CLOSE)

    @given(clusters_that_differ())
    def test_hit_is_the_expected_share_in_the_top_k_with_ties_broken_at_random(
        self, case: tuple[Values, int]
    ) -> None:
        u, k = case
        u = dict(list(u.items())[:5])
        assume(len(set(u.values())) > 1 and k < len(u))
        share = top_share_by_hand(u, k)
        for picks in all_subsets(u, k):
            expected = sum(share[p] for p in picks) / k
            assert estimate(agreement(twice(u, picks), u, k), "hit") == pytest.approx(expected)

    @given(st.permutations(range(8)), st.integers(1, 7), st.randoms(use_true_random=False))
    def test_kappa_is_cohens_where_nothing_ties(
        self, values: list[int], k: int, rng: random.Random
    ) -> None:
        u = cluster([float(value) for value in values])
        picks = tuple(rng.sample(list(u), k))
        reference = cohen_kappa_score([i in best(u, k) for i in u], [i in picks for i in u])
        ours = estimate(agreement(twice(u, picks), u, k), "kappa")
        assert ours == pytest.approx(reference, **CLOSE)

    @given(clusters_that_differ(), st.randoms(use_true_random=False))
    def test_auc_is_scikit_learns(self, case: tuple[Values, int], rng: random.Random) -> None:
        u, k = case
        picks = tuple(rng.sample(list(u), k))
        reference = roc_auc_score([item_id in picks for item_id in u], list(u.values()))
        assert estimate(agreement(twice(u, picks), u, k), "auc") == pytest.approx(reference)

    @given(clusters_that_differ(), st.randoms(use_true_random=False))
    def test_ndcg_is_scikit_learns_and_tau_is_scipys(
        self, case: tuple[Values, int], rng: random.Random
    ) -> None:
        u, k = case
        ranking = tuple(rng.sample(list(u), len(u)))
        choices = [Choice(c, tuple(u), ranking[:k], ranking) for c in (0, 1)]
        result = agreement(choices, u, k)
        gains = [[u[item_id] - min(u.values()) for item_id in ranking]]
        places = list(range(len(u), 0, -1))
        assert estimate(result, "ndcg") == pytest.approx(ndcg_score(gains, [places], k=k), **CLOSE)
        reference = kendalltau(places, gains[0]).statistic
        assert estimate(result, "tau") == pytest.approx(reference, **CLOSE)

    def test_the_ndcg_of_random_is_the_mean_over_all_rankings(self) -> None:
        u, k = cluster([3.0, 1.0, 1.0, 0.0, 5.0]), 2
        every = [
            agreement([Choice(c, tuple(u), order[:k], order) for c in (0, 1)], u, k)
            for order in permutations(u)
        ]
        exact = random_agreement({0: list(u), 1: list(u)}, u, k)
        mean = fmean(estimate(result, "ndcg") for result in every)
        assert estimate(exact, "ndcg") == pytest.approx(mean, **CLOSE)

    def test_intervals_are_those_of_the_ratios_over_clusters(self) -> None:
        rng = random.Random(1)
        utility, choices, lift, room, units, most = {}, [], [], [], [], []
        for c in range(30):
            u = cluster([rng.gauss(0, 1 + c) for _ in range(6)], name=f"c{c}-")
            picks = tuple(rng.sample(list(u), 2))
            utility |= u
            choices.append(pick(u, picks, c))
            mean = 2 * fmean(u.values())
            chance = fmean(gain_by_hand(u, subset, 2) for subset in all_subsets(u, 2))
            lift.append(gain_by_hand(u, picks, 2) - chance)
            room.append(1 - chance)
            units.append(sum(u[p] for p in picks) - mean)
            most.append(sum(u[p] for p in best(u, 2)) - mean)
        result = agreement(choices, utility, 2)
        for ours, reference in (
            (result.captured, ratio_interval(lift, room)),
            (result.nuc, ratio_interval(units, most)),
        ):
            assert ours is not None
            assert reference is not None
            assert ours.to_json() == pytest.approx(reference.to_json(), **CLOSE)

    def test_groups_widen_the_interval_as_clustered_errors_do(self) -> None:
        u = cluster([0.0, 1.0, 2.0, 3.0])
        choices = [pick(u, (f"a{3 - c // 10}",), c) for c in range(40)]
        groups = {c: c // 10 for c in range(40)}
        plain, grouped = agreement(choices, u, 1), agreement(choices, u, 1, groups)
        assert plain.hit == mean_interval([1.0] * 10 + [0.0] * 30)
        assert grouped.hit == mean_interval(
            [1.0] * 10 + [0.0] * 30, groups=[c // 10 for c in groups]
        )
        assert grouped.captured is not None
        assert plain.captured is not None
        assert grouped.captured.low < plain.captured.low
