"""The matrix of an evaluation: every selector and strategy on every cluster, order and repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.errors import ReplyMissing
from selectllm.core.types import Attempt, Cluster, Decision, Item
from selectllm.data.embedder import Embedder
from selectllm.evaluation.comparison.kinds import is_decided
from selectllm.evaluation.runs.run import Run
from selectllm.models.tokens import estimate_tokens
from selectllm.prompting.prompt import render
from selectllm.selection.ask import make_decisions
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.decision_log import DecisionLog, Key
from selectllm.selection.scorers.item_scorer import ItemScorer, Measured
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.selection.task import AskSettings, Task, with_ballots
from selectllm.selection.ways.following import longest_question

CONTEXT_MARGIN = 1.5


def tasks(run: Run, done: Callable[[Key], bool] = lambda key: False) -> Iterator[Task]:
    """Every decision to be made that is not `done`; all selectors see a cluster in the same orders.

    A vote sees it in more of them. Cluster by cluster, so that a run cut short by its budget has
    asked every pair alike.
    """
    suite = run.suite
    for cluster, order in _shown_at_all(run):
        show = partial(shown_items, run, cluster)
        shown: tuple[Item, ...] = ()
        for repeat, selector in product(range(suite.repeats), run.selectors):
            if done((selector.prompt.ref, selector.spec.name, cluster.id, order, repeat, 0)):
                continue
            shown = shown or show(order)
            task = Task(
                selector=selector,
                cluster=cluster.id,
                shown=shown,
                k=suite.picks,
                order=order,
                repeat=repeat,
                seed=suite.seed + repeat,
            )
            yield with_ballots(task, show)


def decision_keys(run: Run) -> Iterator[Key]:
    """The key of every decision to be made, in the order of `tasks`, at a tenth of its price."""
    names = [(selector.prompt.ref, selector.spec.name) for selector in run.selectors]
    for cluster, order in _shown_at_all(run):
        for repeat, (prompt, model) in product(range(run.suite.repeats), names):
            yield prompt, model, cluster.id, order, repeat, 0


def _shown_at_all(run: Run) -> Iterator[tuple[Cluster, int]]:
    """Every cluster in which there is something to choose, with each of its orders."""
    for cluster in run.clusters:
        if len(cluster.members) > run.suite.picks:
            yield from ((cluster, order) for order in range(run.suite.orders))


def shown_items(run: Run, cluster: Cluster, order: int) -> tuple[Item, ...]:
    """The cluster's items in one of its seeded orders."""
    ids = show_order(cluster.members, run.suite.seed, cluster.id, order)
    return tuple(run.by_id[item_id] for item_id in ids)


async def decide_by_strategies(run: Run, embedder: Embedder, log: DecisionLog) -> None:
    """Log what the strategies pick inside each cluster, in its first order.

    Whatever the log holds is not measured again; `random` is analytic and not logged. Raises as
    ItemScorer.score does.
    """
    clusters = [c for c in run.clusters if len(c.members) > run.suite.picks]
    shown = {cluster.id: shown_items(run, cluster, 0) for cluster in clusters}
    missing = [
        strategy
        for strategy in run.strategies
        if not strategy.analytic
        and not all(log.done(_strategy_key(strategy, number)) for number in shown)
    ]
    items = [item for members in shown.values() for item in members]
    vectors: dict[int, Vectors] = {}
    if any(strategy.needs_vectors for strategy in missing):
        vectors = _by_cluster(embedder.of(items), shown)
    measured: dict[ItemScorer, Measured] = {}
    for strategy in missing:
        if strategy.scorer is not None and strategy.scorer not in measured:
            measured[strategy.scorer] = await strategy.scorer.score(items, run.meter)
    for cluster in clusters:
        candidates = Candidates(shown[cluster.id], run.suite.seed, vectors.get(cluster.id))
        for strategy in missing:
            if not log.done(_strategy_key(strategy, cluster.id)):
                values = None if strategy.scorer is None else measured[strategy.scorer]
                log.append(decide_by_strategy(run, cluster, candidates, strategy, values))


def _by_cluster(vectors: Vectors, shown: Mapping[int, Sequence[Item]]) -> dict[int, Vectors]:
    """The rows of each cluster's items; `vectors` has those of one cluster after the other."""
    rows: dict[int, Vectors] = {}
    start = 0
    for cluster, items in shown.items():
        rows[cluster] = vectors[start : start + len(items)]
        start += len(items)
    return rows


def _strategy_key(strategy: Strategy, cluster: int) -> Key:
    return "", f"strategy:{strategy.name}", cluster, 0, 0, 0


def context_needed(run: Run) -> int:
    """What `context_for` says of all that a run asks."""
    return context_for(tasks(run))


def context_for(asked: Iterable[Task]) -> int:
    """Tokens that the longest prompt and its reply need: what Ollama must make room for.

    Without it Ollama cuts prompts to its default context. Rounded up to 1,024, with a margin for
    the estimate's error and for re-asking.
    """
    longest = max(
        estimate_tokens(render(question.selector.prompt, question.shown, question.k))
        + question.selector.spec.max_tokens
        for question in map(longest_question, asked)
    )
    return math.ceil(longest * CONTEXT_MARGIN / 1024) * 1024


def decide_by_strategy(
    run: Run,
    cluster: Cluster,
    candidates: Candidates,
    strategy: Strategy,
    measured: Measured | None = None,
) -> Decision:
    """What a strategy picks among `candidates`, the items of `cluster`.

    `measured`: of the strategy's measure, None unless it has one.
    """
    ids = tuple(item.id for item in candidates.items)
    k = run.suite.picks
    attempts: tuple[Attempt, ...] = ()
    problems: tuple[str, ...] = ()
    if measured is not None:
        values = np.array([measured.values[item_id] for item_id in ids])
        candidates = replace(candidates, values=values)
        problems = ("unmeasured",) if np.isnan(values).any() else ()
        attempts = tuple(
            attempt for item_id in ids for attempt in measured.attempts.get(item_id, ())
        )
    picked = strategy.choose(candidates, len(ids) if strategy.ranks else k)
    best_first = tuple(ids[position] for position in picked)
    short = len(best_first) < k
    return Decision(
        cluster=cluster.id,
        order=0,
        repeat=0,
        round=0,
        shown=ids,
        picks=best_first[:k],
        status=("partial" if best_first else "invalid") if short else "ok",
        strategy=strategy.name,
        problems=problems,
        attempts=attempts,
        ranking=best_first if strategy.ranks and len(best_first) == len(ids) else None,
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
    return is_decided(run.inputs, [d for d in decisions if d.cluster in asked])


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
            missing: ReplyMissing | None = None
            try:
                await decide_by_strategies(stage, embedder, log)
            except ReplyMissing as error:
                if run.meter.shared.batch is None:
                    raise
                missing = error  # a batch asks for it together with what follows
            total = sum(1 for _ in decision_keys(stage))
            await make_decisions(tasks(stage, log.done), settings, log, tick, total=total)
            if missing is not None:
                raise missing
    finally:
        for selector in run.selectors:
            await selector.model.close()
    return log.decisions()
