"""Texts that share most of their words, found without comparing all pairs: MinHash. Pure.

A signature holds, for each of several hash functions, the least hash of the text's runs of words;
two texts agree in a share of them that estimates the Jaccard similarity of their runs (Broder,
"On the resemblance and containment of documents", 1997). Signatures are cut into bands, and texts
that agree in a whole band meet in a bucket (Leskovec, Rajaraman & Ullman, "Mining of Massive
Datasets", chapter 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Ints

RUN = 3  # words in a row that count as one; a shorter text is one run itself
BANDS = 16
BAND_ROWS = 4  # texts of a Jaccard similarity of 0.7 meet with a probability of 99 %, of 0.3: 12 %
BLOCK = 20_000  # texts at a time

Hashes = NDArray[np.uint64]
Signatures = NDArray[np.uint32]


@cache
def _odd() -> tuple[Hashes, Hashes]:
    """Factors of words, and of the hash functions: multiply-shift (Dietzfelbinger et al. 1997)."""
    drawn = np.random.Generator(np.random.PCG64(20_240_601)).integers(
        0, 2**63, RUN + BANDS * BAND_ROWS, dtype=np.uint64
    )
    odd: Hashes = drawn * 2 + 1
    return odd[:RUN], odd[RUN:]


def signatures(texts: Sequence[str]) -> Signatures:
    """(n_texts, BANDS * BAND_ROWS): two rows agree in a share that estimates the similarity."""
    _, factors = _odd()
    signed = np.empty((len(texts), len(factors)), dtype=np.uint32)
    known: dict[str, int] = {}
    for start in range(0, len(texts), BLOCK):
        runs, begins = _runs(texts[start : start + BLOCK], known)
        for number, factor in enumerate(factors):
            hashed = (runs * factor) >> np.uint64(32)
            signed[start : start + BLOCK, number] = np.minimum.reduceat(hashed, begins)
    return signed


def _runs(texts: Sequence[str], known: dict[str, int]) -> tuple[Hashes, Ints]:
    """The hashes of all runs of words, text after text, and where those of each text begin.

    `known`: hashes of words that were met before; is written to.
    """
    hashed: list[int] = []
    lengths = np.empty(len(texts), dtype=np.intp)
    for number, text in enumerate(texts):
        words = text.split() or [""]
        words += [""] * (RUN - len(words))
        for word in words:
            if (value := known.get(word)) is None:
                value = known[word] = zlib.crc32(word.encode("utf-8", "surrogatepass"))
            hashed.append(value)
        lengths[number] = len(words)
    values = np.array(hashed, dtype=np.uint64)
    ends = np.cumsum(lengths)
    runs = np.zeros(len(values), dtype=np.uint64)
    for ahead, factor in enumerate(_odd()[0]):
        runs[: len(runs) - ahead] += values[ahead:] * factor
    whole = np.ones(len(values), dtype=np.bool_)  # not begun by the last words of a text
    for last in range(1, RUN):
        whole[ends - last] = False
    counts = lengths - (RUN - 1)
    return _mixed(runs[whole]), np.cumsum(counts) - counts


def _mixed(values: Hashes) -> Hashes:
    """The values as if drawn at random: the finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def met(signed: Signatures) -> Ints:
    """(n_pairs, 2) rows, the lower first, that agree in a band: a chain through every bucket.

    Each row of a bucket is paired with the one before it and with the first.
    """
    pairs = [pair for band in range(BANDS) for pair in _of_band(signed, band)]
    return distinct_pairs(np.concatenate([*pairs, np.empty((0, 2), dtype=np.intp)]), len(signed))


def distinct_pairs(pairs: Ints, rows: int) -> Ints:
    """Each of `pairs` (n_pairs, 2) of so many rows once, by the second row and then the first."""
    codes = np.unique(pairs[:, 1] * rows + pairs[:, 0])
    return np.column_stack([codes % rows, codes // rows])


def _of_band(signed: Signatures, band: int) -> Iterator[Ints]:
    part = signed[:, band * BAND_ROWS : (band + 1) * BAND_ROWS].astype(np.uint64)
    keys = (part * _odd()[1][:BAND_ROWS]).sum(axis=1, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]]) + 1  # places with one before them
    if not len(same):
        return
    opens = np.ones(len(order), dtype=np.bool_)
    opens[same] = False
    first = np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))
    yield np.column_stack([order[same - 1], order[same]])
    yield np.column_stack([order[first[same]], order[same]])
