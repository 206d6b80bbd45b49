"""Items that say the same as an earlier one, so that nobody pays to look at them twice. Pure.

The first of several in pool order is kept, or in a seeded order where one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.codec import seeded_hash
from selectllm.core.errors import EncoderError, UnfitError, UsageError
from selectllm.core.types import Item

SEMANTIC_UP_TO = 200_000  # items; 20 billion pairs
BLOCK = 4_096  # rows a side of one matrix product: 64 MB of cosines
ROUNDING = 1e-6  # what float32 may take off a cosine: identical rows reach a threshold of 1
LENGTH_WITHIN = 1e-3  # of 1, squared; more is no rounding

Positions = Ints
KEPT = -1

NearSearch = Callable[[Vectors, Positions, float], Positions]
"""(vectors, positions in order of keeping, lowest cosine) -> what `earliest_near` gives, nearly."""


@dataclass(frozen=True, slots=True)
class PairLimits:
    """`up_to`: how many items are compared in pairs. `block`: rows a side of one matrix product.

    `beyond`: how near-duplicates are found among more items; None: not at all.
    """

    up_to: int = SEMANTIC_UP_TO
    block: int = BLOCK
    beyond: NearSearch | None = None


@dataclass(frozen=True, slots=True)
class Distinct:
    """What is left of a pool, and what each dropped item repeats.

    `kept`: ids in pool order. `exact`: id of a dropped item to the id of the first with the same
    text. `semantic`: id of a dropped item to the id of a kept one near it. An item named in
    `exact` may itself have been dropped in `semantic`; `kept_for` follows both.
    """

    kept: tuple[str, ...]
    exact: Mapping[str, str]
    semantic: Mapping[str, str]

    def kept_for(self, id: str) -> str:
        """The kept item that stands for `id`: itself if it was kept."""
        first = self.exact.get(id, id)
        return self.semantic.get(first, first)


def distinct(
    items: Sequence[Item],
    vectors: Vectors | None = None,
    threshold: float = 1.0,
    seed: int | None = None,
    limits: PairLimits = PairLimits(),
) -> Distinct:
    """The items without exact duplicates, and with vectors also without semantic ones.

    Row i of `vectors` (n_items, dim) belongs to items[i]; the rest as in `semantic_duplicates`,
    whose limit counts what the exact step leaves.
    """
    ids = [item.id for item in items]
    exact = exact_duplicates(items)
    semantic: dict[str, str] = {}
    if vectors is not None:
        left = np.array([i for i, id in enumerate(ids) if id not in exact], dtype=np.intp)
        semantic = _semantic(ids, vectors, threshold, _ordered(ids, left, seed), limits)
    kept = tuple(id for id in ids if id not in exact and id not in semantic)
    return Distinct(kept, exact, semantic)


def exact_duplicates(items: Sequence[Item]) -> dict[str, str]:
    """Id of every later item with a text seen before, to the id of the first that has it.

    Texts are instruction and input, compared as `normalised`. Ids are distinct.
    """
    first: dict[str, str] = {}
    repeats: dict[str, str] = {}
    for item in items:
        kept = first.setdefault(normalised(item.text), item.id)
        if kept != item.id:
            repeats[item.id] = kept
    return repeats


def normalised(text: str) -> str:
    """Case-folded and in NFC (Unicode 3.13, D145), runs of white space as one space, none outside.

    Punctuation and digits stay: "2 + 2" and "2 - 2" are two questions.
    """
    return " ".join(normalize("NFC", normalize("NFD", text).casefold()).split())


def semantic_duplicates(
    ids: Sequence[str],
    vectors: Vectors,
    threshold: float,
    seed: int | None = None,
    limits: PairLimits = PairLimits(),
) -> dict[str, str]:
    """Id of every dropped item, to the id of the earliest kept one with cosine >= `threshold`.

    Greedy: an item is dropped if one that was kept before it is that near, so kept items are
    pairwise below the threshold. Items come in the order of the rows, or with a seed by
    hash(seed, id), whatever the order of the rows. `vectors`: (n_items, dim) float32, rows of
    length 1, memory-mapped if need be. `threshold`: in (0, 1]; cosines up to 1e-6 below count as
    reaching it, which is what float32 rounds.

    Time grows with the square of the kept items: 80,000 of 384 numbers take 15 s on two cores.
    Memory beyond the vectors is some 150 MB. Above `limits.up_to` items by `limits.beyond`, which
    may keep an item that is near another one; UnfitError without it. Raises UsageError for
    repeated ids or another threshold, EncoderError for vectors that do not fit the ids, are not
    finite or not of length 1.
    """
    order = _ordered(ids, np.arange(len(ids)), seed)
    return _semantic(ids, vectors, threshold, order, limits)


def near_given(
    items: Sequence[Item], vectors: Vectors, given: Vectors | None, threshold: float
) -> set[str]:
    """Ids of the items with a cosine >= `threshold` to a given one.

    `vectors`: (n_items, dim), `given`: (n_given, dim), rows of length 1; None for none. The
    threshold is as in `semantic_duplicates`.
    """
    near: set[str] = set()
    if given is None or not len(given):
        return near
    for start in range(0, len(items), BLOCK):
        block = np.asarray(vectors[start : start + BLOCK], dtype=np.float32)
        hit = np.zeros(len(block), dtype=np.bool_)
        for first in range(0, len(given), BLOCK):
            chunk = np.asarray(given[first : first + BLOCK], dtype=np.float32)
            hit |= (block @ chunk.T >= threshold - ROUNDING).any(axis=1)
        near |= {items[start + int(row)].id for row in np.flatnonzero(hit)}
    return near


def _semantic(
    ids: Sequence[str],
    vectors: Vectors,
    threshold: float,
    order: Positions,
    limits: PairLimits,
) -> dict[str, str]:
    """`semantic_duplicates` of the rows in `order` alone, which is the order of keeping."""
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold must be a cosine above 0 and at most 1, not {threshold}")
    many = len(order) > limits.up_to
    if many and limits.beyond is None:
        raise UnfitError(
            "to find near-duplicates, every pair is compared. That is possible for up to "
            f"{limits.up_to:,} items, and there are {len(order):,}. Leave out only exact "
            "duplicates "
            "(`distinct` exact), or split the pool"
        )
    if len(set(ids)) != len(ids):
        raise UsageError(
            f"{len(ids) - len(set(ids))} of {len(ids)} ids appear more than once. Make them unique"
        )
    _check_vectors(vectors, len(ids), order)
    if many and limits.beyond is not None:
        earlier = limits.beyond(vectors, order, threshold - ROUNDING)
    else:
        earlier = earliest_near(vectors, order, threshold - ROUNDING, limits.block)
    dropped = np.flatnonzero(earlier != KEPT)
    return {ids[order[row]]: ids[order[earlier[row]]] for row in dropped}


def _ordered(ids: Sequence[str], positions: Positions, seed: int | None) -> Positions:
    """The positions by hash(seed, id), the id itself settling equal hashes; as given if None."""
    if seed is None:
        return positions
    draws = sorted((seeded_hash("duplicates", seed, ids[i]), ids[i], i) for i in positions.tolist())
    return np.array([i for _, _, i in draws], dtype=np.intp)


def earliest_near(vectors: Vectors, order: Positions, limit: float, side: int = BLOCK) -> Positions:
    """(n,) the earliest kept row with cosine >= limit to each row, KEPT where there is none.

    Rows are numbered by their place in `order`. A block of rows meets all that was kept before
    it, then itself; a row that was dropped meets no more. `side`: rows of a block.
    """
    earliest = np.full(len(order), KEPT, dtype=np.intp)
    for start in range(0, len(order), side):
        open_rows = np.arange(start, min(start + side, len(order)))
        block = _gather(vectors, order[open_rows])
        kept = np.flatnonzero(earliest[:start] == KEPT)
        for first in range(0, len(kept), side):
            chunk = kept[first : first + side]
            near = block @ _gather(vectors, order[chunk]).T >= limit
            hit = near.any(axis=1)
            earliest[open_rows[hit]] = chunk[near[hit].argmax(axis=1)]
            open_rows, block = open_rows[~hit], block[~hit]
        earliest[open_rows] = _within(block, open_rows, limit)
    return earliest


def _within(block: Vectors, rows: Positions, limit: float) -> Positions:
    """`earliest_near` among the rows of one block."""
    later = np.triu(block @ block.T >= limit, k=1)
    earliest = np.full(len(rows), KEPT, dtype=np.intp)
    for i in np.flatnonzero(later.any(axis=1)):
        if earliest[i] == KEPT:
            earliest[later[i] & (earliest == KEPT)] = rows[i]
    return earliest


def _gather(vectors: Vectors, positions: Positions) -> Vectors:
    return np.asarray(vectors[positions], dtype=np.float32)


def _check_vectors(vectors: Vectors, items: int, order: Positions) -> None:
    if vectors.ndim != 2 or len(vectors) != items:
        raise EncoderError(
            f"{items} items need vectors of shape ({items}, dim), got {vectors.shape}"
        )
    for start in range(0, len(order), BLOCK):
        positions = order[start : start + BLOCK]
        block = _gather(vectors, positions).astype(np.float64)
        squared = np.einsum("nd,nd->n", block, block)
        wrong = positions[~(np.abs(squared - 1) <= LENGTH_WITHIN)]  # NaN is wrong too
        if len(wrong):
            raise EncoderError(
                f"row {wrong.min()} of the vectors is not finite or not of length 1. Embed the "
                "pool again, or divide each row by its length"
            )
