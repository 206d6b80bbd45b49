"""Sequential `ab`: its looks and their intervals, what stopping saves, and what must be fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference

from selectllm.core.types import Attempt
from selectllm.evaluation.comparison.ab import looks_of, why_fixed
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.stats.sequential import LEAST_CAP, boundaries, critical, looks
from tests.support.verdict_cases import (
    AB,
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

THREE = ComparisonDesign("ab", (A, B, C))


def sequential(n: int, *skills: float, seed: int = 0, **changes: Any) -> Case:
    case = simulated(n, *skills, seed=seed, **changes)
    return case.where(comparison=replace(AB, looks=looks_of(case.inputs)))


class TestSequential:
    """Look by look, with boundaries that keep the error over all of them."""

    def test_the_looks_are_at_the_clusters_that_decide(self) -> None:
        utilities = np.vstack([np.tile([1.0, 1, 1, 1, 1], (50, 1)), even(500)])  # 50 flat ones
        case = Case.of(utilities, [[4]] * 550, [[4]] * 550)
        assert looks_of(case.inputs) == (
            (150, 100), (250, 200), (350, 300), (450, 400), (550, 500)
        )  # fmt: skip

    def test_flat_clusters_at_the_end_belong_to_the_last_look(self) -> None:
        utilities = np.vstack([even(150), np.ones((7, 5))])
        case = Case.of(utilities, [[4]] * 157, [[4]] * 157)
        assert looks_of(case.inputs)[-1] == (157, 150)

    @pytest.mark.parametrize("look", range(5))
    def test_at_each_look_the_verdict_is_of_the_clusters_so_far(self, look: int) -> None:
        case = sequential(300, 0.4, 0.5)
        assert case.inputs.comparison is not None
        asked = case.inputs.comparison.looks[look][0]
        found, whole = verdict_of(case.first(asked)), verdict_of(case)
        assert found.design is not None
        assert whole.design is not None
        history = [each.clusters for each in found.design.looks]
        assert history == list(looks(300))[: look + 1]
        assert found.design.looks == whole.design.looks[: look + 1]
        assert ends(found.difference)[1:] == pytest.approx(
            (found.design.looks[-1].low, found.design.looks[-1].high)
        )
        z = boundaries([count / 300 for count in looks(300)], 0.05)[look]
        fixed = verdict_of(case.where(comparison=AB).first(asked))
        middle, low, high = ends(fixed.difference)
        reach = (high - low) / 2 / reference.t.isf(0.025, asked - 1) * critical(z, asked - 1)
        assert ends(found.difference) == pytest.approx((middle, middle - reach, middle + reach))
        inner = boundaries([count / 300 for count in looks(300)], 0.1)[look]
        assert ends(found.inner)[2] - middle == pytest.approx(
            reach * critical(inner, asked - 1) / critical(z, asked - 1)
        )

    def test_one_more_cluster_is_held_against_the_boundary_of_the_look(self) -> None:
        few = [[4]] * 10 + [[0]] * 240  # 10 of 250 clusters differ
        case = Case.of(even(250), [[0]] * 250, few)
        case = case.where(comparison=replace(AB, looks=looks_of(case.inputs)))
        d = differences([1.0] * 10 + [0.0] * 90, headroom=EVEN)
        level = reference.norm.sf(boundaries([count / 250 for count in looks(250)], 0.05)[0])
        found = verdict_of(case.first(100)).one_more
        assert found is not None
        assert found.low == pytest.approx(d.low_with_one_more(level), rel=1e-6)
        assert found.high == pytest.approx(d.high_with_one_more(level), rel=1e-6)

    def test_an_early_look_needs_more_than_a_fixed_design_of_its_size(self) -> None:
        case = sequential(500, 0.3, 0.55)
        early = verdict_of(case.first(100))
        fixed = verdict_of(case.where(comparison=AB).first(100))
        assert (early.word, fixed.word) == ("inconclusive", "better")
        assert early.needed is None  # there are more looks
        assert verdict_of(case).word == "better"

    def test_the_calls_of_the_clusters_that_were_not_asked_are_saved(self) -> None:
        case = sequential(300, 0.1, 0.9)
        asked_once = Attempt("", "[1, 2]", "stop", 1, 1, 0.0, 0.0, False)
        calls = tuple(replace(d, attempts=(asked_once,)) for d in case.decisions)
        found = verdict_of(replace(case, decisions=calls).first(100))
        assert (found.word, found.p) == ("better", None)
        design = found.design
        assert (design.kind, design.cap) == ("sequential", 300)
        assert (design.calls, design.calls_saved) == (200, 400)

    @pytest.mark.parametrize(
        ("n", "changes", "why"),
        [
            (LEAST_CAP, {}, None),
            (LEAST_CAP - 1, {}, "the 149 clusters that can decide are fewer than 150"),
            (LEAST_CAP, {"comparison": THREE}, "more than two arms"),
            (LEAST_CAP, {"comparison": replace(AB, differing=True)}, "come after the picks"),
            (LEAST_CAP, {"utilities": ()}, "come after the picks"),
        ],
    )
    def test_what_must_be_fixed_says_why(
        self, n: int, changes: dict[str, Any], why: str | None
    ) -> None:
        found = why_fixed(Case.of(even(n), [[0]] * n, **changes).inputs)
        assert (found is None) == (why is None)
        assert (why or "") in (found or "")

    def test_grouped_clusters_must_be_fixed(self) -> None:
        inputs = simulated(LEAST_CAP, 0.3).inputs
        grouped = tuple(replace(each, group="g") for each in inputs.clusters)
        assert why_fixed(replace(inputs, clusters=grouped)) == "the clusters are grouped"

    def test_only_clusters_that_decide_count_towards_the_least_cap(self) -> None:
        utilities = np.vstack([even(149), np.ones((100, 5))])
        assert "the 149 clusters" in str(why_fixed(Case.of(utilities, [[0]] * 249).inputs))
