"""`regress`: a pair against what a baseline recorded of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.baseline import Baseline
from selectllm.evaluation.comparison.regress import baseline_of, regress
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import Verdict
from tests.support.verdict_cases import A, B, Picks, decisions_of, ends, even, evidence_from

MANIFEST = {
    "pool_sha256": "0" * 64,
    "picks": 1,
    "orders": 1,
    "repeats": 1,
    "seed": 0,
    "clusters": {"by": "random", "size": 5},
}
OTHER = replace(A, prompt="q@1")
EQUAL = [[4], [3], [2], [1], [0]]


def recorded(*picks: Picks, silent: int = 0) -> Baseline:
    """A baseline of p@1, and of q@1 if there are picks of it, on clusters of utilities 0 to 4."""
    arms = (A, OTHER)[: len(picks)]
    inputs = evidence_from(even(len(picks[0])), 1, comparison=None)
    inputs = replace(
        inputs,
        pairs=tuple((arm.prompt or "", "m") for arm in arms),
        prompts={"p@1": "1" * 64, "q@1": "9" * 64},
    )
    decisions = [
        d for each in zip(arms, picks, strict=True) for d in decisions_of(inputs, *each, silent)
    ]
    return baseline_of(MANIFEST, inputs, decisions)


def regressed(baseline: Baseline, *picks: Picks, silent: int = 0, **changes: Any) -> list[Verdict]:
    """The verdicts on p@2 (and q@1) that now make these picks."""
    arms = (B, OTHER)[: len(picks)]
    inputs = evidence_from(even(len(picks[0])), 1, comparison=ComparisonDesign("regress", arms))
    inputs = replace(
        inputs,
        pairs=tuple((arm.prompt or "", "m") for arm in arms),
        prompts={"p@2": "2" * 64, "q@1": "9" * 64},
        baseline=baseline,
        **changes,
    )
    decisions = [
        d for each in zip(arms, picks, strict=True) for d in decisions_of(inputs, *each, silent)
    ]
    return regress(inputs, arm_results(inputs, decisions))


def column(*columns: int, times: int = 1) -> Picks:
    return [[each] for each in columns] * times


class TestWords:
    """Pass, fail or inconclusive, one-sided each way."""

    @pytest.mark.parametrize(
        ("before", "after", "word"),
        [
            (column(2, 3, times=100), column(3, 4, times=100), "pass"),
            (column(2, 3, times=100), column(1, 2, times=100), "fail"),
            (column(2, 3, times=100), column(3, 2, times=100), "pass"),  # as good, other picks
            (column(0, 4, times=60), column(4, 0, times=60), "inconclusive"),  # too noisy to say
        ],
    )
    def test_follow_the_picks(self, before: Picks, after: Picks, word: Word) -> None:
        (found,) = regressed(recorded(before), after)
        assert found.word == word
        assert (found.needed is None) == (word != "inconclusive")

    def test_a_certain_loss_inside_the_margin_passes_and_says_so(self) -> None:
        before = column(4, times=500)
        (found,) = regressed(
            recorded(before), [*column(3, times=30), *before[30:]]
        )  # 0.06 * 0.25 / 0.5 lost
        assert ends(found.difference)[2] < 0
        assert found.word == "pass"
        assert "small certain loss" in found.notes[0]

    def test_the_difference_is_of_now_less_before(self) -> None:
        (found,) = regressed(recorded(column(2, 3, times=60)), column(3, 4, times=60))
        assert ends(found.difference)[0] == pytest.approx(0.25 / 0.5)
        assert (found.a, found.b) == ("p@1 + m", "p@2 + m")


class TestIdenticalPicks:
    """Need no statistics, if every reply is valid."""

    def test_pass_however_few_the_clusters(self) -> None:
        (found,) = regressed(recorded(EQUAL), EQUAL)
        assert found.word == "pass"
        assert "the picks are the same in every cluster" in found.reason
        assert found.regress is not None
        assert (found.regress.identical, found.regress.changed) == (True, 0)

    def test_pass_even_where_no_cluster_can_tell_good_from_bad(self) -> None:
        flat = np.ones((3, 5))
        inputs = evidence_from(flat, 1, comparison=None, pairs=(("p@1", "m"),))
        picks = column(0, 1, 2)
        baseline = baseline_of(MANIFEST, inputs, decisions_of(inputs, A, picks))
        now = replace(inputs, comparison=ComparisonDesign("regress", (A,)), baseline=baseline)
        for made, word in ((picks, "pass"), (column(0, 1, 3), "inconclusive")):
            (found,) = regress(now, arm_results(now, decisions_of(now, A, made)))
            assert found.word == word

    def test_do_not_pass_outright_with_replies_that_are_not_valid(self) -> None:
        (found,) = regressed(recorded(EQUAL, silent=1), EQUAL, silent=1)
        assert found.regress is not None
        assert found.regress.identical
        assert found.word == "inconclusive"

    def test_one_other_pick_ends_it(self) -> None:
        (found,) = regressed(recorded(EQUAL), [[3], *EQUAL[1:]])
        assert found.word == "inconclusive"
        assert found.regress is not None
        assert (found.regress.identical, found.regress.changed) == (False, 1)


class TestGuardrail:
    """Random picks may be as good, so that a utility need not tell a model that does not answer."""

    before = column(2, times=200)  # just as good as random

    @pytest.mark.parametrize(
        ("silent", "word"), [(0, "pass"), (10, "pass"), (11, "fail"), (60, "fail")]
    )
    def test_valid_replies_that_are_clearly_rarer_fail(self, silent: int, word: Word) -> None:
        (found,) = regressed(recorded(self.before), self.before, silent=silent)
        assert ends(found.difference)[0] == 0
        assert found.word == word
        assert ("rarer" in found.reason) == (silent > 10)

    def test_a_drop_in_few_clusters_may_be_chance(self) -> None:
        (found,) = regressed(recorded(self.before[:20]), column(4, times=20), silent=3)
        assert found.word == "inconclusive"
        assert "15.0% rarer, which so few clusters may show by chance" in found.reason

    def test_a_loss_of_quality_fails_for_its_own_reason(self) -> None:
        (found,) = regressed(recorded(column(4, times=200)), column(0, times=200), silent=11)
        assert (found.word, found.reason) == ("fail", "the difference lies below 0")

    def test_replies_that_were_as_rare_before_are_no_regression(self) -> None:
        (found,) = regressed(recorded(self.before, silent=60), column(3, times=200), silent=60)
        assert found.word == "pass"


class TestSeveralPairs:
    """Each fails by Holm's level; passing needs no correction, since all have to."""

    # d is -1 or +1 in so many clusters that p lies between alpha / 2 and alpha.
    before = [*column(4, times=62), *column(0, times=43)]
    worse = [*column(0, times=62), *column(4, times=43)]

    def test_what_fails_alone_may_not_fail_among_several(self) -> None:
        (alone,) = regressed(recorded(self.before), self.worse)
        assert alone.word == "fail"
        both = regressed(recorded(self.before, self.before), self.worse, self.worse)
        assert [each.word for each in both] == ["inconclusive", "inconclusive"]
        assert "on its own it would be fail" in both[0].reason

    def test_the_more_certain_failure_goes_first(self) -> None:
        best, worst = column(4, times=105), column(0, times=105)
        found = regressed(recorded(self.before, best), self.worse, worst)
        assert [each.word for each in found] == ["fail", "fail"]

    def test_a_pass_is_the_same_alone_and_among_several(self) -> None:
        before, after = column(2, 3, times=100), column(3, 2, times=100)
        (alone,) = regressed(recorded(before), after)
        both = regressed(recorded(before, before), after, after)
        assert [each.word for each in both] == ["pass", "pass"]
        assert both[0].difference == alone.difference


class TestWhatChanged:
    """What is different from the recorded pair, beside the verdict."""

    def test_the_versions_are_named_with_the_prompt_s_place(self) -> None:
        (found,) = regressed(recorded(EQUAL), EQUAL)
        assert found.regress is not None
        assert (found.regress.prompt_before, found.regress.prompt_after) == ("p@1", "p@2")
        assert found.regress.path == "prompts/p/v2.jinja"
        assert found.notes == ()

    def test_a_model_s_other_settings_are_noted(self) -> None:
        specs = {"m": {"id": "mock/m", "revision": "q4"}}
        (found,) = regressed(recorded(EQUAL), EQUAL, specs=specs)
        assert found.regress is not None
        assert found.regress.model_changed == ("revision",)
        assert "the model's settings changed: revision" in found.notes

    def test_the_same_prompt_byte_for_byte_is_noted(self) -> None:
        found = regressed(recorded(EQUAL, EQUAL), EQUAL, EQUAL)[1]
        assert found.notes == ("the prompt is the recorded one, byte for byte",)
