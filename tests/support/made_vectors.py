"""Vectors made for tests: with ids by number, at random or in tight bunches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.floating]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_vectors(items: int, dim: int = 8, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((items, dim)))


def blobs(count: int, each: int, dim: int = 32) -> Vectors:
    """`count` tight bunches of `each` rows, bunch after bunch."""
    rng = np.random.default_rng(7)
    centres = np.repeat(unit(rng.standard_normal((count, dim))), each, axis=0)
    return unit(centres + 0.05 * rng.standard_normal(centres.shape))


def names(items: int) -> list[str]:
    return [f"item-{number:06d}" for number in range(items)]
