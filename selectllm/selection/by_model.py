"""Selecting exactly N items of a pool: by a strategy, or by a prompt that is shown clusters.

With C clusters of about m items and a budget of N, each cluster gives floor(N / C) items and a
seeded choice of clusters one more. Where C > N a tournament is played: one winner a cluster, the
winners are divided again, until C <= N.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import NamedTuple

from selectllm.core.choices import OnInvalid
from selectllm.core.codec import seeded_hash, sha256_texts
from selectllm.core.errors import RunError, SelectionShort, UsageError
from selectllm.core.types import Cluster, Decision, Item, Pool
from selectllm.data.arranged_items import in_groups
from selectllm.data.stored_items import ids_of, named, picked
from selectllm.selection.ask import first_request, make_decisions
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.decision_log import DecisionLog, Key
from selectllm.selection.merits import merits_of
from selectllm.selection.overfilled import Filled
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Later, Task, with_ballots
from selectllm.selection.ways.following import calls_at, check_asked, following

SMALLEST_CLUSTER, LARGEST_CLUSTER = 5, 50  # bounds of an automatic size

Divide = Callable[[Pool, int, int], Sequence[Cluster]]
"""(pool, cluster size, seed) -> clusters."""


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """How many items, and how they are come by.

    `size`: candidates per cluster, None for auto. `on_invalid`: what happens to a pick that the
    model did not make: filled at random (marked), skipped (the selection comes out short), or
    the command fails. `max_filled`: the largest share of picks that may be filled, 0 to 1.
    """

    budget: int
    size: int | None = None
    seed: int = 0
    on_invalid: OnInvalid = "fill"
    max_filled: float = 1.0
    ask: AskSettings = field(default_factory=AskSettings)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One selected item: where it was picked, by whom, and whether it only filled a gap.

    `rank`: from 1, the best: its place among the model's picks of this cluster, in the order of
    the answer, or in the pool, if a strategy picked. None if nobody chose the item: it fills a gap,
    or its cluster was taken whole. `score`, `reason`: see Merit; of a strategy the number that it
    goes by.
    """

    item: Item
    cluster: int
    round: int
    by: str
    filled: bool = False
    rank: int | None = None
    score: float | None = None
    reason: str | None = None


