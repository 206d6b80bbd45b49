"""Order: does the place in the list decide, and what does averaging over orders buy? Pure.

A cluster is shown in the rows of a Latin square, in which every item stands in every slot once
(Williams 1949, Experimental designs balanced for the estimation of residual effects of treatments:
an item also follows each other one as often). Its first row is the order of `eval`; further rows
are drawn by the seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.codec import seeded_hash
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.audit.measures import CORRELATION, SHARE, Range, mean_of, measure
from selectllm.evaluation.audit.schema import AveragingStep, Measure, OrderAudit, SlotRate
from selectllm.evaluation.audit.subject import Subject
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.metrics.consistency import order_overlaps, overlaps, slot_histogram
from selectllm.selection.clustering.partition import show_order
from selectllm.selection.task import Task
from selectllm.selection.voting import elect
from selectllm.stats.interval import Interval

AVERAGED = (1, 2, 3, 5, 7)
"""Orders whose vote is looked at."""

SQUARES = 100
"""Squares that are looked at for one of new orders; clusters of few items have no more."""

PARTS: Range = (-1.0, 2.0)
"""What a cluster's part in the slot bias lies within; their mean lies from 0 to 1."""

ByCluster = Mapping[int, Sequence[Decision]]


def order_tasks(subject: Subject, count: int) -> Iterator[Task]:
    """Every cluster in `count` orders, order after order."""
    orders = {c.id: balanced_orders(c, subject.seed, count) for c in subject.clusters}
    for order in range(count):
        for cluster in subject.clusters:
            yield subject.task(cluster, subject.of(orders[cluster.id][order]), order=order)


def balanced_orders(cluster: Cluster, seed: int, count: int) -> list[tuple[str, ...]]:
    """`count` orders of a cluster's ids, balanced over slots; beyond m, of further squares.

    Of a square that has an order once more the next one is taken, as long as there are others: the
    same question again would say nothing new.
    """
    orders: list[tuple[str, ...]] = []
    square = 0
    while len(orders) < count:
        first = show_order(cluster.members, seed, cluster.id, square)
        drawn = [seeded_hash("rows", seed, cluster.id, square, row) for row in range(len(first))]
        rows = _square(first, drawn)
        if square >= SQUARES or not {*orders} & {*rows}:
            orders += rows
        square += 1
    return orders[:count]


