"""How long the knn utility takes, and how much faster its ROUGE-L is than the package rouge_score.

    python eval/benchmarks/knn_shapley.py [POOL.jsonl]

Seconds are CPU seconds of one process. Ratios are of medians over alternating runs, so that they
mean the same on a busy machine. Without a pool, texts are made up of 15,000 words.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from selectllm.core.types import Item, Pool
from selectllm.data.pool import load_pool
from selectllm.data.rouge import rouge_l
from selectllm.utility.knn import KnnVectors, knn_shapley, knn_utility

ITEMS, TESTS, DIM, K = 8_000, 100, 384, 5
SLOW_PAIRS, FAST_PAIRS, RUNS = (40, 25), (1_000, 100), 5  # rouge_score is slow: fewer pairs


def made_up_texts(n: int, rng: random.Random) -> list[str]:
    """Texts of 5 to 120 words, common words first as in any language."""
    words = [f"w{rank}" for rank in range(15_000)]
    weights = [1 / (rank + 1) for rank in range(15_000)]
    return [" ".join(rng.choices(words, weights, k=rng.randint(5, 120))) for _ in range(n)]


def texts_of(pool: Path) -> list[str]:
    return [item.response for item in load_pool(pool).pool.items if item.response]


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def time_shapley() -> None:
    rng = np.random.default_rng(0)
    similarity, answer = rng.normal(size=(2, ITEMS, TESTS))
    spent = median(seconds(lambda: knn_shapley(similarity, answer, K)) for _ in range(RUNS))
    print(f"KNN-Shapley, {ITEMS} items x {TESTS} tests, sort included: {spent:.3f} CPU-s")


def time_utility(texts: list[str]) -> None:
    rng = np.random.default_rng(0)
    pools = [
        Pool([Item(f"{n}", "x", response=texts[n % len(texts)]) for n in range(size)], "")
        for size in (ITEMS, TESTS)
    ]
    vectors = KnnVectors(
        *(rng.normal(size=(n, DIM)).astype(np.float32) for n in (ITEMS, TESTS, ITEMS, TESTS))
    )
    for answer in ("cosine", "rouge-l"):
        spent = seconds(partial(knn_utility, *pools, vectors, k=K, answer=answer))
        print(f"the whole utility by {answer}, {ITEMS} x {TESTS} x {DIM}: {spent:.2f} CPU-s")


def time_rouge(texts: list[str]) -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    few = texts[: SLOW_PAIRS[0]], texts[-SLOW_PAIRS[1] :]
    many = texts[: FAST_PAIRS[0]], texts[-FAST_PAIRS[1] :]
    theirs = [[scorer.score(r, c)["rougeL"].fmeasure for r in few[1]] for c in few[0]]
    difference = np.abs(rouge_l(*few) - theirs).max()
    slow, fast = [], []
    for _ in range(RUNS):
        slow.append(seconds(lambda: [[scorer.score(r, c) for r in few[1]] for c in few[0]]))
        fast.append(seconds(lambda: rouge_l(*many)))
    rates = (
        len(many[0]) * len(many[1]) / median(fast),
        len(few[0]) * len(few[1]) / median(slow),
    )
    print(
        f"ROUGE-L, texts of {np.mean([len(text.split()) for text in texts]):.0f} words: "
        f"{rates[0]:,.0f} pairs per CPU-s, rouge_score {rates[1]:,.0f}: "
        f"{rates[0] / rates[1]:,.0f} times as fast, largest difference {difference:.0e}"
    )


def main() -> None:
    texts = texts_of(Path(sys.argv[1])) if sys.argv[1:] else made_up_texts(2_000, random.Random(0))
    time_shapley()
    time_utility(texts)
    time_rouge(texts)


if __name__ == "__main__":
    main()
