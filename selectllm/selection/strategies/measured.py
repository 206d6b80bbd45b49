"""Strategies that go by a number per item, which was measured beforehand (see scorers/). Pure."""

from __future__ import annotations

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.data.deduplicate import PairLimits, semantic_duplicates
from selectllm.selection.clustering.near_duplicates import InCells
from selectllm.selection.strategies.candidates import Candidates, by_score
from selectllm.selection.strategies.strategy import Pick

EASIER_WITHOUT = 1.0  # an IFD from here on: the instruction does not help with the response


def highest(candidates: Candidates) -> list[int]:
    """The highest value first."""
    return by_score(candidates, _values(candidates).tolist())


def lowest(candidates: Candidates) -> list[int]:
    """The lowest value first."""
    return by_score(candidates, (-_values(candidates)).tolist())


def middle(candidates: Candidates) -> list[int]:
    """Those nearest to the middle by rank first, so that any number of picks is a middle slice.

    The paper's `perplexity middle` (arXiv 2401.16553) takes such a slice of the sorted pool.
    """
    ranks = np.empty(len(candidates.items))
    ranks[lowest(candidates)] = np.arange(len(ranks))
    return by_score(candidates, (-np.abs(ranks - (len(ranks) - 1) / 2)).tolist())


def ifd_order(candidates: Candidates) -> list[int]:
    """The highest value below 1 first, then from 1 on upwards.

    IFD, the perplexity of the response given the instruction over that of the response alone: the
    higher, the less the instruction helps. From 1 on it misleads, and such items are what its
    authors leave out (Li et al. 2024, arXiv 2308.12032, section 2).
    """
    values = _values(candidates)
    usable = values < EASIER_WITHOUT
    return by_score(candidates, np.where(usable, values, -values).tolist())


def score_first(cutoff: float, order: Pick) -> Pick:
    """The order of another strategy, without items that are near a better one.

    An item is passed over if its cosine to one kept before it is `cutoff` or more; those passed
    over come last, in the same order, so that any number of items can be had. Source: DEITA, Liu
    et al., ICLR 2024, arXiv 2312.15685, section 2.3 (there with a cut-off of 0.9, and the score is
    the product of complexity and quality); a set that runs out there comes out short.
    """

    def pick(candidates: Candidates, n: int) -> list[int]:
        if candidates.vectors is None:
            raise ValueError("the strategy needs vectors")
        ranked = order(candidates, len(candidates.items))
        ids = [candidates.items[position].id for position in ranked]
        items = [candidates.items[position] for position in ranked]
        limits = PairLimits(beyond=InCells(items, candidates.workers))
        passed_over = semantic_duplicates(ids, candidates.vectors[ranked], cutoff, limits=limits)
        kept = [p for p, id in zip(ranked, ids, strict=True) if id not in passed_over]
        rest = [p for p, id in zip(ranked, ids, strict=True) if id in passed_over]
        return [*kept, *rest][:n]

    return pick


def _values(candidates: Candidates) -> Floats:
    if candidates.values is None:
        raise ValueError("the strategy needs values")
    return candidates.values
