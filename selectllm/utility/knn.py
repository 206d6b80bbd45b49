"""KNN-Shapley: how much an item's response helps to answer the test items near it. A proxy.

Imagine answering each test instruction with the responses of its k nearest items. An item's
value is its Shapley value in that game: what it adds on average, over all orders in which the
pool could have been collected. Jia et al. 2019, Efficient Task-Specific Data Valuation for
Nearest Neighbor Algorithms (VLDB), theorem 1, gives it exactly after one sort; their 0/1 'has
the right label' is here a number, how well the item's response serves the test item.

Nothing is trained, so this is never an outcome. Vectors are made elsewhere; this is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from selectllm.core.arrays import Floats, Ints, Vectors
from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.core.types import Item, Pool, unanswered
from selectllm.data.columns import mapping
from selectllm.data.rouge import lcs_f1, token_ids
from selectllm.utility.utility import Utility

Answer = Literal["cosine", "rouge-l"]
Rows = Ints | None  # positions of items; None for all of them

BLOCK = 1 << 20  # (item, test) pairs worked on at once: 8 MB per matrix


@dataclass(frozen=True, slots=True)
class KnnVectors:
    """What the encoder made of both pools; rows in the order of their items.

    `items` (n_items, dim) and `tests` (n_tests, dim): vectors of `Item.text`. `item_responses`
    and `test_responses`, of as many rows: vectors of the responses, for answer "cosine" only.
    """

    items: Vectors
    tests: Vectors
    item_responses: Vectors | None = None
    test_responses: Vectors | None = None


def knn_utility(
    pool: Pool,
    test_pool: Pool,
    vectors: KnnVectors,
    *,
    name: str = "knn",
    k: int = 5,
    answer: Answer = "cosine",
) -> Utility:
    """Every item's exact KNN-Shapley value against the test pool; higher is better.

    Nearness is the cosine of the instructions. How well a response serves a test item is the
    cosine of the two responses (-1 to 1), or their ROUGE-L (0 to 1). The values of all items
    add up to what the k nearest responses score together, on average over the test items; that
    is also what `of_set` says of any set of items by itself.

    `reliability` is the correlation of the values by every other test item with those by the
    rest, stepped up to the whole test pool (Spearman 1910, Brown 1910), not below 0; None where
    it is undefined.

    Raises UtilityError if items of either pool have no response, if k is below 1, or if the
    vectors do not fit the pools.
    """
    if k < 1:
        raise UtilityError(f"utility {name}: k is {k}. Write 1 or more")
    _check_vectors(name, "instruction", vectors.items, len(pool), vectors.tests, len(test_pool))
    served = _answers(name, pool, test_pool, vectors, answer)
    place = {item.id: position for position, item in enumerate(pool.items)}

    def of_set(ids: Collection[str]) -> float:
        rows = np.array([place[item_id] for item_id in ids])
        tests = range(len(test_pool))
        return knn_set_value(_cosine(vectors.items[rows], vectors.tests), served(tests, rows), k)

    halves = [_shapley_sum(vectors, served, range(start, len(test_pool), 2), k) for start in (0, 1)]
    values = (halves[0] + halves[1]) / len(test_pool)
    return Utility(
        name=name,
        source="knn",
        kind="proxy",
        values={item.id: float(value) for item, value in zip(pool.items, values, strict=True)},
        rater=f"knn-shapley k={k} {answer}",
        reliability=_stepped_up(*halves),
        of_set=of_set,
    )


def knn_shapley(similarity: Floats, answer: Floats, k: int) -> Floats:
    """Exact Shapley value of every item in the k-nearest-neighbours game; shape (n_items,).

    The worth of a set of items is the mean over tests of the sum of `answer` over the set's
    min(k, size) items nearest to the test, divided by k. `similarity`, `answer`: shape (n_items,
    n_tests); how near item i is to test t (higher is nearer), and how well it serves t (higher
    is better, any finite number). Items equally near a test rank in the order of their rows.

    With items sorted from nearest to farthest (i from 1 to n), per test: s_n = a_n * min(k, n) /
    (k * n), and s_i = s_(i+1) + (a_i - a_(i+1)) / k * min(k, i) / i. Raises ValueError on shapes
    that differ or are empty, numbers that are not finite, and k below 1.
    """
    _check_game(similarity, answer, k)
    n, n_tests = similarity.shape
    width = max(1, BLOCK // n)
    total = np.zeros(n)
    for start in range(0, n_tests, width):
        block = slice(start, start + width)
        total += _shapley_block(similarity[:, block].T, answer[:, block].T, k)
    values: Floats = total / n_tests
    return values


def knn_set_value(similarity: Floats, answer: Floats, k: int) -> float:
    """The worth of a whole set in the game of `knn_shapley`: how well it answers the tests.

    `similarity`, `answer`: shape (n_set, n_tests). The mean over tests of the sum of `answer` over
    the min(k, n_set) items nearest to the test, divided by k; what the Shapley values of the
    set's items, in a pool of nothing else, add up to. Unlike a sum of values over a pool it sees
    that two items serve the same tests. Raises ValueError as `knn_shapley` does.
    """
    _check_game(similarity, answer, k)
    nearest = np.argsort(-similarity, axis=0, kind="stable")[:k]
    return float(np.take_along_axis(answer, nearest, axis=0).sum() / (k * similarity.shape[1]))


def _check_game(similarity: Floats, answer: Floats, k: int) -> None:
    if similarity.ndim != 2 or similarity.shape != answer.shape or 0 in similarity.shape:
        raise ValueError(
            f"need two matrices (n_items, n_tests), got {similarity.shape} and {answer.shape}"
        )
    if not (np.isfinite(similarity).all() and np.isfinite(answer).all()):
        raise ValueError("need finite numbers in similarity and answer")
    if k < 1:
        raise ValueError(f"need k of 1 or more, got {k}")


def _shapley_block(similarity: Floats, answer: Floats, k: int) -> Floats:
    """Shapley values summed over some tests. `similarity`, `answer`: (n_tests, n_items)."""
    n = similarity.shape[1]
    order = np.argsort(-similarity, axis=1, kind="stable")
    sorted_answer = np.take_along_axis(answer, order, axis=1)
    rank = np.arange(1, n + 1)
    share = np.minimum(k, rank) / (k * rank)
    steps = sorted_answer * share
    steps[:, :-1] -= sorted_answer[:, 1:] * share[:-1]
    shapley = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    summed = np.bincount(order.ravel(), weights=shapley.ravel(), minlength=n)
    return summed.astype(np.float64, copy=False)


def _cosine(a: Vectors, b: Vectors) -> Floats:
    """Cosine of every row of `a` with every row of `b`; 0 where a row is all zeros."""
    lengths = np.multiply.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    cosine = np.zeros(lengths.shape)
    np.divide(a @ b.T, lengths, out=cosine, where=lengths > 0)
    return cosine


def _answers(
    name: str, pool: Pool, test_pool: Pool, vectors: KnnVectors, answer: Answer
) -> Callable[[range, Rows], Floats]:
    """A function of test positions and items: how well these serve those, (n_items, n)."""
    ours = responses_of(name, "pool", pool.items)
    theirs = responses_of(name, "test pool", test_pool.items)
    if answer == "rouge-l":
        tokens = token_ids([*ours, *theirs])
        items, tests = tokens[: len(ours)], tokens[len(ours) :]
        return lambda block, rows: lcs_f1(_taken(items, rows), [tests[t] for t in block])
    a, b = vectors.item_responses, vectors.test_responses
    if a is None or b is None:
        raise UtilityError(f"utility {name}: answer 'cosine' needs vectors of the responses")
    _check_vectors(name, "response", a, len(ours), b, len(theirs))
    return lambda block, rows: _cosine(a if rows is None else a[rows], b[block])


def _taken(items: list[list[int]], rows: Rows) -> list[list[int]]:
    return items if rows is None else [items[row] for row in rows]


def _shapley_sum(
    vectors: KnnVectors, served: Callable[[range, Rows], Floats], tests: range, k: int
) -> Floats:
    """Shapley values summed over `tests`, a few tests at a time."""
    n = len(vectors.items)
    width = max(1, BLOCK // n)
    total = np.zeros(n)
    for start in range(0, len(tests), width):
        block = tests[start : start + width]
        similarity = _cosine(vectors.items, vectors.tests[block])
        total += len(block) * knn_shapley(similarity, served(block, None), k)
    return total


def _stepped_up(a: Floats, b: Floats) -> float | None:
    """Reliability of a + b from its halves by Spearman and Brown: 2 r / (1 + r), at least 0."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    r = max(0.0, float(np.corrcoef(a, b)[0, 1]))
    return 2 * r / (1 + r)


def responses_of(name: str, what: str, items: Sequence[Item]) -> list[str]:
    """The items' responses. Raises UtilityError if one is missing or blank."""
    if not items:
        raise UtilityError(f"utility {name}: the {what} is empty. Add items")
    if missing := unanswered(items):
        raise UtilityError(
            f"utility {name} needs a response for every item, and {len(missing)} of {len(items)} "
            f"in the {what} have none: {listed(missing)}. Fill them in, name their column "
            f"({mapping('response', 'COL')}), or leave them out"
        )
    return [item.response or "" for item in items]


def _check_vectors(
    name: str, what: str, a: Vectors, n_items: int, b: Vectors, n_tests: int
) -> None:
    expected = n_items, n_tests
    if a.ndim != 2 or b.ndim != 2 or (len(a), len(b)) != expected or a.shape[1] != b.shape[1]:
        raise UtilityError(
            f"utility {name}: {what} vectors have shapes {a.shape} and {b.shape}. The pools need "
            f"({n_items}, dim) and ({n_tests}, dim)"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UtilityError(f"utility {name}: {what} vectors hold numbers that are not finite")