def _square(first: Sequence[str], drawn: Sequence[int]) -> list[tuple[str, ...]]:
    """A Latin square of the ids; `first` is its first row, the others come as `drawn`."""
    m = len(first)
    walk = [(place + 1) // 2 if place % 2 else (m - place // 2) % m for place in range(m)]
    item = dict(zip(walk, first, strict=True))
    rows = [0, *sorted(range(1, m), key=drawn.__getitem__)]
    return [tuple(item[(step + row) % m] for step in walk) for row in rows]


def order_audit(subject: Subject, decisions: Sequence[Decision]) -> OrderAudit:
    """What the decisions on `order_tasks` say."""
    k = subject.k
    rates = _rates(decisions)
    return OrderAudit(
        orders=len({decision.order for decision in decisions}),
        slots=slot_histogram(decisions, k),
        slot_bias=_bias(slot_bias(decisions, k)),
        consistency=mean_of(order_overlaps(decisions, k), CORRELATION),
        curve=tuple(
            SlotRate(slot=slot + 1, rate=mean_of(rates[slot], SHARE)) for slot in sorted(rates)
        ),
        averaging=tuple(_averaging(subject, decisions)),
    )


def order_measures(subject: Subject, decisions: Sequence[Decision]) -> Iterator[Measure]:
    """Consistency over orders, and how far slots decide."""
    k = subject.k
    yield measure(
        "order.consistency",
        "kappa of the picks of one cluster in different orders: 1 = the order never matters",
        "higher",
        order_overlaps(decisions, k),
        within=CORRELATION,
    )
    yield measure(
        "order.slot-bias",
        "how far the slot decides: 0 = not at all, 1 = the same slots are always picked",
        "lower",
        slot_bias(decisions, k),
        within=PARTS,
        value=_bias(slot_bias(decisions, k)),
    )


def slot_bias(decisions: Sequence[Decision], k: int) -> dict[int, float]:
    """Cluster -> its part in the squared lean towards slots, whose mean is an unbiased estimate.

    A cluster's lean has for each slot the share of its orders in which it was picked, less what
    chance expects. The squared length of the mean lean would be above 0 by noise alone, so only
    products of different clusters count (a U-statistic), as a share of the most possible, k (1 - k
    / m). The parts are its jackknife pseudo-values (Efron and Stein 1981, The jackknife estimate
    of variance). Below three clusters there are none.
    """
    leans = _leans(decisions)
    n = len(leans)
    if n < 3:
        return {}
    lean = np.array(list(leans.values()))
    most = [k * (1 - k / len(d.shown)) for d in _first(decisions, leans)]
    total, own = lean.sum(axis=0), np.square(lean).sum(axis=1)
    whole = (total @ total - own.sum()) / (n * (n - 1))
    rest = np.square(total - lean).sum(axis=1) - (own.sum() - own)
    parts = n * whole - rest / (n - 2)
    return {c: float(part) / fmean(most) for c, part in zip(leans, parts, strict=True)}


def _bias(parts: Mapping[int, float]) -> Interval | None:
    """The mean of the parts, which may be a little below 0 by chance, unlike what it estimates."""
    mean = mean_of(parts, PARTS)
    return None if mean is None else mean.within(*SHARE)


def _first(decisions: Sequence[Decision], clusters: Mapping[int, Floats]) -> Iterator[Decision]:
    """A decision of each cluster."""
    by_id = {decision.cluster: decision for decision in decisions}
    return (by_id[cluster] for cluster in clusters)


def _leans(decisions: Sequence[Decision]) -> dict[int, Floats]:
    """Cluster -> by slot, the share of its orders in which it was picked, less that by chance."""
    slots = max((len(d.shown) for d in decisions), default=0)
    leans: dict[int, Floats] = {}
    for cluster, orders in grouped(decisions).items():
        lean = np.zeros(slots)
        for decision in orders:
            m = len(decision.shown)
            picked = np.array([item in decision.picks for item in decision.shown], dtype=float)
            lean[:m] += (picked - len(decision.picks) / m) / len(orders)
        leans[cluster] = lean
    return leans


def _rates(decisions: Sequence[Decision]) -> dict[int, dict[int, float]]:
    """Slot -> cluster -> the share of its orders in which what stood there was picked."""
    rates: dict[int, dict[int, float]] = defaultdict(dict)
    for cluster, orders in grouped(decisions).items():
        for slot in range(len(orders[0].shown)):
            rates[slot][cluster] = fmean(d.shown[slot] in d.picks for d in orders)
    return rates


def grouped(decisions: Sequence[Decision]) -> dict[int, list[Decision]]:
    """Decisions by cluster, ascending, each cluster's in the sequence of its orders."""
    groups: dict[int, list[Decision]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda d: (d.cluster, d.order, d.repeat)):
        groups[decision.cluster].append(decision)
    return groups


def _averaging(subject: Subject, decisions: Sequence[Decision]) -> Iterator[AveragingStep]:
    """The vote of so many orders at a time, over all runs of neighbouring orders."""
    by_cluster = grouped(decisions)
    asked = min((len(orders) for orders in by_cluster.values()), default=0)
    attempts = [attempt for decision in decisions for attempt in decision.replies]
    for size in (size for size in AVERAGED if size <= asked):
        votes = {c: _votes(orders[:asked], size, subject) for c, orders in by_cluster.items()}
        share = size / asked
        tokens_in = _sum([attempt.tokens_in for attempt in attempts])
        tokens_out = _sum([attempt.tokens_out for attempt in attempts])
        cost = _sum([attempt.cost_usd for attempt in attempts])
        yield AveragingStep(
            orders=size,
            captured=_captured(subject, votes),
            consistency=_between(votes, size, asked, subject.k),
            calls=round(len(attempts) * share),
            tokens_in=None if tokens_in is None else round(tokens_in * share),
            tokens_out=None if tokens_out is None else round(tokens_out * share),
            cost_usd=None if cost is None else cost * share,
        )


def _votes(orders: Sequence[Decision], size: int, subject: Subject) -> list[Decision]:
    """The vote of every `size` neighbouring orders, the last followed by the first."""
    starts = range(len(orders) if size < len(orders) else 1)
    return [
        _vote([orders[(start + step) % len(orders)] for step in range(size)], subject)
        for start in starts
    ]


def _vote(ballots: Sequence[Decision], subject: Subject) -> Decision:
    if len(ballots) == 1:
        return ballots[0]
    seed = subject.seed
    parsed = elect(ballots, subject.k, "borda", lambda item: seeded_hash("vote", seed, item))
    shown = ballots[0].shown
    return replace(
        ballots[0],
        picks=tuple(shown[place] for place in parsed.picks),
        status=parsed.status,
        ranking=None if parsed.ranking is None else tuple(shown[place] for place in parsed.ranking),
    )


def _captured(subject: Subject, votes: ByCluster) -> Interval | None:
    if subject.utility is None:
        return None
    choices = [Choice.of(vote) for of_cluster in votes.values() for vote in of_cluster]
    return agreement(choices, subject.utility.values, subject.k).captured


def _between(votes: ByCluster, size: int, asked: int, k: int) -> Interval | None:
    """Kappa of two votes on different orders; None where too few orders were asked."""
    if 2 * size > asked:
        return None
    return mean_of(
        overlaps(
            (
                (of_cluster[start], of_cluster[(start + size) % asked])
                for of_cluster in votes.values()
                for start in range(asked)
            ),
            k,
        ),
        CORRELATION,
    )


def _sum(values: Sequence[float | None]) -> float | None:
    """Their sum; None if any is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
