"""ROUGE-L against the package rouge_score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.data.rouge import highest_rouge_l, rouge_l, rouge_l_of_pairs

words = st.lists(st.sampled_from(["the", "cat", "sat", "on", "Mat", "7", "—", "ü", "\n"]))
texts = st.lists(st.text(max_size=20) | words.map(" ".join), min_size=1, max_size=4)
plain_words = st.lists(st.sampled_from(["the", "Cat", "sat", "on", "42"]), min_size=1, max_size=6)
several = st.lists(plain_words.map(" ".join), min_size=1, max_size=12)


def by_the_package(candidate: str, reference: str) -> float:
    from rouge_score.rouge_scorer import RougeScorer  # it loads all of nltk

    return RougeScorer(["rougeL"], use_stemmer=False).score(reference, candidate)["rougeL"].fmeasure


@given(texts, texts)
def test_it_equals_rouge_score(candidates: list[str], references: list[str]) -> None:
    expected = [[by_the_package(a, b) for b in references] for a in candidates]
    assert np.abs(rouge_l(candidates, references) - expected).max() < 1e-12


def test_equal_texts_score_one_and_texts_without_a_word_in_common_zero() -> None:
    scores = rouge_l(["The cat.", "A dog!"], ["the CAT", "nothing"])
    assert scores.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_text_without_latin_letters_or_digits_scores_zero_even_against_itself() -> None:
    assert rouge_l(["你好", ""], ["你好", ""]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_pairs_are_each_text_with_its_own_reference() -> None:
    texts = ["the cat sat on the mat", "", "Paris.", "no"]
    references = ["on the mat the cat sat", "x", "It is Paris", "yes"]
    expected = [by_the_package(a, b) for a, b in zip(texts, references, strict=True)]
    np.testing.assert_allclose(rouge_l_of_pairs(texts, references), expected, atol=1e-12)


def highest(texts: Sequence[str]) -> list[float]:
    """Each text's highest with any other, pair by pair."""
    return [
        max((by_the_package(a, b) for j, b in enumerate(texts) if i != j), default=0.0)
        for i, a in enumerate(texts)
    ]


@given(several, st.sampled_from([1, 3, 1_024]))
def test_the_highest_is_that_with_any_other_text_in_tiles_of_any_size(
    texts: list[str], tile: int
) -> None:
    assert highest_rouge_l(texts, tile).tolist() == pytest.approx(highest(texts), abs=1e-12)


def test_a_text_without_others_has_zero() -> None:
    assert highest_rouge_l(["alone"]).tolist() == [0.0]
