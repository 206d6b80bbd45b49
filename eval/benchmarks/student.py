"""What the fast mode of a student saves, and that it starts from the loss of the whole model.

    python eval/benchmarks/student.py [POOL]

Tokens per CPU second of training in both modes, on the same items of a pool with responses, in
alternating runs, so that the ratio means the same on a busy machine; then what the first blocks
cost once, what scoring and answering cost, and the peak memory of a process that does no more
than train fast on the longest items of the pool. POOL has responses; without one ours is taken.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from selectllm.core.types import Item
from selectllm.data.pool import load_pool
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.generation import answer
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.score import score
from selectllm.downstream.student.training import train
from selectllm.jobs.workspace import user_cache

RUNS, ITEMS, NEW_TOKENS = 3, 16, 32
FAST = StudentConfig(mode="fast", epochs=1)
FULL = replace(FAST, mode="full")
MEMORY = "--memory"
DEFAULT = Path(__file__).parents[1] / "data" / "quickstart.jsonl"


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def opened(folder: Path) -> Student:
    """The embedded student, which remembers nothing of earlier runs."""
    return replace(open_student(FAST.model, user_cache(os.environ)), folder=folder / "kept")


def compare_losses(student: Student, items: Sequence[Item]) -> None:
    tokens = sum(len(example.tokens) for example in student.encode(items, FAST))
    first, second = (seconds(lambda: score(student, items, FAST)) for _ in range(2))
    fast, full = score(student, items, FAST), score(student, items, FULL)
    apart = np.abs(fast.nats - full.nats).max()
    print(
        f"{len(items)} items, {tokens} tokens, {fast.tokens.sum()} of them of responses\n"
        f"loss at the start, summed over a response: the modes are at most {apart:.1e} nats apart\n"
        f"first blocks, once per item: {tokens / (first - second):.0f} tokens per CPU-s; "
        f"scoring after that: {tokens / second:.0f}"
    )


def compare_training(student: Student, items: Sequence[Item], folder: Path) -> None:
    tokens = sum(len(example.tokens) for example in student.encode(items, FAST))
    rates: list[tuple[float, float]] = []
    for run in range(RUNS):
        fast, full = (
            tokens
            / seconds(partial(train, student, items, config, folder / f"{config.mode}-{run}"))
            for config in (FAST, FULL)
        )
        rates.append((fast, full))
        print(f"training, run {run}: fast {fast:.0f}, full {full:.0f} tokens per CPU-s")
    print(f"fast / full: median {median(fast / full for fast, full in rates):.2f}")


def time_answers(student: Student, items: Sequence[Item]) -> None:
    answers = []
    spent = seconds(lambda: answers.extend(answer(student, items, FAST, new_tokens=NEW_TOKENS)))
    tokens = sum(each.tokens for each in answers)
    print(f"answering, {len(items)} items: {tokens / spent:.0f} new tokens per CPU-s")


def train_longest(items: Sequence[Item], folder: Path) -> None:
    """All that a process does whose peak memory is taken."""
    longest = sorted(items, key=lambda item: -len(item.text + (item.response or "")))[:ITEMS]
    train(opened(folder), longest, FAST, folder / "trained")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of training fast, {FAST.max_length} tokens an item: {peak:.0f} MB")


def main() -> None:
    words = [word for word in sys.argv[1:] if word != MEMORY]
    pool = words[0] if words else str(DEFAULT)
    items = load_pool(Path(pool)).pool.items
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if MEMORY in sys.argv:
            return train_longest(items, folder)
        subprocess.run([sys.executable, __file__, pool, MEMORY], check=True)
        student, shown = opened(folder), items[:ITEMS]
        compare_losses(student, shown)
        compare_training(student, shown, folder)
        time_answers(student, shown)


if __name__ == "__main__":
    main()
