"""How long a pool takes to be divided into clusters.

`python eval/benchmarks/partition.py [--max-items 1000000]` prints two tables. The first times
the balanced groups of `diverse` against the published loop, which sorts all items once per
assignment, on the same distances. The second times whole partitions of random unit vectors, with
the k-means fit apart, and the peak memory of the process. Compare the ratios: both sides of one
are taken in the same run, in CPU seconds.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Ints, Vectors
from selectllm.selection.clustering.diverse import (
    balanced_groups,
    cross_sections,
    fitted_centres,
)
from selectllm.selection.clustering.partition import PARTITIONS, partition
from selectllm.selection.clustering.seeded_rows import SeededRows

Result = TypeVar("Result")

DIM = 384
GROUPS = ((2_000, 14), (14_000, 14), (52_000, 51))  # items, centres
PARTITIONED = (
    (2_000, 10),
    (14_000, 14),
    (100_000, 14),
    (1_000_000, 14),
    (1_000_000, 51),
)  # items, size
# 100,000 items, which it still takes whole, take as long as a million.
KCENTER = ((2_000, 10), (14_000, 14), (1_000_000, 14))


@dataclass(frozen=True)
class Timed:
    """Seconds on the clock, and of CPU over all threads."""

    wall: float
    cpu: float


def timed(work: Callable[[], Result]) -> tuple[Result, Timed]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Timed(time.perf_counter() - wall, time.process_time() - cpu)


def unit_vectors(items: int, dim: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((items, dim), dtype=np.float32)
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    return vectors


def one_sort_per_turn(distances: NDArray[np.float32], turns: int) -> tuple[Ints, float]:
    """The groups after the first `turns` of the published loop, and the CPU seconds they took."""
    centres, items = distances.shape
    left = distances.copy()
    groups = np.full(items, -1)
    start = time.process_time()
    for turn in range(turns):
        nearest = np.argsort(left[turn % centres])[0]
        groups[nearest] = turn % centres
        left[:, nearest] = np.inf
    return groups, time.process_time() - start


def compare_groups(items: int, centres: int, seed: int) -> str:
    """One line of the first table; `~` marks what was scaled up from its first turns."""
    vectors = unit_vectors(items, 32, seed)
    distances = 2 - 2 * vectors[:centres] @ vectors.T
    turns = min(items, 60_000_000 // items)
    published, seconds = one_sort_per_turn(distances, turns)
    seconds *= items / turns
    ours, spent = min((timed(lambda: balanced_groups(distances)) for _ in range(3)), key=cpu)
    same = np.mean(ours[published >= 0] == published[published >= 0])
    scaled = "~" if turns < items else ""
    return (
        f"{items:>9,} {centres:>7} {scaled + format(seconds, '.2f'):>12} {spent.cpu:>8.3f} "
        f"{scaled + format(seconds / spent.cpu, ',.0f') + 'x':>9} {same:>9.2%}"
    )


def cpu(result: tuple[object, Timed]) -> float:
    return result[1].cpu


def whole(by: str, vectors: Vectors, size: int, seed: int) -> str:
    """One line of the second table."""
    items = len(vectors)
    ids = [f"item-{number}" for number in range(items)]
    fit = Timed(0.0, 0.0)
    method = PARTITIONS[by]
    if by == "diverse":
        groups = -(-items // -(-items // size))
        rows = SeededRows(vectors, np.random.default_rng(seed).permutation(items))
        centres, fit = timed(lambda: fitted_centres(rows, groups, seed))

        def method(rows: SeededRows, clusters: int, seed: int) -> Ints:
            return cross_sections(rows, centres, clusters)

    clusters, beyond = timed(lambda: partition(ids, vectors, method, size, seed))
    assert sum(len(cluster.members) for cluster in clusters) == items
    return (
        f"{items:>9,} {size:>4} {by:>8} {fit.wall:>6.1f} {fit.cpu:>6.1f} {beyond.wall:>9.2f} "
        f"{beyond.cpu:>9.2f} {vectors.nbytes / 1e6:>10,.0f} {peak_megabytes():>8,.0f}"
    )


def peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the division of a pool into clusters.")
    parser.add_argument("--max-items", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    fitted_centres(
        SeededRows(unit_vectors(100, 8, 0), np.arange(100)), 2, 0
    )  # imports scikit-learn

    print("Balanced groups, CPU seconds on the same distances (~: scaled up from the first turns)")
    print("    items centres  sort a turn     ours     ratio same labels")
    for items, centres in GROUPS:
        if items <= options.max_items:
            print(compare_groups(items, centres, options.seed), flush=True)

    print(f"\nWhole partitions of random unit vectors of length {DIM}, seconds and megabytes")
    print("    items size       by    fit (CPU)    beyond     (CPU)    vectors     peak")
    for items, size in PARTITIONED:
        if items > options.max_items:
            continue
        vectors = unit_vectors(items, DIM, options.seed)
        methods = ["random", "diverse"]
        methods += ["similar"] if (items, size) != PARTITIONED[-1] else []
        methods += ["kcenter"] if (items, size) in KCENTER else []
        for by in methods:
            print(whole(by, vectors, size, options.seed), flush=True)
        del vectors


if __name__ == "__main__":
    main()
