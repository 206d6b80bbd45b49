"""An encoder for tests that needs no model, with texts for it and a store for its vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.data.vector_store import VectorStore


@dataclass
class HashEncoder:
    """Vectors drawn from the hash of a text's characters; remembers what it was asked."""

    identity: str = "hash@1"
    dim: int = 6
    dies_after: int | None = None
    batches: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> Vectors:
        if self.dies_after == len(self.batches):
            raise KeyboardInterrupt
        self.batches.append(list(texts))
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text: str) -> Vectors:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.dim)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


def store_in(folder: Path, identity: str = "hash@1") -> VectorStore:
    return VectorStore(folder / "vectors", identity)


def words(count: int) -> list[str]:
    return [f"text {'x' * (number % 7)} {number}" for number in range(count)]
