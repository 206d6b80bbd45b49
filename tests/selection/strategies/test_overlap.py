"""What ROUGE diversity promises, against the package rouge_score."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.overlap import rouge_diversity
from tests.support.made_vectors import names

words = st.lists(st.sampled_from(["the", "Cat", "sat", "on", "42"]), min_size=1, max_size=6)
texts = st.lists(words.map(" ".join), min_size=1, max_size=12)
seeds = st.integers(-2, 5)


def candidates(texts: Sequence[str], seed: int = 0, ids: Sequence[str] | None = None) -> Candidates:
    items = [Item(id, text) for id, text in zip(ids or names(len(texts)), texts, strict=True)]
    return Candidates(items, seed)


def by_the_package(texts: Sequence[str]) -> list[float]:
    """Each text's highest ROUGE-L F1 with any other, pair by pair."""
    from rouge_score.rouge_scorer import RougeScorer  # it loads all of nltk

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    return [
        max(
            (scorer.score(a, b)["rougeL"].fmeasure for j, b in enumerate(texts) if i != j),
            default=0.0,
        )
        for i, a in enumerate(texts)
    ]


@given(texts, seeds)
def test_items_come_by_ascending_overlap(texts: list[str], seed: int) -> None:
    picks = rouge_diversity(candidates(texts, seed), len(texts))
    along = [by_the_package(texts)[pick] for pick in picks]
    assert along == pytest.approx(sorted(along), abs=1e-12)


def test_what_repeats_another_item_waits_for_what_does_not() -> None:
    pool = ["Name three rivers in Spain", "Name three rivers in France", "Why is the sky blue?"]
    assert rouge_diversity(candidates(pool), 1) == [2]


def test_the_input_counts_and_the_response_does_not() -> None:
    items = [
        Item("a", "Summarise", "one two three four", response="x"),
        Item("b", "Summarise", "five six seven eight", response="y"),
        Item("c", "Summarise", "five six seven nine", response="x"),
    ]
    assert rouge_diversity(Candidates(items, 0), 1) == [0]


def test_an_item_without_an_input_has_no_advantage() -> None:
    items = [Item("a", "Tell a joke"), Item("b", "Tell a joke"), Item("c", "Sum up", "It rained.")]
    assert rouge_diversity(Candidates(items, 0), 1) == [2]


def test_a_single_item_can_be_picked() -> None:
    assert rouge_diversity(candidates(["alone"]), 1) == [0]


def test_a_text_that_cannot_be_compared_is_not_taken_for_diverse() -> None:
    pool = ["?!", "the cat sat", "你好", "the cat ran"]
    assert sorted(rouge_diversity(candidates(pool), 2)) == [1, 3]


def test_too_many_items_are_refused_with_what_to_use_instead() -> None:
    assert len(rouge_diversity(candidates(["a", "b", "c"]), 3, most=3)) == 3
    with pytest.raises(UsageError, match=r"up to 3 items, got 4\. Use k-center"):
        rouge_diversity(candidates(["a", "b", "c", "d"]), 1, most=3)
