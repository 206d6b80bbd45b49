"""Score first, then keep what differs from all that was kept: DEITA's second step. Pure."""

from __future__ import annotations

from selectllm.near_duplicates import semantic_duplicates
from selectllm.strategies.candidates import Candidates
from selectllm.strategies.strategy import Pick


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
        passed_over = semantic_duplicates(ids, candidates.vectors[ranked], cutoff)
        kept = [p for p, id in zip(ranked, ids, strict=True) if id not in passed_over]
        rest = [p for p, id in zip(ranked, ids, strict=True) if id in passed_over]
        return [*kept, *rest][:n]

    return pick
