"""From a suite's entry, or the options of a `utility` verb, to the utility of a pool.

Whatever a source is, it takes an entry, a pool and what there is to compute with, and gives a
`Utility`. Other measurements (gradient influence, what one item alone gains) join as code of the
user's: see `UtilitySource`.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from selectllm.core.errors import PoolError, UtilityError, renaming
from selectllm.core.names import listed
from selectllm.core.plugins import Port, calling, load
from selectllm.core.types import Pool, Progress
from selectllm.data.embedder import Embedder
from selectllm.data.hub import located
from selectllm.data.leakage import ItemsLeaked, leaks_of
from selectllm.data.pool import load_beside, load_pool
from selectllm.data.stored_items import not_in
from selectllm.selection.scorers.language_model import load_language_model
from selectllm.selection.scorers.likelihood import ifd_scores
from selectllm.utility.entries import (
    IfdEntry,
    ImportEntry,
    KnnEntry,
    OwnEntry,
    PairwiseEntry,
    RatingsEntry,
    UtilityEntry,
)
from selectllm.utility.ifd import ifd_utility
from selectllm.utility.knn import KnnVectors, knn_utility, responses_of
from selectllm.utility.ratings import ratings
from selectllm.utility.utility import Utility


@dataclass(frozen=True, slots=True)
class UtilitySources:
    """What utilities are built from besides the pool.

    `base`: the folder that files are named from. `embedder`: of the pool. `cache`: where
    likelihoods and converted weights are kept. `partial`: a column of ratings may have gaps.
    `progress(done, total)` hears of texts whose likelihoods are computed. `columns`: of the pool,
    canonical name -> the file's column.
    """

    base: Path
    embedder: Embedder
    cache: Path
    partial: bool = False
    progress: Progress | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


class UtilitySource(Protocol):
    """What a suite means by `source: module:attr`: the user's code that values items of a pool.

    `name`: what the suite calls the utility. `options`: the suite's, as written there. Gives a
    `Utility` for some or all of the pool's items, and says of what kind it is; name and source are
    set to what the suite says. Higher must be better, unless the suite says otherwise
    (`higher_is_better: false`). Called once, before any model is asked; to be compared across runs
    it must give the same values for the same pool. Raise SelectLLMError for what the user can mend.
    """

    def __call__(self, pool: Pool, *, name: str, **options: Any) -> Utility:
        """The utility of `pool`."""
        ...


def utility_of(entry: UtilityEntry, pool: Pool, sources: UtilitySources) -> Utility:
    """The utility of `pool` that `entry` describes. Raises UsageError where it cannot be had."""
    utility = UTILITIES.get(entry.source, _own)(entry, pool, sources)
    return utility if getattr(entry, "higher_is_better", True) else utility.turned()


def _ratings(entry: RatingsEntry, pool: Pool, sources: UtilitySources) -> Utility:
    return ratings(
        pool,
        name=entry.name,
        column=entry.column,
        kind=entry.kind,
        rater=entry.rater,
        value_range=entry.range,
        partial=sources.partial,
    )


def _imported(entry: ImportEntry, pool: Pool, sources: UtilitySources) -> Utility:
    from selectllm.utility.imported import imported  # and what reads sheets of ratings

    return imported(
        sources.base / entry.file,
        name=entry.name,
        kind=entry.kind,
        rater=entry.rater,
        value_range=entry.range,
        pool_sha256=pool.sha256,
    )


def _pairwise(entry: PairwiseEntry, pool: Pool, sources: UtilitySources) -> Utility:
    from selectllm.utility.pairwise import bradley_terry, read_judgements

    # Of more items than the pool's, it may be: they tell how strong their rivals are.
    judgements = read_judgements(sources.base / entry.file)
    return bradley_terry(judgements, name=entry.name, kind=entry.kind, rater=entry.rater)


def _knn(entry: KnnEntry, pool: Pool, sources: UtilitySources) -> Utility:
    embedder = sources.embedder
    # Looked at first: embedding a large pool takes minutes.
    ours = responses_of(entry.name, "pool", pool.items)
    with renaming("columns", "test_columns"):
        tests = _tests(entry, sources)
        theirs = responses_of(entry.name, "test pool", tests.items)
    _check_no_leak(entry, tests, pool, sources.columns)
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


def _tests(entry: KnnEntry, sources: UtilitySources) -> Pool:
    """The labelled test items."""
    path = located(sources.base, entry.test)
    if entry.columns:
        return load_pool(path, columns=entry.columns).pool
    try:
        return load_beside(path, sources.columns)
    except PoolError as error:
        if error.argument != "columns":
            raise
        raise PoolError(
            f"{error}. In a suite, write this into the entry of {entry.name}",
            argument="columns",
        ) from None


def _check_no_leak(entry: KnnEntry, tests: Pool, pool: Pool, columns: Mapping[str, str]) -> None:
    """An item that is a test item too would be its own nearest answer."""
    leaks = leaks_of(tests.items, pool.items)
    if not leaks:
        return
    ids = {leak.number: leak.test for leak in leaks}
    words = ["selectllm", "utility", "knn", pool.source, "--test", tests.source]
    words += ["--k", str(entry.k), "--answer", entry.answer, "--name", entry.name]
    for option, mapped in (("--map", columns), ("--test-map", entry.columns)):
        words += [word for pair in mapped.items() for word in (option, "=".join(pair))]
    raise ItemsLeaked(
        f"utility {entry.name}: {len(ids)} of {len(tests)} test items are also in the pool: "
        f"{listed([ids[number] for number in sorted(ids)])}. Choose another test file, or run "
        f"{shlex.join(words)} --drop-leaks, which leaves their copies out of the pool. Then name "
        "the pool and the utility that it writes in the suite",
        entry.test,
        tests,
        leaks,
    )


def _ifd(entry: IfdEntry, pool: Pool, sources: UtilitySources) -> Utility:
    responses_of(entry.name, "pool", pool.items)
    model = load_language_model(entry.model, sources.cache)
    scores = ifd_scores(pool.items, model, sources.cache, sources.progress)
    return ifd_utility(scores, name=entry.name, model=model.identity)


def _own(entry: OwnEntry, pool: Pool, sources: UtilitySources) -> Utility:
    """What the user's code says, once it is a utility of items of the pool."""
    port: Port[UtilitySource] = Port(
        what=f"utility {entry.name}: source",
        kind="function",
        contract=f"{UtilitySource.__module__}.{UtilitySource.__name__}",
        error=UtilityError,
    )
    source = load(port, entry.source, sources.base).object
    try:
        inspect.signature(source).bind(pool, name=entry.name, **entry.options)
    except TypeError as error:
        raise UtilityError(
            f"utility {entry.name}: {entry.source} cannot be called with the pool, name and the "
            f"options of the suite ({error}). Correct `options`"
        ) from None
    with calling(f"utility {entry.name}: {entry.source}", UtilityError):
        utility = source(pool, name=entry.name, **entry.options)
    if not isinstance(utility, Utility):
        raise UtilityError(
            f"utility {entry.name}: {entry.source} gave {type(utility).__name__}. Return a "
            "selectllm.Utility"
        )
    strange = not_in(pool, [*utility.values])
    if strange:
        raise UtilityError(
            f"utility {entry.name}: {entry.source} gave values for {len(strange)} ids that are not "
            f"in the pool: {listed(strange)}. Give values for its items"
        )
    return replace(utility, name=entry.name, source=entry.source)


UTILITIES: Mapping[str, Callable[[Any, Pool, UtilitySources], Utility]] = {
    "ratings": _ratings,
    "import": _imported,
    "knn": _knn,
    "ifd": _ifd,
    "pairwise": _pairwise,
}
