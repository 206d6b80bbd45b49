"""ROUGE-L: how much of two texts is one common subsequence of words (Lin, 2004)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

Floats = npt.NDArray[np.float64]


TOKEN = re.compile(r"[a-z0-9]+")


def rouge_l(candidates: Sequence[str], references: Sequence[str]) -> Floats:
    """ROUGE-L F1 of every candidate with every reference, in [0, 1].

    Shape (n_candidates, n_references). The measure of Lin 2004 as the package rouge_score
    computes it without stemming: tokens are the runs of a-z and 0-9 in the lower-cased text, F1
    is 2 * LCS / (tokens of both). Other letters are no tokens there, so text without any Latin
    letter or digit scores 0 against everything: use cosine for such pools.
    """
    tokens = token_ids([*candidates, *references])
    return lcs_f1(tokens[: len(candidates)], tokens[len(candidates) :])


def token_ids(texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text as numbers, the same number for the same token."""
    vocabulary: dict[str, int] = {}
    return [
        [vocabulary.setdefault(token, len(vocabulary)) for token in TOKEN.findall(text.lower())]
        for text in texts
    ]


def lcs_f1(candidates: list[list[int]], references: list[list[int]]) -> Floats:
    """ROUGE-L F1 of `token_ids` texts, (n_candidates, n_references); 0 where both are empty."""
    common = cdist(candidates, references, scorer=LCSseq.similarity, dtype=np.int32, workers=1)
    lengths = np.add.outer(
        [len(tokens) for tokens in candidates], [len(tokens) for tokens in references]
    )
    f1: Floats = 2.0 * common / np.maximum(lengths, 1)
    return f1
