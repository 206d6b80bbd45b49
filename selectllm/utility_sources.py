"""From a suite's entry, or the options of a `utility` verb, to the utility of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selectllm.divide import Embedder, Progress
from selectllm.errors import UtilityError
from selectllm.hub import located
from selectllm.measures.language_model import load_language_model
from selectllm.measures.likelihood import ifd_scores
from selectllm.names import listed
from selectllm.pool import load_pool
from selectllm.student.leak import leaked
from selectllm.suite import (
    IfdEntry,
    ImportEntry,
    KnnEntry,
    PairwiseEntry,
    RatingsEntry,
    UtilityEntry,
)
from selectllm.types import Item, Pool
from selectllm.utility import Utility
from selectllm.utility.bradley_terry import bradley_terry, read_judgements
from selectllm.utility.ifd import ifd_utility
from selectllm.utility.imported import imported
from selectllm.utility.knn import KnnVectors, knn_utility, responses_of
from selectllm.utility.ratings import ratings


@dataclass(frozen=True, slots=True)
class UtilitySources:
    """What utilities are built from besides the pool.

    `base`: the folder that files are named from. `embedder`: of the pool. `cache`: where
    likelihoods and converted weights are kept. `partial`: a column of ratings may have gaps.
    `progress(done, total)` hears of texts whose likelihoods are computed.
    """

    base: Path
    embedder: Embedder
    cache: Path
    partial: bool = False
    progress: Progress | None = None


def utility_of(entry: UtilityEntry, pool: Pool, sources: UtilitySources) -> Utility:
    """The utility of `pool` that `entry` describes. Raises UsageError where it cannot be had."""
    match entry:
        case RatingsEntry():
            return ratings(
                pool,
                name=entry.name,
                column=entry.column,
                kind=entry.kind,
                rater=entry.rater,
                value_range=entry.range,
                partial=sources.partial,
            )
        case ImportEntry():
            return imported(
                sources.base / entry.file,
                name=entry.name,
                kind=entry.kind,
                rater=entry.rater,
                value_range=entry.range,
                pool_sha256=pool.sha256,
            )
        case PairwiseEntry():
            judgements = read_judgements(sources.base / entry.file)
            return bradley_terry(judgements, name=entry.name, kind=entry.kind, rater=entry.rater)
        case KnnEntry():
            return _knn(entry, pool, sources)
        case IfdEntry():
            return _ifd(entry, pool, sources)


def _knn(entry: KnnEntry, pool: Pool, sources: UtilitySources) -> Utility:
    embedder = sources.embedder
    tests = load_pool(located(sources.base, entry.test)).pool
    # Looked at first: embedding a large pool takes minutes.
    ours = responses_of(entry.name, "pool", pool.items)
    theirs = responses_of(entry.name, "test pool", tests.items)
    _check_no_leak(entry.name, tests.items, pool.items)
    vectors = KnnVectors(
        items=embedder.of(pool.items),
        tests=embedder.beside([item.text for item in tests.items]),
    )
    if entry.answer == "cosine":
        vectors = replace(
            vectors,
            item_responses=embedder.vectors(ours),
            test_responses=embedder.vectors(theirs),
        )
    return knn_utility(pool, tests, vectors, name=entry.name, k=entry.k, answer=entry.answer)


def _check_no_leak(name: str, tests: Sequence[Item], items: Sequence[Item]) -> None:
    """An item that is a test item too would be its own nearest answer."""
    found = leaked(tests, items)
    if found:
        raise UtilityError(
            f"utility {name}: {len(found)} of {len(tests)} test items are also in the pool: "
            f"{listed(found)}; take them out of one of the two"
        )


def _ifd(entry: IfdEntry, pool: Pool, sources: UtilitySources) -> Utility:
    responses_of(entry.name, "pool", pool.items)
    model = load_language_model(entry.model, sources.cache)
    scores = ifd_scores(pool.items, model, sources.cache, sources.progress)
    return ifd_utility(scores, name=entry.name, model=model.identity)
