"""How long the strategies that spread over the vectors take: k-center and facility location.

`python eval/benchmarks/geometry.py [--max-items 1000000]` prints two tables, 1,000 picks each.
The first times k-center against the plain loop, which calls scikit-learn's `pairwise_distances`
once per pick. The second times facility location against the plain greedy method, and against
apricot, which is left out where apricot-select is not installed. Compare the ratios: both sides of
one are taken in the same run, in CPU seconds, each the best of three up to 2,000 items. On a busy
machine set OPENBLAS_NUM_THREADS=1: threads that wait for a core count as CPU seconds too.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.types import Item
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.facility import facility_location
from selectllm.selection.strategies.kcenter import k_center

Result = TypeVar("Result")
Picks = Sequence[int]

DIM = 384
PICKS = 1_000
K_CENTER = (2_000, 14_000, 100_000, 1_000_000)  # items
FACILITY = (2_000, 14_000, 50_000, 100_000)  # items; by samples above 30,000
PLAIN_UP_TO = 14_000  # items
APRICOT_UP_TO = 2_000  # items
REPEAT_UP_TO = 2_000  # items


def timed(work: Callable[[], Result], items: int) -> tuple[Result, float, float]:
    """What `work` returns, the seconds it took, and the CPU seconds over all threads."""
    repeats = 3 if items <= REPEAT_UP_TO else 1
    return min((timed_once(work) for _ in range(repeats)), key=lambda result: result[2])


def timed_once(work: Callable[[], Result]) -> tuple[Result, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def alone(items: int, seed: int) -> Vectors:
    """Random unit vectors: no two are close, which leaves the least to skip."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((items, DIM), dtype=np.float32)
    return unit(vectors)


def topics(items: int, seed: int) -> Vectors:
    """Unit vectors around centres that themselves share 20 themes, some tight and some loose."""
    rng = np.random.default_rng(seed)
    count = max(2, items // 50)
    themes = rng.standard_normal((20, DIM), dtype=np.float32)
    centres = themes[rng.integers(0, 20, count)]
    centres += rng.standard_normal((count, DIM), dtype=np.float32)
    vectors = rng.standard_normal((items, DIM), dtype=np.float32)
    vectors *= rng.gamma(2, 0.5, (items, 1)).astype(np.float32)
    vectors += centres[rng.integers(0, count, items)]
    return unit(vectors)


def unit(vectors: Vectors) -> Vectors:
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    return vectors


def plain_k_center(vectors: Vectors, start: int) -> list[int]:
    """One call of `pairwise_distances` per pick."""
    from sklearn.metrics import pairwise_distances

    picks = [start]
    nearest = pairwise_distances(vectors, vectors[[start]])[:, 0]
    while len(picks) < PICKS:
        picks.append(int(nearest.argmax()))
        apart = pairwise_distances(vectors, vectors[picks[-1:]])[:, 0]
        np.minimum(nearest, apart, out=nearest)
    return picks


def plain_facility_location(vectors: Vectors) -> list[int]:
    """All gains at every pick."""
    wide = vectors.astype(np.float64)
    similar = np.maximum(wide @ wide.T, 0).astype(np.float32)
    reached = np.zeros(len(vectors), dtype=np.float32)
    picks: list[int] = []
    for _ in range(PICKS):
        gains = np.maximum(similar - reached, 0).sum(axis=1, dtype=np.float64)
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        np.maximum(reached, similar[picks[-1]], out=reached)
    return picks


def apricot_facility_location(vectors: Vectors) -> list[int]:
    """The lazy greedy optimizer, with the similarities counted too."""
    from apricot import FacilityLocationSelection

    wide = vectors.astype(np.float64)
    similar = np.maximum(wide @ wide.T, 0)
    model = FacilityLocationSelection(PICKS, metric="precomputed", optimizer="lazy")
    return [int(pick) for pick in model.fit(similar).ranking]


def line(kind: str, vectors: Vectors, ours: float, cpu: float, others: str) -> str:
    return f"{len(vectors):>9,} {kind:>7} {ours:>8.2f} {cpu:>8.2f} {others}"


def against(name: str, other: tuple[Picks, float, float], ours: Picks, cpu: float) -> str:
    """` NAME 12.3 s, 45x, 99.9% same picks`: in CPU seconds; the same items, in any order."""
    picks, _, seconds = other
    same = len(set(picks) & set(ours)) / PICKS
    return f"{name} {seconds:.2f} s, {seconds / cpu:.1f}x, {same:.1%} same picks"


def k_center_line(kind: str, vectors: Vectors, seed: int) -> str:
    made = candidates(vectors, seed)
    ours, wall, cpu = timed(lambda: k_center(made, PICKS), len(vectors))
    others = f"peak {peak_megabytes():,.0f} MB"
    if len(vectors) <= PLAIN_UP_TO:
        plain = timed(lambda: plain_k_center(vectors, ours[0]), len(vectors))
        others = against("plain loop", plain, ours, cpu)
    return line(kind, vectors, wall, cpu, others)


def facility_line(kind: str, vectors: Vectors, seed: int, apricot: bool) -> str:
    made = candidates(vectors, seed)
    ours, wall, cpu = timed(lambda: facility_location(made, PICKS), len(vectors))
    others = [f"peak {peak_megabytes():,.0f} MB"]
    if len(vectors) <= APRICOT_UP_TO:
        plain = timed(lambda: plain_facility_location(vectors), len(vectors))
        others = [against("plain greedy", plain, ours, cpu)]
        if apricot:
            theirs = timed(lambda: apricot_facility_location(vectors), len(vectors))
            others.append(against("apricot", theirs, ours, cpu))
    return line(kind, vectors, wall, cpu, "; ".join(others))


def candidates(vectors: Vectors, seed: int) -> Candidates:
    return Candidates([Item(f"item-{row}", "text") for row in range(len(vectors))], seed, vectors)


def peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description="Time k-center and facility location.")
    parser.add_argument("--max-items", type=int, default=14_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kinds = {"alone": alone, "topics": topics}
    apricot = importlib.util.find_spec("apricot") is not None
    if apricot:  # compiles its loops on the first call
        apricot_facility_location(alone(PICKS, 1))
    plain_k_center(alone(PICKS, 1), 0)  # imports scikit-learn

    print(f"k-center, {PICKS:,} picks of vectors of length {DIM}; seconds, then CPU seconds")
    print("    items vectors     ours      CPU against")
    for items in (each for each in K_CENTER if each <= options.max_items):
        for kind, made in kinds.items():
            print(k_center_line(kind, made(items, options.seed), options.seed), flush=True)

    print(f"\nFacility location, {PICKS:,} picks; seconds, then CPU seconds")
    if not apricot:
        print("(apricot left out: apricot-select is not installed)")
    print("    items vectors     ours      CPU against")
    for items in (each for each in FACILITY if each <= options.max_items):
        for kind, made in kinds.items():
            vectors = made(items, options.seed)
            print(facility_line(kind, vectors, options.seed, apricot), flush=True)


if __name__ == "__main__":
    main()
