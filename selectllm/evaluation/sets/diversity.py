"""How different the chosen items are from each other, and how much of the pool they cover. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.errors import EncoderError, PoolError, UsageError
from selectllm.core.types import Item
from selectllm.selection.clustering.diverse import squared_distances
from selectllm.selection.clustering.kmeans import LLOYD_UP_TO, kmeans_centres
from selectllm.selection.clustering.seeded_rows import BLOCK, SeededRows, nearest_to
from selectllm.stats.special import entr, gammaln

Positions = Sequence[int] | Ints

LENGTH_WITHIN = 1e-3  # of 1: as strict as encoders.py is with encoders


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The pool divided into groups none of which is empty.

    `labels`: (n_items,) the group of each item, 0 to n_groups - 1. `sizes`: (n_groups,) items.
    """

    labels: Ints
    sizes: Ints

    @classmethod
    def of(cls, labels: npt.ArrayLike) -> Groups:
        """Groups of the items that share a label; `labels`: (n_items,), of any sortable type."""
        _, dense, sizes = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        return cls(dense.astype(np.intp), sizes.astype(np.intp))

    def __len__(self) -> int:
        return len(self.sizes)


def mean_pairwise_cosine(vectors: Vectors) -> float | None:
    """Mean cosine over the n (n - 1) / 2 pairs of items. Lower is more diverse.

    `vectors`: (n, dim) rows of length 1. From -1 / (n - 1) to 1; 1 if all have one direction.
    A random set expects the figure of its pool. The cosines of all ordered pairs sum to
    |sum of v|^2, n of them to 1 each, so no pair is looked at. None below two items.

    Raises EncoderError if a row is not finite or not of length 1.
    """
    n = len(vectors)
    if n < 2:
        return None
    total = np.sum([block.sum(axis=0) for block in _unit_blocks(vectors)], axis=0)
    return float((total @ total - n) / (n * (n - 1)))


def vendi_score(vectors: Vectors) -> float:
    """Vendi score: how many entirely different items would be as diverse. Higher is more diverse.

    exp of the Shannon entropy of the eigenvalues of K / n, with K the (n, n) cosines (Friedman &
    Dieng 2023, TMLR, arXiv 2210.02410). From 1, all items of one direction, to min(n, dim), all
    orthogonal. It grows with n: compare sets of one size. `vectors`: (n, dim) rows of length 1;
    X X^T and X^T X have the same eigenvalues but for zeros, so the smaller one is taken.

    Raises ValueError without rows; EncoderError if a row is not finite or not of length 1.
    """
    n, dim = vectors.shape
    if n == 0:
        raise ValueError("need at least one item")
    if n <= dim:
        rows = np.concatenate(list(_unit_blocks(vectors)))
        gram = rows @ rows.T
    else:
        gram = np.zeros((dim, dim))
        for block in _unit_blocks(vectors):
            gram += block.T @ block
    eigenvalues = np.linalg.eigvalsh(gram / n).clip(0.0, 1.0)  # rounding strays beyond
    return float(np.exp(entr(eigenvalues).sum()).clip(1.0, min(n, dim)))


def _unit_blocks(vectors: Vectors) -> Iterator[Floats]:
    """The rows in float64, at length 1 within 1e-16 where float32 has it within 1e-7."""
    for start in range(0, len(vectors), BLOCK):
        block = np.asarray(vectors[start : start + BLOCK], dtype=np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
        wrong = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_WITHIN))  # NaN is wrong too
        if len(wrong):
            raise EncoderError(
                f"row {start + wrong[0]} of the vectors has length {lengths[wrong[0]]:.4g}, not 1. "
                "Embed the pool again, or divide each row by its length"
            )
        yield block / lengths[:, None]


def kmeans_groups(
    rows: SeededRows, count: int, seed: int, *, lloyd_up_to: int = LLOYD_UP_TO
) -> Groups:
    """k-means groups of the pool: each item with the nearest of `count` centres.

    `rows`: all items of the pool in a seeded order (`candidates.seeded_rows`); labels are
    by position in `rows.vectors`, and reordering the file only reorders them. The centres are
    those of `kmeans_centres`: mini-batches beyond `lloyd_up_to` items. There are fewer groups
    than `count` where a centre is nearest to no item, as with fewer distinct vectors than that.

    Raises UsageError unless 1 <= count <= items, and without vectors.
    """
    if not 1 <= count <= len(rows):
        raise UsageError(
            f"cannot divide {len(rows)} items into {count} groups. Ask for 1 or more, and no more "
            "than there are items"
        )
    centres = kmeans_centres(rows, count, seed, lloyd_up_to=lloyd_up_to)
    norms = np.einsum("cd,cd->c", centres, centres)[:, None]  # which the distances lack
    labels = np.empty(len(rows), dtype=np.intp)
    for start in range(0, len(rows), BLOCK):  # so that all distances are never held
        block = SeededRows(rows.vectors, rows.order[start : start + BLOCK])
        labels[block.order] = (squared_distances(block, centres) + norms).argmin(axis=0)
    return Groups.of(labels)