def by_worth(choice: Chosen) -> tuple[bool, bool, int, int]:
    """The order of worth: what fills gaps comes last, before it clusters that were taken whole.

    All others come by rank, the best of every cluster first, and equal ranks by cluster.
    """
    return choice.filled, choice.rank is None, choice.rank or 0, choice.cluster


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a selection: its clusters and how many items each gives."""

    number: int
    clusters: Sequence[Cluster]
    picks: Sequence[int]
    final: bool

    def asked(self) -> Iterator[tuple[Cluster, int]]:
        """Clusters that a model has to look at: the others give all they have, or nothing.

        One is made after the other, for a large pool holds them packed.
        """
        for cluster, k in zip(self.clusters, self.picks, strict=True):
            if 0 < k < len(cluster.members):
                yield cluster, k


@dataclass(frozen=True, slots=True)
class RoundAhead:
    """What a round will ask, known before anything is divided.

    `size`: candidates per cluster, about. `picks`: what each cluster gives, some one more.
    `calls`: if every reply is valid; 0 if the clusters are taken whole, unasked. `tokens`: of all
    its prompts, estimated.
    """

    clusters: int
    size: int
    picks: int
    calls: int
    tokens: int


def check_budget(budget: int, pool: Pool, whose: str = "in") -> None:
    """Raise UsageError unless 1 <= budget <= items in the pool; `whose`: `in`, or `left of`."""
    if not 1 <= budget <= len(pool):
        raise UsageError(
            f"`budget` {budget} must be from 1 to {len(pool)}, the number of items {whose} "
            f"{pool.source or 'the pool'}",
            argument="budget",
        )


def cluster_size(pool_size: int, budget: int) -> int:
    """Candidates per cluster under `auto`: pool / budget, rounded up, within 5..50.

    So every cluster gives one pick wherever that range allows it.
    """
    return min(max(math.ceil(pool_size / budget), SMALLEST_CLUSTER), LARGEST_CLUSTER)


def allocate(clusters: Sequence[Cluster], budget: int, seed: int) -> tuple[int, ...]:
    """Picks per cluster, budget in all: floor(budget / C) each, one more for a seeded choice.

    Never more than a cluster holds. Needs C <= budget.
    """
    base, remainder = divmod(budget, len(clusters))
    roomy = (
        (seeded_hash("share", seed, *cluster.members), at)
        for at, cluster in enumerate(clusters)
        if len(cluster.members) > base
    )
    extra = {at for _, at in heapq.nsmallest(remainder, roomy)}
    return tuple(
        min(len(cluster.members), base + (at in extra)) for at, cluster in enumerate(clusters)
    )


def plan_round(pool: Pool, number: int, settings: SelectSettings, divide: Divide) -> Round:
    """Divide `pool` and share the budget out; a round that is not final has one winner each."""
    size = settings.size or cluster_size(len(pool), settings.budget)
    clusters = divide(pool, size, settings.seed + number)
    if len(clusters) > settings.budget:
        return Round(number, clusters, (1,) * len(clusters), final=False)
    return Round(number, clusters, allocate(clusters, settings.budget, settings.seed), final=True)


def rounds_ahead(pool_size: int, settings: SelectSettings) -> list[tuple[int, int]]:
    """(clusters, cluster size) of every round, without dividing anything.

    Raises UsageError for clusters of one: a tournament among them would never end.
    """
    rounds: list[tuple[int, int]] = []
    while True:
        size = settings.size or cluster_size(pool_size, settings.budget)
        count = math.ceil(pool_size / size)
        rounds.append((count, size))
        if count <= settings.budget:
            return rounds
        if size < 2:
            raise UsageError(
                f"`cluster_size` {size}: {pool_size} clusters of one item cannot be narrowed down "
                f"to {settings.budget}. Use at least 2, or auto",
                argument="cluster_size",
            )
        pool_size = count


def questions_ahead(pool: Pool, selector: Selector, settings: SelectSettings) -> list[RoundAhead]:
    """What every round will ask; a random sample of the pool stands in for each cluster.

    Raises as `rounds_ahead` does, and PromptError if the prompt cannot show that many items.
    """
    rounds: list[RoundAhead] = []
    left = len(pool)
    for count, size in rounds_ahead(len(pool), settings):
        size = min(size, left)
        k = max(1, settings.budget // count)
        calls = count * calls_at(selector, size, k) if k < size else 0
        tokens = 0
        if calls:
            check_asked(selector.prompt, size)
            asked = following(sample_task(pool, selector, size, k, settings.seed))
            each = [first_request(question, settings.ask).tokens for question in asked]
            tokens = calls * sum(each) // len(each)
        rounds.append(RoundAhead(count, size, k, calls, tokens))
        left = count
    return rounds


def sample_task(pool: Pool, selector: Selector, size: int, k: int, seed: int) -> Task:
    """A question about a random sample of the pool, which stands for one about a cluster."""
    ids = enumerate(ids_of(pool.items))
    drawn = heapq.nsmallest(size, ids, lambda each: seeded_hash("sample", seed, each[1]))
    return Task(selector, 0, tuple(picked(pool.items, [place for place, _ in drawn])), k)


async def select_by_model(
    pool: Pool,
    selector: Selector,
    settings: SelectSettings,
    divide: Divide,
    log: DecisionLog,
    tick: Callable[[Decision], None] = lambda decision: None,
) -> list[Chosen]:
    """Exactly `settings.budget` items (fewer only under `skip`), decided cluster by cluster.

    Decisions go to `log` as they are made; those it holds already are not asked again. Raises
    as ask.make_decisions does; a failed call never becomes a pick. Raises SelectionOverFilled after
    the first round of whose picks more than `settings.max_filled` were filled.
    """
    check_budget(settings.budget, pool)
    rounds_ahead(len(pool), settings)
    number = 0
    while True:
        this = plan_round(pool, number, settings, divide)
        tasks = round_tasks(pool, selector, this, settings.seed)
        _check_clusters(this, tasks, log)
        await make_decisions(tasks, settings.ask, log, tick)
        decisions = _Decided(log, {task.key[2]: task.key for task in tasks})
        given = harvest(this, decisions, settings)
        _filled(this, decisions, given).check(settings.max_filled, log.path)
        items = named(pool, [each.id for each in given])
        if this.final or not given:  # under `skip` no winner may be left to divide
            chosen = [each.chosen(item) for each, item in zip(given, items[:], strict=True)]
            return _with_merits(chosen, tasks, decisions, settings)
        pool = narrowed(pool, items)
        number += 1


@dataclass(frozen=True, slots=True)
class _Decided(Mapping[int, Decision]):
    """The decisions of a round by their clusters, as the log has them."""

    log: DecisionLog
    keys_of: Mapping[int, Key]

    def __getitem__(self, cluster: int) -> Decision:
        return self.log[self.keys_of[cluster]]

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys_of)

    def __len__(self) -> int:
        return len(self.keys_of)


def _check_clusters(this: Round, tasks: Sequence[Later], log: DecisionLog) -> None:
    """Raise RunError if decisions of `log` are on other clusters: their picks would not fit."""
    for task in tasks:
        if task.key not in log:
            continue
        if {*log[task.key].shown} != {*this.clusters[task.key[2]].members}:
            raise RunError(
                f"{log.path} holds decisions on other clusters: its pool was divided by another "
                "version of selectllm or of a library, and the cache that knew the clusters is "
                "gone. Choose another file; what the cache still holds is not asked again",
                argument="out",
            )


class Given(NamedTuple):
    """The id of an item that a cluster gives, and what Chosen says of it."""

    id: str
    cluster: int
    round: int
    by: str
    rank: int | None = None
    filled: bool = False

    def chosen(self, item: Item) -> Chosen:
        """The same of the item itself."""
        return Chosen(item, self.cluster, self.round, self.by, self.filled, self.rank)


def harvest(
    this: Round, decisions: Mapping[int, Decision], settings: SelectSettings
) -> list[Given]:
    """What a round's clusters give, in cluster order."""
    given: list[Given] = []
    for cluster, k in zip(this.clusters, this.picks, strict=True):
        decision = decisions.get(cluster.id)
        if decision is None:
            ids, by = cluster.members[:k], "all"  # k is 0 or the whole cluster
        else:
            ids, by = decision.picks, f"{decision.prompt}+{decision.model}"
        ranks = [None if decision is None else rank for rank in range(1, len(ids) + 1)]
        given += [
            Given(name, cluster.id, this.number, by, rank)
            for name, rank in zip(ids, ranks, strict=True)
        ]
        if len(ids) < k:
            complaint = (
                f"cluster {cluster.id} of round {this.number}: the model gave no valid picks"
            )
            rest = [member for member in cluster.members if member not in ids]
            filler = fill(rest, settings, this.number, complaint)[: k - len(ids)]
            given += [Given(name, cluster.id, this.number, by, filled=True) for name in filler]
    return given


