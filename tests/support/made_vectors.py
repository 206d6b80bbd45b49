"""Vectors made for tests: with ids by number, at random, in tight bunches or full of ties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from selectllm.core.arrays import Vectors
from selectllm.core.types import Cluster


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


@st.composite
def coarse_vectors(draw: st.DrawFn) -> Vectors:
    """Coarse coordinates, so that ties, repeats and cosines right at a threshold are common."""
    items = draw(st.integers(1, 40))
    levels = draw(st.sampled_from([1, 2, 1000]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return unit(rng.integers(1, levels + 1, (items, 3)) * rng.choice([-1.0, 1.0], (items, 3)))


def mean_cosine(vectors: Vectors, clusters: tuple[Cluster, ...]) -> float:
    """Mean over clusters of the mean cosine between two members."""
    row = {name: position for position, name in enumerate(names(len(vectors)))}
    means = []
    for cluster in clusters:
        members = vectors[[row[name] for name in cluster.members]].astype(np.float64)
        count = len(members)
        means.append(((members @ members.T).sum() - count) / (count * (count - 1)))
    return float(np.mean(means))
