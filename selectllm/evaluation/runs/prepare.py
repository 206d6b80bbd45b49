"""From a suite file to a run: load, check and divide everything before the first call."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selectllm.core.codec import seeded_hash, sha256_texts
from selectllm.core.errors import ExtraMissing, SuiteError
from selectllm.core.types import Cluster, Item, Pool
from selectllm.data.arranged_items import in_groups
from selectllm.data.embedder import Embedder
from selectllm.data.stored_items import ids_of, named, subset
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.baseline import Baseline, agreed, check_pool
from selectllm.evaluation.comparison.kinds import kind_of
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, deciding
from selectllm.evaluation.runs.coverage import (
    check_assisted,
    check_covered,
    check_differing,
    check_unassisted,
)
from selectllm.evaluation.runs.execute import context_needed
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_columns import suite_pool, suite_words
from selectllm.models.connect import Connections
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import Prompt, first_question
from selectllm.selection.clustering.cluster_pool import ClusterSettings, cluster_pool
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.selection.scorers.item_scorer import Meter
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.selection.strategies.controls import usual_controls
from selectllm.selection.task import AskSettings
from selectllm.selection.ways.following import check_asked
from selectllm.utility.entries import UtilityEntry
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.validation import validated


@dataclass(frozen=True, slots=True)
class Sources:
    """What the data of a suite is read with.

    `cache`: where partitions are remembered, a folder of the cache. `baseline`: what `regress`
    compares with; its clusters are used as they are. `partial`: a column of ratings may have gaps.
    """

    embedder: Embedder
    cache: Path
    baseline: Baseline | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class SelectorSources:
    """What the questions of a suite are asked with.

    `prompts`: those of the suite by what it calls them (`load_prompts`). `shared`: what its models
    share; the utility that decides is added.
    """

    prompts: Mapping[str, Prompt]
    library: PromptLibrary
    shared: Connections
    concurrency: int = 8

    def settings(self, suite: Suite) -> AskSettings:
        """How the questions of `suite` are asked."""
        structured = suite.structured == "auto"
        return AskSettings(concurrency=self.concurrency, reask=suite.reask, structured=structured)


@dataclass(frozen=True, slots=True)
class SuiteData:
    """The pool of a suite, its utilities of all items, and its clusters in seeded order.

    `encoder`: the identity of what divided the pool, None if nothing was encoded.
    """

    pool: Pool
    utilities: tuple[Utility, ...]
    clusters: tuple[Cluster, ...]
    encoder: str | None


def load_prompts(suite: Suite, library: PromptLibrary) -> dict[str, Prompt]:
    """Every prompt of a suite, by what the suite calls it."""
    return {reference: library.load(reference, suite.folder) for reference in suite.prompts}


def newer_versions(
    suite: Suite, prompts: Mapping[str, Prompt], library: PromptLibrary
) -> tuple[str, ...]:
    """A sentence for each prompt of `suite` of which it does not test the newest version.

    `prompts`: as `load_prompts` gives them.
    """
    tested = {prompt.ref for prompt in prompts.values()}
    return tuple(
        f"{prompt.ref} is not the newest version of {prompt.name}: {newest} is not tested. To test "
        f"it, write {prompt.name}@latest instead of {reference} under prompts: in "
        f"{suite.source or 'the suite'}"
        for reference, prompt in prompts.items()
        if (newest := library.newer(prompt)) and newest not in tested
    )


def numbered(suite: Suite, library: PromptLibrary) -> Suite:
    """The suite whose strategies name the number of every prompt that they call NAME@latest."""
    if suite.strategies is None:
        return suite
    names = tuple(map(library.numbered, suite.strategies))
    return suite.model_copy(update={"strategies": names})


@suite_words()
def read_data(
    suite: Suite, sources: Sources, comparison: ComparisonDesign | None = None
) -> SuiteData:
    """The data of `suite`, divided. Raises a UsageError for whatever in it cannot work."""
    if (why := kind_of(comparison).unassisted) is not None:
        check_unassisted(suite, kind_of(comparison).name, why)
    pool = suite_pool(suite, sources.cache)
    sources = replace(sources, embedder=sources.embedder.of_pool(pool))
    if sources.baseline is not None:
        check_pool(sources.baseline, pool)
    utilities = tuple(_utility(entry, suite, pool, sources) for entry in suite.utilities)
    if sources.baseline is not None:
        utilities = tuple(agreed(utility, sources.baseline) for utility in utilities)
    clusters, encoder = _clusters(suite, pool, sources)
    largest = max((len(cluster.members) for cluster in clusters), default=0)
    if largest <= suite.picks:
        raise SuiteError(
            f"picks: {suite.picks} items cannot be chosen from clusters of at most "
            f"{largest} items, because nothing would be left out. The pool has only "
            f"{len(pool)} items"
        )
    differing = comparison is not None and comparison.differing
    if comparison is not None and comparison.differing:
        check_differing(suite, utilities, comparison)
    elif not sources.partial:
        check_covered(utilities, clusters, suite)
    if suite.gate.assisted_by is not None:
        whole = not (differing or sources.partial)
        check_assisted(suite, utilities, clusters, whole=whole)
    return SuiteData(pool, utilities, _with_groups(suite, pool, clusters), encoder)


@suite_words()
def read_rated(suite: Suite, sources: Sources) -> SuiteData:
    """As `read_data`, for looking at utilities alone: they may lack values, and nothing decides."""
    pool = suite_pool(suite, sources.cache)
    sources = replace(sources, embedder=sources.embedder.of_pool(pool))
    utilities = tuple(_utility(entry, suite, pool, sources) for entry in suite.utilities)
    clusters, encoder = _clusters(suite, pool, sources)
    return SuiteData(pool, utilities, clusters, encoder)


@suite_words()
def prepare(
    suite: Suite,
    sources: Sources,
    asking: SelectorSources,
    comparison: ComparisonDesign | None = None,
) -> Run:
    """The run that `suite` describes, its models ready to be asked, what can be wrong checked.

    `comparison`: what its arms are to be compared for; only they are asked then. Raises a
    UsageError for whatever in it cannot work.
    """
    data = read_data(suite, sources, comparison)
    strategies = _strategies(suite, data.pool, comparison)
    encoder = data.encoder
    if any(strategy.needs_vectors for strategy in strategies):
        encoder = sources.embedder.of_pool(data.pool).identity
    headline = deciding(data.utilities, suite.gate)
    judge = next((u for u in data.utilities if u.name == suite.gate.assisted_by), None)
    shared = replace(asking.shared, base=suite.folder)
    if headline is not None:
        shared = replace(shared, utility=(judge or headline).values)
    run = Run(
        suite=suite,
        pool=data.pool,
        clusters=data.clusters,
        selectors=_selectors(suite, data, asking.prompts, shared, comparison),
        strategies=strategies,
        utilities=data.utilities,
        meter=_meter(suite, data, asking, shared, sources),
        encoder=encoder,
        comparison=comparison,
        baseline=sources.baseline,
    )
    if needs_num_ctx(selector.spec for selector in run.selectors):
        run = connected(run, replace(shared, num_ctx=context_needed(run)))
    items = named(run.pool, run.members)[:]
    for strategy in run.strategies:
        strategy.check(items, run.meter)
    return run


def connected(run: Run, shared: Connections) -> Run:
    """The run with other connections, such as more room for what Ollama is shown."""
    selectors = (
        open_selector(selector.prompt, selector.spec, shared) for selector in run.selectors
    )
    return replace(run, selectors=tuple(selectors), meter=replace(run.meter, shared=shared))


def _meter(
    suite: Suite, data: SuiteData, asking: SelectorSources, shared: Connections, sources: Sources
) -> Meter:
    """What measures items for the strategies of the suite."""
    return Meter(
        library=asking.library,
        base=suite.folder,
        shared=shared,
        folder=sources.cache.parent,
        specs={spec.name: spec for spec in suite.specs()},
        utilities={utility.name: utility.values for utility in data.utilities},
        settings=asking.settings(suite),
        seed=suite.seed,
        embedder=sources.embedder,
    )


def _utility(entry: UtilityEntry, suite: Suite, pool: Pool, sources: Sources) -> Utility:
    """The utility of an entry, with what its validation says of it.

    Likelihoods are kept as for strategies.
    """
    cache = sources.cache.parent
    by_people = suite.gate.assisted_by is not None and entry.name == suite.gate.utility
    partial = sources.partial or by_people
    within = UtilitySources(suite.folder, sources.embedder, cache, partial, columns=suite.columns)
    utility = utility_of(entry, pool, within)
    if entry.validation is None:
        return utility
    return validated(utility, suite.at(entry.validation), pool.sha256)


def _selectors(
    suite: Suite,
    data: SuiteData,
    prompts: Mapping[str, Prompt],
    shared: Connections,
    comparison: ComparisonDesign | None,
) -> tuple[Selector, ...]:
    """Every prompt x model of the suite, or those of the arms, ready to be asked."""
    used = [prompts[reference] for reference in suite.prompts]
    _check_prompts(used, suite, data)
    arms = comparison.arms if comparison else ()
    return tuple(
        open_selector(prompt, spec, shared)
        for prompt in used
        for spec in suite.specs()
        if not arms or Arm(prompt.ref, spec.name) in arms
    )


def _check_prompts(prompts: Sequence[Prompt], suite: Suite, data: SuiteData) -> None:
    """Every prompt has a reference of its own, and can show the largest cluster."""
    largest = max(data.clusters, key=lambda cluster: len(cluster.members))
    items = named(data.pool, largest.members)[:]
    references = [prompt.ref for prompt in prompts]
    for prompt in prompts:
        if references.count(prompt.ref) > 1:
            raise SuiteError(f"prompts: Two of them are {prompt.ref}. Rename one of them")
        first_question(prompt, items, suite.picks)
        check_asked(prompt, len(items))


def _strategies(
    suite: Suite, pool: Pool, comparison: ComparisonDesign | None
) -> tuple[Strategy, ...]:
    """The suite's strategies or the usual controls; of a comparison, those beside its arms."""
    names = suite.strategies if comparison is None else kind_of(comparison).strategies_beside
    if names is None:
        names = usual_controls(pool.items)
    if comparison is not None:
        names += tuple(arm.strategy for arm in comparison.arms if arm.strategy)
    return tuple(find_strategy(name, suite.folder) for name in dict.fromkeys(names))


