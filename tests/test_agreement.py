"""Agreement: 0 for random picks, 1 for the best; figures equal to scikit-learn's and scipy's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise, permutations
from statistics import fmean

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score, ndcg_score, roc_auc_score

from selectllm.agreement import METRICS, Agreement, Choice, agreement, random_agreement
from selectllm.errors import UtilityError
from selectllm.stats import mean_interval, ratio_interval
from selectllm.types import Decision, Status

Values = dict[str, float]
CLOSE = {"rel": 1e-9, "abs": 1e-12}

unhurried = settings(deadline=None)  # a busy machine is no failure
few_values = st.integers(0, 3).map(float)  # many ties
any_values = st.floats(-1e3, 1e3).map(lambda u: round(u, 6))
utilities = st.lists(few_values, min_size=3, max_size=7) | st.lists(
    any_values, min_size=3, max_size=7
)


def cluster(values: list[float], name: str = "a") -> Values:
    """Utilities by item id: a0, a1, ..."""
    return {f"{name}{index}": value for index, value in enumerate(values)}


def pick(u: Values, picks: tuple[str, ...], cluster_id: int = 0) -> Choice:
    return Choice(cluster_id, tuple(u), picks)


def twice(u: Values, picks: tuple[str, ...]) -> list[Choice]:
    """The same choice in two clusters, so that there is an interval."""
    return [pick(u, picks, 0), pick(u, picks, 1)]


def best(u: Values, k: int) -> tuple[str, ...]:
    return tuple(sorted(u, key=lambda item_id: (-u[item_id], item_id))[:k])


def captured(result: Agreement) -> float:
    assert result.captured is not None
    return result.captured.estimate


def estimate(result: Agreement, metric: str) -> float:
    interval = getattr(result, metric)
    assert interval is not None, metric
    return float(interval.estimate)


def gain_by_hand(u: Values, picks: tuple[str, ...], k: int) -> float:
    """G: where the picks' sum lies between the worst and the best sum of any k items."""
    sums = [sum(subset) for subset in combinations(u.values(), k)]
    return (sum(u[p] for p in picks) - min(sums)) / (max(sums) - min(sums))


def top_share_by_hand(u: Values, k: int) -> Values:
    """How often each item is in the top k when ties are broken in all ways."""
    orders = [order for order in permutations(u) if all(u[a] >= u[b] for a, b in pairwise(order))]
    return {item_id: fmean(item_id in order[:k] for order in orders) for item_id in u}


@st.composite
def clusters_that_differ(draw: st.DrawFn) -> tuple[Values, int]:
    u = cluster(draw(utilities))
    assume(len(set(u.values())) > 1)
    return u, draw(st.integers(1, len(u) - 1))


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Choice], Values, int]:
    """Choices in 2 to 5 clusters of mixed sizes with 1 to 3 orders, some picks missing."""
    k = draw(st.integers(1, 2))
    choices, utility = [], {}
    for cluster_id in range(draw(st.integers(2, 5))):
        u = cluster(draw(utilities), name=f"c{cluster_id}-")
        utility |= u
        for _ in range(draw(st.integers(1, 3))):
            order = draw(st.permutations(list(u)))
            ranked = draw(st.booleans())
            picks = tuple(order[: k if ranked else draw(st.integers(0, k))])
            choices.append(
                Choice(cluster_id, tuple(order), picks, tuple(order) if ranked else None)
            )
    return choices, utility, k


def all_subsets(u: Values, k: int) -> Iterator[tuple[str, ...]]:
    return combinations(u, k)


