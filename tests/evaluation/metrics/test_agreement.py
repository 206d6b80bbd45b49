"""Agreement: 0 for random picks, 1 for the best; what counts, and what is refused."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UtilityError
from selectllm.core.types import Decision, Status
from selectllm.evaluation.metrics.agreement import METRICS, Choice, agreement, random_agreement
from tests.support.agreement_cases import (
    CLOSE,
    Values,
    all_subsets,
    best,
    captured,
    cluster,
    clusters_that_differ,
    estimate,
    pick,
    runs,
    twice,
)


class TestTheScale:
    """0 is random, 1 is the best possible."""

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

    @given(clusters_that_differ())
    def test_all_subsets_together_are_random(self, case: tuple[Values, int]) -> None:
        u, k = case
        every = [agreement(twice(u, picks), u, k) for picks in all_subsets(u, k)]
        exact = random_agreement({0: list(u), 1: list(u)}, u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            mean = fmean(estimate(result, metric) for result in every)
            assert mean == pytest.approx(estimate(exact, metric), **CLOSE), metric
        assert fmean(result.gain[0] for result in every) == pytest.approx(exact.chance[0])

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

    @given(clusters_that_differ())
    def test_no_picks_are_as_good_as_random_ones(self, case: tuple[Values, int]) -> None:
        u, k = case
        nothing = agreement(twice(u, ()), u, k)
        exact = random_agreement({0: list(u), 1: list(u)}, u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            assert estimate(nothing, metric) == estimate(exact, metric), metric

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


class TestMissingPicks:
    """They count as drawn at random from the rest."""

    u = cluster([0.0, 1.0, 2.0, 9.0])

    def test_a_missing_pick_counts_as_the_mean_of_the_unpicked(self) -> None:
        # picked 9; the other pick is worth (0 + 1 + 2) / 3; between 0 + 1 and 2 + 9
        assert agreement([pick(self.u, ("a3",))], self.u, 2).gain[0] == pytest.approx(0.9)

    @given(clusters_that_differ())
    def test_it_is_the_expectation_over_all_ways_to_fill_it(self, case: tuple[Values, int]) -> None:
        u, k = case
        partial = best(u, k)[: k // 2]
        filled = [picks for picks in all_subsets(u, k) if set(partial) <= set(picks)]
        ours = agreement(twice(u, partial), u, k)
        for metric in ("captured", "nuc", "kappa", "hit", "auc"):
            expected = fmean(estimate(agreement(twice(u, f), u, k), metric) for f in filled)
            assert estimate(ours, metric) == pytest.approx(expected, **CLOSE), metric

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
        with pytest.raises(UtilityError, match=r"\(8\): 'a0', 'a1', 'a2', 'a3', 'a4' and 3 more"):
            agreement([pick(many, ())], {}, 1)

    def test_a_utility_that_is_not_finite_is_no_utility(self) -> None:
        with pytest.raises(UtilityError, match=r"\(1\): 'a0'"):
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