def _clusters(suite: Suite, pool: Pool, sources: Sources) -> tuple[tuple[Cluster, ...], str | None]:
    """The suite's clusters in seeded order, cut to its limit, and the identity of the encoder."""
    entry = suite.clusters
    if sources.baseline is not None:
        return sources.baseline.clusters, None
    if entry.file is not None:
        return read_clusters(suite.at(entry.file), pool)[: entry.limit], None
    encoder = None if entry.by == "random" else sources.embedder.identity
    division = ClusterSettings(entry.by, entry.size, suite.seed, suite.folder)
    parts = [pool] if entry.group is None else _parts(pool, entry.group)
    try:
        divided = [cluster_pool(part, division, sources.embedder, sources.cache) for part in parts]
    except ExtraMissing as error:
        raise ExtraMissing(
            f"{error}. Or write clusters: {{by: random}} in the suite, which needs no vectors"
        ) from None
    if len(divided) == 1:
        return tuple(divided[0][: entry.limit]), encoder
    drawn = sorted(
        (seeded_hash("clusters", suite.seed, *cluster.members), part, at)
        for part, clusters in enumerate(divided)
        for at, cluster in enumerate(clusters)
    )
    kept = (divided[part][at] for _, part, at in drawn[: entry.limit])
    return tuple(Cluster(number, each.members) for number, each in enumerate(kept)), encoder


