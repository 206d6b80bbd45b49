"""ROUGE diversity: the items that repeat the words of no other item first. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selectllm.core.errors import UnfitError
from selectllm.selection.strategies.candidates import Candidates, by_score

ROUGE_UP_TO = 60_000  # items; 1.8 billion pairs, at 2 to 50 million a second on one core
TILE = 1_024  # items a side of what is compared at once: 1 M pairs, about 30 MB


def rouge_diversity(candidates: Candidates, n: int) -> list[int]:
    """The n positions whose highest ROUGE-L F1 with any other item is lowest, lowest first.

    The diversity baseline of SelectLLM (arXiv 2401.16553), after the novelty filter of
    Self-Instruct (Wang et al. 2023, arXiv 2212.10560). Instruction and input are compared, never
    the response. The published code compares with 1,000 items at random and sorts items without
    an input first, by accident; here every pair counts. Ties, such as identical texts, go by
    seeded hash of the id.

    Tokens are runs of a-z and 0-9 (`utility.knn.rouge_l`). An item without any cannot be shown
    to differ, and counts as a repeat, 1; for other scripts use a strategy that needs vectors.

    Time grows with the square of the items and with their length: 20,000 take 4 s on one core at
    13 tokens each, 110 s at 74 (Dolly without and with inputs). Memory stays at some 30 MB beyond
    the tokens. Raises UnfitError above 60,000 candidates.
    """
    if len(candidates.items) > ROUGE_UP_TO:
        raise UnfitError(
            f"ROUGE diversity compares every pair, which is for up to {ROUGE_UP_TO:,} items, got "
            f"{len(candidates.items):,}; use k-center, or a random sample of the pool"
        )
    overlap = highest_rouge_l([item.text for item in candidates.items])
    return by_score(candidates, (-overlap).tolist())[:n]


def highest_rouge_l(texts: Sequence[str]) -> NDArray[np.float64]:
    """(n_texts,) each text's highest ROUGE-L F1 with any other, in [0, 1]; 0 without another.

    A text without tokens has 1.
    """
    # Here, so that other strategies start without it.
    from selectllm.data.rouge import lcs_f1, token_ids

    tokens = token_ids(texts)
    highest = np.zeros(len(tokens))
    for a in range(0, len(tokens), TILE):
        for b in range(a, len(tokens), TILE):  # F1 is symmetric: one triangle is enough
            rows, columns = slice(a, a + TILE), slice(b, b + TILE)
            f1 = lcs_f1(tokens[rows], tokens[columns])
            if a == b:
                np.fill_diagonal(f1, 0.0)
            highest[rows] = np.maximum(highest[rows], f1.max(axis=1))
            highest[columns] = np.maximum(highest[columns], f1.max(axis=0))
    highest[[not each for each in tokens]] = 1.0
    return highest
