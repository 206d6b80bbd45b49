"""How well picks agree with a utility, cluster by cluster, with chance taken out. Pure.

Within a cluster of m candidates of which k are picked, u are the utilities, U(S) the sum of the
picks' utilities, U* and U_ the sums of the k best and of the k worst:

captured     sum(G - r) / sum(1 - r) over clusters, with G = (U(S) - U_) / (U* - U_) in [0, 1]
             and r the G that random picks expect. 0 is random, 1 the best possible
nuc          sum(U(S) - k mean(u)) / sum(U* - k mean(u)): the same in raw units, so that a cluster
             weighs as much as there is to gain in it
kappa        sum(h - c) / sum(max h - c), with h the number of picks in the top k and c = k^2 / m
             what chance expects. Cohen's kappa, its two parts summed over clusters
hit          mean of h / k
auc          mean chance that a picked item has more utility than an unpicked one, ties half
ndcg, tau    nDCG@k with gain u - min(u), and Kendall's tau-b; of complete rankings only
worst_case   captured if every missing pick had been the worst item left

Where utilities tie at the edge of the top k, the tied items share its last places evenly (so
hit may stay below 1 for the best possible picks). A missing pick counts as the mean of the
unpicked items, what a uniformly drawn one would expect: a selector that picks nothing is random.

Orders and repeats of a cluster are averaged first: the cluster is the unit. Clusters whose
utilities are all equal, and those with k >= m, decide nothing: they are left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.types import Decision
from selectllm.evaluation.metrics.cluster_scores import Columns, Scores, scores_of
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import ratio_interval
from selectllm.utility.utility import check_covered


@dataclass(frozen=True, slots=True)
class Choice:
    """What one selector did with one cluster in one order and repeat.

    `members`: the ids of the cluster's candidates. `picks`: distinct ids of them, at most k.
    `ranking`: all of them, best first, if the selector ordered all, else None.
    """

    cluster: int
    members: tuple[str, ...]
    picks: tuple[str, ...]
    ranking: tuple[str, ...] | None = None

    @classmethod
    def of(cls, decision: Decision) -> Choice:
        """The choice in a decision. Raises ValueError for status `error`, which is no choice."""
        if decision.status == "error":
            raise ValueError(f"cluster {decision.cluster}: status error is never scored")
        return cls(decision.cluster, decision.shown, decision.picks, decision.ranking)


# Every metric is a ratio of two sums over clusters: what was reached, and what counts as 1.
METRICS: dict[str, Callable[[Scores], tuple[Floats, Floats]]] = {
    "captured": lambda s: (s.gain - s.chance, 1 - s.chance),
    "nuc": lambda s: ((s.gain - s.chance) * s.span, (1 - s.chance) * s.span),
    "kappa": lambda s: (s.hit - s.chance_hit, s.best_hit - s.chance_hit),
    "hit": lambda s: (s.hit, np.ones_like(s.hit)),
    "auc": lambda s: (s.auc, np.ones_like(s.auc)),
    "ndcg": lambda s: (s.ndcg, np.ones_like(s.ndcg)),
    "tau": lambda s: (s.tau, np.ones_like(s.tau)),
    "worst_case": lambda s: (s.worst - s.chance, 1 - s.chance),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of one selector with one utility; the module's head says what each means.

    An interval is None where its metric is undefined: below two clusters (or groups), without
    rankings, or, for `worst_case`, when no pick is missing. `clusters` were counted;
    `flat_clusters` have utilities that are all equal, `whole_clusters` at most k candidates.
    `gain` (G) and `chance` (r) are by cluster id, for paired comparisons.
    """

    captured: Interval | None
    nuc: Interval | None
    kappa: Interval | None
    hit: Interval | None
    auc: Interval | None
    ndcg: Interval | None
    tau: Interval | None
    worst_case: Interval | None
    clusters: int
    flat_clusters: int
    whole_clusters: int
    gain: Mapping[int, float]
    chance: Mapping[int, float]

    def to_json(self) -> dict[str, dict[str, float] | None]:
        """The metrics as results.json has them: `{metric: {estimate, low, high} or None}`."""
        intervals = {name: getattr(self, name) for name in METRICS}
        return {name: interval and interval.to_json() for name, interval in intervals.items()}


