"""From a suite file to a run: load, check and divide everything before the first call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from selectllm.ask import Selector
from selectllm.clusters import read_clusters
from selectllm.codec import seeded_hash, sha256_texts
from selectllm.connect import Connections, open_selector, settled
from selectllm.divide import Division, Embedder, divide
from selectllm.errors import SuiteError
from selectllm.pool import load_pool
from selectllm.prompt import Prompt, render
from selectllm.prompt_library import PromptLibrary
from selectllm.run import Run
from selectllm.strategies import Strategy, find_strategy
from selectllm.suite import KnnEntry, RatingsEntry, Suite
from selectllm.types import Cluster, Item, Pool
from selectllm.utility import Utility
from selectllm.utility.knn import KnnVectors, knn_utility, responses_of
from selectllm.utility.ratings import ratings

CONTROLS = ("random", "longest", "shortest", "first")
INPUT_CONTROL = "has-input"


def prepare(suite: Suite, base: Path, embedder: Embedder, cache: Path) -> Run:
    """The run that `suite` describes, without its selectors (see `with_selectors`).

    `base`: the suite file's folder, which its paths are relative to. `cache`: where partitions
    are remembered. Raises a UsageError for whatever in it cannot work.
    """
    pool = load_pool(base / suite.pool, columns=suite.columns).pool
    utilities = tuple(_utility(entry, pool, base, embedder) for entry in suite.utilities)
    clusters, encoder = _clusters(suite, pool, base, embedder, cache)
    clusters = clusters[: suite.clusters.limit]
    largest = max((len(cluster.members) for cluster in clusters), default=0)
    if largest <= suite.picks:
        raise SuiteError(
            f"picks: {suite.picks} of clusters of at most {largest} items is no choice; "
            f"the pool has {len(pool)} items"
        )
    return Run(
        suite=suite,
        pool=pool,
        clusters=clusters,
        selectors=(),
        strategies=_strategies(suite, pool),
        utilities=utilities,
        groups=_groups(suite, pool, clusters),
        encoder=encoder,
    )


def check_names(suite: Suite, base: Path, library: PromptLibrary) -> None:
    """Find every prompt and model that the suite names, before anything takes time."""
    for reference in suite.prompts:
        library.load(reference, base)
    for spec in suite.specs():
        settled(spec)


def with_selectors(run: Run, base: Path, library: PromptLibrary, shared: Connections) -> Run:
    """The run with every prompt x model of its suite, ready to be asked."""
    prompts = [library.load(reference, base) for reference in run.suite.prompts]
    _check_prompts(prompts, run)
    specs = run.suite.specs()
    selectors: tuple[Selector, ...] = tuple(
        open_selector(prompt, spec, shared) for prompt in prompts for spec in specs
    )
    return replace(run, selectors=selectors)


def _check_prompts(prompts: Sequence[Prompt], run: Run) -> None:
    """Every prompt has a reference of its own, and can show the largest cluster."""
    largest = max(run.clusters, key=lambda cluster: len(cluster.members))
    items = [run.pool.by_id[member] for member in largest.members]
    references = [prompt.ref for prompt in prompts]
    for prompt in prompts:
        if references.count(prompt.ref) > 1:
            raise SuiteError(f"prompts: two of them are {prompt.ref}; name one of them differently")
        render(prompt, items, run.suite.picks)


def _utility(entry: RatingsEntry | KnnEntry, pool: Pool, base: Path, embedder: Embedder) -> Utility:
    if isinstance(entry, RatingsEntry):
        return ratings(
            pool,
            name=entry.name,
            column=entry.column,
            kind=entry.kind,
            rater=entry.rater,
            value_range=entry.range,
        )
    tests = load_pool(base / entry.test).pool
    # Looked at first: embedding a large pool takes minutes.
    ours = responses_of(entry.name, "pool", pool.items)
    theirs = responses_of(entry.name, "test pool", tests.items)
    vectors = KnnVectors(
        items=embedder.vectors([item.text for item in pool.items]),
        tests=embedder.vectors([item.text for item in tests.items]),
    )
    if entry.answer == "cosine":
        vectors = replace(
            vectors,
            item_responses=embedder.vectors(ours),
            test_responses=embedder.vectors(theirs),
        )
    return knn_utility(pool, tests, vectors, name=entry.name, k=entry.k, answer=entry.answer)


def _strategies(suite: Suite, pool: Pool) -> tuple[Strategy, ...]:
    names = suite.strategies
    if names is None:
        with_input = any(item.input for item in pool.items)
        names = (*CONTROLS, INPUT_CONTROL) if with_input else CONTROLS
    return tuple(find_strategy(name) for name in names)


def _clusters(
    suite: Suite, pool: Pool, base: Path, embedder: Embedder, cache: Path
) -> tuple[tuple[Cluster, ...], str | None]:
    """The suite's clusters in seeded order, and the identity of the encoder behind them."""
    entry = suite.clusters
    if entry.file is not None:
        return read_clusters(base / entry.file, pool), None
    encoder = None if entry.by == "random" else embedder.encoder.identity
    division = Division(entry.by, entry.size, suite.seed)
    parts = [pool] if entry.group is None else _parts(pool, entry.group)
    clusters = [cluster for part in parts for cluster in divide(part, division, embedder, cache)]
    if len(parts) > 1:
        clusters.sort(key=lambda c: seeded_hash("clusters", suite.seed, *c.members))
        clusters = [Cluster(number, c.members) for number, c in enumerate(clusters)]
    return tuple(clusters), encoder


def _parts(pool: Pool, column: str) -> list[Pool]:
    """The pool's items by the value of `column`, one part each."""
    values: dict[str, list[int]] = {}
    for position, item in enumerate(pool.items):
        values.setdefault(_group_of(item, column), []).append(position)
    return [
        replace(
            pool,
            items=[pool.items[position] for position in positions],
            sha256=sha256_texts([pool.sha256, column, value]),
        )
        for value, positions in sorted(values.items())
    ]


def _group_of(item: Item, column: str) -> str:
    if column not in item.row:
        raise SuiteError(f"clusters.group: item {item.id!r} has no column {column!r}")
    return str(item.row[column])


def _groups(suite: Suite, pool: Pool, clusters: tuple[Cluster, ...]) -> Mapping[int, str] | None:
    column = suite.clusters.group
    if column is None:
        return None
    groups: dict[int, str] = {}
    for cluster in clusters:
        values = {_group_of(pool.by_id[member], column) for member in cluster.members}
        if len(values) > 1:
            raise SuiteError(
                f"clusters.group: cluster {cluster.id} mixes values of {column!r}: "
                f"{', '.join(sorted(values)[:3])}"
            )
        groups[cluster.id] = values.pop()
    return groups
