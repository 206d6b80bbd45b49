"""Instruction-following difficulty as a utility: always a proxy."""

from __future__ import annotations

import math
from collections.abc import Mapping

from selectllm.utility.utility import Utility

LOWEST, HIGHEST = -1.0, 1.0


def ifd_utility(scores: Mapping[str, float], *, name: str, model: str | None = None) -> Utility:
    """The worth of each item by its IFD (`scores`, by id; see selection/scorers/likelihood.py).

    `model`: the language model that the scores are from. Its best items are those that the
    strategy `ifd` picks, in the same order.
    """
    return Utility(
        name=name,
        source="ifd",
        kind="proxy",
        values={item_id: worth(score) for item_id, score in scores.items()},
        rater=None if model is None else f"ifd of {model}",
        range=(LOWEST, HIGHEST),
    )


def worth(score: float) -> float:
    """An IFD as a number where higher is better, from -1 to 1.

    Below 1 it is the IFD itself: the nearer to 1, the less the instruction helps with the
    response, the more there is to learn. From 1 on the instruction misleads, and its authors
    leave such items out (Li et al. 2024, arXiv 2308.12032): 1 / IFD - 1, at most 0, the lower the
    worse. It keeps the strategy's order and has a floor, since a ratio of perplexities has none
    and single items would outweigh all others. NaN, an item without a response to score, is -1.
    """
    if math.isnan(score):
        return LOWEST
    return score if score < 1 else 1 / score - 1