def agreement(
    choices: Iterable[Choice],
    utility: Mapping[str, float],
    k: int,
    groups: Mapping[int, Hashable] | None = None,
) -> Agreement:
    """Agreement of `choices` with `utility`, higher is better in every metric.

    The choices of one selector, in any order: the result is the same to the last bit. `k`: the
    picks asked for in every cluster. `groups`: a label for every cluster; clusters that share
    one may depend on each other, and the intervals allow for it.

    Raises UtilityError if an item of any cluster has no value in `utility`; ValueError if k is
    below 1, or a choice contradicts itself or another choice of its cluster.
    """
    clusters = _columns(choices, utility, k)
    counted = [columns for columns in clusters if columns.decides(k)]
    return _agreement(clusters, scores_of(counted, k), k, groups)


def random_agreement(
    members: Mapping[int, Sequence[str]],
    utility: Mapping[str, float],
    k: int,
    groups: Mapping[int, Hashable] | None = None,
) -> Agreement:
    """What uniformly drawn picks and rankings expect, exactly: the zero of every scale.

    `members`: the ids of each cluster's candidates. captured, nuc, kappa and tau are 0, auc is
    0.5; hit and ndcg depend on the clusters. Raises as `agreement` does.
    """
    nothing = (Choice(cluster, tuple(ids), picks=()) for cluster, ids in members.items())
    clusters = _columns(nothing, utility, k)
    scores = scores_of([columns for columns in clusters if columns.decides(k)], k)
    zeros = np.zeros_like(scores.gain)
    random = replace(scores, worst=zeros * np.nan, ndcg=scores.chance_ndcg, tau=zeros)
    return _agreement(clusters, random, k, groups)


def _columns(choices: Iterable[Choice], utility: Mapping[str, float], k: int) -> list[Columns]:
    """The choices by cluster, ascending by id, in an order that the input's does not change."""
    if k < 1:
        raise ValueError(f"need k of 1 or more, got {k}")
    by_id: dict[int, list[Choice]] = {}
    for choice in choices:
        by_id.setdefault(choice.cluster, []).append(choice)
    members = (item_id for same_cluster in by_id.values() for item_id in same_cluster[0].members)
    check_covered(members, utility, "agreement")
    return [_columns_of(by_id[cluster], utility, k) for cluster in sorted(by_id)]


def _columns_of(choices: list[Choice], utility: Mapping[str, float], k: int) -> Columns:
    """The choices in one cluster, its candidates ascending by utility (ties by id)."""
    choices = sorted(choices, key=lambda c: (c.picks, c.ranking or ()))
    ascending = sorted((utility[item_id], item_id) for item_id in choices[0].members)
    column = {item_id: index for index, (_, item_id) in enumerate(ascending)}
    for choice in choices:
        _check(choice, column, k)
    return Columns(
        cluster=choices[0].cluster,
        utilities=[value for value, _ in ascending],
        picks=[[column[item_id] for item_id in c.picks] for c in choices],
        rankings=[[column[i] for i in c.ranking] if c.ranking else None for c in choices],
    )


def _check(choice: Choice, column: Mapping[str, int], k: int) -> None:
    """Raise ValueError if a choice is not one of this cluster."""
    members, picks = set(choice.members), set(choice.picks)
    where = f"cluster {choice.cluster}"
    if len(choice.members) != len(members) or members != column.keys():
        raise ValueError(f"{where}: members repeat, or differ between its choices")
    if len(choice.picks) != len(picks) or len(picks) > k or not picks <= members:
        raise ValueError(f"{where}: picks {choice.picks} are not at most {k} different members")
    if choice.ranking is not None and sorted(choice.ranking) != sorted(members):
        raise ValueError(f"{where}: ranking {choice.ranking} does not order all members")


def _agreement(
    clusters: list[Columns], scores: Scores, k: int, groups: Mapping[int, Hashable] | None
) -> Agreement:
    """The metrics of the counted clusters, and what was left out."""
    counted = [columns.cluster for columns in clusters if columns.decides(k)]
    labels = None if groups is None else [groups[cluster_id] for cluster_id in counted]
    intervals: dict[str, Any] = {
        name: _interval(*parts(scores), labels) for name, parts in METRICS.items()
    }
    whole = sum(columns.is_whole(k) for columns in clusters)
    return Agreement(
        **intervals,
        clusters=len(counted),
        flat_clusters=len(clusters) - len(counted) - whole,
        whole_clusters=whole,
        gain=dict(zip(counted, scores.gain.tolist(), strict=True)),
        chance=dict(zip(counted, scores.chance.tolist(), strict=True)),
    )


def _interval(reached: Floats, most: Floats, labels: list[Hashable] | None) -> Interval | None:
    """Their ratio over the clusters where it is defined."""
    defined = np.isfinite(reached)
    if labels is not None:
        labels = [label for label, kept in zip(labels, defined, strict=True) if kept]
    return ratio_interval(reached[defined], most[defined], groups=labels)