def _parts(pool: Pool, column: str) -> list[Pool]:
    """The pool's items by the value of `column`, one part each.

    A part is known by its items: the pool's hash does not cover the column.
    """
    values: dict[str, array[int]] = {}
    ids = ids_of(pool.items)
    for position, item in enumerate(pool.items):
        values.setdefault(_group_of(item, column), array("q")).append(position)
    return [
        replace(
            pool,
            items=subset(pool.items, positions),
            sha256=sha256_texts([pool.sha256, *(ids[at] for at in positions)]),
        )
        for _, positions in sorted(values.items())
    ]


def _group_of(item: Item, column: str) -> str:
    if column not in item.row:
        raise SuiteError(f"clusters.group: item {item.id!r} has no column {column!r}")
    return str(item.row[column])


def _with_groups(suite: Suite, pool: Pool, clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    column = suite.clusters.group
    if column is None:
        return clusters
    grouped: list[Cluster] = []
    items = in_groups(pool, [cluster.members for cluster in clusters])
    for at, cluster in enumerate(clusters):
        by_id = items(at)
        values = {_group_of(by_id[member], column) for member in cluster.members}
        if len(values) > 1:
            raise SuiteError(
                f"clusters.group: cluster {cluster.id} mixes values of {column!r}: "
                f"{', '.join(sorted(values)[:3])}"
            )
        grouped.append(replace(cluster, group=values.pop()))
    return tuple(grouped)
