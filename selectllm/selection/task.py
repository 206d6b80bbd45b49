"""A task: one decision to be asked for, as the questions of its ballots, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from selectllm.core.types import Item
from selectllm.models.model import ModelSpec
from selectllm.models.providers.providers import provider_of
from selectllm.selection.decision_log import Key
from selectllm.selection.selector import Selector

REDRAWN = 1_000_000  # orders from here on stand in for draws that came twice in one vote


@dataclass(frozen=True, slots=True)
class Task:
    """One decision to be made: a selector, and a cluster in one order and repeat.

    `seed` is the run's seed plus the repeat. `ballots`: the questions of a vote (`with_ballots`),
    of which the first shows what the decision does; none if it is a single question itself.
    `of`: all items of the decision, of a question about some of them; else empty.
    """

    selector: Selector
    cluster: int
    shown: tuple[Item, ...]
    k: int
    order: int = 0
    repeat: int = 0
    round: int = 0
    seed: int = 0
    ballots: tuple[Task, ...] = ()
    of: tuple[Item, ...] = ()

    @property
    def key(self) -> Key:
        """The key of the decision that this task leads to (decision_log.decision_key)."""
        selector = self.selector
        return (
            selector.prompt.ref,
            selector.spec.name,
            self.cluster,
            self.order,
            self.repeat,
            self.round,
        )


@dataclass(frozen=True, slots=True)
class Later:
    """A task that is made when it is asked: until then the texts of its items are not needed.

    `key`: that of the task.
    """

    selector: Selector
    key: Key
    made: Callable[[], Task]


@dataclass(frozen=True, slots=True)
class AskSettings:
    """`concurrency`: calls in flight. `reask`: further attempts after a reply that is not valid.

    `structured`: send a JSON schema where the prompt asks for JSON and the provider takes one.
    """

    concurrency: int = 8
    reask: int = 2
    structured: bool = True


def with_ballots(task: Task, show: Callable[[int], tuple[Item, ...]]) -> Task:
    """`task` with the ballots that its model's vote asks for, or as it is without a vote.

    `show`: the cluster's items in each of its seeded orders. With R orders and Q repeats a vote,
    decision (o, r) has the orders oR to oR + R - 1 and the repeats rQ to rQ + Q - 1: each has
    ballots of its own, and those of the first are what a suite with `orders: R` and `repeats: Q`
    asks without a vote.
    """
    vote = task.selector.spec.vote
    if vote is None:
        return task
    ballots = tuple(
        replace(
            task, shown=shown, order=order, repeat=repeat, seed=task.seed - task.repeat + repeat
        )
        for order, shown in _different(show, task.order * vote.orders, vote.orders)
        for repeat in range(task.repeat * vote.repeats, (task.repeat + 1) * vote.repeats)
    )
    return replace(task, shown=ballots[0].shown, ballots=ballots)


def _different(
    show: Callable[[int], tuple[Item, ...]], first: int, count: int
) -> list[tuple[int, tuple[Item, ...]]]:
    """`count` orders from `first` on, fewer where a small cluster has no more.

    Orders are drawn independently, and one that came twice would vote twice.
    """
    order_of: dict[tuple[Item, ...], int] = {}
    more = range(REDRAWN + first, REDRAWN + first + 50 * count)
    for order in (*range(first, first + count), *more):
        order_of.setdefault(show(order), order)
        if len(order_of) == count:
            break
    return [(order, shown) for shown, order in order_of.items()]


def calls_per_decision(spec: ModelSpec) -> int:
    """Calls that a decision takes if every reply is valid; at most, in clusters of few orders.

    Of an adaptive vote as many as it takes where the first ballots agree.
    """
    return spec.vote.least_ballots if spec.vote else 1


def further_calls(spec: ModelSpec) -> int:
    """Calls that a decision takes beyond these, at most, where the ballots never agree."""
    return spec.vote.ballots - spec.vote.least_ballots if spec.vote else 0


def most_calls(spec: ModelSpec, reask: int) -> int:
    """Calls that a decision takes at most, under `reask` of the settings."""
    return (calls_per_decision(spec) + further_calls(spec)) * (1 + reasks(spec, reask))


def reasks(spec: ModelSpec, reask: int) -> int:
    """How often a question is asked again at most, under `reask` of the settings.

    Log-probabilities would come back as they were.
    """
    if spec.answer == "logprobs":
        return 0
    most = provider_of(spec).most_reasks
    return reask if most is None else min(reask, most)


def reasks_of(selector: Selector, reask: int) -> int:
    """`reasks` of a prompt and a model: a prompt may be answered by log-probabilities, too."""
    return 0 if selector.by_logprobs else reasks(selector.spec, reask)
