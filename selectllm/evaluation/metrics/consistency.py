"""Whether picks depend on what should not matter: the order of showing, the repeat, the slot.

Pure, and needs no utility. None of the decisions given may have status `error`. Clusters with at
most k candidates decide nothing and are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from statistics import fmean

import numpy as np

from selectllm.core.types import Decision
from selectllm.evaluation.metrics.schema import SlotHistogram
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import mean_interval
from selectllm.stats.special import chdtrc


def order_consistency(decisions: Iterable[Decision], k: int) -> Interval | None:
    """How alike the picks of a cluster are over the orders in which it was shown.

    Mean overlap (see `chance_corrected`) of all pairs of orders of a cluster within a
    repeat, then the mean over clusters with its t interval. 1: the order never matters; 0: as
    alike as random picks. None below two clusters with two orders.
    """
    return _consistency(decisions, k, lambda decision: (decision.cluster, decision.repeat))


def repeat_consistency(decisions: Iterable[Decision], k: int) -> Interval | None:
    """How alike the picks of a cluster are over repeats of one order; else as above."""
    return _consistency(decisions, k, lambda decision: (decision.cluster, decision.order))


def overlap(a: Iterable[Decision], b: Iterable[Decision], k: int) -> Interval | None:
    """How alike two selectors pick: the mean chance-corrected overlap with its t interval.

    See `chance_corrected`; a missing pick counts as drawn uniformly from the unpicked, so to pick
    nothing is random.

    Decisions are matched by cluster, order and repeat, unmatched ones left out; a cluster's are
    averaged first. None below two clusters. Raises ValueError if the clusters differ.
    """
    others = {(d.cluster, d.order, d.repeat): d for d in b}
    matched = [(d, others.get((d.cluster, d.order, d.repeat))) for d in a]
    return _mean(overlaps(((d, other) for d, other in matched if other), k))


def order_overlaps(decisions: Iterable[Decision], k: int) -> dict[int, float]:
    """What `order_consistency` is the mean of: for each cluster how alike its orders are."""
    return _within(decisions, k, lambda decision: (decision.cluster, decision.repeat))


def repeat_overlaps(decisions: Iterable[Decision], k: int) -> dict[int, float]:
    """The same of `repeat_consistency`."""
    return _within(decisions, k, lambda decision: (decision.cluster, decision.order))


def overlaps(pairs: Iterable[tuple[Decision, Decision]], k: int) -> dict[int, float]:
    """Cluster -> the mean chance-corrected overlap of its pairs, in whatever order pairs come.

    Clusters ascend. Raises ValueError for a pair that shows different items.
    """
    by_cluster: dict[int, list[float]] = defaultdict(list)
    for a, b in pairs:
        if len(a.shown) > k:
            by_cluster[a.cluster].append(_kappa(a, b, k))
    return {cluster: fmean(by_cluster[cluster]) for cluster in sorted(by_cluster)}


def _consistency(
    decisions: Iterable[Decision], k: int, same: Callable[[Decision], Hashable]
) -> Interval | None:
    """Mean overlap of all pairs of decisions for which `same` is equal."""
    return _mean(_within(decisions, k, same))


def _within(
    decisions: Iterable[Decision], k: int, same: Callable[[Decision], Hashable]
) -> dict[int, float]:
    """What `overlaps` says of all pairs of decisions for which `same`, in one cluster, is equal.

    There are as many as the square of the orders, so that each decision is looked at once, and a
    pair takes no more than what its picks have in common.
    """
    alike: dict[Hashable, list[Decision]] = defaultdict(list)
    for decision in decisions:
        alike[same(decision)].append(decision)
    by_cluster: dict[int, list[float]] = defaultdict(list)
    for first, *others in alike.values():
        m = len(first.shown)
        if not others or m <= k:
            continue
        _check_shown(first, others)
        picks = [frozenset(decision.picks) for decision in (first, *others)]
        by_cluster[first.cluster] += [
            _expected_kappa(len(a), len(b), len(a & b), k, m) for a, b in combinations(picks, 2)
        ]
    return {cluster: fmean(by_cluster[cluster]) for cluster in sorted(by_cluster)}


def _check_shown(first: Decision, others: Iterable[Decision]) -> None:
    """Raise ValueError for decisions that showed other items."""
    items = set(first.shown)
    if any(each.cluster != first.cluster or set(each.shown) != items for each in others):
        raise ValueError(f"cluster {first.cluster}: its two decisions show different items")


def _mean(by_cluster: Mapping[int, float]) -> Interval | None:
    return mean_interval(list(by_cluster.values()))


def _kappa(a: Decision, b: Decision, k: int) -> float:
    """The overlap that uniform completion of both decisions to k picks expects."""
    _check_shown(a, [b])
    ours, theirs = set(a.picks), set(b.picks)
    return _expected_kappa(len(ours), len(theirs), len(ours & theirs), k, len(a.shown))


@lru_cache(maxsize=1 << 12)
def _expected_kappa(ours: int, theirs: int, both: int, k: int, m: int) -> float:
    """The same of so many picks of m items, `both` of which are the same."""
    fill, their_fill = (k - ours) / (m - ours), (k - theirs) / (m - theirs)
    shared = (
        both
        + (ours - both) * their_fill
        + (theirs - both) * fill
        + (m - (ours + theirs - both)) * fill * their_fill
    )
    return chance_corrected(shared, k, m)


def chance_corrected(shared: float, k: int, m: int) -> float:
    """Cohen's kappa of two selectors that pick k of m each, k < m, and `shared` of them both.

    (|S and S'| - k^2 / m) / (k - k^2 / m): 1 for the same picks, 0 for as many in common as
    random picks expect, below 0 for fewer.
    """
    chance = k * k / m
    return (shared - chance) / (k - chance)


def slot_histogram(decisions: Iterable[Decision], k: int) -> SlotHistogram:
    """Whether a selector prefers slots, given that every order is drawn anew.

    If slots do not matter, a decision's picks fall on its slots by a uniform permutation. The
    numbers of picks N_j per slot then vary about their expectation with covariance V (I - J /
    m), where V sums (w - mean w)^2 / (m - 1) over slots and decisions, so that sum (N_j -
    expected)^2 / V is chi-square with m - 1 degrees of freedom. For n decisions of k picks V is
    n (k / m) (1 - k / m) m / (m - 1); for k = 1 the test is Pearson's. (Pearson's own is far too
    cautious for k > 1, where a decision cannot pick a slot twice.) Repeats of an order are no
    new draw: they are averaged. Clusters of different m are tested apart, their chi2 and df
    added.
    """
    decided = sorted((d for d in decisions if len(d.shown) > k), key=_place)
    slots = max((len(d.shown) for d in decided), default=0)
    counts, expected = np.zeros(slots, dtype=int), np.zeros(slots)
    by_size: dict[int, dict[tuple[int, int], list[list[bool]]]] = defaultdict(dict)
    for d in decided:
        picked = [item_id in d.picks for item_id in d.shown]
        m = len(picked)
        counts[:m] += picked
        expected[:m] += len(d.picks) / m
        by_size[m].setdefault((d.cluster, d.order), []).append(picked)
    tests = [_slot_test(list(draws.values())) for draws in by_size.values()]
    chi2, df = sum(chi2 for chi2, _ in tests), sum(df for _, df in tests)
    return SlotHistogram(
        counts=tuple(counts.tolist()),
        expected=tuple(expected.tolist()),
        chi2=chi2 if df else None,
        df=df,
        p=float(chdtrc(df, chi2)) if df else None,
    )


def _slot_test(draws: Sequence[Sequence[Sequence[bool]]]) -> tuple[float, int]:
    """chi2 and degrees of freedom of draws of one size; (0, 0) if no slot differs from another.

    `draws`: for every order that was drawn, the picked slots of its repeats.
    """
    shares = [np.mean(repeats, axis=0) if len(repeats) > 1 else repeats[0] for repeats in draws]
    share = np.array(shares, dtype=float)
    deviation = share - share.mean(axis=1, keepdims=True)
    slots = share.shape[1]
    variance = float(np.square(deviation).sum() / (slots - 1))
    if variance < 1e-9:  # nothing picked, or every slot alike up to rounding
        return 0.0, 0
    return float(np.square(deviation.sum(axis=0)).sum() / variance), slots - 1


def _place(decision: Decision) -> tuple[int, int, int]:
    return decision.cluster, decision.order, decision.repeat
