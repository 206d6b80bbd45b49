"""Dividing a pool into clusters: vectors where they are needed, and a result that is remembered.

The pure work is in partition.py; here are the encoder and the disk. A partition is kept in the
cache under what it was made from, so that a pool is divided once: a second run, another prompt
or another version of a library sees the same clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.codec import sha256_json
from selectllm.core.files import unwritable
from selectllm.core.types import Cluster, Pool
from selectllm.data.embedder import Embedder
from selectllm.data.stored_items import PackedIds, ids_of, spilled_to
from selectllm.selection.clustering.clusters_file import read_clusters, write_clusters
from selectllm.selection.clustering.packed_clusters import PACKED, PackedClusters
from selectllm.selection.clustering.partition import divided, find_partition, named


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
) -> Sequence[Cluster]:
    """The pool's clusters, from `cache` (a folder) if this division was made before.

    Those of a pool whose rows stay in their files are packed. A cache that may not be written
    remembers none.
    """
    function = find_partition(division.by, division.base)
    needs_vectors = division.by != "random"
    encoder = embedder.identity if needs_vectors else None
    path = _place(pool, division, encoder, cache)
    if (known := _read(path, pool)) is not None:
        return known
    vectors = embedder.of(pool.items) if needs_vectors else None
    ids = ids_of(pool.items)
    clusters = divided(
        *(ids, vectors, function, division.size, division.seed, embedder.workers),
        folder=spilled_to(pool.items),
    )
    remembered = unwritable(path) is None
    if isinstance(ids, PackedIds):
        if not remembered:
            return clusters
        clusters.write(path.with_suffix(PACKED))
        return clusters
    held = tuple(clusters)
    if not remembered:
        return held
    write_clusters(
        path,
        held,
        by=division.by,
        size=division.size,
        seed=division.seed,
        pool_sha256=pool.sha256,
        encoder=encoder,
    )
    return held


def known_clusters(
    pool: Pool, division: ClusterSettings, embedder: Embedder, cache: Path
) -> Sequence[Cluster] | None:
    """What `cluster_pool` would give if that takes no vectors: by chance, or from `cache`.

    None otherwise. Nothing is written.
    """
    if division.by == "random":
        ids, folder = ids_of(pool.items), spilled_to(pool.items)
        return divided(ids, None, "random", division.size, division.seed, folder=folder)
    return _read(_place(pool, division, embedder.identity, cache), pool)


def _read(path: Path, pool: Pool) -> Sequence[Cluster] | None:
    """The clusters that were made before, of the pool in whatever form; None for none."""
    if path.exists():
        return read_clusters(path, pool)
    packed, ids = path.with_suffix(PACKED), ids_of(pool.items)
    if not packed.exists():
        return None
    clusters = PackedClusters.read(packed, ids)
    return clusters if isinstance(ids, PackedIds) else tuple(clusters)


def _place(pool: Pool, division: ClusterSettings, encoder: str | None, cache: Path) -> Path:
    """Where the clusters are remembered: under what they are made from."""
    by, *code = named(division.by, division.base).values()
    made_from = [pool.sha256, by, division.size, division.seed, encoder, *code]
    return cache / f"{sha256_json(made_from)}.json"
