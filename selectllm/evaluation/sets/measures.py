"""Measures of one selected set, by which strategies are compared at a budget. Pure.

S are the n chosen of the pool's N items, given by their positions. Whether a measure is defined
depends on the pool and on n alone, never on which items were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.errors import UtilityError
from selectllm.core.types import empty
from selectllm.evaluation.metrics.consistency import chance_corrected
from selectllm.evaluation.sets.diversity import (
    Groups,
    category_entropy,
    check_size,
    coverage,
    mean_pairwise_cosine,
    positions_of,
    vendi_score,
)
from selectllm.evaluation.sets.schema import Summary

Positions = Sequence[int] | Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PoolFacts:
    """What sets are measured by: facts of all N items of the pool, in one order; None: unknown.

    `tokens_read`, `tokens_written`: (N,) tokens of instruction and input, and of the response:
    what annotating the item takes to read and to write. `vectors`: (N, dim) rows of length 1,
    may be memory-mapped. `categories`: N of them (see `categories_of`). `utilities`: (N,) finite
    values by name.

    Raises ValueError if lengths differ.
    """

    tokens_read: npt.NDArray[np.integer[Any]]
    tokens_written: npt.NDArray[np.integer[Any]] | None = None
    vectors: Vectors | None = None
    groups: Groups | None = None
    categories: Sequence[str] | None = None
    utilities: Mapping[str, Floats] = field(default_factory=empty)

    def __post_init__(self) -> None:
        columns: dict[str, Sized | None] = {
            "tokens_written": self.tokens_written,
            "vectors": self.vectors,
            "groups": None if self.groups is None else self.groups.labels,
            "categories": self.categories,
            **{f"utilities[{name!r}]": values for name, values in self.utilities.items()},
        }
        for name, column in columns.items():
            if column is not None and len(column) != len(self):
                raise ValueError(f"{name} has {len(column)} items, tokens_read {len(self)}")

    def __len__(self) -> int:
        return len(self.tokens_read)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMeasures:
    """One chosen set, measured; None where the pool lacks what a measure needs or n is too small.

    `captured` and `mean_value` (in the utility's unit) are by utility; `category_entropy` is in
    bits; `tokens_read` and `tokens_written` are sums. The functions of these names say the rest.
    """

    size: int
    captured: Mapping[str, float | None]
    mean_value: Mapping[str, float]
    mean_pairwise_cosine: float | None
    vendi: float | None
    coverage: float | None
    category_entropy: float | None
    tokens_read: int
    tokens_written: int | None

    def to_json(self) -> dict[str, Any]:
        """The fields under their names, null where undefined."""
        return asdict(self)


def measure_set(chosen: Positions, pool: PoolFacts) -> SetMeasures:
    """Every measure of the set at the positions `chosen`, in whatever order they come.

    Only the vectors of the chosen are gathered. All positions of the pool measure the pool
    itself. Raises ValueError unless positions are different, at least one, and below N;
    EncoderError and UtilityError as the single measures do.
    """
    at = positions_of(chosen, len(pool))
    vectors = None if pool.vectors is None else pool.vectors[at]
    categories = None if pool.categories is None else [pool.categories[i] for i in at.tolist()]
    utilities = pool.utilities.items()
    written = pool.tokens_written
    return SetMeasures(
        size=len(at),
        captured={name: captured(values, at) for name, values in utilities},
        mean_value={name: float(np.sort(values[at]).mean()) for name, values in utilities},
        mean_pairwise_cosine=None if vectors is None else mean_pairwise_cosine(vectors),
        vendi=None if vectors is None else vendi_score(vectors),
        coverage=None if pool.groups is None else coverage(pool.groups, at),
        category_entropy=None if categories is None else category_entropy(categories),
        tokens_read=int(pool.tokens_read[at].sum()),
        tokens_written=None if written is None else int(written[at].sum()),
    )


def mean_and_range(values: Sequence[float | None]) -> Summary | None:
    """One figure over seeds. None if it is undefined for all of them.

    Raises ValueError without values, and if the figure is defined for some seeds only: they then
    are not of one pool and budget, and a mean over the rest would hide it.
    """
    known = [value for value in values if value is not None]
    if not values or 0 < len(known) < len(values):
        raise ValueError(f"{len(known)} of {len(values)} seeds have a value. Need all or none")
    return Summary(fmean(known), min(known), max(known), len(known)) if known else None


# Utility


def captured(values: npt.ArrayLike, chosen: Positions) -> float | None:
    """Utility captured by the set: (U(S) - n mean(u)) / (U* - n mean(u)). Higher is better.

    `values`: (N,) the pool's utilities u; U(S) is the sum over the chosen and U* that over the n
    best of the whole pool. 1: the best possible set; 0: what random sets expect; below 0: worse.
    It is nuc of agreement.py with the pool as its one cluster. None where no set is better than
    another: all values equal, or all items chosen.

    Raises UtilityError if a value is not finite; ValueError as `measure_set` does.
    """
    lift = _lift(values)
    at = positions_of(chosen, len(lift))
    best = _best(lift, len(at))
    return None if best is None else float(np.sort(lift[at]).sum()) / best


def captured_spread(values: npt.ArrayLike, n: int) -> float | None:
    """Standard deviation of `captured` over random sets of n; exact. At least 0.

    The sum of n values drawn without replacement has variance n s^2 (1 - n / N), with s^2 the
    variance of all N on N - 1 degrees of freedom (Cochran 1977, Sampling Techniques, theorem
    2.2). None where `captured` is. Raises UtilityError if a value is not finite; ValueError
    unless 1 <= n <= N.
    """
    lift = _lift(values)
    check_size(n, len(lift))
    best = _best(lift, n)
    if best is None:
        return None
    return math.sqrt(n * float(lift.var(ddof=1)) * (1 - n / len(lift))) / best


def _lift(values: npt.ArrayLike) -> Floats:
    """(N,) how far each value lies above the mean of all; the same in any order of the items."""
    values = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UtilityError(
            f"no finite value for {len(bad)} of {len(values)} items, the first at position "
            f"{bad[0]}. Give every item a number, or leave these items out of the pool"
        )
    above = values - values.min()  # exact where they are close, as their mean is not
    lift: Floats = above - np.sort(above).mean()
    return lift


def _best(lift: Floats, n: int) -> float | None:
    """The lift of the n best, above 0; None where every set of n has the same."""
    if n == len(lift) or lift.min() == lift.max():
        return None
    return float(np.sort(lift)[-n:].sum())  # sorted, so that the best set captures exactly 1


# Diversity


def overlap(a: Collection[Hashable], b: Collection[Hashable], pool_size: int) -> float | None:
    """How alike two sets of n of the pool's N items are, `chance_corrected`; None where n is N.

    `a`, `b`: ids or positions. Raises ValueError if one repeats an item, sizes differ, or they
    are not 1 to N.
    """
    n = len(a)
    if len(b) != n or len(set(a)) != n or len(set(b)) != n or not 1 <= n <= pool_size:
        raise ValueError(
            f"need two sets of as many different items, 1 to {pool_size}. Got {len(set(a))} "
            f"different ones among {n}, and {len(set(b))} among {len(b)}"
        )
    if n == pool_size:
        return None
    return chance_corrected(len(set(a) & set(b)), n, pool_size)