class TestTheScale:
    """0 is random, 1 is the best possible."""

    @unhurried
    @given(clusters_that_differ())
    def test_the_best_picks_capture_exactly_one(self, case: tuple[Values, int]) -> None:
        u, k = case
        result = agreement(twice(u, best(u, k)), u, k)
        assert captured(result) == estimate(result, "nuc") == estimate(result, "kappa") == 1.0
        assert result.gain == {0: 1.0, 1: 1.0}

    @pytest.mark.parametrize("m", [8, 14, 50])
    def test_this_also_holds_to_the_last_bit_in_large_clusters(self, m: int) -> None:
        rng = random.Random(m)
        for k in range(1, m):
            u = cluster([rng.choice([0.1, 0.7, rng.gauss(0, 1)]) for _ in range(m)])
            shuffled = dict(rng.sample(list(u.items()), m))
            assert captured(agreement(twice(shuffled, best(u, k)), u, k)) == 1.0
            worst_first = tuple(sorted(u, key=lambda i: (-u[i], i), reverse=True))
            assert agreement([pick(u, worst_first[:k])], u, k).gain[0] == 0.0

    @unhurried
    @given(clusters_that_differ())
    def test_every_way_to_break_ties_in_the_best_picks_is_as_good(
        self, case: tuple[Values, int]
    ) -> None:
        u, k = case
        top = sum(u[p] for p in best(u, k))
        for picks in all_subsets(u, k):
            if sorted(u[p] for p in picks) == sorted(u[p] for p in best(u, k)):
                assert sum(u[p] for p in picks) == pytest.approx(top)
                assert captured(agreement(twice(u, picks), u, k)) == 1.0

    @unhurried
    @given(clusters_that_differ())
    def test_all_subsets_together_are_random(self, case: tuple[Values, int]) -> None:
        u, k = case
        every = [agreement(twice(u, picks), u, k) for picks in all_subsets(u, k)]
        exact = random_agreement({0: list(u), 1: list(u)}, u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            mean = fmean(estimate(result, metric) for result in every)
            assert mean == pytest.approx(estimate(exact, metric), **CLOSE), metric
        assert fmean(result.gain[0] for result in every) == pytest.approx(exact.chance[0])

    @unhurried
    @given(clusters_that_differ())
    def test_random_captures_exactly_zero(self, case: tuple[Values, int]) -> None:
        u, k = case
        result = random_agreement({0: list(u), 1: list(u)}, u, k)
        assert [estimate(result, metric) for metric in ("captured", "nuc", "kappa", "tau")] == [
            0
        ] * 4
        assert estimate(result, "auc") == pytest.approx(0.5)
        assert estimate(result, "hit") == pytest.approx(k / len(u))
        assert result.worst_case is None

    @unhurried
    @given(clusters_that_differ())
    def test_no_picks_are_as_good_as_random_ones(self, case: tuple[Values, int]) -> None:
        u, k = case
        nothing = agreement(twice(u, ()), u, k)
        exact = random_agreement({0: list(u), 1: list(u)}, u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            assert estimate(nothing, metric) == estimate(exact, metric), metric

    @unhurried
    @given(runs())
    def test_gain_and_captured_stay_in_their_bounds(
        self, run: tuple[list[Choice], Values, int]
    ) -> None:
        result = agreement(*run)
        assert all(0 <= gain <= 1 for gain in result.gain.values())
        assert all(0 < chance < 1 for chance in result.chance.values())
        for metric, (low, high) in {
            "captured": (-float("inf"), 1),
            "nuc": (-float("inf"), 1),
            "kappa": (-float("inf"), 1),
            "hit": (0, 1),
            "auc": (0, 1),
            "ndcg": (0, 1),
            "tau": (-1, 1),
            "worst_case": (-float("inf"), 1),
        }.items():
            interval = getattr(result, metric)
            assert interval is None or low - 1e-12 <= interval.estimate <= high + 1e-12, metric


class TestReferences:
    """The figures of others, and brute force."""

    @unhurried
    @given(clusters_that_differ())
    def test_gain_is_the_place_between_the_worst_and_the_best_subset(
        self, case: tuple[Values, int]
    ) -> None:
        u, k = case
        for picks in all_subsets(u, k):
            by_hand = gain_by_hand(u, picks, k)
            assert agreement([pick(u, picks)], u, k).gain[0] == pytest.approx(by_hand, **CLOSE)

    @unhurried
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

    @unhurried
    @given(st.permutations(range(8)), st.integers(1, 7), st.randoms(use_true_random=False))
    def test_kappa_is_cohens_where_nothing_ties(
        self, values: list[int], k: int, rng: random.Random
    ) -> None:
        u = cluster([float(value) for value in values])
        picks = tuple(rng.sample(list(u), k))
        reference = cohen_kappa_score([i in best(u, k) for i in u], [i in picks for i in u])
        ours = estimate(agreement(twice(u, picks), u, k), "kappa")
        assert ours == pytest.approx(reference, **CLOSE)

    @unhurried
    @given(clusters_that_differ(), st.randoms(use_true_random=False))
    def test_auc_is_scikit_learns(self, case: tuple[Values, int], rng: random.Random) -> None:
        u, k = case
        picks = tuple(rng.sample(list(u), k))
        reference = roc_auc_score([item_id in picks for item_id in u], list(u.values()))
        assert estimate(agreement(twice(u, picks), u, k), "auc") == pytest.approx(reference)

    @unhurried
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


class TestInvariance:
    """What must not matter does not."""

    @unhurried
    @given(runs(), st.floats(0.01, 100), st.floats(-100, 100))
    def test_scale_and_origin_of_the_utility_do_not_matter(
        self, run: tuple[list[Choice], Values, int], scale: float, origin: float
    ) -> None:
        choices, utility, k = run
        utility = {item_id: round(value, 2) for item_id, value in utility.items()}
        moved = {item_id: scale * value + origin for item_id, value in utility.items()}
        before, after = agreement(choices, utility, k), agreement(choices, moved, k)
        assert before.clusters == after.clusters
        for metric in METRICS:
            a, b = getattr(before, metric), getattr(after, metric)
            assert (a is None) == (b is None), metric
            assert a is None or b.estimate == pytest.approx(a.estimate, rel=1e-6, abs=1e-6), metric

    @unhurried
    @given(runs(), st.randoms(use_true_random=False))
    def test_the_order_of_choices_and_members_does_not_change_a_bit(
        self, run: tuple[list[Choice], Values, int], rng: random.Random
    ) -> None:
        choices, utility, k = run
        shuffled = [
            replace(choice, members=tuple(rng.sample(choice.members, len(choice.members))))
            for choice in rng.sample(choices, len(choices))
        ]
        assert agreement(shuffled, utility, k) == agreement(choices, utility, k)

    @unhurried
    @given(runs())
    def test_captured_is_linear_in_gain(self, run: tuple[list[Choice], Values, int]) -> None:
        result = agreement(*run)
        assume(result.captured is not None)
        lift = sum(result.gain[c] - result.chance[c] for c in result.gain)
        room = sum(1 - chance for chance in result.chance.values())
        assert captured(result) == pytest.approx(lift / room, **CLOSE)

    @unhurried
    @given(runs())
    def test_orders_and_repeats_are_averaged_within_their_cluster(
        self, run: tuple[list[Choice], Values, int]
    ) -> None:
        choices, utility, k = run
        result = agreement(choices, utility, k)
        for c, gain in result.gain.items():
            alone = [agreement([x], utility, k).gain[c] for x in choices if x.cluster == c]
            assert gain == pytest.approx(fmean(alone), **CLOSE)

    @unhurried
    @given(runs())
    def test_giving_every_choice_twice_changes_nothing(
        self, run: tuple[list[Choice], Values, int]
    ) -> None:
        choices, utility, k = run
        once, again = agreement(choices, utility, k), agreement(choices * 2, utility, k)
        assert once.clusters == again.clusters
        for metric in METRICS:
            a, b = getattr(once, metric), getattr(again, metric)
            assert (a is None) == (b is None), metric
            assert a is None or b.to_json() == pytest.approx(a.to_json(), **CLOSE), metric


class TestMissingPicks:
    """They count as drawn at random from the rest."""

    u = cluster([0.0, 1.0, 2.0, 9.0])

    def test_a_missing_pick_counts_as_the_mean_of_the_unpicked(self) -> None:
        # picked 9; the other pick is worth (0 + 1 + 2) / 3; between 0 + 1 and 2 + 9
        assert agreement([pick(self.u, ("a3",))], self.u, 2).gain[0] == pytest.approx(0.9)

    @unhurried
    @given(clusters_that_differ())
    def test_it_is_the_expectation_over_all_ways_to_fill_it(self, case: tuple[Values, int]) -> None:
        u, k = case
        partial = best(u, k)[: k // 2]
        filled = [picks for picks in all_subsets(u, k) if set(partial) <= set(picks)]
        ours = agreement(twice(u, partial), u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            expected = fmean(estimate(agreement(twice(u, f), u, k), metric) for f in filled)
            assert estimate(ours, metric) == pytest.approx(expected, **CLOSE), metric

    @unhurried
    @given(clusters_that_differ(), st.randoms(use_true_random=False))
    def test_the_worst_case_is_the_worst_of_all_ways_to_fill_it(
        self, case: tuple[Values, int], rng: random.Random
    ) -> None:
        u, k = case
        partial = tuple(rng.sample(list(u), rng.randrange(k)))
        filled = [picks for picks in all_subsets(u, k) if set(partial) <= set(picks)]
        worst = min(captured(agreement(twice(u, f), u, k)) for f in filled)
        result = agreement(twice(u, partial), u, k)
        assert estimate(result, "worst_case") == pytest.approx(worst, **CLOSE)

    def test_the_worst_case_of_nothing_is_the_worst_picks(self) -> None:
        result = agreement(twice(self.u, ()), self.u, 2)
        assert result.worst_case == agreement(twice(self.u, ("a0", "a1")), self.u, 2).captured

    def test_without_missing_picks_there_is_no_worst_case(self) -> None:
        assert agreement(twice(self.u, ("a3", "a1")), self.u, 2).worst_case is None


class TestWhatIsLeftOut:
    """Clusters that decide nothing, and metrics without data."""

    def test_clusters_with_equal_utilities_are_counted_apart(self) -> None:
        u, flat = cluster([1.0, 2.0, 3.0]), cluster([2.0, 2.0, 2.0], name="flat")
        choices = [*twice(u, ("a2",)), pick(flat, ("flat0",), 2)]
        result = agreement(choices, u | flat, 1)
        assert (result.clusters, result.flat_clusters, result.whole_clusters) == (2, 1, 0)
        assert result.captured == agreement(twice(u, ("a2",)), u, 1).captured
        assert set(result.gain) == {0, 1}

    def test_clusters_that_are_taken_whole_are_counted_apart(self) -> None:
        u, small = cluster([1.0, 2.0, 3.0]), cluster([1.0, 2.0], name="small")
        choices = [*twice(u, ("a2", "a1")), pick(small, ("small0", "small1"), 2)]
        result = agreement(choices, u | small, 2)
        assert (result.clusters, result.flat_clusters, result.whole_clusters) == (2, 0, 1)

    def test_one_cluster_has_a_gain_but_no_interval(self) -> None:
        u = cluster([1.0, 2.0, 3.0])
        result = agreement([pick(u, ("a2",))], u, 1)
        assert result.gain == {0: 1.0}
        assert set(result.to_json().values()) == {None}

    def test_no_clusters_at_all_leave_everything_undefined(self) -> None:
        result = agreement([], {}, 2)
        assert (result.clusters, result.captured, dict(result.gain)) == (0, None, {})

    def test_ndcg_and_tau_are_only_of_choices_that_rank(self) -> None:
        u = cluster([1.0, 2.0, 3.0])
        right = ("a2", "a1", "a0")
        ranked = [Choice(c, tuple(u), right[:1], right) for c in (0, 1)]
        both = agreement([*ranked, pick(u, ("a0",), 0), pick(u, ("a0",), 2)], u, 1)
        assert both.ndcg == both.tau == agreement(ranked, u, 1).ndcg
        assert agreement(twice(u, ("a0",)), u, 1).tau is None


class TestRefusals:
    """Input that contradicts itself or the utility."""

    u = cluster([1.0, 2.0, 3.0])

    def test_items_without_utility_are_counted_and_five_are_named(self) -> None:
        many = cluster([0.0] * 8)
        with pytest.raises(
            UtilityError, match=r"8 item\(s\): 'a0', 'a1', 'a2', 'a3', 'a4', \.\.\."
        ):
            agreement([pick(many, ())], {}, 1)

    def test_a_utility_that_is_not_finite_is_no_utility(self) -> None:
        with pytest.raises(UtilityError, match=r"1 item\(s\): 'a0'"):
            agreement([pick(self.u, ())], self.u | {"a0": float("nan")}, 1)

    @pytest.mark.parametrize(
        ("choice", "complaint"),
        [
            (Choice(0, ("a0", "a1", "a2"), ("a0", "a1", "a2")), "at most 2 different members"),
            (Choice(0, ("a0", "a1", "a2"), ("a0", "a0")), "at most 2 different members"),
            (Choice(0, ("a0", "a1"), ("a2",)), "at most 2 different members"),
            (Choice(0, ("a0", "a0", "a1"), ()), "members repeat"),
            (Choice(0, ("a0", "a1", "a2"), (), ("a0", "a1")), "does not order all members"),
        ],
    )
    def test_a_choice_that_contradicts_itself_is_refused(
        self, choice: Choice, complaint: str
    ) -> None:
        with pytest.raises(ValueError, match=complaint):
            agreement([choice], self.u, 2)

    def test_choices_of_one_cluster_must_have_the_same_members(self) -> None:
        with pytest.raises(ValueError, match="differ between its choices"):
            agreement([Choice(0, ("a0", "a1"), ()), Choice(0, ("a0", "a2"), ())], self.u, 1)

    def test_k_below_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="k of 1 or more"):
            agreement([], {}, 0)


def decision(status: Status) -> Decision:
    return Decision(
        cluster=3,
        order=0,
        repeat=0,
        round=0,
        shown=("b", "a"),
        picks=("a",),
        status=status,
        ranking=("a", "b"),
    )


def test_a_decision_holds_a_choice() -> None:
    assert Choice.of(decision("repaired")) == Choice(3, ("b", "a"), ("a",), ("a", "b"))


def test_a_decision_that_failed_for_infrastructure_is_never_scored() -> None:
    with pytest.raises(ValueError, match="cluster 3: status error is never scored"):
        Choice.of(decision("error"))


def test_the_json_has_every_metric_as_estimate_low_high_or_none() -> None:
    u = cluster([1.0, 2.0, 3.0])
    written = agreement(twice(u, ("a2",)), u, 1).to_json()
    assert set(written) == set(METRICS)
    assert written["captured"] == {"estimate": 1.0, "low": 1.0, "high": 1.0}
    assert written["ndcg"] is None