def _with_merits(
    chosen: Sequence[Chosen],
    tasks: Sequence[Later],
    decisions: Mapping[int, Decision],
    settings: SelectSettings,
) -> list[Chosen]:
    """`chosen` with the scores and reasons that the model gave."""
    merits = {
        (task.cluster, item): merit
        for task in (later.made() for later in tasks)
        for item, merit in merits_of(task, decisions[task.cluster], settings.ask).items()
    }
    return [
        choice
        if choice.filled or (choice.cluster, choice.item.id) not in merits
        else replace(choice, **asdict(merits[choice.cluster, choice.item.id]))
        for choice in chosen
    ]


def _filled(this: Round, decisions: Mapping[int, Decision], given: Sequence[Given]) -> Filled:
    """How much of a round is filled."""
    made = ((decisions[cluster.id], k) for cluster, k in this.asked())
    gaps = (decision for decision, k in made if len(decision.picks) < k)
    first = next((gap for gap in gaps if gap.replies), None)
    return Filled(
        sum(each.filled for each in given),
        sum(this.picks),
        "The model gave no usable answer",
        first.replies[0] if first else None,
        first.problems if first else (),
    )


def fill(
    unpicked: Sequence[str], settings: SelectSettings, number: int, complaint: str
) -> list[str]:
    """The unpicked in a seeded order, or nothing, or an error: as `on_invalid` says."""
    if settings.on_invalid == "skip":
        return []
    if settings.on_invalid == "fail":
        raise SelectionShort(
            f"{complaint}, and `on_invalid` is fail. Nothing was written. Use fill or skip, or "
            "look at the replies in the decision log",
            argument="on_invalid",
        )
    return sorted(unpicked, key=lambda i: seeded_hash("fill", settings.seed, number, i))


def round_tasks(pool: Pool, selector: Selector, this: Round, seed: int) -> list[Later]:
    """The decisions of a round; made in their order, they go through the pool once."""
    items = in_groups(pool, (cluster.members for cluster, _ in this.asked()))
    numbers = [cluster.id for cluster, _ in this.asked()]
    return [
        _later(selector, this, number, seed, partial(items, at))
        for at, number in enumerate(numbers)
    ]


def _later(
    selector: Selector,
    this: Round,
    number: int,
    seed: int,
    items: Callable[[], Mapping[str, Item]],
) -> Later:
    task = Task(selector, number, (), this.picks[number], round=this.number, seed=seed)

    def made() -> Task:
        by_id, members = items(), this.clusters[number].members

        def show(order: int) -> tuple[Item, ...]:
            ids = show_order(members, seed + this.number, number, order)
            return tuple(by_id[name] for name in ids)

        return with_ballots(replace(task, shown=show(0)), show)

    return Later(selector, task.key, made)


def narrowed(pool: Pool, items: Sequence[Item]) -> Pool:
    """The pool with only `items`, as a pool of its own."""
    return replace(pool, items=items, sha256=sha256_texts([pool.sha256, *ids_of(items)]))
