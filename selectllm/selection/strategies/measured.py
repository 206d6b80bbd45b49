"""Strategies that go by a number per item, which was measured beforehand (see scorers/). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.types import Item
from selectllm.data.deduplicate import ROUNDING, PairLimits, semantic_duplicates
from selectllm.selection.clustering.near_duplicates import InCells
from selectllm.selection.clustering.seeded_rows import nearest_to
from selectllm.selection.strategies.candidates import Candidates, by_score
from selectllm.selection.strategies.strategy import Pick

EASIER_WITHOUT = 1.0  # an IFD from here on: the instruction does not help with the response


def highest(candidates: Candidates) -> Ints:
    """The highest value first."""
    return by_score(candidates, _values(candidates))


def lowest(candidates: Candidates) -> Ints:
    """The lowest value first."""
    return by_score(candidates, -_values(candidates))


def middle(candidates: Candidates) -> Ints:
    """Those nearest to the middle by rank first, so that any number of picks is a middle slice.

    The paper's `perplexity middle` (arXiv 2401.16553) takes such a slice of the sorted pool.
    """
    ranks = np.empty(len(candidates.items))
    ranks[lowest(candidates)] = np.arange(len(ranks))
    return by_score(candidates, -np.abs(ranks - (len(ranks) - 1) / 2))


def ifd_order(candidates: Candidates) -> Ints:
    """The highest value below 1 first, then from 1 on upwards.

    IFD, the perplexity of the response given the instruction over that of the response alone: the
    higher, the less the instruction helps. From 1 on it misleads, and such items are what its
    authors leave out (Li et al. 2024, arXiv 2308.12032, section 2).
    """
    values = _values(candidates)
    usable = values < EASIER_WITHOUT
    return by_score(candidates, np.where(usable, values, -values))


def score_first(cutoff: float, order: Pick) -> Pick:
    """The order of another strategy, without items that are near a better one.

    An item is passed over if its cosine to one kept before it is `cutoff` or more; those passed
    over come last, in the same order, so that any number of items can be had. Source: DEITA, Liu
    et al., ICLR 2024, arXiv 2312.15685, section 2.3 (there with a cut-off of 0.9, and the score is
    the product of complexity and quality); a set that runs out there comes out short. What is given
    counts as kept before the first.
    """

    def pick(candidates: Candidates, n: int) -> list[int]:
        if candidates.vectors is None:
            raise ValueError("the strategy needs vectors")
        ranked = order(candidates, len(candidates.items))
        items = [candidates.items[position] for position in ranked]
        passed_over = _near_before(items, candidates, candidates.vectors[ranked], cutoff)
        kept = [p for p, item in zip(ranked, items, strict=True) if item.id not in passed_over]
        rest = [p for p, item in zip(ranked, items, strict=True) if item.id in passed_over]
        return [*kept, *rest][:n]

    return pick


def _near_before(
    items: Sequence[Item], candidates: Candidates, vectors: Vectors, cutoff: float
) -> Collection[str]:
    """The ids of items that are near to one kept before them, or to what is given."""
    near, given = np.zeros(len(items), dtype=np.bool_), candidates.given
    if given is not None and len(given):
        cosines = nearest_to(given.astype(np.float64), vectors.astype(np.float64))
        near = cosines >= np.float32(cutoff - ROUNDING)
    apart = [item for item, covered in zip(items, near, strict=True) if not covered]
    limits = PairLimits(beyond=InCells(apart, candidates.workers))
    own = semantic_duplicates([i.id for i in apart], vectors[~near], cutoff, limits=limits)
    return {*own, *(item.id for item, covered in zip(items, near, strict=True) if covered)}


def _values(candidates: Candidates) -> Floats:
    if candidates.values is None:
        raise ValueError("the strategy needs values")
    return candidates.values
