"""What words mean to a reader: which is the worst, and which are good or bad news."""

from __future__ import annotations

from typing import get_args

import pytest

from selectllm.core.verdict_words import (
    KIND_WORDS,
    POLARITY,
    REASONS,
    VerdictKind,
    Word,
    confidence,
    worst,
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pass", "inconclusive", "fail"], "fail"),
        (["pass", "inconclusive"], "inconclusive"),
        (["better", "equivalent"], "equivalent"),
        (["better", "worse", "inconclusive"], "worse"),
        (["safe"], "safe"),
        ([], None),
    ],
)
def test_the_worst_word_heads_a_report(words: list[Word], expected: Word | None) -> None:
    assert worst(words) == expected


def test_every_word_has_a_meaning_and_a_reason() -> None:
    assert POLARITY.keys() == REASONS.keys() == set(get_args(Word))
    assert KIND_WORDS.keys() == set(get_args(VerdictKind))


@pytest.mark.parametrize("kind", get_args(VerdictKind))
def test_no_two_kinds_use_one_word(kind: VerdictKind) -> None:
    others = [words for name, words in KIND_WORDS.items() if name != kind]
    ours = KIND_WORDS[kind]
    assert ours.equal in ours.good
    assert not any({*ours.good, *ours.bad} & {*other.good, *other.bad} for other in others)


@pytest.mark.parametrize(("kind", "shown"), [("ab", 0.95), ("swap", 0.9), ("regress", 0.9)])
def test_the_interval_shown_is_that_of_the_rule(kind: VerdictKind, shown: float) -> None:
    assert confidence(kind, 0.05) == pytest.approx(shown)
