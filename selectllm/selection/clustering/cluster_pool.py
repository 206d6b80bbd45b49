"""Dividing a pool into clusters: vectors where they are needed, and a result that is remembered.

The pure work is in partition.py; here are the encoder and the disk. A partition is kept in the
cache under what it was made from, so that a pool is divided once: a second run, another prompt
or another version of a library sees the same clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selectllm.core.codec import sha256_json
from selectllm.core.types import Cluster, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.stored_items import ids_of
from selectllm.selection.clustering.clusters_file import read_clusters, write_clusters
from selectllm.selection.clustering.partition import find_partition, named, partition


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How a pool is divided: `by` a method of partition.find_partition, into clusters of `size`.

    `base`: a folder in which code of the user's own may be.
    """

    by: str
    size: int
    seed: int
    base: Path | None = None


def cluster_pool(
    pool: Pool, division: ClusterSettings, embedder: Embedder, cache: Path
) -> tuple[Cluster, ...]:
    """The pool's clusters, from `cache` (a folder) if this division was made before."""
    function = find_partition(division.by, division.base)
    needs_vectors = division.by != "random"
    encoder = embedder.identity if needs_vectors else None
    path = _place(pool, division, encoder, cache)
    if path.exists():
        return read_clusters(path, pool)
    vectors = embedder.of(pool.items) if needs_vectors else None
    ids = [*ids_of(pool.items)]  # the clusters keep them
    clusters = partition(ids, vectors, function, division.size, division.seed, embedder.workers)
    write_clusters(
        path,
        clusters,
        by=division.by,
        size=division.size,
        seed=division.seed,
        pool_sha256=pool.sha256,
        encoder=encoder,
    )
    return clusters


def known_clusters(
    pool: Pool, division: ClusterSettings, embedder: Embedder, cache: Path
) -> tuple[Cluster, ...] | None:
    """What `cluster_pool` would give if that takes no vectors: by chance, or from `cache`.

    None otherwise. Nothing is written.
    """
    if division.by == "random":
        ids = [*ids_of(pool.items)]
        return partition(ids, None, "random", division.size, division.seed)
    path = _place(pool, division, embedder.identity, cache)
    return read_clusters(path, pool) if path.exists() else None


def _place(pool: Pool, division: ClusterSettings, encoder: str | None, cache: Path) -> Path:
    """Where the clusters are remembered: under what they are made from."""
    by, *code = named(division.by, division.base).values()
    made_from = [pool.sha256, by, division.size, division.seed, encoder, *code]
    return cache / f"{sha256_json(made_from)}.json"
