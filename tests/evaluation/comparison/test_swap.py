"""`swap`: what is kept of the incumbent's lift, what there is to keep, and valid replies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from selectllm.core.types import Attempt
from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import Intervals, Verdict
from selectllm.evaluation.comparison.swap import swap
from selectllm.stats.power import clusters_needed
from tests.support.verdict_cases import CLOSE, A, B, Case, apart, ends, even, simulated

few_examples = settings(max_examples=15)
N = 200


def swapped(case: Case, retain: float = 0.9) -> Verdict:
    """The verdict on B in place of A."""
    case = case.where(comparison=ComparisonDesign("swap", (A, B), retain=retain))
    (verdict,) = swap(case.inputs, case.arm_results)
    return verdict


def made(before: list[int], after: list[int]) -> Case:
    """Clusters of utilities 0 to 4; the columns that the incumbent and the newcomer picked."""
    return Case.of(even(len(before)), [[each] for each in before], [[each] for each in after])


def silent(case: Case, clusters: int) -> Case:
    """The same with no valid reply by B in so many clusters, which then count as random picks."""
    without = apart(clusters, len(case.inputs.clusters))
    return replace(
        case,
        decisions=tuple(
            replace(d, picks=(), status="invalid")
            if d.prompt == B.prompt and d.cluster in without
            else d
            for d in case.decisions
        ),
    )


GOOD = [4, 3, 4, 4] * (N // 4)  # captures 0.875
LESS = [4, 4, 4, 2] * (N // 4)  # 0.75: keeps 6/7


class TestRetention:
    """x = s_to - retain * s_from with s = G - r, one-sided."""

    @few_examples
    @given(st.integers(0, 10**6), st.floats(0.5, 1))
    def test_its_mean_is_what_the_newcomer_captured_less_the_share_to_keep(
        self, seed: int, retain: float
    ) -> None:
        found = swapped(simulated(120, 0.6, 0.5, seed=seed), retain)
        before, after = ends(found.captured.a)[0], ends(found.captured.b)[0]
        assert found.swap is not None
        kept, assay = found.swap.retention, found.swap.assay
        assert kept.estimate == pytest.approx(after - retain * before, **CLOSE)
        assert assay.estimate == pytest.approx(before, **CLOSE)

    def test_its_interval_is_student_s_t_of_x(self) -> None:
        s_from, s_to = np.array(GOOD) / 4 - 0.5, np.array(LESS) / 4 - 0.5
        for x, name in ((s_to - 0.7 * s_from, "retention"), (s_from, "assay")):
            found = swapped(made(GOOD, LESS), 0.7).swap
            assert found is not None
            expected = reference.ttest_1samp(x / 0.5, 0).confidence_interval(0.90)
            assert ends(getattr(found, name))[1:] == pytest.approx(expected, **CLOSE)

    @pytest.mark.parametrize(
        ("retain", "word"),
        [(0.5, "safe"), (0.75, "safe"), (0.857, "inconclusive"), (1.0, "not safe")],
    )
    def test_the_more_must_be_kept_the_less_is_safe(self, retain: float, word: Word) -> None:
        assert swapped(made(GOOD, LESS), retain).word == word

    @pytest.mark.parametrize(("retain", "word"), [(0.9, "safe"), (1.0, "inconclusive")])
    def test_the_same_picks_keep_all_and_no_more(self, retain: float, word: Word) -> None:
        assert swapped(made(GOOD * 5, GOOD * 5), retain).word == word

    def test_what_one_more_cluster_would_undo_is_not_safe(self) -> None:
        lost = apart(5, N)  # t sees little of such losses, and may have seen none
        rarely = [0 if row in lost else pick for row, pick in enumerate(GOOD)]
        found = swapped(made(GOOD, rarely))
        assert found.swap is not None
        assert found.swap.retention.low > 0
        assert found.word == "inconclusive"
        assert "one more cluster that went as badly as possible would change that" in found.reason
        assert found.one_more is not None
        assert found.one_more.low <= 0

    def test_the_worst_is_that_the_newcomer_picks_the_worst_and_the_incumbent_the_best(
        self,
    ) -> None:
        found = swapped(made(GOOD, LESS), 0.7)
        x = (np.array(LESS) / 4 - 0.5) - 0.7 * (np.array(GOOD) / 4 - 0.5)
        ends_of = [
            reference.ttest_1samp(np.append(x, value) / 0.5, 0).confidence_interval(0.90)
            for value in (-0.5 - 0.7 * 0.5, 0.5 + 0.7 * 0.5)  # r is a half
        ]
        assert found.one_more is not None
        assert found.one_more.low == pytest.approx(ends_of[0].low, **CLOSE)
        assert found.one_more.high == pytest.approx(ends_of[1].high, **CLOSE)


class TestAssay:
    """The incumbent must beat random picks, or there is nothing to keep."""

    def test_an_incumbent_that_picks_at_random_makes_nothing_safe(self) -> None:
        found = swapped(made([0, 4, 1, 3] * (N // 4), GOOD))
        assert found.swap is not None
        assert found.swap.retention.low > 0
        assert found.word == "inconclusive"
        assert "model in use is not shown to beat random picks" in found.reason

    def test_nor_does_one_that_is_worse_than_random(self) -> None:
        assert swapped(made([0, 1, 0, 1] * (N // 4), GOOD)).word == "inconclusive"

    def test_what_is_needed_settles_the_assay_too(self) -> None:
        found = swapped(made([0, 4, 1, 4] * (N // 4), GOOD), 0.5)
        assert found.word == "safe"  # captures 0.125, and 200 clusters show it
        fewer = swapped(made(([0, 4, 1, 4] * N)[:120], (GOOD * 2)[:120]), 0.5)
        assert fewer.word == "inconclusive"
        assert fewer.needed is not None
        assay = ends(fewer.swap.assay if fewer.swap else None)
        sd = (assay[2] - assay[0]) / reference.t.isf(0.05, 119) * np.sqrt(120)
        # One more s could be -r, which is one in captured units where r is a half.
        needed = clusters_needed(assay[0], sd, 0.05, sides=1, extreme=1.0)
        assert 120 + fewer.needed.clusters == needed

    def test_an_incumbent_seen_to_be_worse_than_random_needs_no_more(self) -> None:
        assert swapped(made([0, 1, 0, 1] * (N // 4), GOOD)).needed is None


class TestGuardrail:
    """Valid replies must not be much rarer."""

    @pytest.mark.parametrize(
        ("clusters", "word"), [(0, "safe"), (10, "safe"), (11, "not safe"), (40, "not safe")]
    )
    def test_a_drop_of_more_than_five_points_that_is_no_accident_is_not_safe(
        self, clusters: int, word: Word
    ) -> None:
        found = swapped(silent(made(GOOD, GOOD), clusters), 0.5)
        assert found.word == word
        assert found.swap is not None
        assert found.swap.valid_rate_drop == pytest.approx(clusters / N)
        assert ("rarer" in found.reason) == (clusters > 10)

    def test_a_drop_in_few_clusters_may_be_chance(self) -> None:
        found = swapped(silent(made(GOOD[:20], GOOD[:20]), 3), 0.5)
        assert found.word == "inconclusive"
        assert (
            found.reason
            == "valid replies are 15.0% rarer, which so few clusters may show by chance"
        )

    def test_a_newcomer_that_replies_more_often_is_no_worse_for_it(self) -> None:
        case = silent(made(GOOD, GOOD), 40)
        case = case.where(comparison=ComparisonDesign("swap", (B, A), retain=0.9))
        (found,) = swap(case.inputs, case.arm_results)
        assert found.word == "safe"
        assert found.swap is not None
        assert found.swap.valid_rate_drop == pytest.approx(-0.2)


class TestBeside:
    """What else one wants to know before swapping."""

    def test_cost_and_time_are_per_1000_picks(self) -> None:
        case = simulated(10, 0.5, 0.5)
        attempt = Attempt("", "[1, 2]", "stop", 10, 2, 0.002, 0.5, False)
        local = replace(attempt, cost_usd=None, seconds=4.0)
        case = replace(
            case,
            decisions=tuple(
                replace(d, attempts=(attempt,) if d.prompt == A.prompt else (local, local))
                for d in case.decisions
            ),
        )
        found = swapped(case).swap
        assert found is not None
        assert found.usd_per_1000.to_json() == {"a": pytest.approx(1.0), "b": None}
        assert found.seconds_per_1000.to_json() == {
            "a": pytest.approx(250),
            "b": pytest.approx(4000),
        }

    def test_consistency_over_orders_is_known_with_several_orders_only(self) -> None:
        case = simulated(10, 0.5, 0.5)
        found = swapped(case).swap
        assert found is not None
        assert found.order_consistency == Intervals()
        turned = tuple(replace(d, order=1) for d in case.decisions)
        twice = replace(case, decisions=case.decisions + turned).where(orders=2)
        found = swapped(twice).swap
        assert found is not None
        assert ends(found.order_consistency.a)[0] == pytest.approx(1)

    def test_without_a_utility_nothing_is_said(self) -> None:
        found = swapped(simulated(30, 0.5, 0.5, utilities=()))
        assert (found.word, "no utility" in found.reason) == ("inconclusive", True)
        assert found.swap is not None
        assert (found.swap.retention, found.swap.assay) == (None, None)
