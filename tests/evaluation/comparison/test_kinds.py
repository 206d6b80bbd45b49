"""The registry of kinds: every verb has its record, and a run's kind gives its words alone."""

from __future__ import annotations

from typing import get_args

import pytest

from selectllm.core.verdict_words import KIND_WORDS, OPEN, KindName, VerdictKind
from selectllm.evaluation.comparison.kinds import KINDS, kind_of
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from tests.support.verdict_cases import AB, A, B, Case

UTILITIES = [[0.0, 1.0, 2.0, 3.0]] * 40
BEST, WORST = [[3]] * 40, [[0]] * 40


def test_every_kind_has_one_record() -> None:
    assert set(KINDS) == set(get_args(KindName))
    assert all(KINDS[name].words is KIND_WORDS[name] for name in get_args(VerdictKind))


def test_a_run_that_compares_nothing_is_an_evaluation() -> None:
    assert kind_of(None) is KINDS["eval"]
    assert kind_of(AB) is KINDS["ab"]


@pytest.mark.parametrize("name", get_args(KindName))
def test_a_kind_without_a_verdict_says_nothing(name: KindName) -> None:
    case = Case.of(UTILITIES, WORST, BEST, comparison=ComparisonDesign("ab", (A, B)))
    if name not in get_args(VerdictKind):
        assert KINDS[name].decide(case.inputs, case.arm_results) == []


@pytest.mark.parametrize(
    ("design", "word"),
    [
        (ComparisonDesign("ab", (A, B)), "better"),
        (ComparisonDesign("ab", (B, A)), "worse"),
        (ComparisonDesign("swap", (B, A), retain=0.9), "not safe"),
    ],
)
def test_a_kind_ends_with_a_word_of_its_own(design: ComparisonDesign, word: str) -> None:
    case = Case.of(UTILITIES, WORST, BEST, comparison=design)
    kind = kind_of(design)
    (verdict,) = kind.decide(case.inputs, case.arm_results)
    assert (verdict.kind, verdict.word) == (design.kind, word)
    assert verdict.word in {*kind.words.bad, *kind.words.good, OPEN}
    assert kind.noise(case.inputs, case.arm_results) is None
