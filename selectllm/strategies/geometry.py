"""Strategies that look at the vectors."""

from __future__ import annotations

from selectllm.strategies.candidates import Candidates, by_score


def centroid(candidates: Candidates) -> list[int]:
    """Highest cosine to the candidates' mean vector first: the most typical items."""
    vectors = candidates.vectors
    if vectors is None:
        raise ValueError("centroid needs vectors")
    return by_score(candidates, (vectors @ vectors.mean(axis=0)).tolist())