def coverage(groups: Groups, chosen: Positions) -> float:
    """The share of the pool's groups with at least one chosen item. Higher is more diverse.

    Above 0, up to 1, and no more than n / number of groups: read it beside `expected_coverage`.
    Raises ValueError as `measure_set` does.
    """
    at = positions_of(chosen, len(groups.labels))
    return len(np.unique(groups.labels[at])) / len(groups)


def mean_distance(vectors: Vectors, chosen: Positions) -> float:
    """The mean over the pool of 1 - cosine to the nearest chosen item. Lower covers more.

    From 0, each item is in the direction of a chosen one, to 2. `vectors`: (n_items, dim) rows of
    length 1. Raises ValueError as `measure_set` does.
    """
    centres = np.asarray(vectors[positions_of(chosen, len(vectors))], dtype=np.float64)
    total = 0.0
    for start in range(0, len(vectors), BLOCK):
        block = np.asarray(vectors[start : start + BLOCK], dtype=np.float64)
        total += float((1 - nearest_to(centres, block).astype(np.float64)).sum())
    return total / len(vectors)


def expected_coverage(groups: Groups, n: int) -> float:
    """The `coverage` that random sets of n expect, exactly; above 0, up to 1.

    The mean over groups of 1 - C(N - s, n) / C(N, n), with s the group's size: one minus the
    hypergeometric chance to draw none of it. Raises ValueError unless 1 <= n <= N.
    """
    total = len(groups.labels)
    check_size(n, total)
    rest = total - groups.sizes
    # gammaln(rest - n + 1) is infinite where n is more than the rest: no group is missed then.
    log_missed = (
        gammaln(rest + 1) + gammaln(total - n + 1) - gammaln(rest - n + 1) - gammaln(total + 1)
    )
    return float(-np.expm1(log_missed).mean())


def categories_of(items: Sequence[Item], column: str) -> tuple[str, ...]:
    """The value of `column` in the row of each item, as text.

    Raises PoolError if any has none (no such column, null or empty).
    """
    without = [item.id for item in items if item.row.get(column) in (None, "")]
    if without:
        raise PoolError(
            f"{len(without)} of {len(items)} items have no {column!r}, the first is "
            f"{without[0]!r}. Fill the column, or choose another"
        )
    return tuple(str(item.row[column]) for item in items)


def category_entropy(categories: Sequence[str]) -> float:
    """Shannon entropy of the categories of a set, in bits. Higher is more diverse.

    From 0, one category, to log2 of their number, all equally often. Compare it with that of the
    pool's categories, and sets of one size only: a random set of n from a much larger pool
    expects about (categories - 1) / (2 n ln 2) bits less than the pool has (Miller 1955, Note on
    the bias of information estimates).

    Raises ValueError without categories.
    """
    if not categories:
        raise ValueError("need at least one item")
    counts = np.sort(np.fromiter(Counter(categories).values(), dtype=np.float64))
    return float((counts / len(categories) * np.log2(len(categories) / counts)).sum())


# Likeness


def check_size(n: int, items: int) -> None:
    """Raise ValueError unless 1 <= n <= items."""
    if not 1 <= n <= items:
        raise ValueError(f"need a set of 1 to {items} items, got {n}")


def positions_of(chosen: Positions, items: int) -> Ints:
    """(n,) `chosen`, ascending, so that every sum over them has one order."""
    at = np.sort(np.asarray(chosen, dtype=np.intp))
    if not len(at) or at[0] < 0 or at[-1] >= items or (at[1:] == at[:-1]).any():
        raise ValueError(
            f"need at least one position from 0 to {items - 1}, none twice. Got {len(at)}"
            + (f" from {at[0]} to {at[-1]}" if len(at) else "")
        )
    return at
