"""Ratings of differing items: the chance of an item to be picked, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UtilityError
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.comparison.rated_differences import (
    Weights,
    differing,
    paired_ratings,
    weights,
)
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.utility.utility import Utility
from tests.support.verdict_cases import A, B, decision

ABCDE = Cluster(0, ("a", "b", "c", "d", "e"))


def decisions(*picks: str, cluster: Cluster = ABCDE) -> list[Decision]:
    """One decision per order, its picks as letters."""
    return [decision(cluster, each, order=order) for order, each in enumerate(picks)]


def rated(**values: float) -> Utility:
    return Utility("u", "import", "human", values, range=(1.0, 5.0))


@st.composite
def made_decisions(draw: st.DrawFn, arms: int = 1) -> tuple[int, list[list[Decision]]]:
    """k, and the decisions of each arm in up to 3 clusters, orders and repeats, picks missing."""
    k = draw(st.integers(1, 3))
    clusters = [
        Cluster(row, tuple(f"{row}{letter}" for letter in "abcdef"[: draw(st.integers(k + 1, 6))]))
        for row in range(draw(st.integers(1, 3)))
    ]
    times = [(order, r) for order in range(draw(st.integers(1, 2))) for r in range(2)]
    return k, [
        [
            decision(
                each,
                draw(st.lists(st.sampled_from(each.members), max_size=k, unique=True)),
                order=order,
                repeat=repeat,
            )
            for each in clusters
            for order, repeat in times
        ]
        for _ in range(arms)
    ]


def completed(made: Sequence[Decision], k: int) -> Weights:
    """The chances by trying every way to fill what is missing, all equally likely."""
    shares: Weights = {}
    times = Counter(d.cluster for d in made)
    for d in made:
        left = [item_id for item_id in d.shown if item_id not in d.picks]
        fillings = list(combinations(left, k - len(d.picks)))
        for filling in fillings:
            for item_id in (*d.picks, *filling):
                each = shares.setdefault(d.cluster, dict.fromkeys(d.shown, 0.0))
                each[item_id] += 1 / len(fillings) / times[d.cluster]
    return shares


class TestWeights:
    """The chance of each candidate to be among the picks."""

    def test_complete_picks_are_certain(self) -> None:
        assert weights(decisions("ab"), 2) == {0: {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0}}

    def test_a_missing_pick_is_shared_by_the_unpicked(self) -> None:
        found = weights(decisions("a"), 2)[0]
        assert found == {"a": 1, "b": 0.25, "c": 0.25, "d": 0.25, "e": 0.25}

    def test_no_picks_are_random_ones(self) -> None:
        assert set(weights(decisions(""), 2)[0].values()) == {2 / 5}

    def test_orders_and_repeats_are_averaged(self) -> None:
        found = weights(decisions("ab", "ac", "ab", "ad"), 2)[0]
        assert found == {"a": 1, "b": 0.5, "c": 0.25, "d": 0.25, "e": 0}

    def test_clusters_that_are_picked_whole_are_left_out(self) -> None:
        assert weights(decisions("abcde"), 5) == {}

    @given(made_decisions())
    def test_are_those_of_every_way_to_complete_the_picks(
        self, made: tuple[int, list[list[Decision]]]
    ) -> None:
        k, (ours,) = made
        expected = completed(ours, k)
        for cluster, chances in weights(ours, k).items():
            assert sum(chances.values()) == pytest.approx(k)
            assert chances == pytest.approx(expected[cluster])

    @given(made_decisions(), st.randoms(use_true_random=False))
    def test_the_order_of_the_decisions_makes_no_difference(
        self, made: tuple[int, list[list[Decision]]], random: Random
    ) -> None:
        k, (ours,) = made
        shuffled = list(ours)
        random.shuffle(shuffled)
        assert weights(shuffled, k) == weights(ours, k)


class TestDiffering:
    """The items that two selectors treat differently."""

    def test_what_both_picked_cancels(self) -> None:
        assert differing(decisions("ab"), decisions("ac"), 2) == {0: {"b": -1, "c": 1}}

    def test_equal_picks_leave_nothing_in_whatever_order_they_came(self) -> None:
        assert differing(decisions("ab", "cd"), decisions("dc", "ba"), 2) == {0: {}}

    def test_of_a_missing_pick_the_whole_cluster_differs(self) -> None:
        found = differing(decisions("ab"), decisions("a"), 2)[0]
        assert found == {"b": -0.75, "c": 0.25, "d": 0.25, "e": 0.25}

    def test_a_cluster_that_only_one_has_decided_is_left_out(self) -> None:
        other = Cluster(1, ("f", "g", "h"))
        more = decisions("fg", cluster=other)
        assert set(differing(decisions("ab") + more, decisions("ac"), 2)) == {0}

    @given(made_decisions(arms=2))
    def test_changing_places_changes_signs_and_the_sum_is_zero(
        self, made: tuple[int, list[list[Decision]]]
    ) -> None:
        k, (a, b) = made
        forth, back = differing(a, b, k), differing(b, a, k)
        assert {c: {i: -w for i, w in each.items()} for c, each in back.items()} == forth
        assert all(sum(each.values()) == pytest.approx(0, abs=1e-12) for each in forth.values())


class TestPairedRatings:
    """d as a share of the rating range, from ratings of the differing items alone."""

    def test_is_the_mean_difference_of_the_picked_ratings(self) -> None:
        different = differing(decisions("ab"), decisions("ac"), 2)
        found = paired_ratings(different, rated(b=2, c=5), 2, [0])
        assert found is not None
        assert found.values == pytest.approx([(5 - 2) / 2 / 4])  # 2 picks, a range of 4
        assert found.scale == 1

    def test_equal_picks_are_no_difference_and_need_no_rating(self) -> None:
        found = paired_ratings(differing(decisions("ab"), decisions("ba"), 2), rated(), 2, [0])
        assert found is not None
        assert (found.values.tolist(), found.nonzero) == ([0.0], 0)

    def test_clusters_come_in_the_order_of_asking_with_their_groups(self) -> None:
        different = {1: {"a": 1.0}, 2: {"b": 1.0}, 3: {}}
        groups = {1: "x", 2: "y", 3: "x"}
        found = paired_ratings(different, rated(a=4, b=2), 1, [2, 9, 3, 1], groups)
        assert found is not None
        assert found.values == pytest.approx([0.5, 0, 1])
        assert found.groups == ("y", "x", "x")

    def test_there_is_nothing_without_clusters(self) -> None:
        assert paired_ratings({}, rated(), 2, [0]) is None

    def test_items_without_a_rating_are_named_and_counted(self) -> None:
        different = differing(decisions("abc"), decisions("cde"), 3)
        with pytest.raises(UtilityError) as error:
            paired_ratings(different, rated(a=1, d=2), 3, [0])
        assert "utility u: 2 of the 4 items that exactly one arm picked" in str(error.value)
        assert "'b', 'e'. Get a sheet" in str(error.value)

    @given(made_decisions(arms=2), st.data())
    def test_is_the_difference_of_g_in_other_units(
        self, made: tuple[int, list[list[Decision]]], data: st.DataObject
    ) -> None:
        k, (a, b) = made
        members = {d.cluster: d.shown for d in a}
        ids = [item_id for shown in members.values() for item_id in shown]
        values = {item_id: data.draw(st.sampled_from([1.0, 2.0, 3.5, 5.0])) for item_id in ids}
        found = paired_ratings(differing(a, b, k), rated(**values), k, sorted(members))
        assert found is not None
        by_g = [agreement(map(Choice.of, each), values, k) for each in (a, b)]
        for d, (cluster, shown) in zip(found.values, sorted(members.items()), strict=True):
            ascending = sorted(values[item_id] for item_id in shown)
            span = sum(ascending[-k:]) - sum(ascending[:k])
            gained = [each.gain.get(cluster, 0.0) for each in by_g]  # flat: span is 0
            expected = (gained[1] - gained[0]) * span / (k * 4)
            assert d == pytest.approx(expected, abs=1e-12)

    def test_takes_the_arms_of_the_decisions_as_they_are_given(self) -> None:
        a = [decision(ABCDE, "ab", arm=A)]
        b = [decision(ABCDE, "cd", arm=B)]
        utility = rated(a=1, b=1, c=5, d=5)
        forth = paired_ratings(differing(a, b, 2), utility, 2, [0])
        back = paired_ratings(differing(b, a, 2), utility, 2, [0])
        assert forth is not None
        assert back is not None
        assert (forth.values.tolist(), back.values.tolist()) == ([1.0], [-1.0])
