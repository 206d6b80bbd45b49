"""The matrix of an evaluation: every selector and strategy on every cluster, order and repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selectllm.ask import AskSettings, Task, make_decisions
from selectllm.decisions import DecisionLog, decision_key
from selectllm.divide import Embedder
from selectllm.partition import show_order
from selectllm.prompt import render
from selectllm.results import results
from selectllm.run import Run
from selectllm.strategies import Candidates, Strategy
from selectllm.tokens import estimate_tokens
from selectllm.types import Cluster, Decision, Item

CONTEXT_MARGIN = 1.5


def tasks(run: Run) -> Iterator[Task]:
    """Every question to be asked; all selectors see a cluster in the same orders.

    Cluster by cluster, so that a run cut short by its budget has asked every pair alike.
    """
    suite = run.suite
    for cluster in run.clusters:
        if len(cluster.members) <= suite.picks:
            continue  # nothing to choose
        for order in range(suite.orders):
            shown = shown_items(run, cluster, order)
            for repeat in range(suite.repeats):
                for selector in run.selectors:
                    yield Task(
                        selector=selector,
                        cluster=cluster.id,
                        shown=shown,
                        k=suite.picks,
                        order=order,
                        repeat=repeat,
                        seed=suite.seed + repeat,
                    )


def shown_items(run: Run, cluster: Cluster, order: int) -> tuple[Item, ...]:
    """The cluster's items in one of its seeded orders."""
    ids = show_order(cluster.members, run.suite.seed, cluster.id, order)
    return tuple(run.pool.by_id[item_id] for item_id in ids)


def strategy_decisions(run: Run, embedder: Embedder) -> Iterator[Decision]:
    """What the strategies pick inside each cluster, in its first order; `random` is analytic."""
    strategies = [strategy for strategy in run.strategies if not strategy.analytic]
    if not strategies:
        return
    clusters = [c for c in run.clusters if len(c.members) > run.suite.picks]
    shown = {cluster.id: shown_items(run, cluster, 0) for cluster in clusters}
    vectors: dict[int, NDArray[np.float32]] = {}
    if any(strategy.needs_vectors for strategy in strategies):
        everything = embedder.of([item for items in shown.values() for item in items])
        ends = np.cumsum([len(items) for items in shown.values()])[:-1]
        vectors = dict(zip(shown, np.split(everything, ends), strict=True))
    for cluster in clusters:
        candidates = Candidates(shown[cluster.id], run.suite.seed, vectors.get(cluster.id))
        for strategy in strategies:
            yield _strategy_decision(run, cluster, candidates, strategy)


def context_needed(run: Run) -> int:
    """Tokens that the longest prompt and its reply need: what Ollama must make room for.

    Without it Ollama cuts prompts to its default context. Rounded up to 1,024, with a margin for
    the estimate's error and for re-asking.
    """
    longest = max(
        estimate_tokens(render(task.selector.prompt, task.shown, task.k))
        + task.selector.spec.max_tokens
        for task in tasks(run)
    )
    return math.ceil(longest * CONTEXT_MARGIN / 1024) * 1024


def _strategy_decision(
    run: Run, cluster: Cluster, candidates: Candidates, strategy: Strategy
) -> Decision:
    ids = tuple(item.id for item in candidates.items)
    k = run.suite.picks
    picked = strategy.pick(candidates, len(ids) if strategy.ranks else k)
    best_first = tuple(ids[position] for position in picked)
    return Decision(
        cluster=cluster.id,
        order=0,
        repeat=0,
        round=0,
        shown=ids,
        picks=best_first[:k],
        status="ok",
        strategy=strategy.name,
        ranking=best_first if strategy.ranks else None,
    )


def stages(run: Run) -> Iterator[Run]:
    """The run, or where a sequential comparison looks in between, its clusters up to each look."""
    if run.comparison is None or not run.comparison.looks:
        yield run
        return
    for asked, _ in run.comparison.looks:
        yield replace(run, clusters=run.clusters[:asked])


def decided(run: Run, stage: Run, decisions: Sequence[Decision]) -> bool:
    """Whether a sequential comparison needs no clusters beyond those of `stage`.

    `decisions` may hold some of the next look, from a call that was interrupted in it.
    """
    asked = {cluster.id for cluster in stage.clusters}
    found = results(run.evidence, [d for d in decisions if d.cluster in asked])
    return all(verdict["word"] != "inconclusive" for verdict in found["verdicts"])


async def evaluate(
    run: Run,
    embedder: Embedder,
    settings: AskSettings,
    log: DecisionLog,
    tick: Callable[[Decision], None] = lambda decision: None,
) -> Sequence[Decision]:
    """Make every decision of the run that `log` does not hold yet; returns all of them.

    A sequential comparison stops after the look that decides it. Raises as ask.make_decisions
    does; decisions made until then are in the log. Closes the run's models.
    """
    try:
        asked: Run | None = None
        for stage in stages(run):
            if asked is not None and decided(run, asked, log.decisions()):
                break
            asked = stage
            for decision in strategy_decisions(stage, embedder):
                if not log.done(decision_key(decision)):
                    log.append(decision)
            await make_decisions(tasks(stage), settings, log, tick)
    finally:
        for selector in run.selectors:
            await selector.model.close()
    return log.decisions()
