"""`ab` on evidence built by hand: figures, designs, several arms, and what would decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.multitest import multipletests

from selectllm.evaluation.comparison.ab import ab
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import OneMore
from selectllm.evaluation.suite_entries import Gate
from selectllm.utility.utility import Utility
from tests.support.verdict_cases import (
    CLOSE,
    EVEN,
    A,
    B,
    C,
    Case,
    differences,
    ends,
    even,
    simulated,
    verdict_of,
)

few_examples = settings(max_examples=15)
seeds = st.integers(0, 10**6)
sizes = st.sampled_from([40, 120])
THREE = ComparisonDesign("ab", (A, B, C))


class TestWhatAVerdictIs:
    """Its figures, against what they are said to be."""

    @few_examples
    @given(sizes, seeds)
    def test_the_difference_is_that_of_what_the_arms_captured(self, n: int, seed: int) -> None:
        found = verdict_of(simulated(n, 0.3, 0.5, seed=seed))
        a, b = ends(found.captured.a)[0], ends(found.captured.b)[0]
        assert ends(found.difference)[0] == pytest.approx(b - a, **CLOSE)

    def test_the_intervals_are_student_s_t_of_two_levels(self) -> None:
        case = simulated(150, 0.3, 0.5)
        gain, other = (case.arm_results[arm].measured["u"].gain for arm in (A, B))
        chance = case.arm_results[A].measured["u"].chance
        scale = 1 - np.mean([chance[c] for c in gain])
        test = reference.ttest_1samp([(other[c] - gain[c]) / scale for c in gain], 0)
        found = verdict_of(case)
        assert ends(found.difference)[1:] == pytest.approx(test.confidence_interval(0.95), **CLOSE)
        assert ends(found.inner)[1:] == pytest.approx(test.confidence_interval(0.90), **CLOSE)

    @pytest.mark.parametrize(("arms", "level"), [((A, B), 0.025), ((A, B, C), 0.0125)])
    def test_one_more_cluster_is_held_against_the_level_of_the_interval(
        self, arms: tuple[Arm, ...], level: float
    ) -> None:
        up, down = [[3]] * 40, [[1]] * 40
        case = Case.of(even(40), down, up, up, comparison=ComparisonDesign("ab", arms))
        d = differences([0.5] * 40, headroom=EVEN)
        assert verdict_of(case).one_more == OneMore(
            low=d.low_with_one_more(level), high=d.high_with_one_more(level)
        )

    def test_groups_are_counted_and_few_of_them_say_nothing(self) -> None:
        case = simulated(300, 0.1, 0.8)
        assert (verdict_of(case).word, verdict_of(case).groups) == ("better", None)
        for count, word in ((4, "inconclusive"), (60, "better")):
            clusters = tuple(
                replace(each, group=f"g{each.id % count}") for each in case.inputs.clusters
            )
            found = verdict_of(case.where(clusters=clusters))
            assert (found.word, found.groups) == (word, count)
        assert (
            "one more group of clusters"
            in verdict_of(
                case.where(
                    clusters=tuple(replace(c, group=f"g{c.id % 4}") for c in case.inputs.clusters)
                )
            ).reason
        )

    @pytest.mark.parametrize(
        ("skills", "word"),
        [((0.1, 0.8), "better"), ((0.8, 0.1), "worse"), ((1.0, 1.0), "equivalent")],
    )
    def test_the_word_follows_the_picks(self, skills: tuple[float, float], word: str) -> None:
        assert verdict_of(simulated(150, *skills)).word == word

    def test_the_margin_is_also_said_as_a_share_of_what_the_first_arm_gains(self) -> None:
        found = verdict_of(Case.of(even(100), [[4]] * 75 + [[0]] * 25, [[4]] * 100))
        assert ends(found.captured.a)[0] == pytest.approx(0.5)
        assert found.margin_share == pytest.approx(0.2)
        assert verdict_of(Case.of(even(100), [[0]] * 100, [[4]] * 100)).margin_share is None

    def test_an_arm_that_mostly_fails_to_reply_is_not_equivalent(self) -> None:
        picks = [[2]] * 200  # as good as random
        case = Case.of(even(200), picks, picks)
        assert verdict_of(case).word == "equivalent"
        silent = tuple(
            replace(d, picks=(), status="invalid") if d.prompt == "p@2" and d.cluster < 60 else d
            for d in case.decisions
        )
        found = verdict_of(replace(case, decisions=silent))
        assert found.word == "inconclusive"
        assert found.reason == "equivalent in utility, but valid replies are 30.0% rarer in p@2 + m"
        back = verdict_of(
            Case(replace(case.inputs, comparison=ComparisonDesign("ab", (B, A))), silent)
        )
        assert (back.word, back.reason) == (found.word, found.reason)


class TestNothingToGoBy:
    """Inconclusive, with the reason."""

    @pytest.mark.parametrize(
        ("case", "reason"),
        [
            (simulated(30, 0.3, 0.5, utilities=()), "there is no utility"),
            (Case.of(np.ones((9, 5)), [[0]] * 9, [[1]] * 9), "9 have the same utility for all"),
            (Case.of(even(9)[:, :2], [[0, 1]] * 9, [[0, 1]] * 9), "all are picked whole"),
            (Case.of(even(1), [[0]], [[4]]), "one cluster (or group of them) says nothing"),
        ],
    )
    def test_says_what_is_missing(self, case: Case, reason: str) -> None:
        found = verdict_of(case)
        assert found.word == "inconclusive"
        assert reason in found.reason
        assert found.difference is None
        assert found.needed is None


class TestSeveralArms:
    """All against the first, at one error rate over all words."""

    def test_p_values_are_holm_s_of_the_t_tests(self) -> None:
        case = simulated(120, 0.3, 0.35, 0.45, comparison=THREE)
        alone = []
        for arm in (B, C):
            pair = verdict_of(case.where(comparison=ComparisonDesign("ab", (A, arm))))
            middle, low, high = ends(pair.difference)
            se = (high - low) / 2 / reference.t.isf(0.025, 119)
            alone.append(2 * reference.t.sf(abs(middle) / se, 119))
            assert pair.p_holm is None
        found = ab(case.inputs, case.arm_results)
        assert [each.p_holm for each in found] == pytest.approx(
            multipletests(alone, method="holm")[1], **CLOSE
        )

    def test_a_word_that_only_holds_alone_is_lost_and_says_so(self) -> None:
        # d is +1 or -1 in so many clusters that p lies between .025 and .05, twice.
        ups, downs = 61, 39
        a = [[0]] * ups + [[4]] * downs
        b = [[4]] * ups + [[0]] * downs
        alone = verdict_of(Case.of(even(100), a, b))
        assert alone.word == "better"
        found = Case.of(even(100), a, b, b, comparison=THREE)
        for verdict in ab(found.inputs, found.arm_results):
            assert verdict.word == "inconclusive"
            assert verdict.reason == "on its own it would be better, but not among several (Holm)"
            assert verdict.difference == alone.difference

    def test_the_more_certain_word_goes_first_and_helps_the_other(self) -> None:
        ups, downs = 61, 39
        a = [[0]] * ups + [[4]] * downs
        b = [[4]] * ups + [[0]] * downs
        case = Case.of(even(100), a, [[4]] * 100, b, comparison=THREE)
        assert [each.word for each in ab(case.inputs, case.arm_results)] == ["better", "better"]


class TestNeeded:
    """How many more would decide, if what was seen holds."""

    @pytest.mark.parametrize(
        ("skills", "margin"), [((0.4, 0.48), 0.15), ((0.4, 0.41), 0.1), ((0.5, 0.4), 0.05)]
    )
    def test_so_many_clusters_decide_about_four_times_in_five(
        self, skills: tuple[float, float], margin: float
    ) -> None:
        case = simulated(110, *skills, seed=4, gate=Gate(margin=margin))
        found = verdict_of(case)
        assert found.word == "inconclusive"
        assert found.needed is not None
        n = 110 + found.needed.clusters
        mean, low, high = ends(found.difference)
        sd = (high - low) / 2 / reference.t.isf(0.025, 109) * np.sqrt(110)
        drawn = np.random.default_rng(0).normal(mean, sd, (1000, n))
        scale = 1 - np.mean(list(case.arm_results[A].measured["u"].chance.values()))
        decided = 0
        for row in drawn * scale:
            d = differences(row, scale)
            shown = min(d.p_above(), d.p_below()) < 0.025
            decided += shown or max(d.p_above(-margin), d.p_below(margin)) < 0.05
        assert 0.75 < decided / len(drawn) < 0.9

    def test_calls_and_ratings_follow_the_clusters(self) -> None:
        found = verdict_of(simulated(110, 0.4, 0.48, seed=4))
        assert found.needed is not None
        assert found.needed.ratings == 6 * found.needed.clusters
        proxy = simulated(110, 0.4, 0.48, seed=4)
        utility: Utility = replace(proxy.inputs.utilities[0], kind="proxy")
        unpaid = verdict_of(proxy.where(utilities=(utility,)))
        assert unpaid.needed == found.needed.model_copy(update={"ratings": None})

    def test_a_decided_verdict_needs_nothing(self) -> None:
        assert verdict_of(simulated(150, 0.1, 0.8)).needed is None

    def test_groups_are_needed_where_there_are_groups(self) -> None:
        case = simulated(120, 0.2, 0.35)
        clusters = tuple(replace(each, group=f"g{each.id // 10}") for each in case.inputs.clusters)
        found = verdict_of(case.where(clusters=clusters))
        assert (found.word, found.groups) == ("inconclusive", 12)
        assert found.needed is not None
        assert found.needed.groups is not None
        assert found.needed.clusters == 10 * found.needed.groups
        alone = verdict_of(case).needed
        assert alone is None or (alone.groups is None and alone.clusters < found.needed.clusters)


def test_other_utilities_are_reported_and_decide_nothing() -> None:
    case = simulated(150, 0.1, 0.8)
    decides = case.inputs.utilities[0]
    upside_down = replace(
        decides, name="other", values={i: -value for i, value in decides.values.items()}
    )
    found = verdict_of(case.where(utilities=(decides, upside_down)))
    assert found.word == "better"
    (other,) = found.others
    assert other.utility == "other"
    assert other.difference.high < 0
    chosen = verdict_of(case.where(utilities=(decides, upside_down), gate=Gate(utility="other")))
    assert chosen.word == "worse"


def test_a_strategy_may_be_an_arm() -> None:
    random = Arm(strategy="random")
    case = Case.of(
        even(100),
        [[4]] * 100,
        strategies=("random",),
        comparison=ComparisonDesign("ab", (random, A)),
    )
    found = verdict_of(case)
    assert (found.word, found.a) == ("better", "strategy:random")
    assert ends(found.difference)[0] == pytest.approx((1 - EVEN) / EVEN)
