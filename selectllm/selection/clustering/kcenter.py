"""Clusters whose members are as far apart as what is left allows: the partition `kcenter`. Pure.

Each cluster is a farthest-first traversal of the rows that no cluster holds yet. By the
definition, every member is compared with all of those rows. The same members come out of far
fewer comparisons:

- A cluster starts at the first free row, so the rows that the next clusters start at are known
  beforehand, and one matrix product compares them with all rows.
- The highest cosine of a row to a member only ever grows. A row that is above the cosine at which
  the last member will join is out of the race, and what that cosine will be is guessed from the
  clusters before.
- A guess that was too low shows: no row at or below it remains. Then all rows are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.selection.clustering.seeded_rows import SAME, SeededRows, cosines_to

WHOLE_UP_TO = 100_000  # items: about 7 minutes at 384 numbers each; twice as many would take 28
PART = 10_000  # items, of which a larger pool is made: a hundred parts take 4 minutes
TAKEN = np.float32(np.inf)  # instead of the cosine of a row that is in a cluster already
HEADS = 64  # rows that the next clusters may start at, compared with all rows in one product
REMEMBERED = 32  # clusters whose worst is the guess; one guess in about as many is too low


def kcenter(rows: SeededRows, clusters: int, seed: int) -> Ints:
    """Clusters of items far apart: each takes the items that best cover what is left of the pool.

    Repeated k-center greedy, a division that the published code of SelectLLM (arXiv 2401.16553)
    has beside the one of the paper; here no item is lost or repeated. A cluster starts at the
    first free row. Each further member is the free row whose highest cosine to a member is
    lowest (Gonzalez 1985), the lowest row where several are. The clusters that hold one more
    come first, the last is what is left. Outlying rows go early, so early clusters are spread
    wider than late ones.

    The work grows with the square of the number of items. Above 100,000 the pool is therefore
    taken in parts of about 10,000 rows that follow one another in the seeded order, each a fair
    sample of it, and each cluster covers what is left of its part: the work grows with the number
    of parts. What holds of farthest-first traversals holds within a part: every row that is left
    of it is at most twice as far from a member as from the nearest of the best possible members
    of that number. The seed acts through the order of the rows.
    """
    if clusters == len(rows):  # the definition gives this, after comparing all with all
        return np.arange(clusters)
    size, larger = divmod(len(rows), clusters)
    sizes = [size + (cluster < larger) for cluster in range(clusters)]
    parts = _parts(sizes, len(rows))
    if len(parts) == 1:
        return _within(rows, sizes)
    ends = np.cumsum([sum(part) for part in parts]).tolist()
    pieces = (
        (rows.take(end - sum(part), end), part) for part, end in zip(parts, ends, strict=True)
    )
    found = rows.workers.map(_within_part, pieces)
    firsts = np.cumsum([0, *map(len, parts)]).tolist()
    return np.concatenate([first + labels for first, labels in zip(firsts, found, strict=False)])


def _within_part(part: tuple[Vectors, Sequence[int]]) -> Ints:
    """The same of the rows of one part, whose clusters have these sizes."""
    vectors, sizes = part
    return _within(SeededRows(vectors, np.arange(len(vectors))), sizes)


def _within(rows: SeededRows, sizes: Sequence[int]) -> Ints:
    labels = np.full(len(rows), len(sizes) - 1, dtype=np.intp)
    for cluster, members in enumerate(_covers(rows, sizes[:-1])):
        labels[members] = cluster
    return labels


def _parts(sizes: Sequence[int], rows: int) -> list[Sequence[int]]:
    """The sizes of all clusters, part by part."""
    parts = 1 if rows <= WHOLE_UP_TO else min(len(sizes), -(-rows // PART))
    ends = [len(sizes) * (part + 1) // parts for part in range(parts)]
    return [sizes[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _covers(rows: SeededRows, sizes: Sequence[int]) -> Iterator[Ints]:
    """The row numbers of one cluster after another, as many as `sizes` say."""
    left = np.arange(len(rows))
    joined_at: deque[np.float32] = deque(maxlen=REMEMBERED)
    made = 0
    while made < len(sizes):
        free = np.ones(len(rows), dtype=np.bool_)
        for head, cosines in enumerate(_cosines_to_heads(rows)):
            if free[head] and made < len(sizes):
                cosines[~free] = TAKEN
                guess = max(joined_at, default=SAME)
                members, last = _farthest_first(rows, cosines, head, sizes[made], guess)
                joined_at.append(last)
                free[members] = False
                made += 1
                yield left[members]
        left, rows = left[free], rows.subset(free)


def _cosines_to_heads(rows: SeededRows) -> NDArray[np.float32]:
    """(up to HEADS, n_rows): cosines of the first rows to all rows."""
    heads = rows.take(0, HEADS).astype(np.float64)
    cosines = np.empty((len(heads), len(rows)), dtype=np.float32)
    for start, block in rows.blocks():
        cosines[:, start : start + len(block)] = heads @ block.T
    return np.minimum(cosines, SAME, out=cosines)


def _farthest_first(
    rows: SeededRows, cosines: NDArray[np.float32], head: int, size: int, guess: np.float32
) -> tuple[list[int], np.float32]:
    """`size` row numbers from `head` on, and the cosine to the others at which the last joined.

    `cosines`: (n_rows,) to the head, TAKEN where a row is not free; is written to. `guess`: the
    members are the same whatever it is, and the fewer rows are at or below it the sooner they are
    found.
    """
    members, last = [head], guess
    cosines[head] = TAKEN
    watched = _Watched.of(rows, np.flatnonzero(cosines <= guess), cosines)
    while len(members) < size:
        last = watched.nearest.min(initial=TAKEN)
        if last > guess:
            guess = SAME
            watched = _Watched.all_free(rows, cosines, members)
            last = watched.nearest.min()
        if last == SAME:  # only repeats of members are left, and repeats stay what they are
            members += watched.numbers[watched.nearest == SAME][: size - len(members)].tolist()
        else:
            members.append(watched.join(int(watched.nearest.argmin()), guess))
            cosines[members[-1]] = TAKEN
    return members, last


@dataclass(slots=True)
class _Watched:
    """The rows that the next member is looked for among.

    `numbers`: (n_watched,) row numbers, ascending. `vectors`: (n_watched, dim). `nearest`:
    (n_watched,) highest cosine to a member, TAKEN where the row is one itself.
    """

    numbers: Ints
    vectors: Floats
    nearest: NDArray[np.float32]

    @classmethod
    def of(cls, rows: SeededRows, numbers: Ints, nearest: NDArray[np.float32]) -> _Watched:
        """The rows `numbers`; `nearest` holds the cosines of all rows."""
        return cls(numbers, rows.wide(numbers), nearest[numbers])

    @classmethod
    def all_free(
        cls, rows: SeededRows, cosines: NDArray[np.float32], members: Sequence[int]
    ) -> _Watched:
        """All rows that are not TAKEN, compared with all members so far."""
        numbers = np.flatnonzero(cosines < TAKEN)
        vectors = rows.wide(numbers)
        nearest = (vectors @ rows.wide(np.array(members)).T).max(axis=1).astype(np.float32)
        return cls(numbers, vectors, np.minimum(nearest, SAME))

    def join(self, position: int, guess: np.float32) -> int:
        """Make a member of the row at `position`; forget rows above `guess` if they are most."""
        number, member = int(self.numbers[position]), self.vectors[position]
        np.maximum(self.nearest, cosines_to(member, self.vectors), out=self.nearest)
        self.nearest[position] = TAKEN
        within = self.nearest <= guess
        if 2 * np.count_nonzero(within) < len(within):
            self.numbers, self.nearest = self.numbers[within], self.nearest[within]
            self.vectors = self.vectors[within]
        return number
