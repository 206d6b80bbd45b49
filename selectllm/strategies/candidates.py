"""What a strategy chooses from, and the seeded tie-break that all of them share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selectllm.codec import seeded_hash
from selectllm.types import Item


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items as shown (in `select`: in file order), and the seed of every draw.

    `vectors`: (n_items, dim) float32, rows of length 1; None unless the strategy needs them.
    `values`: (n_items,) of the strategy's measure, NaN where an item could not be measured; None
    unless it has one.
    """

    items: Sequence[Item]
    seed: int
    vectors: NDArray[np.float32] | None = None
    values: NDArray[np.float64] | None = None


def by_score(candidates: Candidates, scores: Sequence[float]) -> list[int]:
    """Positions by descending score; ties by seeded hash of the id, never by file order.

    NaN, an item that could not be scored, comes last.
    """
    draws = [seeded_hash("tie", candidates.seed, item.id) for item in candidates.items]
    keys = [math.inf if math.isnan(score) else -score for score in scores]
    return sorted(range(len(draws)), key=lambda p: (keys[p], draws[p]))
