"""D-optimal design: the items that together say most about every direction of the vectors. Pure."""

from __future__ import annotations

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows

NOISE = 9  # decimals: what differs behind them is rounding, and must not decide between items


def d_optimal(candidates: Candidates, n: int) -> list[int]:
    """Positions in the order in which they add most to log det(I + sum over picked of x x^T).

    Greedy: adding x to a design A multiplies det(A) by 1 + x^T A^-1 x, so each pick is the item
    with the largest x^T A^-1 x (the matrix determinant lemma). The function is monotone and
    submodular, so the sum reaches at least 1 - 1/e of the best set's (Nemhauser, Wolsey & Fisher
    1978). For choosing examples to fine-tune on: FisherSFT (Deb et al. 2025, arXiv 2505.14826),
    there on a model's last-layer features, here on the vectors of the items. What is given counts
    as picked before the first. Equal gains go by seed and id; any n gives the same beginning.

    Time grows with items x picks x dim, memory with items x dim (8 bytes each).
    """
    rows = seeded_rows(candidates)
    dim = rows.take(0, 1).shape[1]
    inverse: Floats = np.eye(dim)
    given = candidates.given
    if given is not None and len(given):
        wide = given.astype(np.float64)
        inverse = np.asarray(np.linalg.inv(inverse + wide.T @ wide), dtype=np.float64)
    picks: list[int] = []
    gains = _gains(rows, inverse)
    while len(picks) < n:
        best = int(np.round(gains, NOISE).argmax())
        picks.append(best)
        pulled = inverse @ rows.wide(np.array([best]))[0]  # A^-1 x
        scale = 1 + float(gains[best])
        inverse -= np.outer(pulled, pulled) / scale  # Sherman & Morrison 1950
        for start, block in rows.blocks():
            gains[start : start + len(block)] -= (block @ pulled) ** 2 / scale
        gains[picks] = -np.inf
    return [int(position) for position in rows.order[picks]]


def _gains(rows: SeededRows, inverse: Floats) -> Floats:
    """(n_rows,) x^T A^-1 x of each row x."""
    gains = np.empty(len(rows))
    for start, block in rows.blocks():
        gains[start : start + len(block)] = np.einsum("nd,nd->n", block @ inverse, block)
    return gains
