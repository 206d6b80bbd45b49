"""What is audited, and the one form in which its probes ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selectllm.core.types import Cluster, Item
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task
from selectllm.utility.utility import Utility

PROBES = ("order", "labels", "length", "copies", "hijack", "parsing", "drift")
"""Every probe. `length` asks nothing of its own: it reads what `order` asked."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How an audit asks.

    `probes`: names of PROBES. `orders`: in which each cluster is shown. `repeats`: replies to one
    question, the first included. `seed`: of orders, of targets and of texts. `again`: how many
    cached calls are asked again at most.
    """

    probes: tuple[str, ...] = PROBES
    orders: int = 14
    repeats: int = 3
    seed: int = 0
    again: int = 20


@dataclass(frozen=True)
class Subject:
    """A selector and the clusters on which it is audited.

    `clusters`: those with more than k items, in seeded order. `items`: of the pool, by id. `k`:
    the picks asked for. `utility`: the one that decides; None without one. `rivals`: selectors of
    the same model with other prompts, whose resistance to attacks is compared. `anew`: the selector
    with a model that asks whatever the cache holds.
    """

    selector: Selector
    clusters: tuple[Cluster, ...]
    items: Mapping[str, Item]
    k: int
    settings: AuditSettings = AuditSettings()
    utility: Utility | None = None
    rivals: tuple[Selector, ...] = ()
    anew: Selector | None = field(default=None, repr=False)

    @property
    def seed(self) -> int:
        """Of the suite, or the one that was given instead."""
        return self.settings.seed

    def first_order(self, cluster: Cluster) -> tuple[Item, ...]:
        """The items as `eval` shows them first, so that its replies are found in the cache."""
        return self.of(show_order(cluster.members, self.seed, cluster.id, 0))

    def of(self, ids: Sequence[str]) -> tuple[Item, ...]:
        """The items of these ids."""
        return tuple(self.items[item_id] for item_id in ids)

    def task(
        self,
        cluster: Cluster,
        shown: tuple[Item, ...],
        *,
        order: int = 0,
        repeat: int = 0,
        selector: Selector | None = None,
    ) -> Task:
        """One question. `order` numbers the questions of a probe about one cluster."""
        return Task(
            selector=selector or self.selector,
            cluster=cluster.id,
            shown=shown,
            k=self.k,
            order=order,
            repeat=repeat,
            seed=self.seed + repeat,
        )
