"""Vectors of the candidates in a seeded order, so that no strategy depends on file order. Pure."""

from __future__ import annotations

import numpy as np

from selectllm.codec import seeded_hash
from selectllm.rows import Rows
from selectllm.strategies.candidates import Candidates


def seeded_rows(candidates: Candidates) -> Rows:
    """The candidates' vectors by hash(seed, id); the id itself settles equal hashes.

    What comes first here wins a tie. Row i is candidate `order[i]`. Raises ValueError without
    vectors.
    """
    if candidates.vectors is None:
        raise ValueError("the strategy needs vectors")
    seed = candidates.seed
    draws = [
        (seeded_hash("tie", seed, item.id), item.id, position)
        for position, item in enumerate(candidates.items)
    ]
    draws.sort()
    order = np.fromiter((draw[-1] for draw in draws), dtype=np.intp, count=len(draws))
    return Rows(candidates.vectors, order)
