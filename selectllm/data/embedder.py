"""An embedder: an encoder with its store on disk and vectors that were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.errors import EncoderError
from selectllm.core.types import Item, Pool, Progress
from selectllm.core.workers import HERE, Workers
from selectllm.data.encoders import Encoder, embed
from selectllm.data.stored_items import texts_of
from selectllm.data.vector_file import GivenVectors
from selectllm.data.vector_store import VectorStore, text_keys

COMPARED = 16  # items that show whether an encoder made given vectors
SAME_ENCODER = 0.9  # median cosine: two encoders come to about 0, two machines to more than .99


@dataclass(frozen=True, slots=True)
class Embedder:
    """Where vectors come from: an encoder with its store on disk, or a file for the pool's items.

    `progress(done, total)` hears of texts encoded. `given`: see `of_pool`. `heard(items)` hears of
    items that the encoder is to tell apart. `before`: called before anything is encoded, to raise
    what would be in vain afterwards. `workers`: of the engine, for what is done with the vectors.
    """

    encoder: Encoder
    folder: Path
    progress: Progress | None = None
    given: GivenVectors | None = None
    heard: Callable[[Sequence[Item]], None] | None = None
    before: Callable[[], None] | None = None
    workers: Workers = HERE

    @property
    def identity(self) -> str:
        """What the items' vectors are known by in caches and manifests."""
        return self.encoder.identity if self.given is None else self.given.identity

    def of_pool(self, pool: Pool) -> Embedder:
        """The same for `pool`, whole as in its file: its rows are those of given vectors.

        Raises EncoderError if there are more or fewer of them.
        """
        return self if self.given is None else replace(self, given=self.given.of_pool(pool))

    def of(self, items: Sequence[Item]) -> Vectors:
        """(n_items, dim) float32, rows of length 1: the vectors of items of the pool."""
        if self.given is not None:
            return self.given.of(items)
        if self.heard is not None:
            self.heard(items)
        return self.vectors(texts_of(items))

    def knows(self, items: Sequence[Item]) -> bool:
        """Whether `of` has nothing to encode."""
        if self.given is not None:
            return True
        store = VectorStore(self.folder, self.encoder.identity)
        return len(store) > 0 and bool((store.find(text_keys(texts_of(items))) >= 0).all())

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, dim) float32, rows of length 1; only texts never seen before are encoded."""
        store = VectorStore(self.folder, self.encoder.identity)
        return embed(texts, self.encoder, store, self.progress, self.before)

    def beside(self, texts: Sequence[str]) -> Vectors:
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
            f"`vectors` {given.file.path}: These vectors were not made by "
            f"{self.encoder.identity}, which embeds the other texts (they {found}). Name the "
            "encoder that made them with `encoder`",
            argument="encoder",
        )
