"""Strategies that look at the text alone."""

from __future__ import annotations

from selectllm.strategies.candidates import Candidates, by_score


def longest(candidates: Candidates) -> list[int]:
    """Most characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, [float(len(item.text)) for item in candidates.items])


def shortest(candidates: Candidates) -> list[int]:
    """Fewest characters of instruction and input first (the paper's length baseline)."""
    return by_score(candidates, [-float(len(item.text)) for item in candidates.items])


def has_input(candidates: Candidates) -> list[int]:
    """Items with an input first: a control for labels that follow the presence of a context."""
    return by_score(candidates, [float(bool(item.input)) for item in candidates.items])
