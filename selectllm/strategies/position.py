"""Strategies that do not look at the items: chance, and the place in the list."""

from __future__ import annotations

from selectllm.strategies.candidates import Candidates, by_score


def random(candidates: Candidates) -> list[int]:
    """A seeded shuffle by id: the baseline that everything is measured against."""
    return by_score(candidates, [0.0] * len(candidates.items))


def first(candidates: Candidates) -> list[int]:
    """As shown: what a model does that always answers with the first labels."""
    return list(range(len(candidates.items)))
