"""What a large pool takes on one machine: `selectllm select` of one item in 50.

    python eval/benchmarks/million.py [--items 1000000] [--growth]

Makes a pool of random texts of 300 characters and vectors of length 384 in bunches of about 50, in
a temporary folder (3.5 GB for a million), and selects from it by strategies and by a scripted
model, each in a process of its own. Peak memory is the process's largest resident set, in which
pages of mapped files count (and which begins with the 180 MB of this one). The last line reads its
vectors from the cache of what was embedded.

With --growth: CPU seconds of some of them as the pool doubles, from about 8,000 items, and by how
much they grow. Each has one thread then, because threads that wait for each other spend CPU, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selectllm.core.arrays import Vectors
from selectllm.data.encoders import load_encoder
from selectllm.data.vector_store import VectorStore, text_keys

DIM = 384
CHARACTERS = 300
BUNCH = 50  # items around one centre, on average; also the items that one is selected of
BLOCK = 20_000  # items made at a time
LIMIT = 4_000  # MB
GROWTH = 2.2  # times, for twice as many items
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")

GIVEN = ("--vectors", "vectors.npy")
BY_MODEL = ("--prompt", "short@1", "--model", "mock/first")
SELECTIONS = {
    "random": ("--strategy", "random", *GIVEN),
    "longest": ("--strategy", "longest", *GIVEN),
    "k-center": ("--strategy", "k-center", *GIVEN),
    "short@1 + mock/first": (*BY_MODEL, *GIVEN),
    "the same, cached vectors": BY_MODEL,
}


@dataclass(frozen=True)
class Taken:
    """Seconds on the clock and of CPU, and the peak resident set in MB."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Make the pool, print the table; exit 1 if a selection takes more than 4 GB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    if options.growth:
        sys.exit(grow(options.items, options.seed))
    budget = max(1, options.items // BUNCH)
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        make_pool(folder, options.items, options.seed)
        print(f"{budget:,} of {options.items:,} items, vectors of length {DIM}")
        print(f"{'':26}  wall s   CPU s  peak MB")
        peaks = []
        for name, words in SELECTIONS.items():
            taken = select(folder, budget, words)
            peaks.append(taken.peak)
            print(f"{name:26}{taken.wall:8.1f}{taken.cpu:8.1f}{taken.peak:9,.0f}", flush=True)
    met = "met" if max(peaks) <= LIMIT else "MISSED"
    print(f"target: peak memory at most {LIMIT:,} MB: {met}, {max(peaks):,.0f}")
    sys.exit(max(peaks) > LIMIT)


def grow(items: int, seed: int) -> bool:
    """The table of doublings; whether one grows by more than it may."""
    names = ("longest", "short@1 + mock/first")
    print(f"{'items':>10}" + "".join(f"{name + ': CPU s, ratio':>36}" for name in names))
    before: dict[str, float] = {}
    most = 0.0
    sizes = sorted(items >> halved for halved in range(8))
    for size in sizes:
        cells = []
        with tempfile.TemporaryDirectory() as tmp:
            make_pool(Path(tmp), size, seed)
            for name in names:
                cpu = select(Path(tmp), max(1, size // BUNCH), SELECTIONS[name], threads=1).cpu
                ratio = cpu / before[name] if name in before else 0.0
                most, before[name] = max(most, ratio), cpu
                cells.append(f"{cpu:29.2f}{ratio:7.2f}" if ratio else f"{cpu:29.2f}{'':7}")
        print(f"{size:10,}" + "".join(cells), flush=True)
    met = "met" if most <= GROWTH else "MISSED"
    print(f"target: a doubling takes at most {GROWTH} times as much: {met}, {most:.2f}")
    return most > GROWTH


def make_pool(folder: Path, items: int, seed: int) -> None:
    """pool.jsonl, its vectors as a .npy file, and the same vectors in the cache of the encoder."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, items // BUNCH), DIM), dtype=np.float32)
    store = VectorStore(folder / "cache" / "vectors", load_encoder().identity)
    header = {"descr": "<f4", "fortran_order": False, "shape": (items, DIM)}
    with (folder / "pool.jsonl").open("w") as pool, (folder / "vectors.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for numbers, texts in made_texts(rng, items):
            rows = [
                {"id": f"item-{number:07}", "instruction": text}
                for number, text in zip(numbers, texts, strict=True)
            ]
            pool.writelines(json.dumps(row) + "\n" for row in rows)
            vectors = bunched(rng, centres, len(rows))
            file.write(vectors.tobytes())
            store.add(text_keys(texts), vectors)


def made_texts(
    rng: np.random.Generator, items: int, block: int = BLOCK
) -> Iterator[tuple[range, list[str]]]:
    """Numbers and texts of all items, a block at a time: cuts of one long text of made words."""
    letters = rng.integers(ord("a"), ord("z") + 1, 60_000, dtype=np.uint8).tobytes().decode()
    ends = np.cumsum(rng.integers(2, 10, 10_000))
    words = [letters[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    long = " ".join(words[pick] for pick in rng.integers(0, len(words), 500_000))
    for start in range(0, items, block):
        numbers = range(start, min(start + block, items))
        cuts = rng.integers(0, len(long) - CHARACTERS, len(numbers)).tolist()
        yield (
            numbers,
            [
                f"{number} {long[cut:][:CHARACTERS]}"[:CHARACTERS]
                for number, cut in zip(numbers, cuts, strict=True)
            ],
        )


def bunched(rng: np.random.Generator, centres: Vectors, items: int) -> NDArray[np.float32]:
    """(items, DIM) rows of length 1, each around one of the centres."""
    vectors = rng.standard_normal((items, DIM), dtype=np.float32)
    vectors += centres[rng.integers(0, len(centres), items)]
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    return vectors


def select(folder: Path, budget: int, words: tuple[str, ...], threads: int | None = None) -> Taken:
    """One selection in a process of its own; `threads`: of each library in it, None for its own."""
    limits = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    command = (sys.executable, "-m", "selectllm", "select", "pool.jsonl", "--quiet")
    places = ("--cache", "cache", "-o", f"{time.monotonic_ns()}.jsonl", "--budget", str(budget))
    start = time.perf_counter()
    child = subprocess.Popen(
        [*command, *places, *words],
        cwd=folder,
        env=os.environ | limits,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{' '.join(words)} ended with {child.returncode}"
    peak = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Taken(wall, used.ru_utime + used.ru_stime, peak)


if __name__ == "__main__":
    main()
