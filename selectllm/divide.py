"""Dividing a pool into clusters: vectors where they are needed, and a result that is remembered.

The pure work is in partition.py; here are the encoder and the disk. A partition is kept in the
cache under what it was made from, so that a pool is divided once: a second run, another prompt
or another version of a library sees the same clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selectllm.clusters import read_clusters, write_clusters
from selectllm.codec import sha256_json
from selectllm.embed import Encoder, embed
from selectllm.errors import EncoderError
from selectllm.given_vectors import GivenVectors
from selectllm.partition import partition
from selectllm.types import Cluster, Item, Pool
from selectllm.vectors import VectorStore

Progress = Callable[[int, int], None]
COMPARED = 16  # items that show whether an encoder made given vectors
SAME_ENCODER = 0.9  # median cosine: two encoders come to about 0, two machines to more than .99


@dataclass(frozen=True, slots=True)
class Embedder:
    """Where vectors come from: an encoder with its store on disk, or a file for the pool's items.

    `progress(done, total)` hears of texts encoded. `given`: see `of_pool`.
    """

    encoder: Encoder
    folder: Path
    progress: Progress | None = None
    given: GivenVectors | None = None

    @property
    def identity(self) -> str:
        """What the items' vectors are known by in caches and manifests."""
        return self.encoder.identity if self.given is None else self.given.identity

    def of_pool(self, pool: Pool) -> Embedder:
        """The same for `pool`, whole as in its file: its rows are those of given vectors.

        Raises EncoderError if there are more or fewer of them.
        """
        return self if self.given is None else replace(self, given=self.given.of_pool(pool))

    def of(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(n_items, dim) float32, rows of length 1: the vectors of items of the pool."""
        if self.given is not None:
            return self.given.of(items)
        return self.vectors([item.text for item in items])

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n_texts, dim) float32, rows of length 1; only texts never seen before are encoded."""
        store = VectorStore(self.folder, self.encoder.identity)
        return embed(texts, self.encoder, store, self.progress)

    def beside(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`vectors` of texts that are to be compared with the pool's items.

        Raises EncoderError if the items' vectors are given and come from another encoder, as a
        few of them show: their cosines to these would mean nothing.
        """
        if self.given is not None:
            self._check_encoder(self.given)
        return self.vectors(texts)

    def _check_encoder(self, given: GivenVectors) -> None:
        some = given.items[:: -(-len(given.items) // COMPARED)]
        theirs, ours = given.of(some), self.vectors([item.text for item in some])
        if theirs.shape != ours.shape:
            found = f"have length {theirs.shape[1]}, its own {ours.shape[1]}"
        elif (cosine := float(np.median(np.einsum("nd,nd->n", theirs, ours)))) < SAME_ENCODER:
            found = f"have a cosine of {cosine:.2f} to its own"
        else:
            return
        raise EncoderError(
            f"--vectors {given.file.path}: were not made by {self.encoder.identity}, which other "
            f"texts are compared by (they {found}); name the encoder that made them with --encoder"
        )


@dataclass(frozen=True, slots=True)
class Division:
    """How a pool is divided: `by` a method of partition.PARTITIONS, into clusters of `size`."""

    by: str
    size: int
    seed: int


def divide(pool: Pool, division: Division, embedder: Embedder, cache: Path) -> tuple[Cluster, ...]:
    """The pool's clusters, from `cache` (a folder) if this division was made before."""
    needs_vectors = division.by != "random"
    encoder = embedder.identity if needs_vectors else None
    made_from = [pool.sha256, division.by, division.size, division.seed, encoder]
    path = cache / f"{sha256_json(made_from)}.json"
    if path.exists():
        return read_clusters(path, pool)
    vectors = embedder.of(pool.items) if needs_vectors else None
    ids = [item.id for item in pool.items]
    clusters = partition(ids, vectors, division.by, division.size, division.seed)
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
