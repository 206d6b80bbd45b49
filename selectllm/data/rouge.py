"""ROUGE-L F1: how much of two texts is one common subsequence of words (Lin 2004).

As the package rouge_score computes it without stemming: tokens are the runs of a-z and 0-9 in the
lower-cased text, F1 is 2 * LCS / (tokens of both). Other letters are no tokens there, so text
without any Latin letter or digit scores 0 against everything: use cosine for such pools.

Pure. rapidfuzz counts the subsequences; its `Indel.normalized_similarity` is the same number by
another formula, whose last bit differs where ties are settled by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from selectllm.core.arrays import Floats

TOKEN = re.compile(r"[a-z0-9]+")
TILE = 1_024  # texts a side of what is compared at once: 1 M pairs, about 30 MB

Tokens = list[int]
"""A text as numbers, the same number for the same token."""


def rouge_l(candidates: Sequence[str], references: Sequence[str]) -> Floats:
    """(n_candidates, n_references) ROUGE-L F1 of each candidate with each reference, in [0, 1]."""
    tokens = token_ids([*candidates, *references])
    return lcs_f1(tokens[: len(candidates)], tokens[len(candidates) :])


def rouge_l_of_pairs(texts: Sequence[str], references: Sequence[str]) -> Floats:
    """(n,) ROUGE-L F1 of each text with its own reference, in [0, 1]."""
    tokens = token_ids([*texts, *references])
    pairs = zip(tokens[: len(texts)], tokens[len(texts) :], strict=True)
    return np.array([lcs_f1([text], [reference])[0, 0] for text, reference in pairs])


def highest_rouge_l(texts: Sequence[str], tile: int = TILE) -> Floats:
    """(n_texts,) each text's highest ROUGE-L F1 with any other, in [0, 1]; 0 without another.

    A text without tokens has 1. `tile`: texts a side compared at once; the result is the same.
    """
    tokens = token_ids(texts)
    highest = np.zeros(len(tokens))
    for a in range(0, len(tokens), tile):
        for b in range(a, len(tokens), tile):  # F1 is symmetric: one triangle is enough
            rows, columns = slice(a, a + tile), slice(b, b + tile)
            f1 = lcs_f1(tokens[rows], tokens[columns])
            if a == b:
                np.fill_diagonal(f1, 0.0)
            highest[rows] = np.maximum(highest[rows], f1.max(axis=1))
            highest[columns] = np.maximum(highest[columns], f1.max(axis=0))
    highest[[not ids for ids in tokens]] = 1.0
    return highest


def token_ids(texts: Sequence[str]) -> list[Tokens]:
    """The tokens of each text, numbered over all of them."""
    vocabulary: dict[str, int] = {}
    return [
        [vocabulary.setdefault(token, len(vocabulary)) for token in TOKEN.findall(text.lower())]
        for text in texts
    ]


def lcs_f1(candidates: Sequence[Tokens], references: Sequence[Tokens]) -> Floats:
    """ROUGE-L F1 of `token_ids` texts, (n_candidates, n_references); 0 where both are empty."""
    from rapidfuzz.distance import LCSseq  # 48 modules, which every evaluation would load
    from rapidfuzz.process import cdist

    common = cdist(candidates, references, scorer=LCSseq.similarity, dtype=np.int32, workers=1)
    lengths = np.add.outer(
        [len(tokens) for tokens in candidates], [len(tokens) for tokens in references]
    )
    f1: Floats = 2.0 * common / np.maximum(lengths, 1)
    return f1
