"""What a selection says, read from its files and its pool; nothing is asked or embedded."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.arrays import Vectors
from selectllm.core.errors import ExtraMissing, SelectLLMError, UsageError
from selectllm.core.types import Attempt, Decision, Item, Pool, answered
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.data.vector_store import VectorStore, text_keys
from selectllm.evaluation.sets.picked import (
    cluster_spread,
    likenesses,
    picked_lengths,
    picked_topics,
)
from selectllm.jobs.computing import all_stays
from selectllm.jobs.picks_shown import shown_picks
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.provenance import provenance_of_selection
from selectllm.jobs.selected import log_beside, pool_beside, read_selected
from selectllm.jobs.workspace import Workspace
from selectllm.report.html.picks_evidence import PicksEvidence
from selectllm.selection.by_model import Chosen
from selectllm.selection.schema import Likenesses, PickedTopic, SelectionSummary
from selectllm.selection.ways.following import wins_in


@all_stays()
def read_picks(
    path: Path, workspace: Workspace, where: PoolOfPicks | None = None
) -> tuple[SelectionSummary, PicksEvidence]:
    """The figures of the selection at `path`, and what its page shows.

    `workspace`: whose cache may hold vectors of the pool. Raises PoolError or RunError for what is
    no selection, and UsageError for a pool that was named and does not have its items.
    """
    where = where or PoolOfPicks()
    chosen = read_selected(path, where.columns)
    log = log_beside(path)
    manifest: Mapping[str, Any] = {} if log is None else log.manifest
    decisions = [] if log is None else [log.latest[key] for key in sorted(log.latest)]
    pool, notes = _pool(path, chosen, where, manifest)
    if log is None:
        notes.append(
            "The clusters, the replies and their cost are not shown: there is no decision log "
            f"beside {path.name}."
        )
    summary = _summary(path, chosen, decisions, manifest, pool, _vectors(pool, manifest, workspace))
    shown = shown_picks(chosen, decisions, {} if pool is None else pool.by_id)
    made = provenance_of_selection(path, manifest, pool)
    return summary, PicksEvidence(shown.picks, shown.rivals, made, (*notes, *shown.notes))


def _pool(
    path: Path, chosen: Sequence[Chosen], where: PoolOfPicks, manifest: Mapping[str, Any]
) -> tuple[Pool | None, list[str]]:
    """The pool that was selected from, or None and why it is not shown."""
    again = f"selectllm report {shlex.quote(str(path))} --html --pool FILE"
    if where.given is not None:
        return where.given, []
    if where.named is not None:
        pool = load_pool(located(Path(), where.named), columns=where.columns).pool
        if (absent := _absent(chosen, pool)) is not None:
            raise UsageError(
                f"`pool` {where.named}: has no item {absent!r}, which {path} selected. Name the "
                "pool that it was made from",
                argument="pool",
            )
        return pool, _changed(pool, manifest)
    found = pool_beside(path)
    if found is None:
        return None, [
            "The picks are not compared with their pool, and only the ids of their rivals are "
            f"shown, because no pool was found next to {path.name}. To name the pool, run: {again}"
        ]
    try:
        pool = load_pool(found, columns=where.columns).pool
        absent = _absent(chosen, pool)
        reason = f"it has no item {absent!r}" if absent is not None else ""
    except SelectLLMError as error:
        reason = str(error)
    if reason:
        return None, [
            f"The picks are not compared with {found.name}, which was found next to {path.name}, "
            f"because {reason}. To name another pool, run: {again}"
        ]
    return pool, _changed(pool, manifest)


def _absent(chosen: Sequence[Chosen], pool: Pool) -> str | None:
    return next((c.item.id for c in chosen if c.item.id not in pool.by_id), None)


def _changed(pool: Pool, manifest: Mapping[str, Any]) -> list[str]:
    """That the pool is another one now; a narrowed pool has another hash than its file."""
    narrowed = {"distinct", "prefilter"} & manifest.keys()
    if narrowed or manifest.get("pool_sha256") in (None, pool.sha256):
        return []
    name = Path(pool.source).name
    return [
        f"{name} has changed since these items were selected from it. Its current content is shown."
    ]


def _vectors(
    pool: Pool | None, manifest: Mapping[str, Any], workspace: Workspace
) -> Vectors | None:
    """(n_items, dim) vectors of the whole pool if the cache holds them all; nothing is embedded."""
    encoder = manifest.get("encoder")
    if pool is None or not isinstance(encoder, str):
        return None
    store = VectorStore(workspace.cache / "vectors", encoder)
    try:
        rows = store.find(text_keys([item.text for item in pool.items]))
        return None if (rows < 0).any() else store.read(rows)
    except SelectLLMError:
        return None


def _summary(
    path: Path,
    chosen: Sequence[Chosen],
    decisions: Sequence[Decision],
    manifest: Mapping[str, Any],
    pool: Pool | None,
    vectors: Vectors | None,
) -> SelectionSummary:
    of_model = [decision for decision in decisions if decision.model is not None]
    replies = answered(attempt for each in decisions for attempt in each.attempts)
    picked = {choice.item.id: choice for choice in chosen}
    topics, likeness = _likeness(pool, vectors, picked)
    model = manifest.get("model") or {}
    return SelectionSummary(
        selection=path.name,
        pool=None if pool is None else Path(pool.source).name or None,
        pool_items=None if pool is None else len(pool),
        budget=manifest.get("budget"),
        threshold=manifest.get("threshold"),
        selected=len(chosen),
        filled=sum(choice.filled for choice in chosen),
        whole=sum(choice.rank is None and not choice.filled for choice in chosen),
        prompt=manifest.get("prompt"),
        model=model.get("name"),
        strategy=manifest.get("strategy"),
        vote=_vote(model.get("vote")),
        seed=manifest.get("seed"),
        calls=len(replies),
        tokens_in=sum(reply.tokens_in or 0 for reply in replies),
        tokens_out=sum(reply.tokens_out or 0 for reply in replies),
        cost_usd=_cost(replies),
        clusters=cluster_spread(chosen, of_model, manifest.get("by")),
        lengths=picked_lengths(
            _lengths(choice.item for choice in chosen),
            None if pool is None else _lengths(pool.items),
        ),
        topics=topics,
        likeness=likeness,
        wins=wins_in(of_model),
    )


def _likeness(
    pool: Pool | None, vectors: Vectors | None, picked: Mapping[str, Chosen]
) -> tuple[tuple[PickedTopic, ...], Likenesses | None]:
    """What the vectors of the pool say; nothing without them."""
    if pool is None or vectors is None:
        return (), None
    topics: tuple[PickedTopic, ...] = ()
    with contextlib.suppress(ExtraMissing):  # without scikit-learn there are no groups
        topics = picked_topics(pool.items, vectors, picked, 0)
    return topics, likenesses(pool.items, vectors, picked)


def _lengths(items: Iterable[Item]) -> list[int]:
    return [len(item.text) for item in items]


def _cost(replies: Sequence[Attempt]) -> float | None:
    costs = [reply.cost_usd for reply in replies]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _vote(vote: Mapping[str, Any] | None) -> str | None:
    if not vote:
        return None
    if "until" in vote:  # an adaptive vote: the least and the most orders
        least, most = vote["orders"]
        vote = {**vote, "orders": most}
        until = f", from {least} on until the picks overlap by {vote['until']:g} on average"
    else:
        until = ""
    told = [f"{vote[name]} {name}" for name in ("orders", "repeats") if vote.get(name, 1) > 1]
    by = f", combined by {vote['by']}" if vote.get("by") else ""
    return f"{' and '.join(told) or 'one reply'} of the model for each cluster{until}{by}"
